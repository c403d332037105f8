import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { DeviceCreated } from '../../contract/device.ts';
import { rest } from '../gateway.ts';
import { useAction } from '../use-action.ts';
import { ProblemLine } from './problem-line.tsx';
import { ProfileSelect } from './profile-select.tsx';
import { TokenNote } from './token-note.tsx';

interface AddDeviceProps {
  readonly onAdded: () => void;
  readonly onClose: () => void;
}

/** Registers a device, then shows its token once. */
export function AddDevice({ onAdded, onClose }: AddDeviceProps): JSX.Element {
  const [id, setId] = useState('');
  const [name, setName] = useState('');
  const [profile, setProfile] = useState('');
  const [made, setMade] = useState<DeviceCreated | null>(null);
  const action = useAction();
  if (made !== null) return <TokenNote device={made.id} token={made.token ?? ''} onClose={onClose} />;
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const draft = { id: id.trim(), name: name.trim(), profile: profile === '' ? null : profile };
    void action.run(async () => {
      setMade(await rest.send<DeviceCreated>('POST', 'api/v1/devices', draft));
      onAdded();
    });
  };
  return (
    <form class="panel form" onSubmit={submit} aria-labelledby="add-title" data-testid="add-device">
      <h2 id="add-title">Add a device</h2>
      <div class="fields">
        <label class="field">
          <span>Id</span>
          <input
            type="text"
            name="id"
            required
            pattern="[A-Za-z0-9][A-Za-z0-9._:\-]{0,63}"
            title="1 to 64 letters, digits, dots, colons, dashes or underscores, a letter or digit first"
            placeholder="fridge-07"
            autocomplete="off"
            autocapitalize="off"
            spellcheck={false}
            value={id}
            onInput={(input) => setId(input.currentTarget.value)}
          />
        </label>
        <label class="field">
          <span>Name</span>
          <input
            type="text"
            name="name"
            maxLength={200}
            placeholder="Fridge in the lab"
            value={name}
            onInput={(input) => setName(input.currentTarget.value)}
          />
        </label>
        <ProfileSelect value={profile} onChange={setProfile} />
      </div>
      <ProblemLine problem={action.problem} />
      <div class="form-end">
        <button type="submit" class="button button-main" disabled={action.isBusy}>
          Add
        </button>
        <button type="button" class="button" onClick={onClose}>
          Cancel
        </button>
      </div>
    </form>
  );
}
