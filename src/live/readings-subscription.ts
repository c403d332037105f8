import type { Buffer } from 'node:buffer';
import type { Value } from '../domain/reading.ts';
import type { LiveClient } from './client.ts';
import type { Stretch } from './commit-stream.ts';
import type { LiveLimits } from './limits.ts';
import type { ReadingsChannel } from './readings-channel.ts';
import { Rows } from './rows.ts';
import { SeriesSet } from './series-set.ts';
import type { LiveStats } from './stats.ts';
import type { Subscription } from './subscription.ts';

/**
 * A subscription to readings. In mode `latest` a client that is behind has its values held back, one a series, until
 * it can be written to again: memory is bounded by the number of series, and what it then gets is current.
 */
export class ReadingsSubscription implements Subscription {
  readonly id: string;
  readonly quotedId: string;
  readonly client: LiveClient;
  position = 0;
  hasBegun = false;
  hasEnded = false;
  readonly #channel: ReadingsChannel;
  readonly #limits: LiveLimits;
  readonly #stats: LiveStats;
  readonly #onEnd: () => void;
  readonly #told = new SeriesSet();
  #held: Map<number, { time: number; value: Value }> | null = null;
  #heldAfter = 0;

  constructor(
    id: string,
    client: LiveClient,
    channel: ReadingsChannel,
    parts: { limits: LiveLimits; stats: LiveStats; onEnd: () => void },
  ) {
    this.id = id;
    this.quotedId = JSON.stringify(id);
    this.client = client;
    this.#channel = channel;
    this.#limits = parts.limits;
    this.#stats = parts.stats;
    this.#onEnd = parts.onEnd;
  }

  get resumeAfter(): number {
    return this.#held ? this.#heldAfter : this.position;
  }

  snapshot(): Iterable<Buffer> {
    // A snapshot holds the newest of everything, so what was held back before it is out of date.
    this.#held = null;
    return this.#frames(this.#channel.current());
  }

  deliver(stretch: Stretch, options: { paced: boolean }): void {
    const picked = this.#channel.pick(stretch);
    if (picked) {
      if (this.#channel.mode === 'latest' && (this.#held || !this.client.isWritable)) {
        this.#hold(picked.rows);
      } else if (picked.rows.count > 0) {
        if (!this.client.send(picked.payload.frameFor(this.quotedId, this.#told), options)) return;
        this.#stats.readingsSent += picked.rows.count;
      }
      this.#stats.merged += picked.merged;
    }
    this.position = stretch.last;
  }

  end(): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.#held = null;
    this.#onEnd();
  }

  *#frames(rows: Rows): Iterable<Buffer> {
    const size = this.#limits.snapshotReadingsMax;
    for (let from = 0; from === 0 || from < rows.count; from += size) {
      yield this.#channel.snapshot(rows, from, from + size).frameFor(this.quotedId, this.#told);
    }
  }

  #hold(rows: Rows): void {
    if (!this.#held) {
      this.#held = new Map();
      this.#heldAfter = this.position;
      void this.#sendHeld(this.#held);
    }
    for (let row = 0; row < rows.count; row++) {
      const series = rows.series[row];
      if (this.#held.has(series)) this.#stats.merged++;
      this.#held.set(series, { time: rows.times[row], value: rows.values[row] });
    }
  }

  /** Sends what is held in frames as the client takes them; only the one that empties it moves the client's cursor. */
  async #sendHeld(held: Map<number, { time: number; value: Value }>): Promise<void> {
    for (;;) {
      await this.client.writable();
      // Ended, or a snapshot has overtaken it.
      if (this.hasEnded || this.#held !== held) return;
      if (!this.client.isWritable) continue;
      const rows = new Rows();
      for (const [series, { time, value }] of held) {
        rows.add(series, time, value);
        held.delete(series);
        if (rows.count >= this.#limits.snapshotReadingsMax) break;
      }
      const isLast = held.size === 0;
      const payload = this.#channel.readings(rows, isLast ? this.position : this.#heldAfter);
      if (isLast) this.#held = null;
      if (!this.client.send(payload.frameFor(this.quotedId, this.#told), { paced: true })) return;
      this.#stats.readingsSent += rows.count;
      if (isLast) return;
    }
  }
}
