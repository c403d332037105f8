import type { JSX } from 'preact';
import type { Device } from '../../contract/device.ts';
import { rest } from '../gateway.ts';
import { deviceHash } from '../route.ts';
import { useAction } from '../use-action.ts';
import { countText } from '../value-text.ts';
import { Ago } from './ago.tsx';
import { ProblemLine } from './problem-line.tsx';

/** Rows shown at most; everybody can be approved all the same. */
const shownMax = 20;
/** Devices in one request at most. */
const togetherMax = 10_000;

interface ApprovalQueueProps {
  /** Those that wait. */
  readonly waiting: readonly Device[];
  readonly onDecided: () => void;
}

/** Devices that asked for a token of their own and are not listened to before a person says so. */
export function ApprovalQueue({ waiting, onDecided }: ApprovalQueueProps): JSX.Element | null {
  const action = useAction();
  if (waiting.length === 0) return null;
  const decide = (path: string, body?: unknown): void => {
    void action.run(async () => {
      await rest.send('POST', path, body);
      onDecided();
    });
  };
  const all = { devices: waiting.slice(0, togetherMax).map(({ id }) => id) };
  return (
    <section class="panel waiting" aria-labelledby="waiting-title" data-testid="approval-queue">
      <header class="panel-head">
        <h2 id="waiting-title">
          {waiting.length === 1 ? 'One device waits' : `${countText(waiting.length)} devices wait`} for approval
        </h2>
        {waiting.length > 1 && (
          <button
            type="button"
            class="button button-main"
            disabled={action.isBusy}
            onClick={() => decide('api/v1/devices/approve', all)}
          >
            Approve all {countText(all.devices.length)}
          </button>
        )}
      </header>
      <p class="quiet">Until then what they send is kept in quarantine. Approve only what you know.</p>
      <ProblemLine problem={action.problem} />
      <ul class="rows">
        {waiting.slice(0, shownMax).map((device) => (
          <li key={device.id} class="queue-row" data-testid="waiting-device" data-device={device.id}>
            <span class="queue-name">
              <a href={deviceHash(device.id)}>{device.id}</a>
              <span class="quiet table-note">
                {device.profile ?? 'no profile'}
                {device.firstSeen !== null && (
                  <>
                    {' · asked '}
                    <Ago time={device.firstSeen} />
                  </>
                )}
              </span>
            </span>
            <span class="queue-side">
              <button
                type="button"
                class="button button-main"
                disabled={action.isBusy}
                aria-label={`Approve ${device.id}`}
                onClick={() => decide(`${pathOf(device)}/approve`)}
              >
                Approve
              </button>
              <button
                type="button"
                class="button"
                disabled={action.isBusy}
                aria-label={`Block ${device.id}`}
                onClick={() => decide(`${pathOf(device)}/block`)}
              >
                Block
              </button>
            </span>
          </li>
        ))}
      </ul>
      {waiting.length > shownMax && <p class="quiet">and {countText(waiting.length - shownMax)} more</p>}
    </section>
  );
}

function pathOf({ id }: Device): string {
  return `api/v1/devices/${encodeURIComponent(id)}`;
}
