/**
 * A repeating incident for the demo, on the clock of the wall: `for 5s` in a rule counts real seconds, however fast the
 * simulated hours run.
 */
export class Episode {
  readonly #firstMs: number;
  readonly #everyMs: number;
  readonly lengthMs: number;

  constructor(plan: { firstMs: number; lengthMs: number; everyMs: number }) {
    this.#firstMs = plan.firstMs;
    this.#everyMs = plan.everyMs;
    this.lengthMs = plan.lengthMs;
  }

  /** How far the running episode has come, in [0, 1), `elapsedMs` after the start of the run; -1 between episodes. */
  progress(elapsedMs: number): number {
    if (elapsedMs < this.#firstMs) return -1;
    const progress = ((elapsedMs - this.#firstMs) % this.#everyMs) / this.lengthMs;
    return progress < 1 ? progress : -1;
  }
}
