import type { StoredPacket } from './packet.ts';
import { packetBytes } from './packet.ts';
import { TopicTree } from './topic-tree.ts';

export interface RetainedLimits {
  /** Most messages; 0: no limit. */
  readonly retainedMax: number;
  readonly retainedBytesMax: number;
}

/** The last retained message of each topic, bounded: one too many is refused, never another one dropped for it. */
export class RetainedMessages {
  readonly #limits: RetainedLimits;
  readonly #tree = new TopicTree<StoredPacket>();
  #bytes = 0;

  constructor(limits: RetainedLimits) {
    this.#limits = limits;
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

  set(packet: StoredPacket): void {
    this.delete(packet.topic);
    this.#tree.set(packet.topic, packet);
    this.#bytes += packetBytes(packet);
  }

  /** Whether there was one. */
  delete(topic: string): boolean {
    const before = this.#tree.get(topic);
    if (!before) return false;
    this.#tree.delete(topic);
    this.#bytes -= packetBytes(before);
    return true;
  }

  get(topic: string): StoredPacket | undefined {
    return this.#tree.get(topic);
  }

  matching(filter: string): Generator<StoredPacket> {
    return this.#tree.matching(filter);
  }

  /** Those of each filter in turn: one that two match comes twice, as every subscription is owed it [MQTT-3.3.1-6]. */
  *matchingAny(filters: readonly string[]): Generator<StoredPacket> {
    for (const filter of filters) yield* this.#tree.matching(filter);
  }
}
