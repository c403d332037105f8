import { Connection, type Message } from './connection.ts';
import type { GatewayNotice } from './gateway-notice.ts';
import type { Tally } from './tally.ts';

/** Connections are opened in groups this large and this far apart: a gateway is not a stampede target. */
const openTogether = 20;
const openEveryMs = 20;

/** A device as the gateway is to see it. */
export interface Sender {
  readonly id: string;
  /** Facts told at each connect; none for a recording. */
  readonly attributes?: Readonly<Record<string, string>>;
}

export interface PublisherPlan {
  readonly url: string;
  readonly senders: readonly Sender[];
  /** Connections to share; as many as senders or more gives every device its own. */
  readonly connections: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** By device, in place of the one password; every device has its own connection then. */
  readonly tokens: ReadonlyMap<string, string> | null;
  readonly inFlightMax: number;
  readonly tally: Tally;
  readonly notice: GatewayNotice;
}

/**
 * The connections of a run. A device with its own connection uses its id as client id and user name and leaves a last
 * will; on a shared connection there is no will, since a will can name one topic only.
 */
export class Publisher {
  readonly #connections: Connection[];
  /** The senders of each connection, in the order of the connections. */
  readonly #groups: readonly (readonly Sender[])[];
  #opening: NodeJS.Timeout | undefined;
  /** Connections that were up once. */
  readonly #opened = new Set<Connection>();
  #onOpened: () => void = () => {};
  #onSettled: () => void = () => {};

  constructor(plan: PublisherPlan) {
    const wanted = plan.tokens === null ? plan.connections : plan.senders.length;
    const count = Math.max(1, Math.min(wanted, plan.senders.length));
    const isShared = count < plan.senders.length;
    const groups: Sender[][] = Array.from({ length: count }, () => []);
    for (const [at, sender] of plan.senders.entries()) groups[at % count]?.push(sender);
    this.#groups = groups;
    this.#connections = groups.map((senders, index) => {
      const id = isShared ? `simulator-${index + 1}` : (senders[0]?.id ?? 'simulator');
      return new Connection({
        url: plan.url,
        clientId: id,
        username: plan.username ?? id,
        password: plan.tokens?.get(id) ?? plan.password,
        will: isShared ? undefined : { topic: statusTopic(id), payload: 'offline' },
        inFlightMax: plan.inFlightMax,
        waitingMax: senders.length,
        tally: plan.tally,
        notice: plan.notice,
        onConnect: (connection) => {
          announce(connection, senders);
          this.#opened.add(connection);
          if (this.#opened.size === this.#connections.length) this.#onOpened();
        },
        onSettled: () => this.#onSettled(),
      });
    });
  }

  get outstanding(): number {
    return this.#connections.reduce((sum, connection) => sum + connection.outstanding, 0);
  }

  start(): void {
    let opened = 0;
    const open = (): void => {
      for (const connection of this.#connections.slice(opened, opened + openTogether)) connection.start();
      opened += openTogether;
      if (opened < this.#connections.length) this.#opening = setTimeout(open, openEveryMs);
    };
    open();
  }

  /** Waits until every connection was up once, at most `patienceMs`. */
  async opened(patienceMs: number): Promise<void> {
    if (this.#opened.size === this.#connections.length) return;
    await new Promise<void>((resolve) => {
      const patience = setTimeout(resolve, patienceMs);
      this.#onOpened = () => {
        clearTimeout(patience);
        resolve();
      };
    });
  }

  /** Takes a message of the sender at `senderIndex` that is due now. */
  offer(senderIndex: number, message: Message): void {
    this.#connectionOf(senderIndex).offer(message);
  }

  /** Sends a message of the sender at `senderIndex` as soon as there is room; false when `signal` aborted before. */
  async send(senderIndex: number, message: Message, signal: AbortSignal): Promise<boolean> {
    return this.#connectionOf(senderIndex).send(message, signal);
  }

  /** Makes every waiting `send` look at its signal again. */
  interrupt(): void {
    for (const connection of this.#connections) connection.interrupt();
  }

  /**
   * Waits for what is outstanding, says `offline` for every device and disconnects, all within `graceMs` and a second.
   * Messages that still wait for a place after that are counted as skipped; those in flight stay in flight in the tally.
   */
  async stop(graceMs: number): Promise<void> {
    clearTimeout(this.#opening);
    const deadlineMs = performance.now() + graceMs;
    await this.#settled(graceMs);
    for (const connection of this.#connections) connection.abandonWaiting();
    for (const [index, connection] of this.#connections.entries()) {
      for (const sender of this.#groups[index] ?? []) connection.control(statusTopic(sender.id), 'offline', true);
    }
    await this.#settled(Math.max(200, deadlineMs - performance.now()));
    await Promise.race([
      Promise.all(this.#connections.map(async (connection) => connection.stop())),
      new Promise<void>((resolve) => setTimeout(resolve, 1_000).unref()),
    ]);
  }

  async #settled(graceMs: number): Promise<void> {
    if (this.outstanding === 0) return;
    await new Promise<void>((resolve) => {
      const deadline = setTimeout(resolve, graceMs);
      this.#onSettled = () => {
        if (this.outstanding > 0) return;
        clearTimeout(deadline);
        resolve();
      };
    });
    this.#onSettled = () => {};
  }

  #connectionOf(senderIndex: number): Connection {
    const connection = this.#connections[senderIndex % this.#connections.length];
    if (connection === undefined) throw new Error(`no connection for sender ${senderIndex}`);
    return connection;
  }
}

function announce(connection: Connection, senders: readonly Sender[]): void {
  for (const { id, attributes } of senders) {
    connection.control(statusTopic(id), 'online', true);
    if (attributes !== undefined) connection.control(`devices/${id}/attributes`, JSON.stringify(attributes), false);
  }
}

function statusTopic(id: string): string {
  return `devices/${id}/status`;
}
