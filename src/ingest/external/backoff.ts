import type { Random } from '../../base/random.ts';

const firstMs = 1_000;
const longestMs = 60_000;
const jitter = 0.2;
/** A connection that held this long was a good one: the next failure begins anew. */
const peaceMs = 60_000;

/** Pauses between attempts to reach the broker: 1 s, doubling to 60 s, each ±20 %, so that gateways do not come together. */
export class Backoff {
  readonly #random: Random;
  #next = firstMs;
  #connectedAt: number | null = null;

  constructor(random: Random) {
    this.#random = random;
  }

  /** The pause before the next attempt, ms. `now` is monotonic. */
  pause(now: number): number {
    if (this.#connectedAt !== null && now - this.#connectedAt >= peaceMs) this.#next = firstMs;
    this.#connectedAt = null;
    const pause = this.#next * (1 + jitter * (2 * this.#random.next() - 1));
    this.#next = Math.min(this.#next * 2, longestMs);
    return Math.round(pause);
  }

  connected(now: number): void {
    this.#connectedAt = now;
  }
}
