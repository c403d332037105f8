// What the embedded broker is built on. When one of these fails after an upgrade of aedes, read src/ingest/embedded again.
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { Aedes, type AedesOptions } from 'aedes';
import { afterEach, describe, expect, it } from 'vitest';
import {
  connectPacket,
  disconnectPacket,
  fixedHeader,
  idOf,
  packetType,
  publishOf,
  publishPacket,
  pubrelPacket,
  subscribePacket,
  WireClient,
} from '../support/mqtt-wire.ts';

const cleanups: (() => void | Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** A bare aedes on a free port. */
async function broker(options: AedesOptions = {}): Promise<{ aedes: Aedes; port: number }> {
  const aedes = await Aedes.createBroker(options);
  const server = createServer(aedes.handle);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(
    () => new Promise<void>((resolve) => server.close(() => resolve())),
    () => new Promise<void>((resolve) => aedes.close(resolve)),
  );
  return { aedes, port: (server.address() as AddressInfo).port };
}

async function open(port: number, ...options: Parameters<typeof connectPacket>): Promise<WireClient> {
  const client = await WireClient.open(port, ...options);
  cleanups.push(() => client.end());
  return client;
}

/** Goes round the broker once: what was sent before has been dealt with. */
async function roundTrip(client: WireClient): Promise<void> {
  client.send(subscribePacket(65_000, 'round/trip'));
  for (let { type } = await client.next(); type !== packetType.suback; ) ({ type } = await client.next());
}

/** A client that sends 60 messages behind its CONNECT, before the broker has answered that. */
async function pipelined(options: AedesOptions): Promise<WireClient> {
  const { port } = await broker({
    ...options,
    authenticate: (_client, _name, _password, done) => setTimeout(() => done(null, true), 20),
  });
  const client = await WireClient.dial(port);
  cleanups.push(() => client.end());
  client.send(
    connectPacket('a'),
    ...Array.from({ length: 60 }, (_, n) => publishPacket('t', 'x', { qos: 1, id: n + 1 })),
  );
  return client;
}

describe('authorizePublish', () => {
  it('holds the PUBACK until it calls back, and "published" runs after the PUBACK', async () => {
    const order: string[] = [];
    const held = Promise.withResolvers<() => void>();
    const publishedHeld = Promise.withResolvers<() => void>();
    const { port } = await broker({
      authorizePublish: (_client, _packet, done) => held.resolve(() => done(null)),
      published: (packet, _client, done) => {
        if (packet.topic.startsWith('$SYS')) return done();
        order.push('published');
        publishedHeld.resolve(() => done());
      },
    });
    const client = await open(port, 'a');
    client.send(publishPacket('t', 'x', { qos: 1, id: 7 }));
    const release = await held.promise;
    expect(client.packets).toEqual([]);
    release();
    expect(await client.next()).toMatchObject({ type: packetType.puback });
    order.push('PUBACK');
    (await publishedHeld.promise)();
    // The PUBACK is here although "published" has not called back: acknowledging there would be too late.
    expect(order).toContain('PUBACK');
    expect(order).toContain('published');
  });

  it('gives the PUBACK away while "published" still hangs', async () => {
    const { port } = await broker({ published: () => {} });
    const client = await open(port, 'a');
    client.send(publishPacket('t', 'x', { qos: 1, id: 7 }));
    expect(idOf(await client.next())).toBe(7);
  });

  it('also runs for a will, whose client has gone', async () => {
    const seen = Promise.withResolvers<{
      topic: string;
      payload: string;
      messageId: unknown;
      closed: boolean | undefined;
    }>();
    const { port } = await broker({
      authorizePublish: (client, packet, done) => {
        const messageId: unknown = Reflect.get(packet, 'messageId');
        seen.resolve({
          topic: packet.topic,
          payload: packet.payload.toString(),
          messageId,
          closed: client?.closed,
        });
        done(null);
      },
    });
    const client = await open(port, 'a', { will: { topic: 'w', payload: 'gone', qos: 1 } });
    client.end();
    expect(await seen.promise).toEqual({ topic: 'w', payload: 'gone', messageId: undefined, closed: true });
  });

  it('runs again for a QoS 2 publish that is repeated before its PUBREL, which is forwarded once', async () => {
    const asked: boolean[] = [];
    const { port } = await broker({
      authorizePublish: (_client, packet, done) => {
        asked.push(packet.dup);
        done(null);
      },
    });
    const subscriber = await open(port, 'subscriber');
    subscriber.send(subscribePacket(1, 't'));
    await subscriber.next();
    const client = await open(port, 'a');
    client.send(publishPacket('t', 'x', { qos: 2, id: 9 }));
    expect((await client.next()).type).toBe(packetType.pubrec);
    client.send(publishPacket('t', 'x', { qos: 2, id: 9, dup: true }));
    expect((await client.next()).type).toBe(packetType.pubrec);
    expect(asked).toEqual([false, true]);
    client.send(pubrelPacket(9));
    expect((await client.next()).type).toBe(packetType.pubcomp);
    await roundTrip(subscriber);
    expect(subscriber.packets).toEqual([]);
    client.send(publishPacket('t', 'last', { qos: 0 }));
    const forwarded = await subscriber.next();
    expect(forwarded.type).toBe(packetType.publish);
    expect(forwarded.body.toString()).toContain('last');
  });

  it('is asked for all packets of one chunk at once, so that they can share a commit', async () => {
    const waiting: (() => void)[] = [];
    const all = Promise.withResolvers<void>();
    const { port } = await broker({
      authorizePublish: (_client, _packet, done) => {
        waiting.push(() => done(null));
        if (waiting.length === 50) all.resolve();
      },
    });
    const client = await open(port, 'a');
    client.send(...Array.from({ length: 50 }, (_, n) => publishPacket('t', 'x', { qos: 1, id: n + 1 })));
    await all.promise;
    expect(client.packets).toEqual([]);
    for (const release of waiting) release();
    const ids: number[] = [];
    while (ids.length < 50) ids.push(idOf(await client.next()));
    // In the order in which the hooks called back.
    expect(ids).toEqual(Array.from({ length: 50 }, (_, n) => n + 1));
  });

  it('acknowledges in the order in which it calls back, whatever the order of arrival', async () => {
    const waiting: (() => void)[] = [];
    const both = Promise.withResolvers<void>();
    const { port } = await broker({
      authorizePublish: (_client, _packet, done) => {
        if (waiting.push(() => done(null)) === 2) both.resolve();
      },
    });
    const client = await open(port, 'a');
    client.send(publishPacket('t', 'x', { qos: 1, id: 1 }), publishPacket('t', 'x', { qos: 1, id: 2 }));
    await both.promise;
    for (const release of waiting.toReversed()) release();
    expect([idOf(await client.next()), idOf(await client.next())]).toEqual([2, 1]);
  });

  it('drops the connection with an error, without an answer', async () => {
    const { aedes, port } = await broker({ authorizePublish: (_client, _packet, done) => done(new Error('no')) });
    const failed = once(aedes, 'clientError');
    const client = await open(port, 'a');
    client.send(publishPacket('t', 'x', { qos: 1, id: 1 }));
    await client.closed;
    expect(client.packets).toEqual([]);
    expect(String((await failed)[1])).toContain('no');
  });

  it('that does not call back may leave a PINGREQ unanswered, until it does at the latest', async () => {
    const held = Promise.withResolvers<() => void>();
    const { port } = await broker({ authorizePublish: (_client, _packet, done) => held.resolve(() => done(null)) });
    const client = await open(port, 'a');
    client.send(publishPacket('t', 'x', { qos: 1, id: 1 }));
    const release = await held.promise;
    client.send(Buffer.from([0xc0, 0]));
    const other = await open(port, 'b');
    await roundTrip(other);
    // Whether it is answered by now depends on when its chunk was read, so nobody may count on either.
    expect(client.packets.map(({ type }) => type)).not.toContain(packetType.puback);
    release();
    const answers = [(await client.next()).type, (await client.next()).type];
    expect(new Set(answers)).toEqual(new Set([packetType.puback, packetType.pingresp]));
  });

  it('is bypassed by what the broker publishes itself', async () => {
    const asked: string[] = [];
    const { aedes, port } = await broker({
      authorizePublish: (_client, packet, done) => {
        asked.push(packet.topic);
        done(null);
      },
    });
    const client = await open(port, 'a');
    client.send(subscribePacket(1, 't'));
    await client.next();
    const published = {
      cmd: 'publish',
      topic: 't',
      payload: Buffer.from('x'),
      qos: 0,
      dup: false,
      retain: false,
    } as const;
    await new Promise<void>((resolve, reject) =>
      aedes.publish(published, (error) => (error ? reject(error) : resolve())),
    );
    expect((await client.next()).type).toBe(packetType.publish);
    expect(asked).toEqual([]);
  });
});

describe('what the types leave out', () => {
  it('is that a client notes its DISCONNECT, and no other way to go', async () => {
    const ends: unknown[] = [];
    const { aedes, port } = await broker();
    for (const isPolite of [true, false]) {
      const gone = once(aedes, 'clientDisconnect');
      const client = await open(port, 'a');
      if (isPolite) client.send(disconnectPacket);
      else client.end();
      const [left]: object[] = await gone;
      ends.push(Reflect.get(left, '_disconnected'));
    }
    expect(ends).toEqual([true, false]);
  });

  it('is that authorizePublish may send a message elsewhere, after which nobody gets it under its own topic', async () => {
    const { port } = await broker({
      authorizePublish: (_client, packet, done) => {
        if (packet.topic === 't') packet.topic = '$nowhere';
        done(null);
      },
    });
    const subscriber = await open(port, 'subscriber');
    subscriber.send(subscribePacket(1, '#'));
    await subscriber.next();
    const client = await open(port, 'a');
    client.send(publishPacket('t', 'x', { qos: 1, id: 1 }), publishPacket('u', 'x', { qos: 1, id: 2 }));
    expect([idOf(await client.next()), idOf(await client.next())]).toEqual([1, 2]);
    expect(publishOf(await subscriber.next()).topic).toBe('u');
  });

  it('is that the return code of an error in authenticate is the one of the CONNACK', async () => {
    for (const returnCode of [2, 3, 4, 5]) {
      const { port } = await broker({
        authenticate: (_client, _name, _password, done) => done(Object.assign(new Error('no'), { returnCode }), false),
      });
      const client = await WireClient.dial(port);
      cleanups.push(() => client.end());
      client.send(connectPacket('a'));
      expect((await client.next()).body[1]).toBe(returnCode);
      await client.closed;
    }
  });

  it('is that all of a SUBSCRIBE is stored with the session as soon as one of its filters is granted', async () => {
    const { aedes, port } = await broker({
      authorizeSubscribe: (_client, subscription, done) =>
        done(null, subscription.topic === 'secret' ? null : subscription),
    });
    const { persistence }: { persistence?: { subscriptionsByClient(client: object): Promise<{ topic: string }[]> } } =
      aedes as object;
    const client = await open(port, 'session', { clean: false });
    client.send(subscribePacket(1, 'open', 'secret'));
    await client.next();
    const stored = (await persistence?.subscriptionsByClient({ id: 'session' })) ?? [];
    expect(stored.map(({ topic }) => topic)).toEqual(['open', 'secret']);
  });
});

describe('a connection', () => {
  it('of a protocol level that it has never heard of ends without an answer', async () => {
    const { port } = await broker();
    const client = await WireClient.dial(port);
    client.send(connectPacket('a', { level: 6 }));
    await client.closed;
    expect(client.packets).toEqual([]);
  });

  it('of MQTT 5 is refused with return code 1', async () => {
    const { port } = await broker();
    const client = await WireClient.dial(port);
    client.send(connectPacket('a', { level: 5 }));
    const connack = await client.next();
    expect([connack.type, connack.body[1]]).toEqual([packetType.connack, 1]);
    client.end();
  });

  it('may send a packet of any size: nothing in the broker says no to 8 MB', async () => {
    const { port } = await broker();
    const client = await open(port, 'a');
    client.send(publishPacket('t', new Uint8Array(8 * 1_048_576), { qos: 1, id: 3 }));
    expect(idOf(await client.next())).toBe(3);
  });

  it('may announce the largest packet there is, and is waited for', async () => {
    const { port } = await broker();
    const client = await open(port, 'a');
    client.send(fixedHeader(0x30, 268_435_455), new Uint8Array(1_000));
    const other = await open(port, 'b');
    await roundTrip(other);
    expect(client.socket.destroyed).toBe(false);
  });

  it('that is pipelined before the CONNACK is dropped at the default queue limit of 42, and not below ours', async () => {
    await (await pipelined({})).closed;
    const client = await pipelined({ queueLimit: 1_000 });
    const types = new Set<number>();
    for (let answers = 0; answers < 61; answers++) types.add((await client.next()).type);
    expect([...types]).toEqual([packetType.connack, packetType.puback]);
  });
});

describe('a subscription', () => {
  it('to $share is granted, and delivers nothing', async () => {
    const { port } = await broker();
    const subscriber = await open(port, 'subscriber');
    subscriber.send(subscribePacket(1, '$share/group/t'));
    expect((await subscriber.next()).body.at(-1)).toBe(1);
    const client = await open(port, 'a');
    client.send(publishPacket('t', 'x', { qos: 1, id: 1 }));
    await client.next();
    await roundTrip(subscriber);
    expect(subscriber.packets).toEqual([]);
  });

  it('that was denied beside one that was allowed still queues for a session, and only authorizeForward stops it', async () => {
    for (const guarded of [false, true]) {
      const { port } = await broker({
        authorizeSubscribe: (_client, subscription, done) =>
          done(null, subscription.topic === 'secret' ? null : subscription),
        ...(guarded && { authorizeForward: (_client, packet) => (packet.topic === 'secret' ? null : packet) }),
      });
      const session = await open(port, 'session', { clean: false });
      session.send(subscribePacket(1, 'open', 'secret'));
      expect([...(await session.next()).body.subarray(2)]).toEqual([1, 128]);
      session.end();
      await session.closed;
      const client = await open(port, 'a');
      client.send(publishPacket('secret', 'x', { qos: 1, id: 1 }), publishPacket('open', 'x', { qos: 1, id: 2 }));
      await client.next();
      await client.next();
      await roundTrip(client);
      const again = await open(port, 'session', { clean: false });
      const topics: string[] = [];
      for (let found = await again.next(); ; found = await again.next()) {
        const topic = found.body.subarray(2, 2 + found.body.readUInt16BE(0)).toString();
        topics.push(topic);
        if (topic === 'open') break;
      }
      expect(topics.includes('secret'), guarded ? 'guarded' : 'unguarded').toBe(!guarded);
    }
  });

  it('of a client that does not read holds up every other until the drain timeout cuts it off', async () => {
    const { aedes, port } = await broker({ drainTimeout: 300, concurrency: 1 });
    const frozen = await open(port, 'frozen');
    frozen.send(subscribePacket(1, 't'));
    await frozen.next();
    frozen.socket.pause();
    const healthy = await open(port, 'healthy');
    healthy.send(subscribePacket(1, 't'));
    await healthy.next();
    const cutOff = once(aedes, 'clientDisconnect').then(([client]: { id: string }[]) => ({
      id: client.id,
      deliveredBefore: healthy.packets.length,
    }));
    const client = await open(port, 'a');
    const payload = new Uint8Array(1_048_576);
    // More than the buffers of a socket take.
    for (let id = 1; id <= 24; id++) client.send(publishPacket('t', payload, { qos: 1, id }));
    let acknowledged = 0;
    const acks = (async () => {
      for (; acknowledged < 24; acknowledged++) await client.next();
    })();
    const { id, deliveredBefore } = await cutOff;
    expect(id).toBe('frozen');
    expect(deliveredBefore).toBeLessThan(24);
    await acks;
    let delivered = 0;
    for (; delivered < 24; delivered++) await healthy.next();
    expect([acknowledged, delivered]).toEqual([24, 24]);
  });
});
