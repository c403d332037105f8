// Bounds of the embedded broker, each with its counter, and what it does for connections over real sockets.
import { afterEach, describe, expect, it } from 'vitest';
import type { BrokerOptions, BrokerParts } from '../../src/ingest/embedded/broker.ts';
import { type BrokerRig, eventually, startBroker, TestGatekeeper } from '../support/broker-rig.ts';
import {
  connectPacket,
  disconnectPacket,
  idOf,
  packetType,
  pingPacket,
  publishOf,
  publishPacket,
  subscribePacket,
  type WireClient,
} from '../support/mqtt-wire.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

function start(
  options: Partial<BrokerOptions> = {},
  parts: Partial<Omit<BrokerParts, 'gatekeeper'>> & { gatekeeper?: TestGatekeeper } = {},
): Promise<BrokerRig> {
  return startBroker(cleanups, options, parts);
}

async function returnCode(rig: BrokerRig, ...connect: Parameters<typeof connectPacket>): Promise<number> {
  const client = await rig.dial();
  client.send(connectPacket(...connect));
  return (await client.next()).body[1];
}

async function alive(client: WireClient): Promise<void> {
  client.send(pingPacket);
  for (let packet = await client.next(); packet.type !== packetType.pingresp; packet = await client.next());
}

async function subscribe(client: WireClient, filter: string): Promise<void> {
  client.send(subscribePacket(1, filter));
  expect((await client.next()).body.at(-1)).toBe(1);
}

/** Lets the sockets of this process catch up with each other, `turns` times. */
async function settle(turns = 20): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
}

async function pump(rig: BrokerRig): Promise<WireClient> {
  return rig.open('pump-1', { username: 'u', password: 'one' });
}

function twoPumps(): TestGatekeeper {
  return new TestGatekeeper().device('one', 'pump-1').device('two', 'pump-2');
}

const burst = (count: number, qos: 0 | 1): Buffer =>
  Buffer.concat(
    Array.from({ length: count }, (_, id) => publishPacket('devices/pump-1/telemetry', `${id}`, { qos, id: id + 1 })),
  );

const text = (word: string): Uint8Array => new TextEncoder().encode(word);

function watched(known: readonly string[] = []): {
  readonly said: string[];
  readonly presence: BrokerParts['presence'];
} {
  const said: string[] = [];
  const presence = {
    isKnownDevice: (id: string) => known.includes(id),
    opened: (device: string) => void said.push(`${device} opened`),
    closed: (device: string, cause: string) => void said.push(`${device} ${cause}`),
    listens: (device: string) => void said.push(`${device} listens`),
  };
  return { said, presence };
}

describe('connections', () => {
  it('from one address end at the most that are allowed, and those that left make room', async () => {
    const rig = await start({ connectionsPerAddressMax: 2 });
    const first = await rig.open('a');
    await rig.open('b');
    const third = await rig.dial();
    await third.closed;
    expect(rig.broker.counts()).toMatchObject({ connections: 2, refusedConnectsByReason: { address: 1 } });
    first.end();
    await eventually(() => rig.broker.counts().connections === 1);
    await rig.open('c');
  });

  it('that say nothing make room for whoever comes, the oldest first; those that are connected stay', async () => {
    const rig = await start({ halfOpenMax: 3 });
    const connected = await rig.open('connected');
    const silent = [await rig.dial(), await rig.dial(), await rig.dial()];
    await eventually(() => rig.broker.counts().halfOpen === 3);
    const late = await rig.open('late');
    await silent[0].closed;
    expect(silent.map(({ socket }) => socket.destroyed)).toEqual([true, false, false]);
    await alive(connected);
    await alive(late);
    expect(rig.broker.counts()).toMatchObject({ halfOpen: 2, halfOpenPushedOut: 1, refusedConnects: 0 });
  });

  it('have so long for their CONNECT, all of it; a byte now and then does not help', async () => {
    const rig = await start({ connectTimeout: 5_000 });
    const connected = await rig.open('connected');
    const slow = await rig.dial();
    await eventually(() => rig.broker.counts().halfOpen === 1);
    rig.clock.advance(3_000);
    const later = await rig.dial();
    await eventually(() => rig.broker.counts().halfOpen === 2);
    const connect = connectPacket('slow');
    for (const byte of connect.subarray(0, -1)) slow.send(Buffer.from([byte]));
    await settle();
    rig.clock.advance(1_999);
    expect(slow.socket.destroyed).toBe(false);
    rig.clock.advance(1);
    await slow.closed;
    expect([slow.packets, later.socket.destroyed]).toEqual([[], false]);
    rig.clock.advance(3_000);
    await later.closed;
    await alive(connected);
    expect(rig.broker.counts()).toMatchObject({ halfOpen: 0, halfOpenTimedOut: 2 });
  });

  it('whose CONNECT is larger than is allowed are cut at its header', async () => {
    const rig = await start({ connectBytesMax: 200 });
    await rig.open('a', { will: { topic: 'w', payload: 'x'.repeat(100), qos: 0 } });
    const client = await rig.dial();
    client.send(connectPacket('b', { will: { topic: 'w', payload: 'x'.repeat(200), qos: 0 } }).subarray(0, 3));
    await client.closed;
    expect(client.packets).toEqual([]);
  });
});

describe('a client id', () => {
  it('that is empty needs a clean session: 2 without one, an id of the broker with one', async () => {
    const rig = await start();
    expect(await returnCode(rig, '', { clean: false })).toBe(2);
    expect(await returnCode(rig, '', { clean: true, level: 3 })).toBe(2);
    const clients = [await rig.open(''), await rig.open('')];
    for (const client of clients) await alive(client);
    expect(rig.broker.counts()).toMatchObject({ connections: 2, refusedConnectsByReason: { identifier: 2 } });
  });

  it('that comes and goes more than fifteen times a minute waits for a minute; others do not', async () => {
    const rig = await start();
    for (let time = 0; time < 16; time++) {
      const client = await rig.open('restless');
      client.send(disconnectPacket);
      await client.closed;
    }
    expect(await returnCode(rig, 'restless')).toBe(3);
    expect(await returnCode(rig, 'calm')).toBe(0);
    rig.clock.advance(59_999);
    expect(await returnCode(rig, 'restless')).toBe(3);
    rig.clock.advance(1);
    expect(await returnCode(rig, 'restless')).toBe(0);
    expect(rig.broker.counts().refusedConnectsByReason).toEqual({ flapping: 2 });
  });

  it('is not kept out by a stranger who tries it with wrong credentials', async () => {
    const rig = await start();
    for (let time = 0; time < 20; time++)
      expect(await returnCode(rig, 'pump', { username: 'u', password: 'wrong' })).toBe(4);
    expect(await returnCode(rig, 'pump')).toBe(0);
  });
});

describe('a protocol level', () => {
  it.each([5, 6, 0, 127])('of %i is answered with return code 1', async (level) => {
    const rig = await start();
    const client = await rig.dial();
    client.send(connectPacket('a', { level }));
    expect([...(await client.next()).body]).toEqual([0, 1]);
    await client.closed;
    expect(rig.broker.counts()).toMatchObject({
      refusedConnectsByReason: { protocol: 1 },
      version5Connects: level === 5 ? 1 : 0,
    });
    expect(rig.gatekeeper.asked).toEqual([]);
  });

  it('of 5 is answered by a line that names the external broker mode, once in ten seconds however many come', async () => {
    const rig = await start();
    for (let time = 0; time < 3; time++) expect(await returnCode(rig, 'a', { level: 5 })).toBe(1);
    expect(rig.warnings).toEqual([expect.stringContaining('mqtt.mode: external')]);
    rig.clock.advance(10_000);
    expect(await returnCode(rig, 'a', { level: 5 })).toBe(1);
    expect(rig.log[1].fields).toMatchObject({ leftOut: 2 });
    expect(rig.broker.counts().version5Connects).toBe(4);
  });

  it('of 3 is MQTT 3.1', async () => {
    const rig = await start();
    await alive(await rig.open('a', { level: 3 }));
  });
});

describe('retained messages', () => {
  it('of one client end at the most that it may set; what is over is still delivered, and one that goes makes room', async () => {
    const rig = await start({ retainedPerClientMax: 2 });
    const watcher = await rig.open('watcher');
    await subscribe(watcher, 't/#');
    const client = await rig.open('a');
    let id = 0;
    const retain = async (topic: string, payload: string): Promise<void> => {
      client.send(publishPacket(topic, payload, { qos: 1, id: ++id, retain: true }));
      expect(idOf(await client.next())).toBe(id);
    };
    const kept = async (): Promise<string[]> => {
      const late = await rig.open('late');
      await subscribe(late, 't/#');
      // Retained messages come turn by turn behind the SUBACK.
      await settle();
      late.send(pingPacket);
      const found: string[] = [];
      for (let packet = await late.next(); packet.type !== packetType.pingresp; packet = await late.next()) {
        found.push(publishOf(packet).topic);
      }
      late.send(disconnectPacket);
      await late.closed;
      return found.toSorted();
    };
    for (const topic of ['t/1', 't/2', 't/3', 't/1']) await retain(topic, 'x');
    expect(await kept()).toEqual(['t/1', 't/2']);
    await retain('t/2', '');
    await retain('t/4', 'x');
    expect(await kept()).toEqual(['t/1', 't/4']);
    const live: string[] = [];
    while (live.length < 6) live.push(publishOf(await watcher.next()).topic);
    expect(live).toEqual(['t/1', 't/2', 't/3', 't/1', 't/2', 't/4']);
    expect(rig.broker.counts().unretained).toBe(1);
    expect(rig.sink.messages).toHaveLength(6);
  });
});

describe('a device above its rate', () => {
  const rate = { messagesPerSecond: 10, bytesPerSecond: 0, burst: 1_000 };

  it('loses QoS 0 first: what is over is shed and counted, the connection is read on', async () => {
    const rig = await start({ rate }, { gatekeeper: twoPumps() });
    const client = await pump(rig);
    client.send(burst(25, 0));
    await alive(client);
    expect([rig.sink.messages.length, rig.broker.counts().shedByRate]).toEqual([10, 15]);
    rig.clock.advance(500);
    client.send(burst(25, 0));
    await alive(client);
    expect(rig.sink.messages).toHaveLength(15);
  });

  it('loses nothing of QoS 1: its socket is not read until it has waited for what it sent', async () => {
    const rig = await start({ rate }, { gatekeeper: twoPumps() });
    const client = await pump(rig);
    const other = await rig.open('pump-2', { username: 'u', password: 'two' });
    client.send(burst(30, 1));
    for (let id = 1; id <= 30; id++) expect(idOf(await client.next())).toBe(id);
    client.send(publishPacket('devices/pump-1/telemetry', 'late', { qos: 1, id: 99 }));
    await alive(other);
    await settle();
    expect(rig.sink.messages).toHaveLength(30);
    expect(rig.broker.counts()).toMatchObject({ slowedByRate: 1, throttledDevices: 1, shedByRate: 0 });
    // Twenty over, ten a second, and one for the next.
    rig.clock.advance(2_050);
    await settle();
    expect(rig.sink.messages).toHaveLength(30);
    rig.clock.advance(100);
    expect(idOf(await client.next())).toBe(99);
    rig.clock.advance(5_000);
    expect(rig.broker.counts()).toMatchObject({ throttledDevices: 0 });
  });

  it('is told once when it begins and once when it ends, if it listens', async () => {
    const rig = await start({ rate }, { gatekeeper: twoPumps() });
    const client = await pump(rig);
    client.send(subscribePacket(1, 'devices/pump-1/throttle'));
    await client.next();
    const until = new Date(rig.clock.now() + 2_100).toISOString();
    client.send(burst(5, 0), burst(26, 1));
    const said: unknown[] = [];
    for (let acknowledged = 0; acknowledged < 26 || said.length === 0; ) {
      const packet = await client.next();
      if (packet.type === packetType.puback) acknowledged++;
      else said.push({ ...publishOf(packet), payload: JSON.parse(publishOf(packet).payload) });
    }
    const topic = 'devices/pump-1/throttle';
    const throttled = { state: 'throttled', messagesPerSecond: 10, until: expect.any(String) };
    expect(said).toEqual([{ topic, payload: throttled, id: 0, retain: false }]);
    expect(Date.parse(until)).toBeGreaterThan(rig.clock.now());
    rig.clock.advance(10_000);
    expect(publishOf(await client.next())).toMatchObject({ topic, payload: '{"state":"ok"}' });
    rig.clock.advance(10_000);
    await alive(client);
    expect(client.packets).toEqual([]);
  });

  it('is one device over all its connections, and a new connection does not begin with a full burst', async () => {
    const rig = await start({ rate }, { gatekeeper: twoPumps() });
    const client = await pump(rig);
    client.send(burst(10, 0));
    await alive(client);
    const second = await rig.open('pump-1-b', { username: 'u', password: 'one' });
    second.send(burst(5, 0));
    await alive(second);
    client.send(disconnectPacket);
    second.send(disconnectPacket);
    await Promise.all([client.closed, second.closed]);
    await eventually(() => rig.broker.counts().connections === 0);
    const third = await pump(rig);
    third.send(burst(5, 0));
    await alive(third);
    expect([rig.sink.messages.length, rig.broker.counts().shedByRate]).toEqual([10, 10]);
  });

  it('is measured in bytes, too', async () => {
    const rig = await start(
      { rate: { messagesPerSecond: 0, bytesPerSecond: 1_000, burst: 1_000 } },
      { gatekeeper: twoPumps() },
    );
    const client = await pump(rig);
    for (const size of [600, 600, 300]) client.send(publishPacket('devices/pump-1/telemetry', 'x'.repeat(size)));
    await alive(client);
    expect(rig.sink.messages.map(({ payload }) => payload.length)).toEqual([600, 300]);
  });
});

describe('what a device hears of the gateway', () => {
  it('goes to whoever is subscribed, and the answer says whether anybody was', async () => {
    const rig = await start();
    const message = {
      topic: 'devices/a/commands/1',
      payload: text('go'),
      qos: 1,
      retain: false,
      device: null,
    } as const;
    expect(await rig.broker.publish(message)).toBe(false);
    const client = await rig.open('a');
    await subscribe(client, 'devices/a/commands/+');
    expect(await rig.broker.publish(message)).toBe(true);
    expect(publishOf(await client.next())).toMatchObject({ topic: message.topic, payload: 'go' });
  });

  it('goes to a session whose client is away, which gets it when it is back', async () => {
    const rig = await start();
    const before = await rig.open('a', { clean: false });
    await subscribe(before, 'devices/a/commands/+');
    before.send(disconnectPacket);
    await before.closed;
    const message = {
      topic: 'devices/a/commands/1',
      payload: text('go'),
      qos: 1,
      retain: false,
      device: null,
    } as const;
    expect(await rig.broker.publish(message)).toBe(true);
    const after = await rig.open('a', { clean: false });
    expect(publishOf(await after.next()).payload).toBe('go');
  });

  it('on a topic of "me" goes to the device that is meant and to no other, be it here or away', async () => {
    const gatekeeper = new TestGatekeeper()
      .device('one', 'pump-1', 'v1/devices/me/#')
      .device('two', 'pump-2', 'v1/devices/me/#');
    const rig = await start({}, { gatekeeper });
    const topic = 'v1/devices/me/rpc/request/1';
    const message = { topic, payload: text('go'), qos: 1, retain: false, device: 'pump-1' } as const;
    const session = { username: 'u', password: 'one', clean: false } as const;
    const other = await rig.open('pump-2', { username: 'u', password: 'two', clean: false });
    await subscribe(other, 'v1/devices/me/rpc/request/+');
    const client = await rig.open('pump-1', session);
    expect(await rig.broker.publish(message)).toBe(false);
    await subscribe(client, 'v1/devices/me/rpc/request/+');
    expect(await rig.broker.publish(message)).toBe(true);
    const { id, payload } = publishOf(await client.next());
    expect(payload).toBe('go');
    client.send(Buffer.from([0x40, 2, id >> 8, id & 0xff]), disconnectPacket);
    await client.closed;
    expect(await rig.broker.publish({ ...message, payload: text('again') })).toBe(true);
    const back = await rig.open('pump-1', session);
    expect(publishOf(await back.next()).payload).toBe('again');
    await alive(other);
    expect(other.packets).toEqual([]);
  });
});

describe('a device', () => {
  it('that says goodbye has disconnected, one that does not was lost', async () => {
    const { said, presence } = watched();
    const gatekeeper = new TestGatekeeper().device('one', 'pump-1').device('two', 'pump-2');
    const rig = await start({}, { gatekeeper, presence });
    const polite = await rig.open('some-client', { username: 'u', password: 'one' });
    expect([rig.broker.isConnected('pump-1'), rig.broker.isConnected('some-client')]).toEqual([true, false]);
    const other = await rig.open('pump-2', { username: 'u', password: 'two' });
    polite.send(disconnectPacket);
    await eventually(() => said.length === 3);
    other.end();
    await eventually(() => said.length === 4);
    expect(said).toEqual(['pump-1 opened', 'pump-2 opened', 'pump-1 disconnected', 'pump-2 connection_lost']);
    expect(rig.broker.isConnected('pump-1')).toBe(false);
  });

  it('does not go when a newer connection takes its client id over, or while it has another one', async () => {
    const { said, presence } = watched();
    const rig = await start({}, { gatekeeper: new TestGatekeeper().device('one', 'pump-1'), presence });
    const first = await rig.open('pump-1', { username: 'u', password: 'one' });
    const second = await rig.open('pump-1', { username: 'u', password: 'one' });
    await first.closed;
    const beside = await rig.open('pump-1-app', { username: 'u', password: 'one' });
    second.end();
    await eventually(() => rig.broker.counts().connections === 1);
    expect(said).toEqual(['pump-1 opened']);
    beside.end();
    await eventually(() => said.length === 2);
    expect(said[1]).toBe('pump-1 connection_lost');
  });

  it('is known by its client id in open mode, where that is the id of a device; others are nobody', async () => {
    const { said, presence } = watched(['pump-1']);
    const rig = await start({}, { presence });
    await rig.open('pump-1');
    await rig.open('laptop');
    expect(said).toEqual(['pump-1 opened']);
  });

  it('is not said to go when the gateway stops', async () => {
    const { said, presence } = watched(['pump-1']);
    const rig = await start({}, { presence });
    const client = await rig.open('pump-1');
    const stopping = rig.broker.stop();
    rig.clock.advance(5);
    await Promise.all([stopping, client.closed]);
    expect(said).toEqual(['pump-1 opened']);
  });
});
