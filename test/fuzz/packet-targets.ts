import { generate } from 'mqtt-packet';
import { AnswersInOrder } from '../../src/ingest/embedded/express-lane-answers.ts';
import { PacketOrder } from '../../src/ingest/embedded/express-lane-order.ts';
import { ExpressLane } from '../../src/ingest/embedded/express-lane.ts';
import { PacketRefusedError, PacketScanner } from '../../src/ingest/embedded/packet-scanner.ts';
import * as rows from '../../src/ingest/embedded/sessions/session-codec.ts';
import { faultOf, isWorthChecking } from '../../src/ingest/embedded/sessions/strict-packet.ts';
import {
  InboundPacketError,
  InboundPackets,
  readPacketId,
  readPublish,
} from '../../src/ingest/external/inbound-packets.ts';
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
import { type Feed, type FuzzTarget, payloadsOnly, refusing } from './target.ts';

const packetBytesMax = 2_048;

const published = [
  publishPacket('devices/d1/telemetry', '{"temperature":21.4}'),
  publishPacket('devices/d1/telemetry', '{"temperature":21.4}', { qos: 1, id: 7 }),
  publishPacket('devices/d1/telemetry/a', '1', { qos: 1, id: 65_535, dup: true }),
  publishPacket('devices/d1/status', 'online', { qos: 2, id: 8, retain: true }),
  publishPacket(`devices/d1/${'x/'.repeat(40)}y`, 'x'.repeat(200), { qos: 1, id: 9 }),
];
const stream = [
  ...published,
  subscribePacket(3, 'devices/#', '+/+/x'),
  pubackPacket(7),
  pubrelPacket(8),
  pingPacket,
  disconnectPacket,
];
const connected = connectPacket('c1', { username: 'd1', password: 'dev_0', keepalive: 60, clean: false });
const willed = connectPacket('c2', { will: { topic: 'devices/c2/status', payload: 'offline', qos: 1, retain: true } });

/** A stream as a client sends it, several packets in one, so that mutations reach across their borders. */
const streams = [
  Buffer.concat([connected, ...stream]),
  Buffer.concat([willed, ...stream.toReversed()]),
  ...stream.map((packet) => Buffer.concat([connected, packet])),
  Buffer.concat([connected, ...published, ...published, ...published]),
];

const inbound = [
  generate({ cmd: 'connack', returnCode: 0, sessionPresent: true }),
  generate({ cmd: 'suback', messageId: 1, granted: [1, 0x80] }),
  ...published,
];
const inbound5 = published.map((_, index) =>
  generate(
    {
      cmd: 'publish',
      topic: 'devices/d1/telemetry',
      payload: Buffer.from('{"a":1}'),
      qos: index % 2 === 0 ? 1 : 2,
      dup: false,
      retain: false,
      messageId: 5,
      properties: { userProperties: { a: 'b' }, messageExpiryInterval: 7, topicAlias: 3 },
    },
    { protocolVersion: 5 },
  ),
);

/** What reads packets, and rows that were packets. */
export const packetTargets: readonly FuzzTarget[] = [
  { name: 'packets of clients', seeds: payloadsOnly(streams), start: () => scanned },
  { name: 'packets of a broker', seeds: payloadsOnly([...inbound, Buffer.concat(inbound)]), start: () => cutOf(4) },
  {
    name: 'packets of a broker, MQTT 5',
    seeds: payloadsOnly([...inbound5, Buffer.concat(inbound5)]),
    start: () => cutOf(5),
  },
  {
    name: 'session rows',
    seeds: payloadsOnly([
      rows.encodeSession({ absentSince: 1.79e12, owner: 'device:d1' }),
      rows.encodeSubscription(1),
      rows.encodeQueued({ qos: 1, packetId: 7, released: false, topic: 'a/b', payload: Buffer.from('x') }),
      rows.encodeQueued({ qos: 2, packetId: 0, released: true, topic: 'a/b', payload: Buffer.from('x') }),
      rows.encodeRetained({ qos: 1, payload: Buffer.from('online') }),
      rows.encodeWill({ qos: 1, retain: true, owner: 'd1', topic: 'a/b', payload: Buffer.from('x') }),
    ]),
    start: () => readRow,
  },
];

const rowReaders = [
  rows.decodeSession,
  rows.decodeSubscription,
  rows.decodeQueued,
  rows.decodeRetained,
  rows.decodeWill,
];

function readRow({ payload }: { readonly payload: Buffer }, mutator: Mutator): string | null {
  return refusing(rows.SessionRowError, () => {
    mutator.pick(rowReaders)(payload);
  });
}

/** However a stream is cut, the same is taken from it, or it is refused both times. */
const scanned: Feed = ({ payload }, mutator) => {
  const whole = scan([payload]);
  const cut = scan(mutator.pieces(payload));
  if (whole.refusal !== cut.refusal) throw new Error(`cut it says ${cut.refusal}, whole ${whole.refusal}`);
  if (whole.refusal === null && !whole.bytes.equals(cut.bytes)) throw new Error('cut it says something else');
  if (whole.taken !== cut.taken) throw new Error(`cut ${cut.taken} are taken, whole ${whole.taken}`);
  return whole.refusal === null ? null : 'PacketRefusedError';
};

interface Scanned {
  /** Everything that left, in order: packets that were taken and bytes that passed. */
  readonly bytes: Buffer;
  readonly taken: number;
  /** The sentence. */
  readonly refusal: string | null;
}

function fail(error: Error): never {
  throw error;
}

/** As a connection of the embedded broker joins them, without the socket. */
function scan(pieces: readonly Buffer[]): Scanned {
  const scanner = new PacketScanner({ packetBytesMax, connectBytesMax: 1_024 });
  const order = new PacketOrder();
  const left: Buffer[] = [];
  let taken = 0;
  const lane = new ExpressLane({
    subscribed: { version: 1, matches: (topic) => topic.endsWith('/a') },
    answers: new AnswersInOrder({ write: () => {}, fail, now: () => 0 }),
    publish: ({ topic, qos, messageId }) => {
      taken++;
      if (topic === '' || /[+#\0]/.test(topic)) throw new Error(`a message goes to ${JSON.stringify(topic)}`);
      if (qos === 1 && !(messageId !== undefined && messageId >= 1 && messageId <= 65_535))
        throw new Error(`a message of QoS 1 has the id ${messageId}`);
    },
    fail,
  });
  const route = {
    begins: (first: number) => order.begins(first) || isChecked(first),
    take: (bytes: Buffer, first: number, start: number, end: number) => {
      if (ExpressLane.claims(first) && order.isClear && lane.take(bytes, first, start, end)) {
        left.push(Buffer.from([first]), bytes.subarray(start, end));
        return true;
      }
      const fault = isChecked(first) ? faultOf(bytes, first, start, end) : null;
      if (fault !== null) throw new PacketRefusedError(fault);
      return false;
    },
    declines: (first: number) => {
      order.declines(first);
      order.publishShown();
      order.subscriptionsMade();
    },
    pass: (bytes: Buffer) => void left.push(Buffer.from(bytes)),
  };
  try {
    for (const piece of pieces) scanner.scan(piece, route);
  } catch (error) {
    if (!(error instanceof PacketRefusedError)) throw error;
    return { bytes: Buffer.concat(left), taken, refusal: error.message };
  }
  return { bytes: Buffer.concat(left), taken, refusal: null };
}

/** The CONNECT is looked at before there is a connection, and passes whole. */
function isChecked(first: number): boolean {
  return first >> 4 !== 1 && isWorthChecking(first);
}

/** The external broker's side: the same however it is cut, and every packet read as far as it goes. */
function cutOf(protocol: 4 | 5): Feed {
  return ({ payload }, mutator) => {
    const whole = read([payload], protocol);
    const cut = read(mutator.pieces(payload), protocol);
    if (whole.join('\n') !== cut.join('\n')) throw new Error('cut it says something else');
    return whole.at(-1)?.startsWith('refused') === true ? 'InboundPacketError' : null;
  };
}

function read(pieces: readonly Buffer[], protocol: 4 | 5): readonly string[] {
  const packets = new InboundPackets(packetBytesMax);
  const said: string[] = [];
  const refusal = refusing(InboundPacketError, () => {
    for (const piece of pieces) {
      for (const packet of packets.take(piece)) {
        said.push(`${packet.type} ${packet.flags} ${packet.bytes.toString('hex')}`);
        if (packet.type === 3) {
          const { topic, qos, packetId } = readPublish(packet, protocol);
          said.push(`${qos} ${packetId} ${topic}`);
        } else if (packet.type >= 4) {
          said.push(String(readPacketId(packet)));
        }
      }
    }
  });
  if (refusal !== null) said.push(`refused: ${refusal}`);
  return said;
}
