import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { Message } from '../../domain/message.ts';
import type { OutgoingMessage } from '../../domain/outgoing-message.ts';
import type { MessageSink } from '../message-sink.ts';
import type { RedeliveryBook } from '../redelivery.ts';
import { Connection, notYet } from './connection.ts';
import type { Endpoint } from './endpoint.ts';

export interface ExternalBrokerOptions {
  readonly endpoint: Endpoint;
  readonly protocol: 4 | 5;
  readonly clientId: string;
  readonly username: string;
  readonly password: string;
  /** MQTT filters. */
  readonly topics: readonly string[];
  /** Connections that share the subscription. */
  readonly connections: number;
  /** Name of the shared subscription, or "" for none: then there is one connection. */
  readonly group: string;
  readonly inFlightMax: number;
  readonly packetBytesMax: number;
  /** Told to whoever listens at the broker: `online` when the first connection is subscribed, `offline` as its last word and its will. */
  readonly state?: { readonly online: OutgoingMessage; readonly offline: OutgoingMessage } | null;
}

export interface ExternalBrokerParts {
  readonly sink: MessageSink;
  readonly redelivery: RedeliveryBook;
  /** Takes what the broker had retained when we came: old states, by which a dialect knows its devices. */
  readonly retained: (message: Message) => void;
  /** The broker has granted the subscription, again after it was away. */
  readonly served?: () => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface ExternalBrokerCounts {
  /** Connections that are subscribed. */
  readonly connections: number;
  /** How often a connection ended. */
  readonly lost: number;
  /** Messages that wait for the disk. */
  readonly waiting: number;
  /** Messages to devices that could not be handed to the broker. */
  readonly unsent: number;
}

/** How long the broker is given to send what it retained. */
const retainedMs = 3_000;
const stopGraceMs = 2_000;

/**
 * The user's own broker: several connections share one subscription (`$share`), and each message is acknowledged when it
 * is on disk. Their sessions last, so what comes while the gateway is away waits at the broker.
 */
export class ExternalBroker {
  readonly #options: ExternalBrokerOptions;
  readonly #parts: ExternalBrokerParts;
  readonly #connections: readonly Connection[];
  #listener: Connection | undefined;
  #windowOpen = true;
  #healthy = true;
  #stopped: Promise<void> | undefined;
  #unsent = 0;

  constructor(options: ExternalBrokerOptions, parts: ExternalBrokerParts) {
    this.#options = options;
    this.#parts = parts;
    const { topics, group } = options;
    const filters = group === '' ? topics : topics.map((topic) => `$share/${group}/${topic}`);
    const count = group === '' ? 1 : options.connections;
    this.#connections = Array.from(
      { length: count },
      (_, index) =>
        new Connection(
          {
            ...this.#common(`${options.clientId}-${index + 1}`),
            lasting: true,
            filters,
            will: index === 0 ? (options.state?.offline ?? null) : null,
          },
          { ...parts, ...(index === 0 ? { subscribed: () => this.#served() } : {}) },
        ),
    );
  }

  /** Begins to connect, and goes on trying for as long as it takes; `fault` says how it stands. */
  start(): void {
    for (const connection of this.#connections) connection.start();
    if (this.#options.group !== '') this.#listenForRetained();
  }

  /** A sentence while nothing comes in; null while at least one connection is served. */
  get fault(): string | null {
    const faults = this.#connections.map(({ fault }) => fault);
    if (faults.includes(null)) return null;
    return `the external MQTT broker does not serve us: ${faults.find((fault) => fault !== notYet) ?? notYet}`;
  }

  counts(): ExternalBrokerCounts {
    return {
      connections: this.#connections.filter(({ fault }) => fault === null).length,
      lost: this.#connections.reduce((sum, { lost }) => sum + lost, 0),
      waiting: this.#waiting(),
      unsent: this.#unsent,
    };
  }

  /** The in-flight window is full (`false`) or has room again (`true`). */
  windowChanged(open: boolean): void {
    this.#windowOpen = open;
    this.#hold();
  }

  /** While storage is unavailable nothing is read: the broker keeps it. */
  storageChanged(healthy: boolean): void {
    this.#healthy = healthy;
    this.#hold();
  }

  /** To whoever subscribes at the broker. Answers whether the broker took it (QoS 0: whether it was sent). */
  async publish(message: OutgoingMessage): Promise<boolean> {
    const connection = this.#connections.find(({ fault }) => fault === null);
    const taken = connection !== undefined && (await connection.publish(message));
    if (!taken) this.#unsent++;
    return taken;
  }

  /** Takes no more messages, waits a moment for those that are being stored, and leaves. May come twice. */
  stop(): Promise<void> {
    this.#stopped ??= this.#leave();
    return this.#stopped;
  }

  async #leave(): Promise<void> {
    for (const connection of this.#connections) connection.leave();
    const { clock } = this.#parts;
    const deadline = clock.monotonic() + stopGraceMs;
    while (this.#waiting() > 0 && clock.monotonic() < deadline) await clock.sleep(5);
    await this.#tell('offline');
    const connections = this.#listener ? [...this.#connections, this.#listener] : this.#connections;
    await Promise.all(connections.map((connection) => connection.stop()));
  }

  #served(): void {
    void this.#tell('online');
    this.#parts.served?.();
  }

  async #tell(state: 'online' | 'offline'): Promise<void> {
    const message = this.#options.state?.[state];
    if (message) await this.#connections[0]?.publish(message);
  }

  #waiting(): number {
    return this.#connections.reduce((sum, { waiting }) => sum + waiting, 0);
  }

  #hold(): void {
    const held = !this.#windowOpen || !this.#healthy;
    for (const connection of this.#connections) connection.hold(held);
  }

  /** A shared subscription is not sent what was retained (MQTT 5 section 4.8.2), so one that is not asks for it once. */
  #listenForRetained(): void {
    const { clock } = this.#parts;
    const listener = new Connection(
      {
        ...this.#common(`${this.#options.clientId}-retained`),
        lasting: false,
        filters: this.#options.topics,
        will: null,
      },
      {
        ...this.#parts,
        // News comes through the shared subscription, too.
        sink: { receive: (_message, receipt) => receipt(), redelivered: () => {} },
        subscribed: () => clock.after(retainedMs, () => void listener.stop()),
      },
    );
    this.#listener = listener;
    listener.start();
  }

  #common(clientId: string): {
    readonly endpoint: Endpoint;
    readonly clientId: string;
    readonly username: string;
    readonly password: string;
    readonly protocol: 4 | 5;
    readonly packetBytesMax: number;
    readonly inFlightMax: number;
  } {
    const { endpoint, username, password, protocol, packetBytesMax, inFlightMax } = this.#options;
    return { endpoint, clientId, username, password, protocol, packetBytesMax, inFlightMax };
  }
}
