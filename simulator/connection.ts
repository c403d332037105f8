import { connect, type MqttClient } from 'mqtt';
import type { GatewayNotice } from './gateway-notice.ts';
import type { Tally } from './tally.ts';

const firstRetryMs = 500;
const longestRetryMs = 15_000;
const connackTimeoutMs = 10_000;

export interface Message {
  readonly topic: string;
  readonly payload: string;
  /** Values inside. */
  readonly readings: number;
  readonly fault?: 'late' | 'duplicate';
}

export interface ConnectionPlan {
  readonly url: string;
  readonly clientId: string;
  readonly username: string;
  readonly password: string | undefined;
  /** Published retained by the gateway when this connection breaks. */
  readonly will: { readonly topic: string; readonly payload: string } | undefined;
  /** Unacknowledged messages at most. */
  readonly inFlightMax: number;
  /** Messages at most that wait for a place among those. */
  readonly waitingMax: number;
  readonly tally: Tally;
  readonly notice: GatewayNotice;
  /** Called at each connect, the first and every later one. */
  readonly onConnect: (connection: Connection) => void;
  /** Called when something outstanding was settled. */
  readonly onSettled: () => void;
}

/**
 * One MQTT connection with two bounds: messages in flight and messages waiting. Messages in flight when the connection
 * breaks are sent again after the reconnect, with DUP as MQTT-3.3.1-1 asks, and keep their place; at QoS 0 they are
 * counted as errors, since nobody can know.
 */
export class Connection {
  readonly #plan: ConnectionPlan;
  readonly #waiting: { message: Message; offeredMs: number }[] = [];
  #client: MqttClient | undefined;
  #isReady = false;
  #inFlight = 0;
  #controlInFlight = 0;
  #attempt = 0;
  /** Counts connects, so that a late answer about a message of an earlier connection is told apart at QoS 0. */
  #generation = 0;
  #roomWaiters: (() => void)[] = [];

  constructor(plan: ConnectionPlan) {
    this.#plan = plan;
  }

  /** Messages that are not settled: waiting, in flight, or control messages in flight. */
  get outstanding(): number {
    return this.#waiting.length + this.#inFlight + this.#controlInFlight;
  }

  start(): void {
    const { url, clientId, username, password, will } = this.#plan;
    const client = connect(url, {
      clientId,
      username,
      ...(password === undefined ? {} : { password }),
      ...(will === undefined ? {} : { will: { ...will, payload: Buffer.from(will.payload), qos: 1, retain: true } }),
      protocolVersion: 4,
      clean: true,
      keepalive: 30,
      connectTimeout: connackTimeoutMs,
      reconnectPeriod: this.#retryMs(),
      reconnectOnConnackError: true,
      queueQoSZero: false,
    });
    this.#client = client;
    client.on('connect', () => this.#connected());
    // The period is read by the library's own listener, which must come after this one.
    client.prependListener('close', () => this.#closed(client));
    client.on('error', (error) => this.#plan.notice.failed(error, clientId));
    client.on('packetsend', (packet) => {
      if (packet.cmd === 'publish' && packet.qos > 0 && !this.#isReady) packet.dup = true;
    });
  }

  /** Takes a message that is due now: sends it, lets it wait, or counts it as not sent. Never queues without bound. */
  offer(message: Message): void {
    const { tally, inFlightMax, waitingMax } = this.#plan;
    if (!this.#isReady) tally.offline++;
    else if (this.#waiting.length === 0 && this.#inFlight < inFlightMax) this.#publish(message, performance.now());
    else if (this.#waiting.length < waitingMax) {
      tally.blocked++;
      this.#waiting.push({ message, offeredMs: performance.now() });
    } else tally.skipped++;
  }

  /** Waits until the connection is up and has a place in flight, then sends; false when `signal` aborted before. */
  async send(message: Message, signal: AbortSignal): Promise<boolean> {
    while (!this.#isReady || this.#inFlight >= this.#plan.inFlightMax) {
      if (signal.aborted) return false;
      await new Promise<void>((resolve) => this.#roomWaiters.push(resolve));
    }
    this.#publish(message, performance.now());
    return true;
  }

  /** Makes every waiting `send` look at its signal again. */
  interrupt(): void {
    const waiters = this.#roomWaiters;
    this.#roomWaiters = [];
    for (const resume of waiters) resume();
  }

  /** Publishes a status or attributes, QoS 1, outside of the bound for telemetry; nothing when the connection is down. */
  control(topic: string, payload: string, retain: boolean): void {
    if (!this.#isReady) return;
    this.#controlInFlight++;
    this.#client?.publish(topic, payload, { qos: 1, retain }, (error) => {
      this.#controlInFlight--;
      if (error === undefined || error === null) this.#plan.tally.control++;
      this.#plan.onSettled();
    });
  }

  /** Gives up what waits, for a run that has no time left. */
  abandonWaiting(): void {
    this.#plan.tally.skipped += this.#waiting.length;
    this.#waiting.length = 0;
  }

  /** Disconnects; politely when nothing is outstanding, so that the will is not published. */
  async stop(): Promise<void> {
    const client = this.#client;
    if (client === undefined) return;
    await new Promise<void>((resolve) => client.end(!this.#isReady || this.outstanding > 0, {}, () => resolve()));
  }

  #publish(message: Message, offeredMs: number): void {
    const { tally } = this.#plan;
    const generation = this.#generation;
    tally.sent++;
    tally.readings += message.readings;
    if (message.fault === 'late') tally.late++;
    else if (message.fault === 'duplicate') tally.duplicates++;
    this.#inFlight++;
    this.#client?.publish(message.topic, message.payload, { qos: tally.qos }, (error) => {
      if (tally.qos === 0 && generation !== this.#generation) return;
      this.#inFlight--;
      if (error !== undefined && error !== null) tally.errors++;
      else if (tally.qos > 0) {
        tally.acked++;
        tally.acks.record(performance.now() - offeredMs);
      }
      this.#refill();
      this.#plan.onSettled();
    });
  }

  #refill(): void {
    while (this.#isReady && this.#inFlight < this.#plan.inFlightMax) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      this.#publish(next.message, next.offeredMs);
    }
    if (this.#isReady && this.#inFlight < this.#plan.inFlightMax) this.interrupt();
  }

  #connected(): void {
    const { tally, notice, onConnect } = this.#plan;
    this.#isReady = true;
    this.#attempt = 0;
    this.#generation++;
    tally.connects++;
    tally.connected++;
    notice.connected();
    onConnect(this);
    this.#refill();
  }

  #closed(client: MqttClient): void {
    const { tally } = this.#plan;
    if (this.#isReady) tally.connected--;
    this.#isReady = false;
    if (tally.qos === 0) {
      tally.errors += this.#inFlight;
      this.#inFlight = 0;
      this.#generation++;
    }
    client.options.reconnectPeriod = this.#retryMs();
    this.#attempt++;
    this.#plan.onSettled();
  }

  /** Exponential with jitter, because the library's own period is constant and a fleet would return in step. */
  #retryMs(): number {
    const steady = Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(this.#attempt, 8));
    return Math.round(steady * (0.7 + 0.6 * Math.random()));
  }
}
