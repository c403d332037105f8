// The embedded broker over real sockets; faked are the clock and what stands behind the sink.
import { once } from 'node:events';
import { createServer } from 'node:net';
import { connect, connectAsync, type MqttClient } from 'mqtt';
import { afterEach, describe, expect, it } from 'vitest';
import type { Log } from '../../src/base/log.ts';
import { type BrokerOptions, type BrokerParts, EmbeddedBroker } from '../../src/ingest/embedded/broker.ts';
import { RedeliveryBook } from '../../src/ingest/redelivery.ts';
import { stopped, TestSink } from '../support/broker-rig.ts';
import { FakeClock } from '../support/fake-clock.ts';
import {
  connectPacket,
  disconnectPacket,
  fixedHeader,
  idOf,
  packetType,
  pingPacket,
  publishPacket,
  pubrelPacket,
  subscribePacket,
  WireClient,
} from '../support/mqtt-wire.ts';
import { openGatekeeper } from '../support/open-gatekeeper.ts';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

interface Setup {
  readonly broker: EmbeddedBroker;
  readonly sink: TestSink;
  readonly clock: FakeClock;
  readonly warnings: string[];
  readonly port: number;
}

async function start(
  options: Partial<BrokerOptions> = {},
  parts: Partial<Omit<BrokerParts, 'sink'>> = {},
): Promise<Setup> {
  const sink = new TestSink();
  const clock = new FakeClock();
  const warnings: string[] = [];
  const log: Log = {
    info: () => {},
    debug: () => {},
    error: () => {},
    warn: (_, message) => void warnings.push(message),
  };
  const limits = { packetBytesMax: 262_144, connectionsMax: 100, stallMax: 5_000, subscriberBacklogMax: 1_000_000 };
  const broker = new EmbeddedBroker(
    { host: '127.0.0.1', port: 0, ...limits, ...options },
    {
      sink,
      redelivery: new RedeliveryBook(),
      gatekeeper: openGatekeeper(),
      clock,
      random: { next: () => 0.5 },
      log,
      ...parts,
    },
  );
  await broker.start();
  cleanups.push(async () => {
    sink.release();
    await stopped(broker, clock);
  });
  return { broker, sink, clock, warnings, port: broker.port };
}

async function open(port: number, ...options: Parameters<typeof connectPacket>): Promise<WireClient> {
  const client = await WireClient.open(port, ...options);
  cleanups.push(() => client.end());
  return client;
}

async function mqttClient(port: number, clientId: string): Promise<MqttClient> {
  const client = await connectAsync(`mqtt://127.0.0.1:${port}`, { clientId, protocolVersion: 4, reconnectPeriod: 0 });
  cleanups.push(() => client.endAsync(true));
  return client;
}

function drained({ socket }: WireClient): Promise<void> {
  return new Promise((resolve) => socket.once('drain', () => resolve()));
}

/** Waits for a thing that another part of this process does, turn by turn. */
async function eventually(reached: () => boolean): Promise<void> {
  while (!reached()) await new Promise((resolve) => setImmediate(resolve));
}

describe('a message of a real client', () => {
  it('arrives at the sink with its topic, bytes, QoS and who sent it, and is answered', async () => {
    const { sink, port } = await start();
    const client = await mqttClient(port, 'wearable-1');
    for (const qos of [1, 2] as const)
      await client.publishAsync('devices/wearable-1/telemetry', `{"x":${qos}}`, { qos });
    client.publish('devices/wearable-1/telemetry', '{"x":0}', { qos: 0 });
    await sink.until(() => sink.messages.length === 3);
    expect(sink.messages.map(({ topic, qos, client: sender }) => [topic, qos, sender])).toEqual(
      [1, 2, 0].map((qos) => ['devices/wearable-1/telemetry', qos, 'wearable-1']),
    );
    expect(sink.payloads).toEqual(['{"x":1}', '{"x":2}', '{"x":0}']);
    expect(sink.messages.map(({ identity }) => identity?.client ?? null)).toEqual(['wearable-1', 'wearable-1', null]);
  });

  it('reaches MQTT subscribers, retained ones also those that come later', async () => {
    const { port } = await start();
    const publisher = await mqttClient(port, 'publisher');
    await publisher.publishAsync('devices/a/status', 'online', { qos: 1, retain: true });
    const subscriber = await mqttClient(port, 'subscriber');
    const heard = new Promise<string>((resolve) =>
      subscriber.once('message', (topic, payload) => resolve(`${topic} ${payload.toString()}`)),
    );
    await subscriber.subscribeAsync('devices/+/status');
    expect(await heard).toBe('devices/a/status online');
  });
});

describe('a receipt', () => {
  it('that is held keeps the PUBACK back; released, the PUBACKs go out in order', async () => {
    const { sink, port } = await start();
    sink.holding = true;
    const client = await open(port, 'a');
    client.send(...[5, 3, 9].map((id) => publishPacket('t', String(id), { qos: 1, id })));
    await sink.until(() => sink.held.length === 3);
    const other = await open(port, 'b');
    other.send(pingPacket);
    await other.next();
    expect(client.packets).toEqual([]);
    sink.release();
    const answers = [await client.next(), await client.next(), await client.next()];
    expect(answers.map((answer) => [answer.type, idOf(answer)])).toEqual(
      [5, 3, 9].map((id) => [packetType.puback, id]),
    );
  });

  it('of QoS 2 keeps the PUBREC back', async () => {
    const { sink, port } = await start();
    sink.holding = true;
    const client = await open(port, 'a');
    client.send(publishPacket('t', 'x', { qos: 2, id: 4 }));
    await sink.until(() => sink.held.length === 1);
    expect(client.packets).toEqual([]);
    sink.release();
    expect((await client.next()).type).toBe(packetType.pubrec);
    client.send(pubrelPacket(4));
    expect((await client.next()).type).toBe(packetType.pubcomp);
    expect(sink.messages).toHaveLength(1);
  });

  it('that fails closes the connection without an answer, and is counted as one however many failed', async () => {
    const { broker, sink, port } = await start();
    sink.holding = true;
    const client = await open(port, 'a');
    client.send(...[1, 2, 3].map((id) => publishPacket('t', 'x', { qos: 1, id })));
    await sink.until(() => sink.held.length === 3);
    sink.release(new Error('disk full'));
    await client.closed;
    expect(client.packets).toEqual([]);
    await eventually(() => broker.counts().connections === 0);
    expect(broker.counts().cutConnections).toBe(1);
  });

  it('that stays open too long ends its connection with a reason in the log, and no other', async () => {
    const { clock, sink, warnings, port } = await start({ stallMax: 5_000 });
    const other = await open(port, 'other');
    sink.holding = true;
    const client = await open(port, 'a');
    client.send(publishPacket('t', 'x', { qos: 1, id: 1 }));
    await sink.until(() => sink.held.length === 1);
    clock.advance(4_999);
    expect(warnings).toEqual([]);
    clock.advance(1_001);
    await client.closed;
    expect(warnings).toEqual([expect.stringContaining('not committed in time')]);
    clock.advance(10_000);
    other.send(pingPacket);
    expect((await other.next()).type).toBe(packetType.pingresp);
    expect(warnings).toHaveLength(1);
  });

  it('is not stalled while others before it are still being answered', async () => {
    const { clock, sink, warnings, port } = await start({ stallMax: 5_000 });
    sink.holding = true;
    const client = await open(port, 'a');
    client.send(...[1, 2, 3].map((id) => publishPacket('t', 'x', { qos: 1, id })));
    await sink.until(() => sink.held.length === 3);
    for (let turn = 0; turn < 3; turn++) {
      clock.advance(4_000);
      sink.held.shift()?.();
      expect((await client.next()).type).toBe(packetType.puback);
    }
    clock.advance(20_000);
    expect([warnings, client.socket.destroyed]).toEqual([[], false]);
  });
});

describe('a message that comes again', () => {
  it('joins the receipt of its first delivery, over a new connection too, and is handed on once', async () => {
    const { sink, port } = await start();
    sink.holding = true;
    const first = await open(port, 'a', { clean: false });
    first.send(publishPacket('t', 'x', { qos: 1, id: 7 }));
    await sink.until(() => sink.held.length === 1);
    first.end();
    const second = await open(port, 'a', { clean: false });
    second.send(publishPacket('t', 'x', { qos: 1, id: 7, dup: true }));
    await sink.until(() => sink.redeliveries === 1);
    expect([sink.messages.length, second.packets]).toEqual([1, []]);
    sink.release();
    expect(idOf(await second.next())).toBe(7);
  });

  it('is answered at once when it was settled, QoS 1 and QoS 2', async () => {
    const { sink, port } = await start();
    const client = await open(port, 'a');
    client.send(publishPacket('t', 'x', { qos: 1, id: 7 }), publishPacket('t', 'y', { qos: 2, id: 8 }));
    const answers = [await client.next(), await client.next()].map(({ type }) => type);
    expect(new Set(answers)).toEqual(new Set([packetType.puback, packetType.pubrec]));
    client.send(
      publishPacket('t', 'y', { qos: 2, id: 8, dup: true }),
      publishPacket('t', 'x', { qos: 1, id: 7, dup: true }),
    );
    const again = [await client.next(), await client.next()].map(({ type }) => type);
    expect(new Set(again)).toEqual(new Set([packetType.puback, packetType.pubrec]));
    expect([sink.messages.length, sink.redeliveries]).toEqual([2, 2]);
  });

  it('is one message while its QoS 2 packet id is open, DUP or not', async () => {
    const { sink, port } = await start();
    sink.holding = true;
    const client = await open(port, 'pump');
    for (let time = 0; time < 2; time++) client.send(publishPacket('plant/a', 'x', { qos: 2, id: 7 }));
    await sink.until(() => sink.redeliveries === 1);
    sink.release();
    expect([(await client.next()).type, (await client.next()).type]).toEqual([packetType.pubrec, packetType.pubrec]);
    expect(sink.messages).toHaveLength(1);
  });

  it('with another payload is another message, DUP or not', async () => {
    const { sink, port } = await start();
    const client = await open(port, 'a');
    client.send(publishPacket('t', 'x', { qos: 1, id: 7 }), publishPacket('t', 'y', { qos: 1, id: 7, dup: true }));
    await client.next();
    await client.next();
    expect([sink.payloads, sink.redeliveries]).toEqual([['x', 'y'], 0]);
  });
});

describe('a subscriber for whom much more waits than its backlog', () => {
  const count = 300;
  const padding = 'x'.repeat(50_000);

  function heard(client: MqttClient): { readonly serials: Set<number>; readonly all: Promise<void> } {
    const serials = new Set<number>();
    const all = new Promise<void>((resolve) => {
      client.on('message', (_topic, bytes) => {
        serials.add(Number.parseInt(bytes.toString(), 10));
        if (serials.size === count) resolve();
      });
    });
    return { serials, all };
  }

  it('gets every retained message, though it pauses for a while', async () => {
    const { port } = await start();
    const sender = await mqttClient(port, 'sender');
    await Promise.all(
      Array.from({ length: count }, (_, index) =>
        sender.publishAsync(`plant/${index}`, `${index} ${padding}`, { qos: 1, retain: true }),
      ),
    );
    const subscriber = await open(port, 'late');
    subscriber.send(subscribePacket(1, 'plant/#'));
    expect((await subscriber.next()).type).toBe(packetType.suback);
    subscriber.socket.pause();
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
    subscriber.socket.resume();
    for (let got = 0; got < count; ) if ((await subscriber.next()).type === packetType.publish) got++;
  });

  it('gets everything that was queued while it was away', async () => {
    const { port } = await start();
    const session = { clientId: 'keeper', clean: false, protocolVersion: 4, reconnectPeriod: 0 } as const;
    const before = await connectAsync(`mqtt://127.0.0.1:${port}`, session);
    await before.subscribeAsync('plant/#', { qos: 1 });
    await before.endAsync();
    const sender = await mqttClient(port, 'sender');
    await Promise.all(
      Array.from({ length: count }, (_, index) => sender.publishAsync('plant/line', `${index} ${padding}`, { qos: 1 })),
    );
    const subscriber = connect(`mqtt://127.0.0.1:${port}`, session);
    cleanups.push(() => subscriber.endAsync(true));
    await heard(subscriber).all;
  });
});

describe('reserved topics', () => {
  it('$SYS and $share are refused with 128 and counted, others beside them granted', async () => {
    const { broker, port } = await start();
    const client = await open(port, 'a');
    client.send(subscribePacket(1, '$SYS/#', 'devices/#', '$share/group/devices/#'));
    const suback = await client.next();
    expect([...suback.body.subarray(2)]).toEqual([128, 1, 128]);
    expect(broker.counts().refusedSubscriptions).toBe(2);
  });

  it('are acknowledged and dropped when somebody publishes to them, counted, and logged', async () => {
    const { broker, sink, warnings, port } = await start();
    const client = await open(port, 'a');
    client.send(publishPacket('$SYS/broker/new/clients', 'a', { qos: 1, id: 1 }));
    expect(idOf(await client.next())).toBe(1);
    expect([sink.messages, sink.refusals, broker.counts().refusedPublishes]).toEqual([[], ['device_forbidden'], 1]);
    expect(warnings).toEqual(['a message was refused: acknowledged and dropped']);
  });
});

describe('a packet', () => {
  it('of 50 MB is cut at its header: nothing of it is kept', async () => {
    const { broker, sink, port } = await start();
    const client = await open(port, 'a');
    const before = process.memoryUsage();
    client.send(fixedHeader(0x32, 50 * 1_048_576));
    const chunk = new Uint8Array(65_536);
    for (let sent = 0; sent < 50 * 1_048_576 && !client.socket.destroyed; sent += chunk.length) {
      if (!client.socket.write(chunk)) await Promise.race([drained(client), client.closed]);
    }
    await client.closed;
    await eventually(() => broker.counts().connections === 0);
    const after = process.memoryUsage();
    expect(after.rss - before.rss).toBeLessThan(25 * 1_048_576);
    expect([sink.messages, broker.counts().cutConnections]).toEqual([[], 1]);
  });

  it('of the largest size that is allowed passes, one byte more does not', async () => {
    const { sink, port } = await start({ packetBytesMax: 1_000 });
    const client = await open(port, 'a');
    // Topic and its length take three bytes, the packet id two.
    client.send(publishPacket('t', 'x'.repeat(995), { qos: 1, id: 1 }));
    expect(idOf(await client.next())).toBe(1);
    client.send(publishPacket('t', 'x'.repeat(996), { qos: 1, id: 2 }));
    await client.closed;
    expect(sink.messages).toHaveLength(1);
  });

  it('that is no MQTT ends its connection and nothing else', async () => {
    const { broker, port } = await start();
    const client = await WireClient.dial(port);
    client.send(Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(20)));
    await client.closed;
    const other = await open(port, 'b');
    other.send(pingPacket);
    expect((await other.next()).type).toBe(packetType.pingresp);
    await eventually(() => broker.counts().connections === 1);
  });
});

describe('a full window', () => {
  it('stops the sockets from being read until the sender backs up, and lets them go on after', async () => {
    const { broker, sink, port } = await start();
    const client = await open(port, 'a');
    broker.windowChanged(false);
    const payload = 'x'.repeat(100_000);
    let backedUp = false;
    let sent = 0;
    for (; sent < 2_000 && !backedUp; sent++) {
      backedUp = !client.socket.write(publishPacket('t', payload, { qos: 1, id: sent + 1 }));
      if (backedUp) {
        // The kernel's buffers may still take it; only when they do not for a while of turns has it backed up.
        for (let turn = 0; turn < 50 && client.socket.writableNeedDrain; turn++) {
          await new Promise((resolve) => setImmediate(resolve));
        }
        backedUp = client.socket.writableNeedDrain;
      }
    }
    expect(backedUp).toBe(true);
    const readBefore = sink.messages.length;
    expect(readBefore).toBeLessThan(sent);
    const late = await WireClient.dial(port);
    cleanups.push(() => late.end());
    late.send(connectPacket('late'));
    broker.windowChanged(true);
    await sink.until(() => sink.messages.length === sent);
    const ids: number[] = [];
    while (ids.length < sent) ids.push(idOf(await client.next()));
    expect(ids).toEqual(Array.from({ length: sent }, (_, n) => n + 1));
    expect((await late.next()).type).toBe(packetType.connack);
  });
});

describe('storage that is not available', () => {
  it('lets nobody in until it is back, and then not all in the same moment', async () => {
    const { broker, clock, port } = await start();
    broker.storageChanged(false);
    const refused = await WireClient.dial(port);
    refused.send(connectPacket('a'));
    // CONNACK 3: server unavailable.
    expect((await refused.next()).body[1]).toBe(3);
    await refused.closed;
    expect(broker.counts().refusedConnectsByReason).toEqual({ storage: 1 });
    clock.advance(30_000);
    broker.storageChanged(true);
    const early = await WireClient.dial(port);
    cleanups.push(() => early.end());
    const timers = clock.timers;
    early.send(connectPacket('early'));
    await eventually(() => clock.timers > timers);
    // Its moment is half a second away: `random` says so.
    clock.advance(499);
    expect(early.packets).toEqual([]);
    clock.advance(1);
    expect((await early.next()).body[1]).toBe(0);
    clock.advance(2_000);
    await open(port, 'later');
  });
});

describe('a will', () => {
  it('of a client that vanished arrives at the sink and at subscribers, that of one that said goodbye does not', async () => {
    const { sink, port } = await start();
    const watcher = await open(port, 'watcher');
    watcher.send(subscribePacket(1, 'devices/+/status'));
    await watcher.next();
    const will = { topic: 'devices/b/status', payload: 'offline', qos: 1 } as const;
    const polite = await open(port, 'polite', { will: { ...will, topic: 'devices/a/status' } });
    polite.send(disconnectPacket);
    await polite.closed;
    const vanishing = await open(port, 'vanishing', { will });
    vanishing.end();
    await sink.until(() => sink.messages.length > 0);
    expect(sink.messages).toEqual([
      {
        topic: 'devices/b/status',
        payload: Buffer.from('offline'),
        qos: 1,
        client: 'vanishing',
        sender: { device: null, forOthers: true },
        identity: null,
      },
    ]);
    expect((await watcher.next()).body.toString()).toContain('offline');
  });

  it('of a client that was closed for a stall is not taken for another stall', async () => {
    const { clock, sink, warnings, port } = await start({ stallMax: 1_000 });
    sink.holding = true;
    const client = await open(port, 'a', { will: { topic: 'devices/a/status', payload: 'offline', qos: 1 } });
    client.send(publishPacket('t', 'x', { qos: 1, id: 1 }));
    await sink.until(() => sink.held.length === 1);
    clock.advance(1_000);
    await client.closed;
    await sink.until(() => sink.held.length === 2);
    for (let second = 0; second < 10; second++) clock.advance(1_000);
    expect(warnings).toHaveLength(1);
  });
});

describe('who may connect', () => {
  it('is judged by address, name and password; the others get return code 5 and are counted', async () => {
    const asked: unknown[] = [];
    const { broker, port } = await start(
      {},
      {
        gatekeeper: openGatekeeper((facts) => {
          asked.push(facts);
          return facts.password === 'right' ? { allowed: true } : { allowed: false, detail: 'wrong key' };
        }),
      },
    );
    const options = { protocolVersion: 4, reconnectPeriod: 0, clientId: 'a', username: 'a' } as const;
    const url = `mqtt://127.0.0.1:${port}`;
    await expect(connectAsync(url, { ...options, password: 'wrong' })).rejects.toMatchObject({ code: 5 });
    const client = await connectAsync(url, { ...options, password: 'right' });
    await client.endAsync(true);
    expect(asked).toEqual([
      { remoteAddress: '127.0.0.1', username: 'a', password: 'wrong' },
      { remoteAddress: '127.0.0.1', username: 'a', password: 'right' },
    ]);
    expect(broker.counts().refusedConnects).toBe(1);
  });

  it('ends at the most connections that are allowed', async () => {
    const { broker, port } = await start({ connectionsMax: 2 });
    const first = await open(port, 'a');
    await open(port, 'b');
    const third = await WireClient.dial(port);
    await third.closed;
    expect([broker.counts().connections, broker.counts().refusedConnects]).toEqual([2, 1]);
    first.end();
    await eventually(() => broker.counts().connections === 1);
    await open(port, 'c');
  });

  it('cannot have a client id of any length', async () => {
    const { port } = await start();
    const client = await WireClient.dial(port);
    client.send(connectPacket('x'.repeat(257)));
    // CONNACK 2: identifier rejected.
    expect((await client.next()).body[1]).toBe(2);
    await client.closed;
    expect(client.packets).toEqual([]);
  });
});

describe('stop', () => {
  it('waits for open receipts, and their PUBACKs still go out', async () => {
    const { broker, clock, sink, port } = await start();
    sink.holding = true;
    const client = await open(port, 'a');
    client.send(publishPacket('t', 'x', { qos: 1, id: 1 }));
    await sink.until(() => sink.held.length === 1);
    let done = false;
    const stopping = broker.stop().then(() => {
      done = true;
    });
    for (let turn = 0; turn < 20; turn++) {
      clock.advance(5);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect([done, client.packets]).toEqual([false, []]);
    sink.release();
    await stopped(broker, clock);
    await stopping;
    await client.closed;
    expect(client.packets.map(({ type }) => type)).toEqual([packetType.puback]);
    expect(broker.counts().connections).toBe(0);
  });

  it('reads nothing more meanwhile, though the window opens as receipts settle', async () => {
    const { broker, clock, sink, port } = await start();
    sink.holding = true;
    const client = await open(port, 'a');
    client.send(publishPacket('t', 'first', { qos: 1, id: 1 }));
    await sink.until(() => sink.held.length === 1);
    broker.windowChanged(false);
    const stopping = stopped(broker, clock);
    broker.windowChanged(true);
    client.send(publishPacket('t', 'second', { qos: 1, id: 2 }));
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    sink.release();
    await stopping;
    await client.closed;
    expect(sink.payloads).toEqual(['first']);
  });

  it('gives up on receipts that never settle after two seconds', async () => {
    const { broker, clock, sink, port } = await start();
    sink.holding = true;
    const client = await open(port, 'a');
    client.send(publishPacket('t', 'x', { qos: 1, id: 1 }));
    await sink.until(() => sink.held.length === 1);
    const began = clock.monotonic();
    await stopped(broker, clock);
    await client.closed;
    expect(clock.monotonic() - began).toBeGreaterThanOrEqual(2_000);
    expect(client.packets).toEqual([]);
  });

  it('may come first, and twice, and the port is free after it', async () => {
    const { broker, clock, port } = await start();
    await Promise.all([stopped(broker, clock), stopped(broker, clock)]);
    const server = createServer().listen(port, '127.0.0.1');
    await once(server, 'listening');
    await new Promise((resolve) => server.close(resolve));
  });
});

/** Timers of this process that keep it alive, those of a broker among them. */
function intervals(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
}

describe('start', () => {
  it('rejects when the port is taken, and leaves nothing running', async () => {
    const { port } = await start();
    const before = intervals();
    await expect(start({ port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
    expect(intervals()).toBeLessThanOrEqual(before);
    const client = await open(port, 'a');
    client.send(pingPacket);
    expect((await client.next()).type).toBe(packetType.pingresp);
  });
});
