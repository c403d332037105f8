import type { JSX } from 'preact';
import { connection, lastLiveAt, live, now } from '../gateway.ts';
import { spanText } from '../time-text.ts';

const words = { live: 'Live', connecting: 'Reconnecting', offline: 'Offline' } as const;

/** Always in sight: whether what is shown is happening now. */
export function ConnectionState(): JSX.Element {
  const state = connection.value;
  const text = state.kind === 'connecting' && lastLiveAt.value === null ? 'Connecting' : words[state.kind];
  return (
    <span class={`connection connection-${state.kind}`} data-testid="connection" data-state={state.kind} role="status">
      <span class="connection-dot" aria-hidden="true" />
      {text}
    </span>
  );
}

/** While not live: since when the page shows the past, when it tries again, and a way not to wait. */
export function ConnectionBar(): JSX.Element | null {
  const state = connection.value;
  if (state.kind === 'live') return null;
  if (state.kind === 'connecting' && lastLiveAt.value === null && state.retryAt === null) return null;
  const wait = state.retryAt === null ? null : Math.max(0, Math.ceil((state.retryAt - now.value) / 1_000));
  return (
    <div class={`connection-bar connection-bar-${state.kind}`} data-testid="connection-bar">
      <p>
        {state.kind === 'offline' ? `${state.reason} ` : 'The connection was lost. '}
        {lastLiveAt.value !== null && `Values are ${spanText(now.value - lastLiveAt.value)} old. `}
        {wait !== null && <span class="number">{wait === 0 ? 'Trying again now…' : `Next try in ${wait} s.`}</span>}
        {wait === null && state.kind === 'connecting' && 'Trying…'}
      </p>
      <button type="button" class="button" onClick={() => live.retryNow()}>
        Retry now
      </button>
    </div>
  );
}
