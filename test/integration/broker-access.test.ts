// Who may do what on the embedded broker, over real sockets. Method: a gatekeeper that the test drives.
import { afterEach, describe, expect, it } from 'vitest';
import { RejectedError } from '../../src/base/errors.ts';
import type { BrokerParts } from '../../src/ingest/embedded/broker.ts';
import { type BrokerRig, eventually, startBroker, TestGatekeeper } from '../support/broker-rig.ts';
import {
  type ConnectOptions,
  connectPacket,
  disconnectPacket,
  idOf,
  packetType,
  pingPacket,
  pubackPacket,
  publishOf,
  publishPacket,
  subscribePacket,
  type WireClient,
} from '../support/mqtt-wire.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

function twoPumps(): TestGatekeeper {
  return new TestGatekeeper()
    .device('one', 'pump-1', 'v1/devices/me/#')
    .device('two', 'pump-2', 'v1/devices/me/#')
    .principal('operator', { kind: 'key', id: 'k1', mqtt: { publish: ['#'], subscribe: ['#'] } })
    .principal('reader', { kind: 'key', id: 'k2', mqtt: { publish: [], subscribe: ['devices/+/status'] } });
}

function start(gatekeeper = twoPumps(), parts: Partial<Omit<BrokerParts, 'gatekeeper'>> = {}): Promise<BrokerRig> {
  return startBroker(cleanups, {}, { ...parts, gatekeeper });
}

/** The return code of the CONNACK. */
async function returnCode(rig: BrokerRig, clientId: string, options: ConnectOptions): Promise<number> {
  const client = await rig.dial();
  client.send(connectPacket(clientId, options));
  const { type, body } = await client.next();
  expect(type).toBe(packetType.connack);
  return body[1];
}

/** Goes round the broker once and answers with the topics that came meanwhile. */
async function heard(client: WireClient): Promise<string[]> {
  client.send(pingPacket);
  const topics: string[] = [];
  for (;;) {
    const packet = await client.next();
    if (packet.type === packetType.pingresp) return topics;
    if (packet.type === packetType.publish) topics.push(publishOf(packet).topic);
  }
}

async function granted(client: WireClient, ...filters: string[]): Promise<number[]> {
  client.send(subscribePacket(1, ...filters));
  const { type, body } = await client.next();
  expect(type).toBe(packetType.suback);
  return [...body.subarray(2)];
}

async function publish(client: WireClient, topic: string, payload = 'x', retain = false): Promise<void> {
  client.send(publishPacket(topic, payload, { qos: 1, id: 77, retain }));
  for (let packet = await client.next(); packet.type !== packetType.puback; packet = await client.next());
}

describe('a CONNECT', () => {
  it('is judged by everything that it says; wrong credentials get the code that the gatekeeper names', async () => {
    const rig = await start();
    expect(await returnCode(rig, 'pump-1', { username: 'pump-1', password: 'wrong' })).toBe(4);
    expect(rig.gatekeeper.asked).toEqual([
      {
        remoteAddress: '127.0.0.1',
        clientId: 'pump-1',
        username: 'pump-1',
        password: 'wrong',
        certificate: null,
      },
    ]);
    expect(rig.broker.counts()).toMatchObject({ refusedConnects: 1, refusedConnectsByReason: { credentials: 1 } });
  });

  it('from an address with too many failures is not looked at: the connection ends without an answer', async () => {
    const rig = await start();
    rig.gatekeeper.barred.add('127.0.0.1');
    const client = await rig.dial();
    client.send(connectPacket('pump-1', { username: 'u', password: 'one' }));
    await client.closed;
    expect([client.packets, rig.gatekeeper.asked, rig.broker.counts().barredConnects]).toEqual([[], [], 1]);
  });

  it('whose will may not be published is refused with 5, as if it had published it', async () => {
    const rig = await start();
    const will = { topic: 'devices/pump-2/status', payload: 'offline', qos: 1 } as const;
    expect(await returnCode(rig, 'pump-1', { username: 'u', password: 'one', will })).toBe(5);
    expect(rig.broker.counts().refusedConnectsByReason).toEqual({ will: 1 });
  });

  it('takes a client id over only with the same credential; the newcomer is refused with 2 otherwise', async () => {
    const rig = await start();
    const first = await rig.open('shared', { username: 'u', password: 'one' });
    expect(await returnCode(rig, 'shared', { username: 'u', password: 'two' })).toBe(2);
    first.send(pingPacket);
    expect((await first.next()).type).toBe(packetType.pingresp);
    await rig.open('shared', { username: 'u', password: 'one' });
    await first.closed;
    expect(rig.broker.counts().refusedConnectsByReason).toEqual({ taken: 1 });
  });

  it('that is still being judged cannot be overtaken by another for the same client id', async () => {
    const rig = await start();
    const gate = Promise.withResolvers<void>();
    rig.gatekeeper.admitting = gate.promise;
    const codes = Promise.all([
      returnCode(rig, 'shared', { username: 'u', password: 'one' }),
      returnCode(rig, 'shared', { username: 'u', password: 'two' }),
    ]);
    await eventually(() => rig.gatekeeper.asked.length === 2);
    gate.resolve();
    expect(new Set(await codes)).toEqual(new Set([0, 2]));
  });

  it('that takes long to judge may be followed by sixty messages, which are all acknowledged in order', async () => {
    const rig = await start();
    const gate = Promise.withResolvers<void>();
    rig.gatekeeper.admitting = gate.promise;
    const client = await rig.dial();
    const ids = Array.from({ length: 60 }, (_, index) => index + 1);
    client.send(
      connectPacket('pump-1', { username: 'u', password: 'one' }),
      ...ids.map((id) => publishPacket('devices/pump-1/telemetry', `{"x":${id}}`, { qos: 1, id })),
    );
    await eventually(() => rig.gatekeeper.asked.length === 1);
    gate.resolve();
    expect((await client.next()).type).toBe(packetType.connack);
    const answered: number[] = [];
    while (answered.length < 60) answered.push(idOf(await client.next()));
    expect([answered, rig.sink.messages.length]).toEqual([ids, 60]);
  });
});

describe('a message', () => {
  it('carries as whom it was sent', async () => {
    const rig = await start();
    const pump = await rig.open('some-client', { username: 'u', password: 'one' });
    await publish(pump, 'devices/pump-1/telemetry', '{"x":1}');
    const operator = await rig.open('o', { username: 'u', password: 'operator' });
    await publish(operator, 'devices/pump-1/telemetry', '{"x":2}');
    expect(rig.sink.messages.map(({ sender }) => sender)).toEqual([
      { device: 'pump-1', forOthers: false },
      { device: null, forOthers: true },
    ]);
  });

  it('that may not be published is acknowledged at every QoS, reaches nobody, is counted, and the connection stays', async () => {
    const rig = await start();
    const operator = await rig.open('o', { username: 'u', password: 'operator' });
    await granted(operator, '#');
    const pump = await rig.open('pump-1', { username: 'u', password: 'one' });
    const topic = 'devices/pump-2/telemetry';
    pump.send(
      publishPacket(topic, 'a', { qos: 0 }),
      publishPacket(topic, 'b', { qos: 1, id: 1, retain: true }),
      publishPacket(topic, 'c', { qos: 2, id: 2 }),
    );
    expect([(await pump.next()).type, (await pump.next()).type]).toEqual([packetType.puback, packetType.pubrec]);
    pump.send(pingPacket);
    expect((await pump.next()).type).toBe(packetType.pingresp);
    expect(await heard(operator)).toEqual([]);
    expect(rig.sink.messages).toEqual([]);
    expect(rig.sink.refusals).toEqual(['device_forbidden', 'device_forbidden', 'device_forbidden']);
    expect(rig.broker.counts().refusedPublishes).toBe(3);
    // One line for the three of them, and nothing of theirs was retained.
    expect(rig.warnings).toEqual(['a message was refused: acknowledged and dropped']);
    const late = await rig.open('late', { username: 'u', password: 'operator' });
    await granted(late, topic);
    expect(await heard(late)).toEqual([]);
  });

  it('that is refused waits with its PUBACK for those before it', async () => {
    const rig = await start();
    const pump = await rig.open('pump-1', { username: 'u', password: 'one' });
    rig.sink.holding = true;
    pump.send(
      publishPacket('devices/pump-1/telemetry', '{"x":1}', { qos: 1, id: 1 }),
      publishPacket('devices/pump-2/telemetry', '{"x":1}', { qos: 1, id: 2 }),
    );
    await rig.sink.until(({ refusals, held }) => refusals.length === 1 && held.length === 1);
    expect(pump.packets).toEqual([]);
    rig.sink.release();
    expect([idOf(await pump.next()), idOf(await pump.next())]).toEqual([1, 2]);
  });

  it('with too many levels is refused like one without the right', async () => {
    const rig = await start();
    const pump = await rig.open('pump-1', { username: 'u', password: 'one' });
    await publish(pump, `devices/pump-1/${'a/'.repeat(13)}z`);
    expect([rig.sink.messages.length, rig.sink.refusals]).toEqual([1, []]);
    await publish(pump, `devices/pump-1/${'a/'.repeat(14)}z`);
    expect([rig.sink.messages.length, rig.sink.refusals]).toEqual([1, ['topic_invalid']]);
  });

  it('on a topic of "me" goes to the gateway and to no other device that is subscribed to the same words', async () => {
    const rig = await start();
    const other = await rig.open('pump-2', { username: 'u', password: 'two' });
    expect(await granted(other, 'v1/devices/me/#')).toEqual([1]);
    const pump = await rig.open('pump-1', { username: 'u', password: 'one' });
    await publish(pump, 'v1/devices/me/telemetry', '{"x":1}');
    expect(rig.sink.messages.map(({ topic }) => topic)).toEqual(['v1/devices/me/telemetry']);
    expect(await heard(other)).toEqual([]);
  });

  it.each(['devices/+/telemetry', 'devices/#', 'devices/\0/telemetry'])(
    'on %j ends the connection, retained or not',
    async (topic) => {
      const rig = await start();
      for (const retain of [false, true]) {
        const pump = await rig.open('pump-1', { username: 'u', password: 'one' });
        pump.send(publishPacket(topic, 'x', { qos: 1, id: 1, retain }));
        await pump.closed;
        expect(pump.packets).toEqual([]);
      }
      expect(rig.sink.messages).toEqual([]);
    },
  );
});

describe('a filter that was refused', () => {
  it('gets 128 beside those that are granted, and delivers nothing', async () => {
    const rig = await start();
    const pump = await rig.open('pump-1', { username: 'u', password: 'one' });
    expect(await granted(pump, 'devices/pump-1/#', 'devices/#', 'devices/pump-2/status')).toEqual([1, 128, 128]);
    const operator = await rig.open('o', { username: 'u', password: 'operator' });
    for (const device of ['pump-2', 'pump-1']) await publish(operator, `devices/${device}/status`, 'online');
    expect(await heard(pump)).toEqual(['devices/pump-1/status']);
    expect(rig.broker.counts().refusedSubscriptions).toBe(2);
  });

  it('delivers nothing out of the queue of a session, though one SUBSCRIBE also asked for what was granted', async () => {
    const rig = await start();
    const before = await rig.open('pump-1', { username: 'u', password: 'one', clean: false });
    expect(await granted(before, 'devices/pump-1/#', 'devices/pump-2/#')).toEqual([1, 128]);
    before.send(disconnectPacket);
    await before.closed;
    const operator = await rig.open('o', { username: 'u', password: 'operator' });
    for (const device of ['pump-2', 'pump-1']) await publish(operator, `devices/${device}/status`, 'online');
    const after = await rig.open('pump-1', { username: 'u', password: 'one', clean: false });
    for (const device of ['pump-2', 'pump-1']) await publish(operator, `devices/${device}/commands/c`);
    const topics = [publishOf(await after.next()).topic, publishOf(await after.next()).topic];
    expect([...topics, ...(await heard(after))]).toEqual(['devices/pump-1/status', 'devices/pump-1/commands/c']);
  });

  it('delivers no retained message', async () => {
    const rig = await start();
    const operator = await rig.open('o', { username: 'u', password: 'operator' });
    for (const device of ['pump-2', 'pump-1']) await publish(operator, `devices/${device}/status`, 'online', true);
    const pump = await rig.open('pump-1', { username: 'u', password: 'one' });
    expect(await granted(pump, 'devices/pump-2/status', 'devices/pump-1/status')).toEqual([128, 1]);
    expect(publishOf(await pump.next()).topic).toBe('devices/pump-1/status');
    expect(await heard(pump)).toEqual([]);
  });

  it('delivers no will', async () => {
    const rig = await start();
    const pump = await rig.open('pump-1', { username: 'u', password: 'one' });
    expect(await granted(pump, 'devices/pump-2/status', 'devices/pump-1/#')).toEqual([128, 1]);
    const will = { topic: 'devices/pump-2/status', payload: 'offline', qos: 1 } as const;
    const other = await rig.open('pump-2', { username: 'u', password: 'two', will });
    other.end();
    await rig.sink.until(({ messages }) => messages.length === 1);
    expect(await heard(pump)).toEqual([]);
  });

  it('was granted once and is not any more: what is forwarded is judged again, and what waits in the queue, too', async () => {
    const rig = await start();
    const session = await rig.open('reader', { username: 'u', password: 'reader', clean: false });
    expect(await granted(session, 'devices/+/status')).toEqual([1]);
    const operator = await rig.open('o', { username: 'u', password: 'operator' });
    rig.gatekeeper.withheld.push('devices/pump-2/#');
    for (const device of ['pump-2', 'pump-1']) await publish(operator, `devices/${device}/status`);
    const delivered = await session.next();
    expect(publishOf(delivered).topic).toBe('devices/pump-1/status');
    session.send(pubackPacket(publishOf(delivered).id), disconnectPacket);
    await session.closed;
    rig.gatekeeper.withheld.length = 0;
    for (const device of ['pump-2', 'pump-3']) await publish(operator, `devices/${device}/status`);
    rig.gatekeeper.withheld.push('devices/pump-2/#');
    const again = await rig.open('reader', { username: 'u', password: 'reader', clean: false });
    expect(publishOf(await again.next()).topic).toBe('devices/pump-3/status');
    expect(rig.broker.counts().withheldForwards).toBe(2);
  });

  it.each([
    ['is not well-formed', 'devices/#/x'],
    ['begins with $', '$SYS/#'],
    ['has too many levels', `devices/pump-1/${'+/'.repeat(14)}x`],
  ])('%s', async (_why, filter) => {
    const rig = await start(new TestGatekeeper());
    const client = await rig.open('anybody');
    if (filter.includes('#/')) {
      // A malformed packet ends the connection ([MQTT-4.8.0-1]).
      client.send(subscribePacket(1, filter));
      await client.closed;
      expect(client.packets).toEqual([]);
    } else {
      expect(await granted(client, filter, 'other')).toEqual([128, 1]);
    }
  });

  it('is one over the most that one client may have; taking one back makes room', async () => {
    const rig = await startBroker(cleanups, { subscriptionsMax: 2 });
    const client = await rig.open('a');
    expect(await granted(client, 'a', 'b', 'c')).toEqual([1, 1, 128]);
    expect(await granted(client, 'a')).toEqual([1]);
    const unsubscribe = Buffer.from([0xa2, 5, 0, 9, 0, 1, 0x61]);
    client.send(unsubscribe);
    await client.next();
    expect(await granted(client, 'c')).toEqual([1]);
  });
});

describe('a will', () => {
  it('is judged again when it goes out: a right that was taken away meanwhile ends it', async () => {
    const rig = await start();
    const will = { topic: 'devices/pump-1/status', payload: 'offline', qos: 1 } as const;
    const watcher = await rig.open('w', { username: 'u', password: 'operator' });
    await granted(watcher, '#');
    const pump = await rig.open('pump-1', { username: 'u', password: 'one', will });
    rig.gatekeeper.revoked.add('one');
    pump.end();
    await rig.sink.until(({ refusals }) => refusals.length === 1);
    expect([rig.sink.messages, await heard(watcher), rig.broker.counts().wills]).toEqual([[], [], 0]);
  });

  it('carries as whom it was left', async () => {
    const rig = await start();
    const will = { topic: 'devices/pump-1/status', payload: 'offline', qos: 1 } as const;
    const pump = await rig.open('pump-1', { username: 'u', password: 'one', will });
    pump.end();
    await rig.sink.until(({ messages }) => messages.length === 1);
    expect(rig.sink.messages[0].sender).toEqual({ device: 'pump-1', forOthers: false });
  });
});

describe('a credential that no longer holds', () => {
  it('ends its connections when it is looked at again, and no others', async () => {
    const rig = await start();
    const revoked = [
      await rig.open('pump-1', { username: 'u', password: 'one' }),
      await rig.open('pump-1b', { username: 'u', password: 'one' }),
    ];
    const other = await rig.open('pump-2', { username: 'u', password: 'two' });
    rig.broker.revalidate();
    other.send(pingPacket);
    await other.next();
    rig.gatekeeper.revoked.add('one');
    rig.broker.revalidate();
    await Promise.all(revoked.map(({ closed }) => closed));
    other.send(pingPacket);
    expect((await other.next()).type).toBe(packetType.pingresp);
    expect(await returnCode(rig, 'pump-1', { username: 'u', password: 'one' })).toBe(4);
  });
});

describe('a device with a provisioning key', () => {
  const principal = { kind: 'provisioning', key: 'line-2', profile: 'pump', device: 'pump-9' } as const;
  const topic = 'devices/pump-9/provision';

  it('gets its token on its own reply topic, before its question is acknowledged, and nobody else hears of it', async () => {
    const asked: unknown[] = [];
    const gatekeeper = twoPumps().principal('batch', principal);
    const rig = await start(gatekeeper, {
      provision: (request) => {
        asked.push(request);
        return Promise.resolve({ token: 'secret', approval: 'pending' });
      },
    });
    const operator = await rig.open('o', { username: 'u', password: 'operator' });
    await granted(operator, '#');
    const device = await rig.open('pump-9', { username: 'u', password: 'batch' });
    expect(await granted(device, `${topic}/reply`, 'devices/pump-9/#')).toEqual([1, 128]);
    device.send(publishPacket(topic, '', { qos: 1, id: 5 }));
    const [reply, puback] = [await device.next(), await device.next()];
    expect(publishOf(reply).topic).toBe(`${topic}/reply`);
    expect(JSON.parse(publishOf(reply).payload)).toEqual({
      status: 'accepted',
      device: 'pump-9',
      token: 'secret',
      approval: 'pending',
    });
    expect([puback.type, idOf(puback)]).toEqual([packetType.puback, 5]);
    expect(asked).toEqual([{ device: 'pump-9', key: 'line-2', profile: 'pump' }]);
    expect([await heard(operator), rig.sink.messages]).toEqual([[], []]);
  });

  it('is told why it gets none, and may do nothing else', async () => {
    const gatekeeper = twoPumps().principal('batch', principal);
    const rig = await start(gatekeeper, {
      provision: () => Promise.reject(new RejectedError('device_exists', 'there is a pump-9 already')),
    });
    const device = await rig.open('pump-9', { username: 'u', password: 'batch' });
    await publish(device, 'devices/pump-9/telemetry', '{"x":1}');
    expect([rig.sink.messages, rig.sink.refusals]).toEqual([[], ['device_forbidden']]);
    device.send(publishPacket(topic, '', { qos: 0 }));
    expect(JSON.parse(publishOf(await device.next()).payload)).toEqual({
      status: 'refused',
      code: 'device_exists',
      detail: 'there is a pump-9 already',
    });
  });
});
