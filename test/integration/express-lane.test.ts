// Random packet sequences, cut anywhere, sent to two brokers: one whose connections have an express lane, and one where
// every packet goes through aedes. Who publishes, who subscribes and where messages go must not be able to tell them apart.
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import type { Client, PublishPacket } from 'aedes';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Receipt } from '../../src/domain/message.ts';
import { GuardedConnection } from '../../src/ingest/embedded/guarded-connection.ts';
import { PacketScanner } from '../../src/ingest/embedded/packet-scanner.ts';
import { Relay } from '../../src/ingest/embedded/relay.ts';
import { systemClock } from '../../src/base/clock.ts';
import {
  connectPacket,
  idOf,
  packetType,
  pingPacket,
  publishPacket,
  pubrelPacket,
  subscribePacket,
  WireClient,
  type WirePacket,
} from '../support/mqtt-wire.ts';

interface Seen {
  readonly topic: string;
  readonly payload: string;
  readonly qos: number;
  readonly dup: boolean;
}

/** A broker of the parts in question alone; its messages are committed in order, a turn of the event loop later. */
class Bench {
  readonly seen: Seen[] = [];
  taken = 0;
  readonly #relay: Relay;
  readonly #server: Server;
  #waiting: Receipt[] = [];

  constructor(isExpress: boolean) {
    this.#relay = new Relay({
      authorizePublish: (client, packet, done) => this.#authorize(client, packet, done),
    });
    this.#relay.on('clientReady', (client) => {
      if (!isExpress || !(client.conn instanceof GuardedConnection)) return;
      client.conn.openLane(this.#relay.subscribed, (publish, receipt) => {
        this.taken++;
        this.#receive(publish, receipt);
      });
    });
    this.#server = createServer((socket) => {
      const scanner = new PacketScanner({ packetBytesMax: 100_000, connectBytesMax: 4_096 });
      const connection = new GuardedConnection(socket, { scanner, clock: systemClock, backlogMax: 1_000_000 });
      this.#relay.handle(connection);
    });
  }

  async start(): Promise<void> {
    await this.#relay.listen();
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async stop(): Promise<void> {
    await new Promise<void>((resolve) => this.#relay.close(resolve));
    await new Promise((resolve) => this.#server.close(resolve));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  #authorize(client: Client | null, packet: PublishPacket, done: (error?: Error | null) => void): void {
    const connection = client?.conn;
    if (!(connection instanceof GuardedConnection)) throw new Error('a message of nobody');
    connection.publishShown();
    const answer: Receipt = (failure) => done(failure ?? null);
    this.#receive(packet, packet.qos > 0 ? connection.answers.expectFrom(answer) : answer);
  }

  #receive(
    { topic, payload, qos, dup }: { topic: string; payload: Uint8Array | string; qos: number; dup: boolean },
    receipt: Receipt,
  ): void {
    this.seen.push({ topic, payload: Buffer.from(payload).toString(), qos, dup });
    if (qos === 0) {
      receipt();
      return;
    }
    if (this.#waiting.push(receipt) === 1) {
      setImmediate(() => {
        const settled = this.#waiting;
        this.#waiting = [];
        for (const settle of settled) settle();
      });
    }
  }
}

type Step =
  | {
      readonly kind: 'publish';
      readonly topic: string;
      readonly qos: 0 | 1 | 2;
      readonly retain: boolean;
      readonly size: number;
    }
  | { readonly kind: 'subscribe' }
  | { readonly kind: 'unsubscribe' }
  | { readonly kind: 'ping' };

const ownTopic = 'devices/own/telemetry';
const watchedTopic = 'devices/watched/telemetry';
const markerTopic = 'watched/end';

/** What one run of a script looked like from outside. */
interface Outcome {
  readonly seen: readonly Seen[];
  readonly pubacks: readonly number[];
  readonly pubrecs: readonly number[];
  /** In no order: a SUBSCRIBE for what is subscribed to already is answered a turn earlier than a new one. */
  readonly subscriptionAnswers: readonly number[];
  readonly pings: number;
  /** Payloads that the subscriber got, by the quality of service of their PUBLISH. */
  readonly watched: Readonly<Record<number, readonly string[]>>;
  /** Payloads that the publisher got back. */
  readonly own: readonly string[];
}

function unsubscribePacket(id: number, filter: string): Buffer {
  const text = Buffer.from(filter);
  return Buffer.from([0xa2, 4 + text.length, id >> 8, id & 0xff, 0, text.length, ...text]);
}

const payloadOf = (step: number, size: number): string => `${step}${'.'.repeat(size)}`;

function packetOf(step: Step, index: number): Buffer {
  const id = index + 1;
  switch (step.kind) {
    case 'publish':
      return publishPacket(step.topic, payloadOf(index, step.size), { qos: step.qos, id, retain: step.retain });
    case 'subscribe':
      return subscribePacket(id, ownTopic);
    case 'unsubscribe':
      return unsubscribePacket(id, ownTopic);
    default:
      return pingPacket;
  }
}

/** Notes what it gets, and acknowledges it once `isFree`: never in the middle of a packet that is sent in pieces. */
async function collect(
  client: WireClient,
  isFree: Promise<void>,
  done: (packets: readonly WirePacket[]) => boolean,
): Promise<WirePacket[]> {
  const send = (bytes: Buffer): void => void isFree.then(() => client.send(bytes));
  const packets: WirePacket[] = [];
  while (!done(packets)) {
    const packet = await client.next();
    packets.push(packet);
    if (packet.type === packetType.pubrec) send(pubrelPacket(idOf(packet)));
    if (packet.type === packetType.publish && ((packet.flags >> 1) & 3) === 1) {
      const topicEnd = 2 + packet.body.readUInt16BE(0);
      send(Buffer.from([0x40, 2, packet.body[topicEnd], packet.body[topicEnd + 1]]));
    }
  }
  return packets;
}

function delivered({ flags, body }: WirePacket): { readonly topic: string; readonly payload: string } {
  const topicEnd = 2 + body.readUInt16BE(0);
  const payloadStart = ((flags >> 1) & 3) > 0 ? topicEnd + 2 : topicEnd;
  return { topic: body.toString('utf8', 2, topicEnd), payload: body.toString('utf8', payloadStart) };
}

function ownOf(packets: readonly WirePacket[]): string[] {
  return packets.filter(({ type }) => type === packetType.publish).map((packet) => delivered(packet).payload);
}

const count = (packets: readonly WirePacket[], type: number): number =>
  packets.filter((packet) => packet.type === type).length;

/** Client ids are new each time, so that no run waits for the end of the one before. */
let runs = 0;

async function run(bench: Bench, steps: readonly Step[], cuts: readonly number[]): Promise<Outcome> {
  bench.seen.length = 0;
  const watcher = await WireClient.open(bench.port, `watcher-${++runs}`);
  watcher.send(subscribePacket(1, watchedTopic, 'watched/#'));
  await watcher.next();
  const publisher = await WireClient.open(bench.port, `publisher-${runs}`);
  publisher.socket.setNoDelay(true);
  const all: readonly Step[] = [
    ...steps,
    { kind: 'publish', topic: markerTopic, qos: 1, retain: false, size: 0 },
    { kind: 'ping' },
  ];
  const stream = Buffer.concat(all.map(packetOf));
  const sent = Promise.withResolvers<void>();
  const answers = collect(publisher, sent.promise, (packets) => {
    const owed = (type: number, wanted: (step: Step) => boolean): boolean =>
      count(packets, type) === all.filter(wanted).length;
    return (
      owed(packetType.puback, (step) => step.kind === 'publish' && step.qos === 1) &&
      owed(packetType.pubcomp, (step) => step.kind === 'publish' && step.qos === 2) &&
      owed(packetType.suback, (step) => step.kind === 'subscribe') &&
      owed(11, (step) => step.kind === 'unsubscribe') &&
      owed(packetType.pingresp, (step) => step.kind === 'ping') &&
      owedToItself(steps).every((payload) => ownOf(packets).includes(payload))
    );
  });
  const deliveries = collect(watcher, Promise.resolve(), (packets) => {
    const last = packets.at(-1);
    const isAtEnd = last?.type === packetType.publish && delivered(last).topic === markerTopic;
    return (
      isAtEnd &&
      count(packets, packetType.publish) ===
        all.filter((step) => step.kind === 'publish' && isWatched(step.topic)).length
    );
  });
  let at = 0;
  for (let turn = 0; at < stream.length; turn++) {
    const end = at + cuts[turn % cuts.length];
    publisher.socket.write(stream.subarray(at, end));
    at = end;
    // The next piece is a segment of its own.
    await new Promise((resolve) => setImmediate(resolve));
  }
  sent.resolve();
  const [answered, received] = await Promise.all([answers, deliveries]);
  publisher.end();
  watcher.end();
  await Promise.all([publisher.closed, watcher.closed]);
  const ids = (type: number): number[] => answered.filter((packet) => packet.type === type).map(idOf);
  const watched: Record<number, string[]> = { 0: [], 1: [], 2: [] };
  for (const packet of received.filter(({ type }) => type === packetType.publish)) {
    const { payload } = delivered(packet);
    const step = all[Number.parseInt(payload, 10)];
    if (step.kind === 'publish') watched[step.qos].push(payload);
  }
  return {
    seen: [...bench.seen],
    pubacks: ids(packetType.puback),
    pubrecs: ids(packetType.pubrec),
    subscriptionAnswers: [...ids(packetType.suback), ...ids(11)].sort((one, other) => one - other),
    pings: count(answered, packetType.pingresp),
    watched,
    own: ownOf(answered),
  };
}

function isWatched(topic: string): boolean {
  return topic === watchedTopic || topic === markerTopic;
}

/**
 * What the publisher must get back: published after a SUBSCRIBE, in a script without UNSUBSCRIBE. That may be done before
 * a message that came first is on disk, and aedes loses a SUBSCRIBE that comes right behind it.
 */
function owedToItself(steps: readonly Step[]): string[] {
  const kinds = steps.map(({ kind }) => kind);
  const from = kinds.includes('unsubscribe') ? -1 : kinds.indexOf('subscribe');
  return steps.flatMap((step, index) =>
    from >= 0 && index > from && step.kind === 'publish' && step.topic === ownTopic
      ? [payloadOf(index, step.size)]
      : [],
  );
}

describe('a connection with an express lane', () => {
  const express = new Bench(true);
  const plain = new Bench(false);
  beforeAll(() => Promise.all([express.start(), plain.start()]));
  afterAll(() => Promise.all([express.stop(), plain.stop()]));

  const topics = [
    'devices/a/telemetry',
    'devices/ä/telemetry',
    'devices/a/telemetry/x',
    watchedTopic,
    ownTopic,
    'other',
  ];
  const publish = fc.record({
    kind: fc.constant('publish' as const),
    topic: fc.constantFrom(...topics),
    qos: fc.constantFrom(0 as const, 0 as const, 1 as const, 1 as const, 1 as const, 1 as const, 2 as const),
    retain: fc.constant(false),
    size: fc.oneof({ weight: 9, arbitrary: fc.nat(100) }, { weight: 1, arbitrary: fc.nat(20_000) }),
  });
  // Not on topics that are subscribed to here: what is retained would come again in the next run.
  const retained = fc.record({
    kind: fc.constant('publish' as const),
    topic: fc.constantFrom('devices/a/telemetry', 'other'),
    qos: fc.constantFrom(0 as const, 1 as const),
    retain: fc.constant(true),
    size: fc.nat(100),
  });
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 20, arbitrary: publish },
    { weight: 2, arbitrary: retained },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('subscribe' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('unsubscribe' as const) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('ping' as const) }) },
  );
  const steps = fc.array(step, { minLength: 1, maxLength: 60, size: 'max' });
  const cuts = fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 100, max: 70_000 })), {
    minLength: 1,
    maxLength: 5,
  });

  it('shows the same messages in the same order, gives the same answers in order and delivers the same', async () => {
    let publishes = 0;
    await fc.assert(
      fc.asyncProperty(steps, cuts, async (script, sizes) => {
        const published = script.filter(({ kind }) => kind === 'publish').length;
        // Pieces of a byte or two of a long script would only take time.
        const pieces = sizes.map((size) => size + Math.floor(Buffer.concat(script.map(packetOf)).length / 400));
        const [quick, slow] = await Promise.all([run(express, script, pieces), run(plain, script, pieces)]);
        publishes += published;
        expect(quick.seen).toEqual(slow.seen);
        expect(quick.seen.map(({ payload }) => Number.parseInt(payload, 10))).toEqual(
          [...script, { kind: 'publish' as const }].flatMap(({ kind }, index) => (kind === 'publish' ? index : [])),
        );
        expect(quick.pubacks).toEqual(slow.pubacks);
        expect(quick.pubacks).toEqual([...quick.pubacks].sort((one, other) => one - other));
        expect(quick.pubrecs).toEqual(slow.pubrecs);
        expect(quick.subscriptionAnswers).toEqual(slow.subscriptionAnswers);
        expect(quick.pings).toBe(slow.pings);
        expect(quick.watched).toEqual(slow.watched);
        // Each once; beyond what is owed only what was on its way when the subscription was made or ended.
        for (const { own } of [quick, slow]) expect(new Set(own).size).toBe(own.length);
      }),
      { numRuns: 150 },
    );
    expect(express.taken).toBeGreaterThan(publishes / 50);
    expect(plain.taken).toBe(0);
  });

  it('takes whatever came behind the CONNECT in one piece', async () => {
    const client = await WireClient.dial(express.port);
    express.seen.length = 0;
    const packets = Array.from({ length: 30 }, (_, index) =>
      publishPacket('devices/a/telemetry', `${index}`, { qos: 1, id: index + 1 }),
    );
    client.send(connectPacket('eager'), ...packets);
    expect((await client.next()).type).toBe(packetType.connack);
    for (let index = 0; index < 30; index++) expect(idOf(await client.next())).toBe(index + 1);
    expect(express.seen.map(({ payload }) => payload)).toEqual(packets.map((_, index) => `${index}`));
    client.end();
    await client.closed;
  });

  it.each([
    ['a topic that is not UTF-8', Buffer.from([0x32, 6, 0, 2, 0xc3, 0x28, 0, 1])],
    ['a topic with a NUL', publishPacket('a\0b', '', { qos: 1, id: 1 })],
    ['a topic with a wildcard', publishPacket('a/+', '', { qos: 1, id: 1 })],
    ['an empty topic', publishPacket('', '', { qos: 1, id: 1 })],
    ['the packet id 0', publishPacket('a', '', { qos: 1, id: 0 })],
    ['quality of service 3', Buffer.from([0x36, 5, 0, 1, 0x61, 0, 1])],
    ['a topic longer than its packet', Buffer.from([0x32, 4, 0, 9, 0x61, 0x62])],
    ['a body too short for a topic', Buffer.from([0x30, 1, 0])],
    ['a SUBSCRIBE with the wrong flags', Buffer.from([0x80, 6, 0, 1, 0, 1, 0x61, 0])],
    ['a packet that only servers send', Buffer.from([0xd0, 0])],
    ['a second CONNECT', connectPacket('again')],
  ])('closes on %s, and nothing of it is seen', async (_, packet) => {
    const client = await WireClient.open(express.port, 'malformed');
    express.seen.length = 0;
    client.send(packet);
    await client.closed;
    expect(express.seen).toEqual([]);
  });

  it('closes when the first packet is no CONNECT', async () => {
    const client = await WireClient.dial(express.port);
    express.seen.length = 0;
    client.send(publishPacket('devices/a/telemetry', '1'));
    await client.closed;
    expect(express.seen).toEqual([]);
  });
});
