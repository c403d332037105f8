import type { StoredPacket } from './packet.ts';
import { bytesOf, ownPayload, packetBytes } from './packet.ts';
import { encodeRetained } from './session-codec.ts';
import type { SessionJournal } from './session-journal.ts';
import { TopicTree } from './topic-tree.ts';

export interface RetainedLimits {
  /** Most messages; 0: no limit. */
  readonly retainedMax: number;
  readonly retainedBytesMax: number;
}

/** The last retained message of each topic, bounded: one too many is refused, never another one dropped for it. */
export class RetainedMessages {
  readonly #limits: RetainedLimits;
  readonly #journal: SessionJournal;
  readonly #tree = new TopicTree<StoredPacket>();
  #bytes = 0;

  #refused = 0;

  constructor(limits: RetainedLimits, journal: SessionJournal) {
    this.#limits = limits;
    this.#journal = journal;
  }

  /** Messages that were not kept because a bound was reached. */
  get refused(): number {
    return this.#refused;
  }

  get count(): number {
    return this.#tree.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether the message could be kept; an empty one always can, as it takes its topic's message away. */
  fits(packet: { readonly topic: string; readonly payload: Buffer | string }): boolean {
    if (packet.payload.length === 0) return true;
    const before = this.#tree.get(packet.topic);
    const { retainedMax, retainedBytesMax } = this.#limits;
    if (!before && retainedMax > 0 && this.#tree.size >= retainedMax) return false;
    return this.#bytes - (before ? packetBytes(before) : 0) + packetBytes(packet) <= retainedBytesMax;
  }

  /** Kept at once and written soon: what was written ahead is written again, as the later of two is what counts. */
  store(packet: StoredPacket): void {
    if (packet.payload.length === 0) {
      if (this.#delete(packet.topic)) this.rewrite(packet.topic);
    } else if (this.fits(packet)) {
      this.set({ ...packet, payload: ownPayload(packet.payload) });
      this.rewrite(packet.topic);
    } else this.#refused++;
  }

  /** Notes a message for the disk that will be kept once it is accepted; an empty one takes its topic's message away. */
  write(topic: string, qos: 0 | 1 | 2, payload: Buffer | string): void {
    if (payload.length === 0) this.#journal.delete('retained', '', topic);
    else this.#journal.put('retained', '', topic, () => encodeRetained({ qos, payload: bytesOf(payload) }));
  }

  /** Says on disk what is so here. */
  rewrite(topic: string): void {
    const found = this.#tree.get(topic);
    this.write(topic, found?.qos ?? 0, found?.payload ?? '');
  }

  /** As it comes back from the disk. */
  set(packet: StoredPacket): void {
    this.#delete(packet.topic);
    this.#tree.set(packet.topic, packet);
    this.#bytes += packetBytes(packet);
  }

  matching(filter: string): Generator<StoredPacket> {
    return this.#tree.matching(filter);
  }

  /** Those of each filter in turn: one that two match comes twice, as every subscription is owed it [MQTT-3.3.1-6]. */
  *matchingAny(filters: readonly string[]): Generator<StoredPacket> {
    for (const filter of filters) yield* this.#tree.matching(filter);
  }

  /** Whether there was one. */
  #delete(topic: string): boolean {
    const before = this.#tree.get(topic);
    if (!before) return false;
    this.#tree.delete(topic);
    this.#bytes -= packetBytes(before);
    return true;
  }
}
