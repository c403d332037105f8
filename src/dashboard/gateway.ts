import { type ReadonlySignal, signal } from '@preact/signals';
import type { liveSubprotocol } from '../contract/live.ts';
import { browserClock, browserDice } from './clock.ts';
import { FrameLoop } from './frame-loop.ts';
import { LatestValues } from './latest-values.ts';
import { LiveClient, type LiveSocket, type LiveState, type SocketEvents } from './live-client.ts';
import { OpenAlerts } from './open-alerts.ts';
import { RestClient } from './rest-client.ts';
import { forget, key, lock, locked, unlock } from './session.ts';

/** What every page shares: one way to ask, one socket, one loop that draws, one clock. */
export const clock = browserClock;

export const frames = new FrameLoop((draw) => requestAnimationFrame(draw));

export const rest = new RestClient({
  base: document.baseURI,
  fetch: (input, init) => fetch(input, init),
  now: () => clock.now(),
  key: () => key.peek(),
  onUnauthorized: (problem) => {
    lock(problem);
    // Every try with a key that is no good counts as a guess.
    live.stop();
  },
});

const state = signal<LiveState>({ kind: 'connecting', retryAt: null });
export const connection: ReadonlySignal<LiveState> = state;

/** When the connection was last live, epoch ms; null before the first time. */
export const lastLiveAt = signal<number | null>(null);

/** How often the connection came back; what REST said before may be old then. */
export const resumed = signal(0);

/** Counts the seconds; what shows an age reads it. */
export const now = signal(clock.now());

export const latest = new LatestValues(frames);

export const live = new LiveClient({
  connect: openSocket,
  clock,
  dice: browserDice,
  onState: (next) => {
    if (next.kind === 'live' && lastLiveAt.peek() !== null) resumed.value++;
    if (state.peek().kind === 'live' || next.kind === 'live') lastLiveAt.value = clock.now();
    state.value = next;
  },
});

export const openAlerts = new OpenAlerts(rest, live);

/** Connects and keeps the seconds; called once. */
export function startGateway(): void {
  live.start();
  openAlerts.start();
  const tick = (): void => {
    now.value = clock.now();
    if (state.peek().kind === 'live') lastLiveAt.value = now.value;
    clock.after(1_000, tick);
  };
  tick();
  const retry = (): void => {
    if (locked.peek() === null) live.retryNow();
  };
  addEventListener('online', retry);
  addEventListener('pageshow', retry);
}

/** Begins anew with a key that the gateway has let in. */
export function signIn(given: string): void {
  unlock(given);
  resumed.value++;
  live.stop();
  live.start();
}

/** Forgets the key and, with the page, everything that was shown with it. */
export function signOut(): void {
  live.stop();
  forget();
  window.location.reload();
}

/** The name of the protocol; only its type can come from the contract, which is not part of the page. */
const spoken: typeof liveSubprotocol = 'pulsegate.v1.json';

function openSocket(events: SocketEvents): LiveSocket {
  const url = new URL('api/v1/live', document.baseURI);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  const held = key.peek();
  // A page can set no header of a WebSocket; the key goes beside the protocol, never into the address.
  const socket = held === null ? new WebSocket(url) : new WebSocket(url, [spoken, `pulsegate.key.${held}`]);
  socket.addEventListener('open', events.open);
  socket.addEventListener('message', ({ data }) => events.message(data));
  socket.addEventListener('close', ({ code, reason }) => events.close(code, reason));
  return socket;
}
