// Silence, told from life on both ways that packets take, on a clock that the test turns.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import type { Message, Receipt } from '../../src/domain/message.ts';
import { EmbeddedBroker } from '../../src/ingest/embedded/broker.ts';
import { silenceAllowed } from '../../src/ingest/embedded/keepalive.ts';
import type { Gatekeeper } from '../../src/ingest/gatekeeper.ts';
import { RedeliveryBook } from '../../src/ingest/redelivery.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { connectPacket, packetType, pingPacket, publishPacket, WireClient } from '../support/mqtt-wire.ts';

const everybody: Gatekeeper = {
  isBarred: () => Promise.resolve(false),
  admit: () => Promise.resolve({ allowed: true, principal: { kind: 'open' } }),
  mayPublish: () => true,
  maySubscribe: () => true,
  mayReceive: () => true,
  isValid: () => true,
};

/** Says something and waits until it was heard. */
async function speak(client: WireClient): Promise<void> {
  client.send(publishPacket('devices/a/telemetry', '1', { qos: 1, id: 7 }));
  expect((await client.next()).type).toBe(packetType.puback);
}

describe('the silence that a client is allowed', () => {
  const limits = { keepaliveMin: 5_000, keepaliveMax: 60_000 };

  it.each([
    [10, 15_000],
    [1, 7_500],
    [600, 90_000],
    [0, 90_000],
  ])('with a keepalive of %i s is %i ms', (keepalive, allowed) => {
    expect(silenceAllowed(keepalive, limits)).toBe(allowed);
  });
});

describe('a client', () => {
  let clock: FakeClock;
  let broker: EmbeddedBroker;
  let messages: Message[];
  let clients: WireClient[];

  beforeEach(async () => {
    clock = new FakeClock();
    messages = [];
    clients = [];
    const sink = {
      receive: (message: Message, receipt: Receipt) => {
        messages.push(message);
        receipt();
      },
      redelivered: () => {},
      refused: () => {},
      shed: () => {},
    };
    broker = new EmbeddedBroker(
      {
        host: '127.0.0.1',
        port: 0,
        packetBytesMax: 10_000,
        connectionsMax: 10,
        stallMax: 5_000,
        subscriberBacklogMax: 100_000,
        keepaliveMin: 5_000,
        keepaliveMax: 60_000,
      },
      {
        sink,
        redelivery: new RedeliveryBook(),
        gatekeeper: everybody,
        clock,
        random: { next: () => 0.5 },
        log: silentLog,
      },
    );
    await broker.start();
  });

  afterEach(async () => {
    for (const client of clients) client.end();
    await Promise.all(clients.map(({ closed }) => closed));
    await broker.stop();
  });

  async function join(clientId: string, keepalive: number, will = false): Promise<WireClient> {
    const client = await WireClient.dial(broker.port);
    clients.push(client);
    const options = will ? { will: { topic: `devices/${clientId}/status`, payload: 'offline', qos: 0 as const } } : {};
    const packet = connectPacket(clientId, options);
    // The keepalive stands behind the fixed header, the name, the level and the flags (MQTT 3.1.1 section 3.1.2.10).
    packet.writeUInt16BE(keepalive, 10);
    client.send(packet);
    expect((await client.next()).type).toBe(packetType.connack);
    return client;
  }

  it('that says nothing for one and a half times its keepalive is closed, and its will goes out', async () => {
    const client = await join('a', 10, true);
    clock.advance(15_000);
    client.send(pingPacket);
    expect((await client.next()).type).toBe(packetType.pingresp);
    clock.advance(17_000);
    await client.closed;
    expect(messages.map(({ topic, payload }) => `${topic} ${Buffer.from(payload).toString()}`)).toEqual([
      'devices/a/status offline',
    ]);
  });

  it('stays for as long as it publishes, though aedes sees nothing of it', async () => {
    const client = await join('a', 10);
    for (let second = 0; second < 100; second += 10) {
      clock.advance(10_000);
      await speak(client);
    }
    expect(messages).toHaveLength(10);
    expect(client.socket.destroyed).toBe(false);
  });

  it('without a keepalive is closed after one and a half times the longest', async () => {
    const client = await join('a', 0);
    clock.advance(89_000);
    await speak(client);
    clock.advance(92_000);
    await client.closed;
  });

  it('that is not listened to is not blamed for its silence', async () => {
    const client = await join('a', 10);
    broker.windowChanged(false);
    clock.advance(60_000);
    broker.windowChanged(true);
    clock.advance(14_000);
    await speak(client);
    clock.advance(17_000);
    await client.closed;
  });
});
