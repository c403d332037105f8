import { firstAtOrAfter } from '../buckets/ascending.ts';
import type { Summary } from '../summary.ts';

/** The least and the greatest reading of each of equal stretches of `[from, to)`; of equal ones the first. */
export class StretchExtremes {
  readonly #from: number;
  readonly #to: number;
  readonly #stretches: number;
  readonly #mins: Extremes;
  readonly #maxs: Extremes;
  /** What summaries say is the least and the greatest of a stretch, before the readings are seen. */
  readonly #leasts: Float64Array;
  readonly #greatests: Float64Array;
  #stretch = 0;

  constructor(from: number, to: number, stretches: number) {
    this.#from = from;
    this.#to = to;
    this.#stretches = stretches;
    this.#mins = new Extremes(stretches, Number.POSITIVE_INFINITY);
    this.#maxs = new Extremes(stretches, Number.NEGATIVE_INFINITY);
    this.#leasts = new Float64Array(stretches).fill(Number.POSITIVE_INFINITY);
    this.#greatests = new Float64Array(stretches).fill(Number.NEGATIVE_INFINITY);
  }

  /** Adds numbers, rows `begin` to `end` (excluded), later than all before; a boolean where `kinds` says so. */
  add(times: Float64Array, values: Float64Array, kinds: Uint8Array | null, begin: number, end: number): void {
    let row = firstAtOrAfter(times, begin, end, this.#from);
    const stop = firstAtOrAfter(times, row, end, this.#to);
    while (row < stop) {
      const stretch = this.#at(times[row]);
      const next = Math.max(row + 1, firstAtOrAfter(times, row, stop, this.#edge(stretch + 1)));
      let min = this.#mins.values[stretch];
      let max = this.#maxs.values[stretch];
      let minAt = -1;
      let maxAt = -1;
      for (let at = row; at < next; at++) {
        const value = values[at];
        if (value < min) {
          min = value;
          minAt = at;
        }
        if (value > max) {
          max = value;
          maxAt = at;
        }
      }
      if (minAt >= 0) this.#mins.put(stretch, times[minAt], min, kinds?.[minAt] ?? 0);
      if (maxAt >= 0) this.#maxs.put(stretch, times[maxAt], max, kinds?.[maxAt] ?? 0);
      row = next;
    }
  }

  /** Notes what a summary says, so that others of its stretch can be passed over; it is to be offered to `isNeeded` later. */
  consider(summary: Summary): void {
    const stretch = this.#holding(summary);
    if (stretch < 0 || summary.numbers === 0) return;
    if (summary.min < this.#leasts[stretch]) this.#leasts[stretch] = summary.min;
    if (summary.max > this.#greatests[stretch]) this.#greatests[stretch] = summary.max;
  }

  /** False when no reading of it can be the least or greatest of a stretch. */
  isNeeded(summary: Summary): boolean {
    if (summary.numbers === 0) return false;
    const stretch = this.#holding(summary);
    if (stretch < 0) return summary.lastTime >= this.#from && summary.firstTime < this.#to;
    const isLeast = summary.min < this.#mins.values[stretch] && summary.min <= this.#leasts[stretch];
    const isGreatest = summary.max > this.#maxs.values[stretch] && summary.max >= this.#greatests[stretch];
    return isLeast || isGreatest;
  }

  /** Tells the readings in order of time. */
  forEach(tell: (time: number, value: number, kind: number) => void): void {
    const mins = this.#mins;
    const maxs = this.#maxs;
    for (let stretch = 0; stretch < this.#stretches; stretch++) {
      if (mins.values[stretch] === Number.POSITIVE_INFINITY) continue;
      const isMinFirst = mins.times[stretch] <= maxs.times[stretch];
      const first = isMinFirst ? mins : maxs;
      const second = isMinFirst ? maxs : mins;
      tell(first.times[stretch], first.values[stretch], first.kinds[stretch]);
      if (second.times[stretch] === first.times[stretch]) continue;
      tell(second.times[stretch], second.values[stretch], second.kinds[stretch]);
    }
  }

  /** The stretch that holds all of a summary's readings; -1 when none does. */
  #holding({ firstTime, lastTime }: Summary): number {
    if (firstTime < this.#from || lastTime >= this.#to) return -1;
    const stretch = this.#at(firstTime);
    return lastTime < this.#edge(stretch + 1) ? stretch : -1;
  }

  #at(time: number): number {
    const last = this.#stretch;
    if (time >= this.#edge(last) && time < this.#edge(last + 1)) return last;
    const part = (time - this.#from) / (this.#to - this.#from);
    let stretch = Math.min(this.#stretches - 1, Math.max(0, Math.floor(part * this.#stretches)));
    while (time < this.#edge(stretch)) stretch--;
    while (time >= this.#edge(stretch + 1)) stretch++;
    this.#stretch = stretch;
    return stretch;
  }

  #edge(stretch: number): number {
    if (stretch >= this.#stretches) return this.#to;
    return this.#from + ((this.#to - this.#from) * stretch) / this.#stretches;
  }
}

class Extremes {
  readonly times: Float64Array;
  readonly values: Float64Array;
  readonly kinds: Uint8Array;

  constructor(stretches: number, none: number) {
    this.times = new Float64Array(stretches);
    this.values = new Float64Array(stretches).fill(none);
    this.kinds = new Uint8Array(stretches);
  }

  put(stretch: number, time: number, value: number, kind: number): void {
    this.times[stretch] = time;
    this.values[stretch] = value;
    this.kinds[stretch] = kind;
  }
}
