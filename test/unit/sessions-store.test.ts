// The bounds of what is remembered, on a clock whose hands the test turns and a disk that never fails.
import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import type { SessionRow } from '../../src/domain/session-row.ts';
import type { StoreClient, StoredPacket } from '../../src/ingest/embedded/sessions/packet.ts';
import { type SessionLimits, SessionStore } from '../../src/ingest/embedded/sessions/session-store.ts';
import { SessionDisk } from '../contract/mqtt-3-1-1/session-disk.ts';
import { FakeClock } from '../support/fake-clock.ts';

const limits: SessionLimits = {
  sessionsMax: 10,
  sessionBytesMax: 1 << 20,
  queueMessagesMax: 100,
  queueBytesMax: 1 << 20,
  sessionExpiry: 60_000,
  retainedMax: 10,
  retainedBytesMax: 1 << 20,
};

/** aedes as far as the store sees it. */
class Broker extends EventEmitter {
  readonly id = 'broker';
  readonly authorizeForward = (_client: StoreClient, packet: StoredPacket): StoredPacket => packet;
  readonly authorizeSubscribe = (): void => {};
  readonly authorizePublish = (): void => {};
}

async function start(
  given: Partial<SessionLimits>,
  from: { clock?: FakeClock; rows?: readonly SessionRow[] } = {},
): Promise<{ store: SessionStore; broker: Broker; clock: FakeClock; disk: SessionDisk; errors: string[] }> {
  const clock = from.clock ?? new FakeClock();
  const disk = new SessionDisk();
  const errors: string[] = [];
  const log = { ...silentLog, error: (_: object, message: string) => void errors.push(message) };
  const store = new SessionStore({ ...limits, ...given }, { write: disk.write, clock, log }, from.rows);
  const broker = new Broker();
  await store.setup(broker);
  return { store, broker, clock, disk, errors };
}

/** A client that connects, subscribes, and goes again unless told otherwise. */
async function visit(
  { store, broker }: { store: SessionStore; broker: Broker },
  id: string,
  { filters = [] as readonly string[], stays = false } = {},
): Promise<StoreClient> {
  const client = { id, clean: false, closed: false };
  await store.subscriptionsByClient(client);
  broker.emit('client', client);
  await store.addSubscriptions(
    client,
    filters.map((topic) => ({ topic, qos: 1 })),
  );
  store.outgoingStream(client).destroy();
  if (!stays) broker.emit('clientDisconnect', client);
  return client;
}

let counter = 0;

function message(topic: string, payload: string): StoredPacket {
  const numbered = { brokerId: 'broker', brokerCounter: ++counter };
  return { cmd: 'publish', ...numbered, topic, payload: Buffer.from(payload), qos: 1, retain: false, dup: false };
}

function retained(topic: string, payload: string): StoredPacket {
  return { ...message(topic, payload), retain: true };
}

async function enqueue(store: SessionStore, packet: StoredPacket): Promise<void> {
  await store.outgoingEnqueueCombi(await store.subscriptionsByTopic(packet.topic), packet);
}

async function queued(
  { store, broker }: { store: SessionStore; broker: Broker },
  id: string,
): Promise<readonly string[]> {
  const client = { id, clean: false, closed: false };
  await store.subscriptionsByClient(client);
  broker.emit('client', client);
  const found: unknown[] = await store.outgoingStream(client).toArray();
  broker.emit('clientDisconnect', client);
  return found.map((packet) => String(Reflect.get(Object(packet), 'payload')));
}

describe('a queue', () => {
  it('of as many messages as there may be loses its oldest for a new one, and counts it', async () => {
    const all = await start({ queueMessagesMax: 3 });
    await visit(all, 'a', { filters: ['t'] });
    for (const payload of ['1', '2', '3', '4', '5']) await enqueue(all.store, message('t', payload));
    expect(all.store.counts()).toMatchObject({ queued: 3, droppedQueued: 2 });
    expect(await queued(all, 'a')).toEqual(['3', '4', '5']);
  });

  it('of as many bytes as there may be loses as many as it takes', async () => {
    const all = await start({ queueBytesMax: 2_000 });
    await visit(all, 'a', { filters: ['t'] });
    for (let serial = 1; serial <= 5; serial++) await enqueue(all.store, message('t', String(serial)));
    await enqueue(all.store, message('t', 'x'.repeat(1_300)));
    expect(await queued(all, 'a')).toEqual(['4', '5', 'x'.repeat(1_300)]);
    expect(all.store.counts().queuedBytes).toBeLessThanOrEqual(2_000);
  });

  it('takes no message that is larger than it', async () => {
    const all = await start({ queueBytesMax: 1_000 });
    await visit(all, 'a', { filters: ['t'] });
    await enqueue(all.store, message('t', 'x'.repeat(1_000)));
    expect(all.store.counts()).toMatchObject({ queued: 0, droppedQueued: 1 });
  });

  it('gives way where all of them are too large together, the oldest message of all first', async () => {
    const all = await start({ sessionBytesMax: 1_000 });
    await visit(all, 'a', { filters: ['a'] });
    await visit(all, 'b', { filters: ['b'] });
    for (const [topic, payload] of [
      ['a', '1'],
      ['b', '2'],
      ['b', '3'],
      ['a', '4'],
      ['b', '5'],
    ] as const) {
      await enqueue(all.store, message(topic, payload));
    }
    expect(all.store.counts().droppedQueued).toBe(1);
    expect([await queued(all, 'a'), await queued(all, 'b')]).toEqual([['4'], ['2', '3', '5']]);
  });

  it('goes on after its client acknowledged, at once on coming back, what was about to be sent again', async () => {
    const all = await start({});
    const client = await visit(all, 'a', { filters: ['t'], stays: true });
    const first = message('t', '1');
    await enqueue(all.store, first);
    await all.store.outgoingUpdate(client, { ...first, messageId: 7 });
    all.broker.emit('clientDisconnect', client);

    const delivered: string[] = [];
    const deliverQoS = ({ payload }: StoredPacket): void => void delivered.push(String(payload));
    const back = { id: 'a', clean: false, closed: false, deliverQoS };
    await all.store.subscriptionsByClient(back);
    all.broker.emit('client', back);
    const [again]: StoredPacket[] = await all.store.outgoingStream(back).toArray();
    expect(again.messageId).toBe(7);
    await all.store.outgoingClearMessageId(back, again);
    await all.store.outgoingUpdate(back, again);
    await enqueue(all.store, message('t', '2'));
    expect(delivered).toEqual(['2']);
  });

  it('of a message that it lost has no row', async () => {
    const all = await start({ queueMessagesMax: 1 });
    await visit(all, 'a', { filters: ['t'] });
    for (const payload of ['1', '2', '3']) {
      await enqueue(all.store, message('t', payload));
      await all.store.stop();
    }
    expect(all.disk.rows.filter(({ kind }) => kind === 'queued')).toHaveLength(1);
  });
});

describe('the number of sessions', () => {
  it('ends at its bound: one with nothing in it makes room, the longest absent first', async () => {
    const all = await start({ sessionsMax: 3 });
    for (const id of ['old', 'young', 'full']) {
      await visit(all, id, { filters: id === 'full' ? ['t'] : [] });
      all.clock.advance(1_000);
    }
    expect(all.store.mayOpen('new')).toBe(true);
    await visit(all, 'new', { filters: ['t'] });
    expect([all.store.ownerOf('old'), all.store.ownerOf('young')]).toEqual([null, '']);
    expect(all.store.counts()).toMatchObject({ sessions: 3, evictedSessions: 1, refusedSessions: 0 });
  });

  it('refuses a new one where each holds something, and lets the known ones back', async () => {
    const all = await start({ sessionsMax: 2 });
    await visit(all, 'a', { filters: ['t'] });
    await visit(all, 'b', { stays: true });
    expect([all.store.mayOpen('new'), all.store.mayOpen('a')]).toEqual([false, true]);
    await expect(all.store.subscriptionsByClient({ id: 'new', clean: false })).rejects.toThrow('no room');
    expect(all.store.counts()).toMatchObject({ sessions: 2, refusedSessions: 2 });
  });
});

describe('a session', () => {
  it('is forgotten with everything in it when its client was away too long, and not while it is there', async () => {
    const all = await start({ sessionExpiry: 60_000 });
    const ended: unknown[] = [];
    all.broker.on('unsubscribe', (filters, { id }) => ended.push([id, filters]));
    await visit(all, 'away', { filters: ['t'] });
    await visit(all, 'here', { filters: ['t'], stays: true });
    await enqueue(all.store, message('t', 'x'));
    all.clock.advance(59_000);
    expect(all.store.counts().sessions).toBe(2);
    all.clock.advance(31_000);
    expect(all.store.counts()).toMatchObject({ sessions: 1, expiredSessions: 1, subscriptions: 1, queued: 1 });
    expect(ended).toEqual([['away', ['t']]]);
    await all.store.stop();
    expect(new Set(all.disk.rows.map(({ client }) => client))).toEqual(new Set(['here']));
  });

  it('grows old over a restart, and a wall clock that is set back does not make it younger than now', async () => {
    const before = await start({ sessionExpiry: 60_000 });
    await visit(before, 'a', { filters: ['t'] });
    await visit(before, 'b', { filters: ['t'], stays: true });
    await before.store.stop();
    const clock = new FakeClock(before.clock.now() + 40_000);
    const after = await start({ sessionExpiry: 60_000 }, { clock, rows: before.disk.rows });
    clock.advance(31_000);
    expect(after.store.counts()).toMatchObject({ sessions: 1, expiredSessions: 1 });
    clock.stepWall(-86_400_000);
    clock.advance(60_000);
    expect(after.store.counts()).toMatchObject({ sessions: 0, expiredSessions: 2 });
  });

  it('is told to the broker after a restart, so that it is forwarded what it asked for', async () => {
    const before = await start({});
    before.store.claim('a', 'device a');
    await visit(before, 'a', { filters: ['t', 'u/#'] });
    await before.store.stop();
    const store = new SessionStore(
      limits,
      { write: before.disk.write, clock: before.clock, log: silentLog },
      before.disk.rows,
    );
    const broker = new Broker();
    const told: unknown[] = [];
    broker.on('subscribe', (subscriptions: { topic: string }[], { id }) =>
      told.push([id, subscriptions.map(({ topic }) => topic)]),
    );
    await store.setup(broker);
    expect(told).toEqual([['a', ['t', 'u/#']]]);
    expect(store.ownerOf('a')).toBe('device a');
  });

  it('of which one row is damaged keeps the rest, and says so', async () => {
    const rows = [
      { kind: 'subscription', client: 'a', key: 't', bytes: Uint8Array.of(1, 1) },
      { kind: 'subscription', client: 'a', key: 'u', bytes: Uint8Array.of(9) },
    ] as const;
    const { store, errors } = await start({}, { rows });
    expect(errors).toEqual(['a row of an MQTT session cannot be read']);
    expect(await store.subscriptionsByTopic('t')).toHaveLength(1);
  });
});

describe('retained messages', () => {
  it('beyond their number are refused and counted; a known topic may change', async () => {
    const { store } = await start({ retainedMax: 2 });
    for (const topic of ['a', 'b', 'c', 'a']) await store.storeRetained(retained(topic, topic));
    expect(store.counts()).toMatchObject({ retained: 2, refusedRetained: 1 });
    await store.storeRetained(retained('a', ''));
    await store.storeRetained(retained('c', 'c'));
    const found: { topic: string }[] = await store.createRetainedStream('#').toArray();
    expect(found.map(({ topic }) => topic)).toEqual(['b', 'c']);
  });

  it('beyond their bytes are refused and counted', async () => {
    const { store } = await start({ retainedBytesMax: 1_000 });
    await store.storeRetained(retained('a', 'x'.repeat(500)));
    await store.storeRetained(retained('b', 'x'.repeat(500)));
    expect(store.counts()).toMatchObject({ retained: 1, refusedRetained: 1 });
    expect(store.counts().retainedBytes).toBeLessThanOrEqual(1_000);
  });
});

it('what comes while a session is being taken up leaves with its queue alone', async () => {
  const rig = await start({});
  await visit(rig, 'away', { filters: ['w/#'] });
  const client: StoreClient = { id: 'away', clean: false, closed: false };
  await rig.store.subscriptionsByClient(client);
  // aedes restores the subscriptions now, and only then says that the client is there.
  const packet = message('w/a', 'will');
  await enqueue(rig.store, packet);
  expect(rig.broker.authorizeForward(client, packet)).toBeNull();
  rig.broker.emit('client', client);
  expect(rig.broker.authorizeForward(client, packet)).toBeNull();
  const replayed: StoredPacket[] = await rig.store.outgoingStream(client).toArray();
  expect(replayed.map(({ payload }) => payload.toString())).toEqual(['will']);
});
