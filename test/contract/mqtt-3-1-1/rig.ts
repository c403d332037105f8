import { afterEach } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLog } from '../../../src/base/log.ts';
import { seededRandom } from '../../../src/base/random.ts';
import type { Message, Receipt } from '../../../src/domain/message.ts';
import { type BrokerParts, type BrokerSink, defaultLimits } from '../../../src/ingest/embedded/broker-parts.ts';
import { EmbeddedBroker } from '../../../src/ingest/embedded/broker.ts';
import type { TlsOptions } from '../../../src/ingest/embedded/listeners.ts';
import { type SessionLimits, SessionStore } from '../../../src/ingest/embedded/sessions/session-store.ts';
import { RedeliveryBook } from '../../../src/ingest/redelivery.ts';
import { type connectPacket, packetType, pingPacket, WireClient, type WirePacket } from '../../support/mqtt-wire.ts';
import { openGatekeeper } from '../../support/open-gatekeeper.ts';
import { type Published, readPublish, subscribe } from './packets.ts';
import { SessionDisk } from './session-disk.ts';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const sessionLimits: SessionLimits = {
  sessionsMax: 100,
  sessionBytesMax: 16 << 20,
  queueMessagesMax: 1_000,
  queueBytesMax: 1 << 20,
  sessionExpiry: 86_400_000,
  retainedMax: 1_000,
  retainedBytesMax: 1 << 20,
};

/** Accepts everything, as a gateway whose disk never fails; `hold` keeps receipts back. */
class Sink implements BrokerSink {
  readonly messages: Message[] = [];
  readonly held: Receipt[] = [];
  hold = false;
  isGone = false;

  receive(message: Message, receipt: Receipt): void {
    if (this.isGone) return;
    this.messages.push(message);
    if (this.hold) this.held.push(receipt);
    else setImmediate(receipt);
  }

  redelivered(): void {}

  refused(): void {}
  shed(): void {}

  get payloads(): readonly string[] {
    return this.messages.map(({ payload }) => Buffer.from(payload).toString());
  }
}

export interface RigOptions {
  readonly sessions?: Partial<SessionLimits>;
  readonly parts?: Partial<BrokerParts>;
  readonly tls?: TlsOptions;
}

/** The embedded broker with durable sessions, on a real port. */
export class Rig {
  readonly #options: RigOptions;
  disk = new SessionDisk();
  sink = new Sink();
  store!: SessionStore;
  broker!: EmbeddedBroker;

  private constructor(options: RigOptions) {
    this.#options = options;
  }

  static async start(options: RigOptions = {}): Promise<Rig> {
    const rig = new Rig(options);
    await rig.#begin();
    cleanups.push(() => rig.#end());
    return rig;
  }

  get port(): number {
    return this.broker.port;
  }

  /** What a kill and a new start leave: the rows that were committed, and nobody connected. */
  async killAndStart(): Promise<void> {
    const disk = this.disk.kill();
    this.sink.isGone = true;
    await this.broker.stop();
    this.disk = disk;
    this.sink = new Sink();
    await this.#begin();
  }

  async dial(): Promise<WireClient> {
    const client = await WireClient.dial(this.port);
    cleanups.push(() => client.end());
    return client;
  }

  async open(...options: Parameters<typeof connectPacket>): Promise<WireClient> {
    const client = await WireClient.open(this.port, ...options);
    cleanups.push(() => client.end());
    return client;
  }

  /** Sends the bytes on a connection of their own, waits for its end, and answers with what came before that. */
  async untilClosed(...bytes: readonly Uint8Array[]): Promise<readonly WirePacket[]> {
    const client = await this.dial();
    client.send(...bytes);
    await closedUnanswered(client, ({ type, body }) => type === packetType.connack && body[1] === 0);
    return client.packets;
  }

  /** The same behind a CONNECT that was accepted. */
  async closesClient(...bytes: readonly Uint8Array[]): Promise<readonly WirePacket[]> {
    const client = await this.open('misbehaving');
    client.send(...bytes, pingPacket);
    await closedUnanswered(client, ({ type }) => type === packetType.pingresp);
    return client.packets;
  }

  async subscriber(clientId: string, filter: string, qos: number, clean = true): Promise<WireClient> {
    const client = await this.open(clientId, { clean });
    client.send(subscribe(1, [filter, qos]));
    await nextOf(client, packetType.suback);
    return client;
  }

  async #begin(): Promise<void> {
    const clock = systemClock;
    const parts = { write: this.disk.write, clock, log: silentLog };
    this.store = new SessionStore({ ...sessionLimits, ...this.#options.sessions }, parts, this.disk.rows);
    const limits = { ...defaultLimits, packetBytesMax: 262_144, connectionsMax: 1_000 };
    this.broker = new EmbeddedBroker(
      {
        ...limits,
        ...(this.#options.tls && { tls: this.#options.tls }),
        host: '127.0.0.1',
        port: 0,
        stallMax: 10_000,
        subscriberBacklogMax: 1_000_000,
      },
      {
        sink: this.sink,
        redelivery: new RedeliveryBook(),
        gatekeeper: openGatekeeper(),
        clock,
        random: seededRandom(1),
        log: silentLog,
        sessions: this.store,
        ...this.#options.parts,
      },
    );
    await this.broker.start();
  }

  async #end(): Promise<void> {
    for (const receipt of this.sink.held.splice(0)) receipt();
    await this.broker.stop();
    await this.store.stop();
  }
}

/** The next packet of the type; others before it are passed over. */
export async function nextOf(client: WireClient, type: number): Promise<WirePacket> {
  for (let found = await client.next(); ; found = await client.next()) if (found.type === type) return found;
}

export async function nextPublish(client: WireClient): Promise<Published> {
  return readPublish(await nextOf(client, packetType.publish));
}

/** Everything that came until now: the broker was asked for a PINGRESP and answered. */
export async function settled(client: WireClient): Promise<WirePacket[]> {
  const found: WirePacket[] = [];
  // Deliveries leave a few turns after what caused them.
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
  client.send(pingPacket);
  for (let next = await client.next(); next.type !== packetType.pingresp; next = await client.next()) found.push(next);
  return found;
}

/** Waits for a thing that another part of this process does, turn by turn. */
export async function eventually(reached: () => boolean): Promise<void> {
  while (!reached()) await new Promise((resolve) => setImmediate(resolve));
}

/** Waits for the end of a connection, and fails when it goes on instead. */
async function closedUnanswered(client: WireClient, goesOn: (packet: WirePacket) => boolean): Promise<void> {
  const state = { isClosed: false };
  void client.closed.then(() => {
    state.isClosed = true;
  });
  while (!state.isClosed) {
    if (client.packets.some(goesOn)) throw new Error('the connection goes on');
    await new Promise((resolve) => setImmediate(resolve));
  }
}
