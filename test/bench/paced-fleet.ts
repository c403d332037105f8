import { packetId, publishPacket, Sender } from './sender.ts';
import { nowMs } from './statistics.ts';

/** When a message was due, and how long after that its PUBACK came, ms. */
export type AckListener = (due: number, delay: number) => void;

/** Devices with a connection each that publish on a timetable, whether or not earlier messages were acknowledged. */
export class PacedFleet {
  readonly #senders: readonly Sender[];
  readonly #topics: readonly string[];
  /** By connection: when the messages still under way were due, in order. */
  readonly #waiting: number[][];
  readonly #sent: number[];
  #allAcknowledged = Promise.withResolvers<void>();
  #onAck: AckListener = () => {};
  #published = 0;
  #acknowledged = 0;
  #isBroken = false;

  private constructor(senders: readonly Sender[]) {
    this.#senders = senders;
    this.#topics = senders.map((_, index) => `devices/${deviceName(index)}/telemetry`);
    this.#waiting = senders.map(() => []);
    this.#sent = senders.map(() => 0);
    for (const [index, sender] of senders.entries()) {
      sender.onAcks((count) => this.#acks(index, count));
      sender.broken.catch((error: unknown) => {
        this.#isBroken = true;
        this.#allAcknowledged.reject(error);
      });
    }
    this.#allAcknowledged.promise.catch(() => null);
  }

  static async connect(mqttPort: number, devices: number): Promise<PacedFleet> {
    const names = Array.from({ length: devices }, (_, index) => deviceName(index));
    return new PacedFleet(await Promise.all(names.map((name) => Sender.connect(mqttPort, name))));
  }

  onAck(listener: AckListener): void {
    this.#onAck = listener;
  }

  /** Messages published so far. */
  get published(): number {
    return this.#published;
  }

  /**
   * Publishes `perSecond` messages evenly over each second for `seconds`, the devices in turn. A message is due at its
   * place in the timetable, and delays count from there: should the sender or the server fall behind, that is measured
   * too (no coordinated omission). `payload` is given the message's number and when it is due, ms.
   */
  async publish(perSecond: number, seconds: number, payload: (index: number, due: number) => string): Promise<void> {
    const count = perSecond * seconds;
    const begin = nowMs();
    for (let index = 0; index < count; ) {
      const now = nowMs();
      for (let due = begin + (index * 1_000) / perSecond; due <= now && index < count; ) {
        this.#publish(index % this.#senders.length, due, payload(index, due));
        due = begin + (++index * 1_000) / perSecond;
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** Resolves once everything that was published is acknowledged; rejects when a connection ended. */
  async answered(): Promise<void> {
    if (this.#acknowledged === this.#published && !this.#isBroken) return;
    await this.#allAcknowledged.promise;
  }

  /** As `answered`, and ends the connections. */
  async finish(): Promise<void> {
    await this.answered();
    for (const sender of this.#senders) sender.close();
  }

  #publish(device: number, due: number, payload: string): void {
    this.#senders[device]?.send(publishPacket(this.#topics[device], packetId(this.#sent[device]++), payload));
    this.#waiting[device].push(due);
    if (this.#acknowledged === this.#published++ && !this.#isBroken) {
      this.#allAcknowledged = Promise.withResolvers<void>();
      this.#allAcknowledged.promise.catch(() => null);
    }
  }

  #acks(device: number, count: number): void {
    const now = nowMs();
    for (const due of this.#waiting[device].splice(0, count)) this.#onAck(due, now - due);
    this.#acknowledged += count;
    if (this.#acknowledged === this.#published) this.#allAcknowledged.resolve();
  }
}

/** The device of connection `index`. */
export function deviceName(index: number): string {
  return `bench-${index}`;
}
