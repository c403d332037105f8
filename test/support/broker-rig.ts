import { connectAsync, type MqttClient } from 'mqtt';
import type { Log } from '../../src/base/log.ts';
import type { Message, Receipt } from '../../src/domain/message.ts';
import type { Principal } from '../../src/domain/principal.ts';
import { filterCovers, filterMatches } from '../../src/domain/topic-filter.ts';
import {
  type BrokerOptions,
  type BrokerParts,
  type BrokerSink,
  EmbeddedBroker,
} from '../../src/ingest/embedded/broker.ts';
import type { ConnectFacts, Gatekeeper } from '../../src/ingest/gatekeeper.ts';
import { RedeliveryBook } from '../../src/ingest/redelivery.ts';
import { FakeClock } from './fake-clock.ts';
import { type ConnectOptions, WireClient } from './mqtt-wire.ts';

/** Takes messages, and keeps their receipts while it is told to. */
export class TestSink implements BrokerSink {
  readonly messages: Message[] = [];
  readonly held: Receipt[] = [];
  readonly refusals: string[] = [];
  holding = false;
  redeliveries = 0;
  #changed = Promise.withResolvers<void>();

  receive(message: Message, receipt: Receipt): void {
    this.messages.push(message);
    if (this.holding) this.held.push(receipt);
    else receipt();
    this.#change();
  }

  redelivered(): void {
    this.redeliveries++;
    this.#change();
  }

  shed(): void {}

  refused(code: string): void {
    this.refusals.push(code);
    this.#change();
  }

  /** Waits until `reached`, looking again whenever something arrives. */
  async until(reached: (sink: TestSink) => boolean): Promise<void> {
    while (!reached(this)) await this.#changed.promise;
  }

  release(failure?: Error): void {
    this.holding = false;
    for (const receipt of this.held.splice(0)) receipt(failure);
  }

  get payloads(): readonly string[] {
    return this.messages.map(({ payload }) => Buffer.from(payload).toString());
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** Rights of a device in these tests: below its own id, and whatever else it was given. */
interface TestDevice {
  readonly device: string;
  readonly rights: readonly string[];
}

/**
 * A gatekeeper that a test drives: passwords and what they stand for. The user name is of no interest, and without a
 * password everybody is in open mode.
 */
export class TestGatekeeper implements Gatekeeper {
  readonly asked: ConnectFacts[] = [];
  readonly barred = new Set<string>();
  readonly revoked = new Set<string>();
  /** Topics that nobody may have, though subscriptions to them were granted before. */
  readonly withheld: string[] = [];
  readonly #principals = new Map<string, Principal>();
  readonly #devices = new Map<string, TestDevice>();
  /** Lets a CONNECT wait. */
  admitting: Promise<void> = Promise.resolve();

  device(password: string, device: string, ...rights: readonly string[]): this {
    this.#principals.set(password, { kind: 'device', device, credential: password, forOthers: false });
    this.#devices.set(device, { device, rights: [`devices/${device}/#`, ...rights] });
    return this;
  }

  principal(password: string, principal: Principal): this {
    this.#principals.set(password, principal);
    return this;
  }

  isBarred(remoteAddress: string | undefined): Promise<boolean> {
    return Promise.resolve(this.barred.has(remoteAddress ?? ''));
  }

  async admit(facts: ConnectFacts): ReturnType<Gatekeeper['admit']> {
    this.asked.push(facts);
    await this.admitting;
    const { password, certificate } = facts;
    if (certificate?.commonName) {
      const device = certificate.commonName;
      this.#devices.set(device, { device, rights: [`devices/${device}/#`] });
      return { allowed: true, principal: { kind: 'device', device, credential: 'certificate', forOthers: false } };
    }
    if (password === undefined) return { allowed: true, principal: { kind: 'open' } };
    const principal = this.#principals.get(password);
    if (principal && !this.revoked.has(password)) return { allowed: true, principal };
    return { allowed: false, code: 4, detail: 'wrong password' };
  }

  mayPublish(principal: Principal, topic: string): boolean {
    return this.#rights(principal, 'publish').some((filter) => filterMatches(filter, topic));
  }

  maySubscribe(principal: Principal, filter: string): boolean {
    return this.#rights(principal, 'subscribe').some((allowed) => filterCovers(allowed, filter));
  }

  mayReceive(principal: Principal, topic: string): boolean {
    if (this.withheld.some((filter) => filterMatches(filter, topic))) return false;
    return this.#rights(principal, 'subscribe').some((filter) => filterMatches(filter, topic));
  }

  isValid(principal: Principal): boolean {
    return principal.kind !== 'device' || !this.revoked.has(principal.credential);
  }

  #rights(principal: Principal, kind: 'publish' | 'subscribe'): readonly string[] {
    if (principal.kind === 'open') return ['#'];
    if (principal.kind === 'key') return principal.mqtt[kind];
    if (principal.kind === 'device') return this.#devices.get(principal.device)?.rights ?? [];
    const topic = `devices/${principal.device}/provision`;
    return [kind === 'publish' ? topic : `${topic}/reply`];
  }
}

/** A warning: its sentence, and what it says beside. */
export interface Warning {
  readonly message: string;
  readonly fields: object;
}

export interface BrokerRig {
  readonly broker: EmbeddedBroker;
  readonly sink: TestSink;
  readonly gatekeeper: TestGatekeeper;
  readonly clock: FakeClock;
  readonly warnings: string[];
  readonly log: Warning[];
  readonly port: number;
  /** Says CONNECT; the CONNACK must say 0. */
  open(clientId: string, options?: ConnectOptions): Promise<WireClient>;
  /** A connection on which nothing was said. */
  dial(): Promise<WireClient>;
  mqttClient(clientId: string): Promise<MqttClient>;
}

/** Real sockets, a real aedes; faked are the clock and what stands behind the sink. Everything ends with `cleanups`. */
export async function startBroker(
  cleanups: (() => unknown)[],
  options: Partial<BrokerOptions> = {},
  parts: Partial<Omit<BrokerParts, 'sink' | 'clock' | 'gatekeeper'>> & { gatekeeper?: TestGatekeeper } = {},
): Promise<BrokerRig> {
  const sink = new TestSink();
  const clock = new FakeClock();
  const warnings: string[] = [];
  const lines: Warning[] = [];
  const log: Log = {
    info: () => {},
    debug: () => {},
    error: () => {},
    warn: (fields, message) => {
      warnings.push(message);
      lines.push({ message, fields });
    },
  };
  const limits = { packetBytesMax: 262_144, connectionsMax: 100, stallMax: 5_000, subscriberBacklogMax: 1_000_000 };
  const gatekeeper = parts.gatekeeper ?? new TestGatekeeper();
  const broker = new EmbeddedBroker(
    { host: '127.0.0.1', port: 0, ...limits, ...options },
    { redelivery: new RedeliveryBook(), random: { next: () => 0.5 }, log, ...parts, sink, clock, gatekeeper },
  );
  await broker.start();
  cleanups.push(async () => {
    sink.release();
    await stopped(broker, clock);
  });
  const { port } = broker;
  return {
    broker,
    sink,
    gatekeeper,
    clock,
    warnings,
    log: lines,
    port,
    async open(clientId, connect) {
      const client = await WireClient.open(port, clientId, connect);
      cleanups.push(() => client.end());
      return client;
    },
    async dial() {
      const client = await WireClient.dial(port);
      cleanups.push(() => client.end());
      return client;
    },
    async mqttClient(clientId) {
      const url = `mqtt://127.0.0.1:${port}`;
      const client = await connectAsync(url, { clientId, protocolVersion: 4, reconnectPeriod: 0 });
      cleanups.push(() => client.endAsync(true));
      return client;
    },
  };
}

/** Stops the broker, turning the clock for as long as it waits. */
export async function stopped(broker: EmbeddedBroker, clock: FakeClock): Promise<void> {
  const state = { done: false };
  const stopping = broker.stop().then(() => {
    state.done = true;
  });
  while (!state.done) {
    clock.advance(5);
    await turn();
  }
  await stopping;
}

/** Waits for a thing that another part of this process does, turn by turn. */
export async function eventually(reached: () => boolean): Promise<void> {
  while (!reached()) await turn();
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
