import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { Command } from '../../contract/command.ts';
import type { List } from '../../contract/rest.ts';
import { rest } from '../gateway.ts';
import { useResource } from '../resource.ts';
import { useAction } from '../use-action.ts';
import { Ago } from './ago.tsx';
import { Mark, type MarkKind } from './mark.tsx';
import { ProblemLine } from './problem-line.tsx';

const shownMax = 10;
/** While a command is open its list is asked for again soon, ms. */
const openEveryMs = 1_500;
const quietEveryMs = 15_000;

const marks: Readonly<Record<Command['state'], { readonly kind: MarkKind; readonly text: string }>> = {
  queued: { kind: 'waiting', text: 'Queued' },
  sent: { kind: 'waiting', text: 'Sent' },
  succeeded: { kind: 'good', text: 'Succeeded' },
  failed: { kind: 'critical', text: 'Failed' },
  expired: { kind: 'off', text: 'Expired' },
  cancelled: { kind: 'off', text: 'Cancelled' },
};

const ttls = [
  { value: '1m', text: '1 minute' },
  { value: '10m', text: '10 minutes' },
  { value: '1h', text: '1 hour' },
  { value: '1d', text: '1 day' },
  { value: '7d', text: '7 days' },
] as const;

/** Asks something of a device and follows what becomes of it. */
export function DeviceCommands({ device }: { readonly device: string }): JSX.Element {
  const path = `api/v1/devices/${encodeURIComponent(device)}/commands`;
  const [everyMs, setEveryMs] = useState(quietEveryMs);
  const list = useResource(
    `commands ${device}`,
    async (signal) => {
      const page = await rest.get<List<Command>>(path, { limit: String(shownMax) }, signal);
      setEveryMs(page.items.some(isOpen) ? openEveryMs : quietEveryMs);
      return page.items;
    },
    everyMs,
  );
  return (
    <section class="panel" aria-labelledby="commands" data-testid="device-commands">
      <header class="panel-head">
        <h2 id="commands">Commands</h2>
      </header>
      <CommandForm path={path} onSent={list.reload} />
      <ProblemLine problem={list.problem} />
      {list.value?.length === 0 && <p class="quiet panel-empty">Nothing was asked of it in the last 30 days.</p>}
      <ul class="rows">
        {(list.value ?? []).map((command) => (
          <CommandRow key={command.id} command={command} path={path} onChanged={list.reload} />
        ))}
      </ul>
    </section>
  );
}

function isOpen({ settledAt }: Command): boolean {
  return settledAt === null;
}

function CommandForm({ path, onSent }: { readonly path: string; readonly onSent: () => void }): JSX.Element {
  const [name, setName] = useState('');
  const [params, setParams] = useState('');
  const [ttl, setTtl] = useState('1h');
  const action = useAction();
  const parsed = parseParams(params);
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    if (parsed === null) return;
    void action.run(async () => {
      await rest.send('POST', path, { name: name.trim(), params: parsed.value, ttl });
      setName('');
      setParams('');
      onSent();
    });
  };
  return (
    <form class="form" onSubmit={submit}>
      <div class="fields">
        <label class="field">
          <span>Name</span>
          <input
            type="text"
            name="command"
            required
            maxLength={128}
            placeholder="restart"
            autocomplete="off"
            autocapitalize="off"
            spellcheck={false}
            value={name}
            onInput={(input) => setName(input.currentTarget.value)}
          />
        </label>
        <label class="field">
          <span>Parameters, JSON</span>
          <input
            type="text"
            name="params"
            placeholder={'{"seconds":30}'}
            autocomplete="off"
            autocapitalize="off"
            spellcheck={false}
            value={params}
            aria-invalid={parsed === null}
            onInput={(input) => setParams(input.currentTarget.value)}
          />
        </label>
        <label class="field">
          <span>Waits for an answer</span>
          <select name="ttl" value={ttl} onChange={(change) => setTtl(change.currentTarget.value)}>
            {ttls.map((one) => (
              <option key={one.value} value={one.value}>
                {one.text}
              </option>
            ))}
          </select>
        </label>
      </div>
      {parsed === null && <p class="problem">The parameters are not JSON; leave them empty for none.</p>}
      <ProblemLine problem={action.problem} />
      <div class="form-end">
        <button type="submit" class="button button-main" disabled={action.isBusy || parsed === null}>
          Send command
        </button>
      </div>
    </form>
  );
}

/** The JSON that was written, null for none; null in all when it is not JSON. */
function parseParams(text: string): { readonly value: unknown } | null {
  if (text.trim() === '') return { value: null };
  try {
    return { value: JSON.parse(text) };
  } catch {
    return null;
  }
}

interface CommandRowProps {
  readonly command: Command;
  readonly path: string;
  readonly onChanged: () => void;
}

function CommandRow({ command, path, onChanged }: CommandRowProps): JSX.Element {
  const action = useAction();
  const cancel = (): void => {
    void action.run(async () => {
      await rest.send('DELETE', `${path}/${encodeURIComponent(command.id)}`);
      onChanged();
    });
  };
  return (
    <li data-testid="command" data-state={command.state}>
      <div class="row">
        <Mark {...marks[command.state]} />
        <span class="row-main">
          <span class="row-title">{command.name}</span>
          <span class="row-detail">
            {command.params !== null && <code>{JSON.stringify(command.params)}</code>}
            {command.result !== null && (
              <>
                {' → '}
                <code>{JSON.stringify(command.result)}</code>
              </>
            )}
            {command.state === 'queued' && <span class="quiet"> handed over when the device comes</span>}
          </span>
        </span>
        <span class="row-side">
          <Ago time={command.settledAt ?? command.sentAt ?? command.createdAt} />
          {isOpen(command) && (
            <button type="button" class="link" disabled={action.isBusy} onClick={cancel}>
              Cancel
            </button>
          )}
        </span>
      </div>
      <ProblemLine problem={action.problem} />
    </li>
  );
}
