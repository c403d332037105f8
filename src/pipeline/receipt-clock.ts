import type { Clock } from '../base/clock.ts';

/** The time of receipt: wall time that never runs backwards within a process. */
export class ReceiptClock {
  readonly #clock: Clock;
  #latest = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Epoch ms. */
  now(): number {
    this.#latest = Math.max(this.#latest, this.#clock.now());
    return this.#latest;
  }
}
