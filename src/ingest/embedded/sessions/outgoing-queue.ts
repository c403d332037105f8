import type { StoredPacket, StoredRelease } from './packet.ts';

/** One message that a session is owed. */
export interface Owed {
  /** Its number in the order of all that were ever queued. */
  readonly seq: number;
  packet: StoredPacket | StoredRelease;
  readonly bytes: number;
  /** Which message of aedes it is a copy of, see `originOf`. */
  readonly origin: string;
}

const packetIdMax = 65_535;

/**
 * What one session is owed, in order. A message is waiting, then leaving (handed to aedes, not yet written), then in
 * flight under a packet id until its PUBACK or PUBCOMP. Everything is found without a search.
 */
export class OutgoingQueue {
  readonly #waiting = new Map<number, Owed>();
  readonly #leaving = new Map<number, Owed>();
  readonly #inFlight = new Map<number, Owed>();
  readonly #origins = new Map<string, Owed>();
  #bytes = 0;
  #lastId = 0;

  get size(): number {
    return this.#waiting.size + this.underWay;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Messages that count in the window. */
  get underWay(): number {
    return this.#leaving.size + this.#inFlight.size;
  }

  /** The oldest that was not handed out. */
  get firstWaiting(): Owed | undefined {
    return this.#waiting.values().next().value;
  }

  /** Everything in order: what is in flight, then the rest. */
  *all(): Generator<Owed> {
    yield* [...this.#inFlight.values(), ...this.#leaving.values()].sort((a, b) => a.seq - b.seq);
    yield* this.#waiting.values();
  }

  inFlight(): Owed[] {
    return [...this.#inFlight.values()].sort((a, b) => a.seq - b.seq);
  }

  add(owed: Owed): void {
    this.#bytes += owed.bytes;
    this.#origins.set(owed.origin, owed);
    const { messageId } = owed.packet;
    if (messageId === undefined) this.#waiting.set(owed.seq, owed);
    else this.#inFlight.set(messageId, owed);
  }

  byOrigin(origin: string): Owed | undefined {
    return this.#origins.get(origin);
  }

  byPacketId(id: number | undefined): Owed | undefined {
    return id === undefined ? undefined : this.#inFlight.get(id);
  }

  /** By its number: one that was handed out, or is in flight under `packetId`. */
  bySeq(seq: number, packetId: number | undefined): Owed | undefined {
    const owed = this.#leaving.get(seq) ?? this.byPacketId(packetId);
    return owed?.seq === seq ? owed : undefined;
  }

  /** Hands a waiting message out. */
  leave(owed: Owed): void {
    this.#waiting.delete(owed.seq);
    this.#leaving.set(owed.seq, owed);
  }

  /**
   * The message is about to be written under `id`; where another one is in flight under that, the next free id is taken
   * instead (MQTT 3.1.1 section 2.3.1). Answers the id that it has now.
   */
  send(owed: Owed, id: number): number {
    const before = owed.packet.messageId;
    const taken = this.#inFlight.get(id);
    const free = taken && taken !== owed ? this.#freeId(id) : id;
    if (before !== undefined && before !== free) this.#inFlight.delete(before);
    this.#waiting.delete(owed.seq);
    this.#leaving.delete(owed.seq);
    owed.packet.messageId = free;
    this.#inFlight.set(free, owed);
    return free;
  }

  /** Its client is gone: what was handed out and not written waits again, what was written is sent again, as a duplicate. */
  recall(): void {
    if (this.#leaving.size > 0) {
      const waiting = [...this.#leaving.values(), ...this.#waiting.values()].sort((a, b) => a.seq - b.seq);
      this.#leaving.clear();
      this.#waiting.clear();
      for (const owed of waiting) this.#waiting.set(owed.seq, owed);
    }
    for (const { packet } of this.#inFlight.values()) if ('dup' in packet) packet.dup = true;
  }

  remove(owed: Owed): void {
    this.#waiting.delete(owed.seq);
    this.#leaving.delete(owed.seq);
    const { messageId } = owed.packet;
    if (messageId !== undefined && this.#inFlight.get(messageId) === owed) this.#inFlight.delete(messageId);
    if (this.#origins.get(owed.origin) === owed) this.#origins.delete(owed.origin);
    this.#bytes -= owed.bytes;
  }

  #freeId(from: number): number {
    this.#lastId = Math.max(this.#lastId, from);
    for (;;) {
      this.#lastId = (this.#lastId % packetIdMax) + 1;
      if (!this.#inFlight.has(this.#lastId)) return this.#lastId;
    }
  }
}

/** Names the message that a copy was made of; aedes numbers its messages per process. */
export function originOf(packet: { readonly brokerId?: string; readonly brokerCounter?: number }): string {
  return `${packet.brokerCounter ?? 0} ${packet.brokerId ?? ''}`;
}
