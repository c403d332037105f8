import {
  connectPacket,
  disconnectPacket,
  pingPacket,
  pubackPacket,
  publishPacket,
  pubrelPacket,
  subscribePacket,
} from '../support/mqtt-wire.ts';
import type { Mutator } from './mutator.ts';
import { everyMessage, filters } from './seeds.ts';
import { inputOf } from './target.ts';

const messages = everyMessage();
const qosLevels = [0, 1, 2] as const;
/** Some meet, and come and go too often; more are resumed now and then; some have no name. */
const fewIds = ['', ...Array.from({ length: 10 }, (_, index) => `few-${index}`)];
const manyIds = 2_000;

/**
 * What one client says from its CONNECT on: right for the most part, and in a third of all visits changed anywhere. It
 * ends with a PINGREQ, behind as many zeros as its last packet lacks: so there is an answer to wait for, or an end.
 */
export function mqttVisit(mutator: Mutator): { readonly bytes: Buffer; readonly packets: number } {
  const packets = [connect(mutator)];
  const count = 1 + mutator.below(30);
  for (let index = 0; index < count; index++) {
    const packet = next(mutator);
    packets.push(mutator.once(40) ? mutator.mutated([packet]) : packet);
  }
  if (mutator.once(6)) packets.push(disconnectPacket);
  const bytes = mutator.once(4) ? mutator.mutated([Buffer.concat(packets)]) : Buffer.concat(packets);
  return { bytes: Buffer.concat([bytes, Buffer.alloc(lacking(bytes)), pingPacket]), packets: packets.length };
}

/** Bytes that the last packet is short of (MQTT 3.1.1 section 2.2.3); none where the broker will not wait for them. */
function lacking(bytes: Buffer): number {
  let at = 0;
  while (at < bytes.length) {
    let length = 0;
    let place = 0;
    do {
      if (place === 4) return 0;
      if (++at === bytes.length) return 1 + lacking(Buffer.concat([bytes, Buffer.alloc(1)]));
      length += (bytes[at] & 0x7f) * 128 ** place++;
    } while (bytes[at] >= 0x80);
    at += 1 + length;
  }
  return at - bytes.length > 262_144 ? 0 : at - bytes.length;
}

function connect(mutator: Mutator): Buffer {
  const level = mutator.once(20) ? mutator.pick([3, 5, 0x84]) : 4;
  const will = {
    topic: mutator.pick(messages).topic,
    payload: 'offline',
    qos: mutator.pick(qosLevels),
    retain: mutator.once(2),
  };
  const clientId = mutator.once(10) ? mutator.pick(fewIds) : `many-${mutator.below(manyIds)}`;
  const packet = connectPacket(clientId, {
    clean: !mutator.once(4),
    level,
    keepalive: mutator.below(65_536),
    ...(mutator.once(3) ? { will } : {}),
    ...(mutator.once(12) ? { username: 'd1', password: 'dev_00000000000000000000' } : {}),
  });
  return mutator.once(20) ? mutator.mutated([packet]) : packet;
}

function next(mutator: Mutator): Buffer {
  const id = 1 + mutator.below(20);
  switch (mutator.below(14)) {
    case 0:
      return subscribePacket(id, mutator.mutated(filters).toString(), mutator.pick(filters).toString());
    case 1:
      return unsubscribe(id, mutator.pick(filters));
    case 2:
      return pubrelPacket(id);
    case 3:
      // What the client owes for what it was sent, or would owe.
      return mutator.pick([pubackPacket(id), Buffer.from([0x50, 2, 0, id]), Buffer.from([0x70, 2, 0, id])]);
    case 4:
      return pingPacket;
    default:
      return publish(id, mutator);
  }
}

function publish(id: number, mutator: Mutator): Buffer {
  const { topic, payload } = inputOf(messages, mutator);
  const qos = mutator.pick(qosLevels);
  return publishPacket(topic, payload, { qos, id, dup: qos > 0 && mutator.once(4), retain: mutator.once(10) });
}

/** MQTT 3.1.1 section 3.10. */
function unsubscribe(id: number, filter: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0xa2, 4 + filter.length, 0, id, 0, filter.length]), filter]);
}
