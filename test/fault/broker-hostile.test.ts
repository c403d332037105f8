// What strangers can do to the broker of a real gateway: its memory stays where it was, and a healthy device goes on.
// Method: the process's own peak of resident memory (proc(5)), after a warm-up that lets V8 take what it takes anyway.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { GatewayProcess } from '../support/gateway-process.ts';
import { expectBalanced, readMetrics } from '../support/ledger-check.ts';
import {
  connectPacket,
  fixedHeader,
  idOf,
  packetType,
  publishPacket,
  subscribePacket,
  WireClient,
} from '../support/mqtt-wire.ts';
import { tempFolder } from '../support/temp-folder.ts';

const growthMax = 64 * 1_048_576;
const megabyte = 1_048_576;
const devicesMax = 20;
const padding = 'x'.repeat(200);

let folder: ReturnType<typeof tempFolder>;
let gateway: GatewayProcess;
let healthy: Sender;
let fleet: Sender[];

/** Publishes at QoS 1 and counts by serial what was acknowledged. */
class Sender {
  readonly client: WireClient;
  readonly #topic: string;
  #serial = 0;

  constructor(client: WireClient, device: string) {
    this.client = client;
    this.#topic = `devices/${device}/telemetry`;
  }

  static async open(device: string): Promise<Sender> {
    return new Sender(await WireClient.open(gateway.mqttPort, device), device);
  }

  /** Resolves once all of them were acknowledged, in order. */
  async publish(count: number): Promise<void> {
    const first = this.#serial;
    for (let sent = 0; sent < count; sent++) {
      const serial = this.#serial++;
      const payload = JSON.stringify({ serial, padding });
      this.client.send(publishPacket(this.#topic, payload, { qos: 1, id: (serial % 65_535) + 1 }));
    }
    for (let serial = first; serial < this.#serial; ) {
      const packet = await this.client.next();
      expect([packet.type, idOf(packet)]).toEqual([packetType.puback, (serial++ % 65_535) + 1]);
    }
  }
}

beforeAll(async () => {
  folder = tempFolder();
  gateway = await GatewayProcess.start({ dir: folder.path, env: { PULSEGATE_DEVICE_MESSAGES_PER_SECOND: '0' } });
  healthy = await Sender.open('healthy');
  fleet = await Promise.all(Array.from({ length: devicesMax }, (_, index) => Sender.open(`pump-${index}`)));
  await publishForAWhile();
});
afterAll(async () => {
  for (const { client } of [healthy, ...fleet]) client.end();
  await gateway.terminate();
  folder.remove();
});

async function publishAll(count: number): Promise<void> {
  await Promise.all(fleet.map((sender) => sender.publish(count)));
}

async function publishForAWhile(): Promise<void> {
  for (let round = 0; round < 20; round++) await publishAll(50);
}

/** Does what `attack` does; the gateway's memory must not grow by much while it does, and the healthy device goes on. */
async function expectUnhurt(attack: () => Promise<void>, most = growthMax): Promise<void> {
  await healthy.publish(100);
  gateway.forgetPeak();
  const before = gateway.memory().now;
  await attack();
  await healthy.publish(100);
  expect((gateway.memory().peak - before) / megabyte).toBeLessThan(most / megabyte);
  expect(healthy.client.socket.destroyed).toBe(false);
  expectBalanced(await readMetrics(gateway.httpPort));
}

/** Writes until the other side has had enough; answers with how much it was given. */
async function writeUntilClosed(client: WireClient, bytesMax: number): Promise<number> {
  const chunk = new Uint8Array(65_536);
  let written = 0;
  while (written < bytesMax && !client.socket.destroyed) {
    written += chunk.length;
    if (!client.socket.write(chunk)) await Promise.race([client.closed, once(client.socket, 'drain').catch(() => {})]);
  }
  await client.closed;
  return written;
}

it('a packet of 50 MB is cut at its header', async () => {
  await expectUnhurt(async () => {
    const clients = await Promise.all(
      Array.from({ length: 5 }, (_, index) => WireClient.open(gateway.mqttPort, `large-${index}`)),
    );
    for (const client of clients) {
      client.send(fixedHeader(0x32, 50 * megabyte));
      expect(await writeUntilClosed(client, 50 * megabyte)).toBeLessThan(20 * megabyte);
    }
  });
});

it('a header that announces 256 MB ends its connection, and so does one that never ends', async () => {
  await expectUnhurt(async () => {
    for (const header of [fixedHeader(0x30, 268_435_455), Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0x7f])]) {
      const clients = await Promise.all(
        Array.from({ length: 100 }, (_, index) => WireClient.open(gateway.mqttPort, `liar-${index}`)),
      );
      for (const { socket } of clients) socket.write(header);
      await Promise.all(clients.map(({ closed }) => closed));
    }
    // Before CONNECT, too.
    const stranger = await WireClient.dial(gateway.mqttPort);
    stranger.send(fixedHeader(0x10, 268_435_455));
    await stranger.closed;
  });
});

it('10,000 silent connections keep nobody out', async () => {
  await expectUnhurt(async () => {
    const silent: Socket[] = [];
    for (let batch = 0; batch < 100; batch++) {
      const dialled = Array.from({ length: 100 }, () => connect(gateway.mqttPort, '127.0.0.1'));
      for (const socket of dialled) socket.on('error', () => {});
      await Promise.all(dialled.map((socket) => once(socket, 'connect')));
      silent.push(...dialled);
      await healthy.publish(1);
      if (batch % 10 > 0) continue;
      const newcomer = await WireClient.open(gateway.mqttPort, `newcomer-${batch}`);
      newcomer.end();
    }
    expect(silent).toHaveLength(10_000);
    // The bound is a thousand; a close may still be under way.
    while (silent.filter(({ destroyed }) => !destroyed).length > 1_000)
      await new Promise((resolve) => setImmediate(resolve));
    for (const socket of silent) socket.destroy();
  });
});

it('10,000 connections that begin a CONNECT and never end it keep nobody out', async () => {
  await expectUnhurt(async () => {
    const begun: Socket[] = [];
    for (let batch = 0; batch < 100; batch++) {
      const dialled = Array.from({ length: 100 }, () => connect(gateway.mqttPort, '127.0.0.1'));
      for (const socket of dialled) {
        socket.on('error', () => {});
        socket.write(connectPacket('x'.repeat(20)).subarray(0, 20));
      }
      await Promise.all(dialled.map((socket) => once(socket, 'connect')));
      begun.push(...dialled);
      await healthy.publish(1);
    }
    for (const socket of begun) socket.destroy();
  });
});

it.each([0, 1] as const)(
  'a frozen subscriber at QoS %i holds up nobody, however fast twenty devices publish, and keeps nothing in memory',
  async (qos) => {
    const subscriber = await WireClient.open(gateway.mqttPort, `other-${qos}`);
    const heard = new Set<string>();
    // The same load with a subscriber that reads: what the gateway takes for that is not the frozen one's doing.
    const subscribe = async (client: WireClient): Promise<void> => {
      client.send(Buffer.concat([subscribePacket(1, 'devices/#').subarray(0, -1), Buffer.from([qos])]));
      expect((await client.next()).type).toBe(packetType.suback);
    };
    await subscribe(subscriber);
    subscriber.socket.on('data', () => {
      for (const { type, flags, body } of subscriber.packets.splice(0)) {
        if (type !== packetType.publish) continue;
        const end = 2 + body.readUInt16BE(0);
        const hasId = (flags & 0x06) !== 0;
        if (hasId) subscriber.send(Buffer.from([0x40, 2, body[end], body[end + 1]]));
        const payload = body.subarray(hasId ? end + 2 : end).toString();
        heard.add(`${body.toString('utf8', 2, end)} ${/"serial":(\d+)/.exec(payload)?.[1]}`);
      }
    });
    // Until the heap is as large as this load makes it.
    for (let times = 0; times < 4; times++) await publishForAWhile();
    await expectUnhurt(async () => {
      const frozen = await WireClient.open(gateway.mqttPort, `frozen-${qos}`);
      await subscribe(frozen);
      frozen.socket.pause();
      heard.clear();
      await publishForAWhile();
      // Whoever reads gets every one of them.
      while (heard.size < 20 * 50 * devicesMax) await once(subscriber.socket, 'data');
      frozen.end();
      // Under such a load the heaps of gateway and writer may grow by a step once more; the bench of the guards looks closer.
    }, growthMax * 1.75);
    subscriber.end();
  },
);
