import type { JSX } from 'preact';
import { now, rest } from '../gateway.ts';
import { agoText, momentText } from '../time-text.ts';

/** How long ago something was, going on by itself; the exact moment is in its title. `time` is epoch ms or RFC 3339. */
export function Ago({ time }: { readonly time: number | string | null }): JSX.Element {
  if (time === null) return <span class="quiet">never</span>;
  const at = typeof time === 'string' ? Date.parse(time) : time;
  const gatewayNow = now.value + rest.clockAhead;
  return (
    <time dateTime={new Date(at).toISOString()} title={momentText(at, gatewayNow)}>
      {agoText(gatewayNow - at)}
    </time>
  );
}
