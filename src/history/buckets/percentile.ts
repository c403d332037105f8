import { Selection } from './selection.ts';

/** Most numbers of which percentiles are exact; 32 MB. */
export const exactMax = 2 ** 22;
/** Numbers, times the ranks asked for, up to which percentiles are told in one piece. */
const pieceMax = 2 ** 16;

/**
 * Numbers of which percentiles are wanted, in a buffer that is used again. Beyond `exactMax` every second one is dropped
 * and from then on every second one taken, and so on: an even sample in order of time, of at least `exactMax` / 2.
 */
export class PercentileBuffer {
  #numbers = new Float64Array(256);
  #count = 0;
  readonly #max: number;
  /** One of so many is taken … */
  #stride = 1;
  /** … and this many are still to be passed over. */
  #skip = 0;
  /** Ascending: places at which the number of this place in order stands; none greater is before it, none less behind it. */
  #settled: number[] = [];
  /** Of the next place to be settled. */
  #selection: Selection | null = null;

  /** `max`: an even number of numbers. */
  constructor(max: number = exactMax) {
    this.#max = max;
  }

  get count(): number {
    return this.#count;
  }

  clear(): void {
    this.#count = 0;
    this.#stride = 1;
    this.#skip = 0;
    this.#settled = [];
    this.#selection = null;
  }

  /** Adds `values` from `begin` to `end` (excluded). */
  add(values: Float64Array, begin: number, end: number): void {
    let row = begin;
    this.#settled = [];
    this.#selection = null;
    while (row < end) {
      if (this.#skip >= end - row) {
        this.#skip -= end - row;
        return;
      }
      row += this.#skip;
      this.#skip = 0;
      if (this.#stride === 1) {
        const some = Math.min(end - row, this.#max - this.#count);
        this.#reserve(this.#count + some);
        this.#numbers.set(values.subarray(row, row + some), this.#count);
        this.#count += some;
        row += some;
      } else {
        this.#reserve(this.#count + 1);
        this.#numbers[this.#count++] = values[row++];
        this.#skip = this.#stride - 1;
      }
      if (this.#count === this.#max) this.#thin();
    }
  }

  /**
   * Does most of what `at` takes for these ranks, where it is much, looking at about `looks` numbers at most. Returns how
   * many are left of them when it is done; less than 0 when it has to go on, with the same ranks.
   */
  settle(ranks: readonly number[], looks: number): number {
    let left = looks;
    if (this.#count * ranks.length <= pieceMax) return left;
    for (const rank of ranks) {
      const place = Math.floor(((this.#count - 1) * rank) / 100);
      const { index, first, last } = stretchOf(this.#settled, place, this.#count);
      if (this.#settled[index] === place) continue;
      this.#selection ??= new Selection(this.#numbers, first, last, place);
      left = this.#selection.step(left);
      if (left < 0) return left;
      this.#selection = null;
      this.#settled.splice(index, 0, place);
    }
    return left;
  }

  /**
   * The percentile of `rank` 0 … 100; NaN without numbers. Moves the numbers about: of several ranks each is looked for only
   * between those that were asked for before.
   */
  at(rank: number): number {
    this.#selection = null;
    return this.#count === 0 ? Number.NaN : percentile(this.#numbers, this.#count, rank, this.#settled);
  }

  #thin(): void {
    for (let kept = 0; kept * 2 < this.#count; kept++) this.#numbers[kept] = this.#numbers[kept * 2];
    this.#count = Math.ceil(this.#count / 2);
    // The last one was dropped; the next to be taken is where it was due at the old stride.
    this.#stride *= 2;
  }

  #reserve(count: number): void {
    if (count <= this.#numbers.length) return;
    const larger = new Float64Array(Math.min(this.#max, Math.max(count, this.#numbers.length * 2)));
    larger.set(this.#numbers.subarray(0, this.#count));
    this.#numbers = larger;
  }
}

/**
 * The percentile of the first `count` numbers (at least one), by linear interpolation between the two that are nearest in
 * order: with h = (count − 1) · rank / 100 it is x[⌊h⌋] + (h − ⌊h⌋) · (x[⌊h⌋ + 1] − x[⌊h⌋]). Hyndman and Fan, "Sample
 * Quantiles in Statistical Packages" (1996), type 7. Moves the numbers about, and takes time in proportion to `count`.
 * `settled`: places of which the number already stands there, ascending; one more is added.
 */
export function percentile(numbers: Float64Array, count: number, rank: number, settled: number[] = []): number {
  const place = ((count - 1) * rank) / 100;
  const below = Math.floor(place);
  const { index, first, last } = stretchOf(settled, below, count);
  if (settled[index] !== below) {
    new Selection(numbers, first, last, below).step(Number.POSITIVE_INFINITY);
    settled.splice(index, 0, below);
  }
  const next = settled[index + 1];
  const end = next === undefined ? count : next + 1;
  const low = numbers[below];
  const part = place - below;
  if (part === 0) return low;
  let high = Number.POSITIVE_INFINITY;
  for (let at = below + 1; at < end; at++) if (numbers[at] < high) high = numbers[at];
  // Equal neighbours may be so large that their difference with the part is not exact.
  return high === low ? low : low + part * (high - low);
}

/** Among which numbers that of a place is, and where it belongs among the settled places. */
function stretchOf(
  settled: readonly number[],
  place: number,
  count: number,
): { readonly index: number; readonly first: number; readonly last: number } {
  let index = 0;
  while (index < settled.length && settled[index] < place) index++;
  return {
    index,
    first: index === 0 ? 0 : settled[index - 1] + 1,
    last: index === settled.length ? count - 1 : settled[index],
  };
}
