/**
 * A quantity that approaches its target with a time constant, as heat and heart rates do. The step is the exact
 * solution for a constant target, so it is stable however far apart the samples are.
 */
export class Lag {
  #value = 0;
  #time = Number.NaN;

  get value(): number {
    return this.#value;
  }

  /** Moves toward `target` for the time since the last call; the first call starts there. */
  toward(target: number, time: number, constantMs: number): number {
    if (Number.isNaN(this.#time)) this.#value = target;
    else if (time > this.#time) {
      this.#value = target + (this.#value - target) * Math.exp((this.#time - time) / constantMs);
    }
    this.#time = time;
    return this.#value;
  }
}
