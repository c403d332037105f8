import { describe, expect, test } from 'vitest';
import { closeCodes, ServerFrame } from '../../src/contract/live.ts';
import type { Clock } from '../../src/dashboard/clock.ts';
import { LiveClient, type LiveState, type SocketEvents } from '../../src/dashboard/live-client.ts';

/** Timers that fire when the hands are turned, in the order in which they are due. */
class HandClock implements Clock {
  #now = 1_790_000_000_000;
  readonly #timers = new Set<{ readonly at: number; readonly action: () => void }>();

  now(): number {
    return this.#now;
  }

  after(delayMs: number, action: () => void): () => void {
    const timer = { at: this.#now + delayMs, action };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const [next] = [...this.#timers].filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#now = next.at;
      next.action();
    }
    this.#now = end;
  }
}

/** The gateway's end of one socket; every frame it sends is one that the contract allows. */
class Peer {
  readonly heard: Record<string, unknown>[] = [];
  isClosed = false;
  readonly #events: SocketEvents;

  constructor(events: SocketEvents) {
    this.#events = events;
  }

  readonly socket = {
    send: (text: string): void => {
      this.heard.push(JSON.parse(text));
    },
    close: (): void => {
      this.isClosed = true;
    },
  };

  open(): void {
    this.#events.open();
    this.say({
      op: 'hello',
      version: '0.1.0',
      limits: {
        messageBytesMax: 65_536,
        subscriptionsMax: 100,
        commandsPerSecond: 50,
        clientBacklogMax: 1_048_576,
        heartbeatMs: 10_000,
      },
    });
  }

  say(frame: ServerFrame): void {
    this.#events.message(JSON.stringify(ServerFrame.parse(frame)));
  }

  babble(text: string): void {
    this.#events.message(text);
  }

  hangUp(code = 1006): void {
    this.#events.close(code, '');
  }
}

function setUp(dice = 0.5) {
  const clock = new HandClock();
  const peers: Peer[] = [];
  const states: LiveState[] = [];
  const client = new LiveClient({
    connect: (events) => {
      const peer = new Peer(events);
      peers.push(peer);
      return peer.socket;
    },
    clock,
    dice: () => dice,
    onState: (state) => states.push(state),
  });
  client.start();
  const peer = (): Peer => {
    const last = peers.at(-1);
    if (last === undefined) throw new Error('nobody connected');
    return last;
  };
  return { client, clock, peers, peer, states };
}

const readings = { topic: 'readings', device: 'fridge-01', metric: '*', mode: 'all' } as const;
const reading = { device: 'fridge-01', metric: 'temperature', time: '2026-11-21T09:00:00.000Z', value: 4.2 };
const snapshotDone = { op: 'snapshot', id: 's1', readings: [], done: true } as const;

describe('the live client', () => {
  test('asks for what was subscribed before it was connected, and hands the readings on', () => {
    const { client, peer, states } = setUp();
    const heard: unknown[] = [];
    client.subscribe(readings, { readings: (rows) => heard.push(...rows) });
    expect(peer().heard).toEqual([]);
    peer().open();
    expect(peer().heard).toEqual([{ op: 'subscribe', id: 's1', ...readings }]);
    peer().say({ op: 'subscribed', id: 's1', cursor: 'e:5', recovered: false });
    peer().say({ op: 'snapshot', id: 's1', readings: [reading], done: true });
    peer().say({ op: 'readings', id: 's1', cursor: 'e:6', readings: [{ ...reading, value: 4.3 }] });
    expect(heard).toEqual([reading, { ...reading, value: 4.3 }]);
    expect(states.at(-1)).toEqual({ kind: 'live' });
  });

  test('resumes after the last commit that a heartbeat examined, and says nothing was lost', () => {
    const { client, clock, peer, peers } = setUp();
    let lost = 0;
    client.subscribe(readings, { lost: () => lost++ });
    peer().open();
    peer().say({ op: 'subscribed', id: 's1', cursor: 'e:5', recovered: false });
    peer().say(snapshotDone);
    peer().say({ op: 'readings', id: 's1', cursor: 'e:6', readings: [reading] });
    peer().say({ op: 'heartbeat', cursor: 'e:90' });
    peer().hangUp();
    clock.advance(1_000);
    expect(peers).toHaveLength(2);
    peer().open();
    expect(peer().heard[0]).toMatchObject({ op: 'subscribe', id: 's1', since: 'e:90' });
    peer().say({ op: 'subscribed', id: 's1', cursor: 'e:90', recovered: true });
    expect(lost).toBe(0);
  });

  test('a heartbeat that comes before the resume is answered does not move the cursor past what was missed', () => {
    const { client, clock, peer } = setUp();
    client.subscribe(readings, {});
    peer().open();
    peer().say({ op: 'subscribed', id: 's1', cursor: 'e:5', recovered: false });
    peer().say(snapshotDone);
    peer().hangUp();
    clock.advance(1_000);
    peer().open();
    peer().say({ op: 'heartbeat', cursor: 'e:99' });
    peer().hangUp();
    clock.advance(2_000);
    peer().open();
    expect(peer().heard[0]).toMatchObject({ since: 'e:5' });
  });

  test('a connection lost in the middle of a snapshot begins with a snapshot again', () => {
    const { client, clock, peer } = setUp();
    client.subscribe(readings, {});
    peer().open();
    peer().say({ op: 'subscribed', id: 's1', cursor: 'e:5', recovered: false });
    peer().say({ op: 'snapshot', id: 's1', readings: [reading], done: false });
    peer().say({ op: 'readings', id: 's1', cursor: 'e:6', readings: [reading] });
    peer().say({ op: 'heartbeat', cursor: 'e:7' });
    peer().hangUp();
    clock.advance(1_000);
    peer().open();
    expect(peer().heard[0]).not.toHaveProperty('since');
  });

  test('a refused resume is told once, and the next resume starts from its end', () => {
    const { client, clock, peer } = setUp();
    let lost = 0;
    client.subscribe(readings, { lost: () => lost++ });
    peer().open();
    peer().say({ op: 'subscribed', id: 's1', cursor: 'e:5', recovered: false });
    peer().say(snapshotDone);
    expect(lost).toBe(0);
    peer().hangUp();
    clock.advance(1_000);
    peer().open();
    peer().say({ op: 'subscribed', id: 's1', cursor: 'f:2', recovered: false });
    peer().say({ op: 'gap', id: 's1', after: 'e:5', resumed: 'f:2', reason: 'epoch_changed' });
    peer().say(snapshotDone);
    expect(lost).toBe(1);
    peer().hangUp();
    clock.advance(1_000);
    peer().open();
    expect(peer().heard[0]).toMatchObject({ since: 'f:2' });
  });

  test('a gap in the middle of a connection is told, and its cursor counts only after the snapshot', () => {
    const { client, clock, peer } = setUp();
    let lost = 0;
    client.subscribe(readings, { lost: () => lost++ });
    peer().open();
    peer().say({ op: 'subscribed', id: 's1', cursor: 'e:5', recovered: false });
    peer().say(snapshotDone);
    peer().say({ op: 'gap', id: 's1', after: 'e:5', resumed: 'e:800', reason: 'trimmed' });
    expect(lost).toBe(1);
    peer().hangUp();
    clock.advance(1_000);
    peer().open();
    expect(peer().heard[0]).not.toHaveProperty('since');
  });

  test('a subscription to newest values never asks for what it missed', () => {
    const { client, clock, peer } = setUp();
    client.subscribe({ ...readings, mode: 'latest' }, {});
    peer().open();
    peer().say({ op: 'subscribed', id: 's1', cursor: 'e:5', recovered: false });
    peer().say(snapshotDone);
    peer().hangUp();
    clock.advance(1_000);
    peer().open();
    expect(peer().heard).toEqual([{ op: 'subscribe', id: 's1', ...readings, mode: 'latest' }]);
  });

  test('waits twice as long after each failure up to fifteen seconds, with jitter, and says offline after the fourth', () => {
    const waits: number[] = [];
    const { clock, peer, peers, states } = setUp(0);
    for (let failure = 0; failure < 8; failure++) {
      const before = clock.now();
      peer().hangUp();
      const state = states.at(-1);
      if (state === undefined || state.kind === 'live' || state.retryAt === null) throw new Error('no retry');
      waits.push(state.retryAt - before);
      expect(state.kind).toBe(failure < 3 ? 'connecting' : 'offline');
      clock.advance(state.retryAt - before);
      expect(peers).toHaveLength(failure + 2);
    }
    expect(waits).toEqual([250, 500, 1_000, 2_000, 4_000, 7_500, 7_500, 7_500]);
  });

  test('a successful connection makes the next wait short again', () => {
    const { clock, peer, states } = setUp(1);
    for (let failure = 0; failure < 5; failure++) {
      peer().hangUp();
      clock.advance(15_000);
    }
    peer().open();
    peer().hangUp();
    expect(states.at(-1)).toEqual({ kind: 'connecting', retryAt: clock.now() + 500 });
  });

  test('retry now connects at once and the pending retry does not connect a second time', () => {
    const { client, clock, peer, peers } = setUp();
    peer().hangUp();
    client.retryNow();
    client.retryNow();
    expect(peers).toHaveLength(2);
    peer().open();
    clock.advance(20_000);
    expect(peers).toHaveLength(2);
  });

  test('a connection that falls silent is replaced, and its late words are not heard', () => {
    const { client, clock, peers, peer } = setUp();
    const heard: unknown[] = [];
    client.subscribe(readings, { readings: (rows) => heard.push(...rows) });
    peer().open();
    clock.advance(24_999);
    expect(peers[0]?.isClosed).toBe(false);
    clock.advance(1);
    expect(peers[0]?.isClosed).toBe(true);
    clock.advance(1_000);
    expect(peers).toHaveLength(2);
    peers[0]?.say({ op: 'readings', id: 's1', cursor: 'e:1', readings: [reading] });
    peers[0]?.hangUp();
    expect(heard).toEqual([]);
    clock.advance(1_000);
    expect(peers).toHaveLength(2);
  });

  test('heartbeats alone keep a quiet connection', () => {
    const { clock, peers, peer } = setUp();
    peer().open();
    for (let beat = 0; beat < 12; beat++) {
      clock.advance(10_000);
      peer().say({ op: 'heartbeat', cursor: `e:${beat}` });
    }
    expect(peers).toHaveLength(1);
  });

  test('a close that the contract calls terminal is not retried, any other is', () => {
    for (const { code, verdict } of Object.values(closeCodes)) {
      const { clock, peer, peers, states } = setUp();
      peer().open();
      peer().hangUp(code);
      clock.advance(60_000);
      expect(peers.length > 1, `close ${code}`).toBe(verdict !== 'terminal');
      if (verdict === 'terminal') expect(states.at(-1)).toMatchObject({ kind: 'offline', retryAt: null });
    }
  });

  test('an ended subscription is taken back and its frames find nobody', () => {
    const { client, peer } = setUp();
    const heard: unknown[] = [];
    const stop = client.subscribe(readings, { readings: (rows) => heard.push(...rows) });
    peer().open();
    stop();
    stop();
    peer().say({ op: 'readings', id: 's1', cursor: 'e:6', readings: [reading] });
    expect(peer().heard).toEqual([
      { op: 'subscribe', id: 's1', ...readings },
      { op: 'unsubscribe', id: 's1' },
    ]);
    expect(heard).toEqual([]);
  });

  test('frames of a newer gateway and broken ones are passed over', () => {
    const { client, peer, states } = setUp();
    const heard: unknown[] = [];
    client.subscribe(readings, { readings: (rows) => heard.push(...rows) });
    peer().open();
    for (const text of ['', '{', 'null', '[]', '{"op":"later"}', '{"op":"readings","id":"s1"}']) peer().babble(text);
    expect(heard).toEqual([]);
    expect(states.at(-1)).toEqual({ kind: 'live' });
  });

  test('a refused subscription is told in words', () => {
    const { client, peer } = setUp();
    const refused: string[] = [];
    client.subscribe(readings, { refused: (message) => refused.push(message) });
    peer().open();
    peer().say({ op: 'error', id: 's1', code: 'parameter_invalid', message: 'the filter is malformed' });
    expect(refused).toEqual(['the filter is malformed']);
  });

  test('after stop nothing connects again', () => {
    const { client, clock, peer, peers } = setUp();
    peer().open();
    client.stop();
    client.stop();
    clock.advance(100_000);
    expect(peers).toHaveLength(1);
    expect(peer().isClosed).toBe(true);
  });
});
