import type { GoneChanges } from '../domain/retention.ts';

/** By series, the time before which readings were deleted, so that none can be put among them again. */
export class GoneTimes {
  /** By series number; NaN where none are gone. */
  #before: Float64Array<ArrayBuffer> = new Float64Array(0);
  /** The greatest of them; null where it is not worked out. */
  #latest: number | null = Number.NEGATIVE_INFINITY;

  /** Epoch ms; -Infinity where none are gone. */
  of(series: number): number {
    const before = series < this.#before.length ? this.#before[series] : Number.NaN;
    return Number.isNaN(before) ? Number.NEGATIVE_INFINITY : before;
  }

  /** The latest of all series; -Infinity where none are gone. */
  get latest(): number {
    if (this.#latest === null) {
      let latest = Number.NEGATIVE_INFINITY;
      for (const time of this.#before) if (time > latest) latest = time;
      this.#latest = latest;
    }
    return this.#latest;
  }

  /** Those of all series, see `Engine.retain`. */
  set(before: Float64Array<ArrayBuffer>): void {
    this.#before = before;
    this.#latest = null;
  }

  /** See `Engine.onGone`. */
  change({ series, before }: GoneChanges): void {
    for (let row = 0; row < series.length; row++) this.#put(series[row], before[row]);
    this.#latest = null;
  }

  /** Readings before this time may be gone, until somebody knows. */
  suspect(series: number, before: number): void {
    if (before <= this.of(series)) return;
    this.#put(series, before);
    if (this.#latest !== null && before > this.#latest) this.#latest = before;
  }

  #put(series: number, before: number): void {
    if (series >= this.#before.length) {
      const grown = new Float64Array(Math.max(series + 1, Math.ceil(this.#before.length * 1.5))).fill(Number.NaN);
      grown.set(this.#before);
      this.#before = grown;
    }
    this.#before[series] = before;
  }
}
