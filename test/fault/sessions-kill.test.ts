// What MQTT clients were told of their sessions is true after a kill: the whole gateway, its real engine, kill -9.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { ack, type Published, readPublish, subscribe, unsubscribe } from '../contract/mqtt-3-1-1/packets.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { connectPacket, packetType, publishPacket, WireClient, type WirePacket } from '../support/mqtt-wire.ts';
import { tempFolder } from '../support/temp-folder.ts';

const kills = 6;
/** `KILL_SEED=…` sends the same again, and kills after as many messages. */
const seed = Number(process.env.KILL_SEED ?? Math.floor(Math.random() * 2 ** 31));
const keepers = 3;

let folder: ReturnType<typeof tempFolder>;
beforeEach(() => {
  folder = tempFolder();
});
afterEach(() => folder.remove());

async function nextOf(client: WireClient, type: number): Promise<WirePacket> {
  for (let found = await client.next(); ; found = await client.next()) if (found.type === type) return found;
}

/** Connects without a clean session; the CONNACK has to say whether there is one. */
async function resume(port: number, clientId: string, isPresent: boolean): Promise<WireClient> {
  const client = await WireClient.dial(port);
  client.send(connectPacket(clientId, { clean: false }));
  const { body } = await nextOf(client, packetType.connack);
  expect([clientId, ...body]).toEqual([clientId, isPresent ? 1 : 0, 0]);
  return client;
}

/** Sends QoS 2 messages over kills, each under an id of its own until its PUBCOMP. */
class Pump {
  /** By packet id: what is not over, and whether its PUBREC came. */
  readonly open = new Map<number, { readonly topic: string; readonly payload: string; isTaken: boolean }>();
  #id = 0;
  taken = 0;

  send(client: WireClient, topic: string, payload: string): void {
    this.#id = (this.#id % 60_000) + 1;
    this.open.set(this.#id, { topic, payload, isTaken: false });
    client.send(publishPacket(topic, payload, { qos: 2, id: this.#id }));
  }

  /** Goes on with everything that is not over, in order. */
  again(client: WireClient): void {
    for (const [id, { topic, payload, isTaken }] of this.open) {
      client.send(isTaken ? ack(6, id) : publishPacket(topic, payload, { qos: 2, id, dup: true }));
    }
  }

  hear(client: WireClient, { type, body }: WirePacket): void {
    const id = body.readUInt16BE(0);
    const message = this.open.get(id);
    if (type === packetType.pubrec && message) {
      if (!message.isTaken) this.taken++;
      message.isTaken = true;
      client.send(ack(6, id));
    } else if (type === packetType.pubcomp) this.open.delete(id);
  }

  async finish(client: WireClient): Promise<void> {
    while (this.open.size > 0) this.hear(client, await client.next());
  }
}

/** Reads and finishes what a keeper is sent, until a payload comes; every message once. */
async function readUntil(client: WireClient, last: string): Promise<string[]> {
  const payloads: string[] = [];
  const underWay = new Map<number, Published>();
  for (;;) {
    const packet = await client.next();
    if (packet.type === packetType.publish) {
      const message = readPublish(packet);
      // The same id again, before its end, is the same message.
      if (!underWay.has(message.id)) payloads.push(message.payload);
      underWay.set(message.id, message);
      client.send(ack(5, message.id));
    } else if (packet.type === packetType.pubrel) {
      const id = packet.body.readUInt16BE(0);
      const isLast = underWay.get(id)?.payload === last;
      underWay.delete(id);
      client.send(ack(7, id));
      if (isLast) return payloads;
    }
  }
}

it(`after each of ${kills} kills every session, subscription and message that a client was told of is there, once and in order (KILL_SEED=${seed})`, async () => {
  const random = seededRandom(seed);
  const pump = new Pump();
  const names = Array.from({ length: keepers }, (_, index) => `keeper-${index}`);
  /** By keeper: what it has to get, in order. */
  const owed = new Map(names.map((name) => [name, [] as string[]]));
  const hasExtra = new Set<string>();
  let serial = 0;
  let retained = '';
  for (let round = 0; round < kills; round++) {
    const message = `seed ${seed}, round ${round}`;
    const gateway = await GatewayProcess.start({ dir: folder.path });
    const port = gateway.mqttPort;
    const publisher = await resume(port, 'pump', round > 0);
    pump.again(publisher);
    await pump.finish(publisher);
    if (round > 0) {
      const late = await WireClient.open(port, 'late');
      late.send(subscribe(1, ['state/pump', 0]));
      expect(readPublish(await nextOf(late, packetType.publish)).payload, message).toBe(retained);
      late.end();
    }
    for (const name of names) {
      const client = await resume(port, name, round > 0);
      if (round === 0) {
        client.send(subscribe(1, [`plant/${name}/#`, 2]));
        expect((await nextOf(client, packetType.suback)).body.at(-1)).toBe(2);
      }
      const last = `last ${round} ${name}`;
      pump.send(publisher, `plant/${name}/end`, last);
      await pump.finish(publisher);
      const expected = [...(owed.get(name) ?? []), last];
      expect(await readUntil(client, last), message).toEqual(expected);
      owed.set(name, []);
      // One filter comes and goes; what counts is what was answered.
      client.send(hasExtra.has(name) ? unsubscribe(2, 'plant/all') : subscribe(2, ['plant/all', 2]));
      await nextOf(client, hasExtra.has(name) ? 11 : packetType.suback);
      if (!hasExtra.delete(name)) hasExtra.add(name);
      client.end();
    }
    retained = `state ${round}`;
    publisher.send(publishPacket('state/pump', retained, { qos: 1, id: 65_000, retain: true }));
    await nextOf(publisher, packetType.puback);
    const enough = pump.taken + 20 + Math.floor(random.next() * 200);
    while (pump.taken < enough) {
      while (pump.open.size < 30) {
        const isForAll = random.next() < 0.3;
        const to = names[Math.floor(random.next() * keepers)] ?? '';
        const payload = String(++serial);
        pump.send(publisher, isForAll ? 'plant/all' : `plant/${to}/line`, payload);
        // Everything that was sent arrives in the end: what the kill interrupts is sent again after it.
        for (const name of isForAll ? hasExtra : [to]) owed.get(name)?.push(payload);
      }
      pump.hear(publisher, await publisher.next());
    }
    await gateway.kill();
    // What was on its way to the publisher was said before the kill.
    await publisher.closed;
    for (const packet of publisher.packets.splice(0)) pump.hear(publisher, packet);
  }
}, 600_000);
