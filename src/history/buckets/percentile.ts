/** Most numbers of which percentiles are exact; 32 MB. */
export const exactMax = 2 ** 22;

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
  }

  /** Adds `values` from `begin` to `end` (excluded). */
  add(values: Float64Array, begin: number, end: number): void {
    let row = begin;
    this.#settled = [];
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
   * The percentile of `rank` 0 … 100; NaN without numbers. Moves the numbers about: of several ranks each is looked for only
   * between those that were asked for before.
   */
  at(rank: number): number {
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
  let index = 0;
  while (index < settled.length && settled[index] < below) index++;
  const from = index === 0 ? 0 : settled[index - 1] + 1;
  const next = settled[index] === below ? settled[index + 1] : settled[index];
  const end = next === undefined ? count : next + 1;
  if (settled[index] !== below) {
    select(numbers, from, end - 1, below);
    settled.splice(index, 0, below);
  }
  const low = numbers[below];
  const part = place - below;
  if (part === 0) return low;
  let high = Number.POSITIVE_INFINITY;
  for (let at = below + 1; at < end; at++) if (numbers[at] < high) high = numbers[at];
  // Equal neighbours may be so large that their difference with the part is not exact.
  return high === low ? low : low + part * (high - low);
}

/** So many looks at each number are enough for any but a malicious order. */
const looksMax = 8;

/**
 * Moves the number of this place in order there, none greater before it and none less behind it (Hoare's quickselect), among
 * those from `first` to `last`, which hold it. Where
 * the order of the numbers is against it, what is left is sorted, so that nobody can make it slow.
 */
function select(numbers: Float64Array, first: number, last: number, place: number): void {
  let left = first;
  let right = last;
  let looks = looksMax * (last - first + 1);
  while (left < right) {
    looks -= right - left;
    if (looks < 0) {
      numbers.subarray(left, right + 1).sort();
      break;
    }
    const pivot = median(numbers[left], numbers[(left + right) >>> 1], numbers[right]);
    let low = left;
    let high = right;
    while (low <= high) {
      while (numbers[low] < pivot) low++;
      while (numbers[high] > pivot) high--;
      if (low <= high) {
        const swapped = numbers[low];
        numbers[low++] = numbers[high];
        numbers[high--] = swapped;
      }
    }
    if (place <= high) right = high;
    else if (place >= low) left = low;
    else break;
  }
}

function median(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}
