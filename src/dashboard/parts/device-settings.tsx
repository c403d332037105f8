import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { Device } from '../../contract/device.ts';
import { parseTags, tagTexts } from '../device-text.ts';
import { rest } from '../gateway.ts';
import { useAction } from '../use-action.ts';
import { ConfirmButton } from './confirm-button.tsx';
import { EraseForm } from './erase-form.tsx';
import { ProblemLine } from './problem-line.tsx';
import { ProfileSelect } from './profile-select.tsx';
import { TokenNote } from './token-note.tsx';

interface DeviceSettingsProps {
  readonly device: Device;
  readonly onChanged: () => void;
}

/** What people decide about a device: what it is called, its token, whether it is let in. */
export function DeviceSettings({ device, onChanged }: DeviceSettingsProps): JSX.Element {
  const path = `api/v1/devices/${encodeURIComponent(device.id)}`;
  return (
    <section class="panel" aria-labelledby="settings" data-testid="device-settings">
      <header class="panel-head">
        <h2 id="settings">Settings</h2>
      </header>
      {device.approval === 'pending' ? (
        <p>Its name and profile can be changed once it is approved.</p>
      ) : (
        <Details device={device} path={path} onChanged={onChanged} />
      )}
      <TokenRotation device={device.id} path={path} />
      <Admission device={device} path={path} onChanged={onChanged} />
    </section>
  );
}

interface PartProps extends DeviceSettingsProps {
  /** Of the device, below the gateway's address. */
  readonly path: string;
}

function Details({ device, path, onChanged }: PartProps): JSX.Element {
  const [name, setName] = useState(device.name);
  const [profile, setProfile] = useState(device.profile ?? '');
  const [tags, setTags] = useState(tagTexts(device.tags).join(', '));
  const action = useAction();
  const parsed = parseTags(tags);
  const isChanged =
    name.trim() !== device.name ||
    profile !== (device.profile ?? '') ||
    (parsed !== null && tagTexts(parsed).join() !== tagTexts(device.tags).join());
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    if (parsed === null) return;
    const patch = { name: name.trim(), profile: profile === '' ? null : profile, tags: parsed };
    void action.run(async () => {
      await rest.send('PATCH', path, patch);
      onChanged();
    });
  };
  return (
    <form class="form" onSubmit={submit}>
      <div class="fields">
        <label class="field">
          <span>Name</span>
          <input
            type="text"
            name="name"
            maxLength={200}
            value={name}
            onInput={(input) => setName(input.currentTarget.value)}
          />
        </label>
        <ProfileSelect value={profile} onChange={setProfile} />
        <label class="field">
          <span>Tags</span>
          <input
            type="text"
            name="tags"
            placeholder="room:lab, line:2"
            value={tags}
            aria-invalid={parsed === null}
            onInput={(input) => setTags(input.currentTarget.value)}
          />
        </label>
      </div>
      {parsed === null && <p class="problem">Write tags as key:value, with commas between them.</p>}
      <ProblemLine problem={action.problem} />
      <div class="form-end">
        <button type="submit" class="button" disabled={action.isBusy || !isChanged || parsed === null}>
          Save
        </button>
      </div>
    </form>
  );
}

const overlaps = [
  { value: '', text: 'The old one ends at once' },
  { value: '10m', text: 'The old one works for 10 minutes more' },
  { value: '1h', text: 'The old one works for an hour more' },
  { value: '1d', text: 'The old one works for a day more' },
] as const;

function TokenRotation({ device, path }: { readonly device: string; readonly path: string }): JSX.Element {
  const [overlap, setOverlap] = useState('');
  const [token, setToken] = useState<string | null>(null);
  const action = useAction();
  if (token !== null) return <TokenNote device={device} token={token} onClose={() => setToken(null)} />;
  const rotate = (): void => {
    void action.run(async () => {
      const made = await rest.send<{ token: string }>('POST', `${path}/tokens`, overlap === '' ? {} : { overlap });
      setToken(made.token);
    });
  };
  return (
    <div class="form settings-part">
      <h3>Token</h3>
      <div class="form-end">
        <label>
          <span class="hidden">What becomes of the old token</span>
          <select name="overlap" value={overlap} onChange={(change) => setOverlap(change.currentTarget.value)}>
            {overlaps.map((one) => (
              <option key={one.value} value={one.value}>
                {one.text}
              </option>
            ))}
          </select>
        </label>
        <ConfirmButton
          text="New token"
          question={
            overlap === ''
              ? 'Its connection ends until it is told the new one.'
              : 'The device must be told the new one.'
          }
          isBusy={action.isBusy}
          onConfirm={rotate}
        />
      </div>
      <ProblemLine problem={action.problem} />
    </div>
  );
}

function Admission({ device, path, onChanged }: PartProps): JSX.Element {
  const action = useAction();
  const decide = (verb: 'approve' | 'block'): void => {
    void action.run(async () => {
      await rest.send('POST', `${path}/${verb}`);
      onChanged();
    });
  };
  const remove = (query: '' | '?readings=true'): void => {
    void action.run(async () => {
      await rest.send('DELETE', path + query);
      window.location.hash = '#/devices';
    });
  };
  return (
    <div class="form settings-part">
      <h3>Access</h3>
      <div class="form-end">
        {device.approval !== 'approved' && (
          <button type="button" class="button button-main" disabled={action.isBusy} onClick={() => decide('approve')}>
            {device.approval === 'pending' ? 'Approve' : 'Unblock'}
          </button>
        )}
        {device.approval !== 'blocked' && (
          <ConfirmButton
            text="Block"
            question="It is disconnected, and its readings are refused."
            isBusy={action.isBusy}
            onConfirm={() => decide('block')}
          />
        )}
        <ConfirmButton
          text="Delete"
          question="Its name, tokens and facts are forgotten; its readings stay."
          isDangerous
          isBusy={action.isBusy}
          onConfirm={() => remove('')}
        />
      </div>
      <EraseForm device={device.id} isBusy={action.isBusy} onErase={() => remove('?readings=true')} />
      <ProblemLine problem={action.problem} />
    </div>
  );
}
