import type { JSX } from 'preact';
import { useProfiles } from '../use-profiles.ts';

interface ProfileSelectProps {
  /** Id of the profile; '' for none. */
  readonly value: string;
  readonly onChange: (value: string) => void;
}

/** What kind of device it is: the profiles that there are, or none. */
export function ProfileSelect({ value, onChange }: ProfileSelectProps): JSX.Element {
  const profiles = useProfiles();
  // Until the profiles are known, the one that the device has stands for itself.
  const ids = profiles.map(({ id }) => id);
  if (value !== '' && !ids.includes(value)) ids.unshift(value);
  return (
    <label class="field">
      <span>Profile</span>
      <select name="profile" value={value} onChange={(change) => onChange(change.currentTarget.value)}>
        <option value="">None</option>
        {ids.map((id) => (
          <option key={id} value={id}>
            {id}
          </option>
        ))}
      </select>
    </label>
  );
}
