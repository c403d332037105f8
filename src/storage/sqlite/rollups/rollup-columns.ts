import type { Value } from '../../../domain/reading.ts';
import { valueKind } from '../../../domain/reading.ts';
import type { Summary } from '../../../history/summary.ts';

/** Most buckets of a window, of either tier. */
export const windowBuckets = 360;

/**
 * Groups of columns that can be asked for, one bit each; `begins`, `counts` and `numbers` are always there.
 *
 * - `times`: `firstTimes`, `lastTimes`.
 * - `extremes`: `mins`, `maxs`.
 * - `sums`: `sums`. `deviations`: `deviations`. `increases`: `increases`. `areas`: `linearAreas`, `stepAreas`.
 * - `edges`: `firstNumbers`, `firstNumberTimes`, `lastNumbers`, `lastNumberTimes`; what happens between two buckets
 *   follows from them.
 * - `ends`: the first and last reading of whatever kind, see `firstValue` and `lastValue`.
 */
export const rollupPart = {
  times: 1,
  extremes: 2,
  sums: 4,
  deviations: 8,
  increases: 16,
  areas: 32,
  edges: 64,
  ends: 128,
  all: 255,
} as const;

/**
 * The buckets of one window of one series that have readings, ascending, as columns: row i of each is bucket i. They say
 * what `Summary` says, bucket by bucket. Only rows `from` to `to` (excluded) count; columns that were not asked for hold
 * anything. The object is filled again and again.
 */
export class RollupColumns {
  from = 0;
  to = 0;
  /** Decimal places that no value of the window exceeds; null when they are not short decimals. */
  digits: number | null = null;
  readonly begins = new Float64Array(windowBuckets);
  readonly counts = new Float64Array(windowBuckets);
  readonly numbers = new Float64Array(windowBuckets);
  readonly firstTimes = new Float64Array(windowBuckets);
  readonly lastTimes = new Float64Array(windowBuckets);
  readonly mins = new Float64Array(windowBuckets);
  readonly maxs = new Float64Array(windowBuckets);
  readonly sums = new Float64Array(windowBuckets);
  readonly deviations = new Float64Array(windowBuckets);
  readonly increases = new Float64Array(windowBuckets);
  readonly linearAreas = new Float64Array(windowBuckets);
  readonly stepAreas = new Float64Array(windowBuckets);
  readonly firstNumbers = new Float64Array(windowBuckets);
  readonly firstNumberTimes = new Float64Array(windowBuckets);
  readonly lastNumbers = new Float64Array(windowBuckets);
  readonly lastNumberTimes = new Float64Array(windowBuckets);
  /** No bucket holds a text, begins or ends with a boolean: the first and last reading are the first and last number. */
  isPlain = true;
  /** The first and last reading as they stand in columns; used only when not plain. Texts are indices into `texts`. */
  readonly firsts = new Float64Array(windowBuckets);
  readonly lasts = new Float64Array(windowBuckets);
  readonly firstKinds = new Uint8Array(windowBuckets);
  readonly lastKinds = new Uint8Array(windowBuckets);
  texts: string[] = [];

  clear(): void {
    this.from = 0;
    this.to = 0;
    this.digits = null;
    this.isPlain = true;
    this.texts = [];
  }

  /** The first reading of bucket `row`; asks for `ends` and `edges`. */
  firstValue(row: number): Value {
    return this.isPlain ? this.firstNumbers[row] : this.#value(this.firsts[row], this.firstKinds[row]);
  }

  lastValue(row: number): Value {
    return this.isPlain ? this.lastNumbers[row] : this.#value(this.lasts[row], this.lastKinds[row]);
  }

  /** Bucket `row` by itself; asks for `all`. */
  summaryAt(row: number): Summary {
    return {
      firstTime: this.firstTimes[row],
      lastTime: this.lastTimes[row],
      count: this.counts[row],
      numbers: this.numbers[row],
      min: this.mins[row],
      max: this.maxs[row],
      sum: this.sums[row],
      first: this.firstValue(row),
      last: this.lastValue(row),
      more: {
        deviations: this.deviations[row],
        increase: this.increases[row],
        linearArea: this.linearAreas[row],
        stepArea: this.stepAreas[row],
        firstNumber: this.firstNumbers[row],
        firstNumberTime: this.firstNumberTimes[row],
        lastNumber: this.lastNumbers[row],
        lastNumberTime: this.lastNumberTimes[row],
      },
    };
  }

  /** Adds a bucket, later than all there are; `summary.more` must be there. */
  append(begin: number, summary: Summary): void {
    const { more } = summary;
    if (more === null) throw new RangeError('a bucket of a rollup needs all that is known of its readings');
    const row = this.to++;
    this.begins[row] = begin;
    this.counts[row] = summary.count;
    this.numbers[row] = summary.numbers;
    this.firstTimes[row] = summary.firstTime;
    this.lastTimes[row] = summary.lastTime;
    this.mins[row] = summary.min;
    this.maxs[row] = summary.max;
    this.sums[row] = summary.sum;
    this.deviations[row] = more.deviations;
    this.increases[row] = more.increase;
    this.linearAreas[row] = more.linearArea;
    this.stepAreas[row] = more.stepArea;
    this.firstNumbers[row] = more.firstNumber;
    this.firstNumberTimes[row] = more.firstNumberTime;
    this.lastNumbers[row] = more.lastNumber;
    this.lastNumberTimes[row] = more.lastNumberTime;
    this.#putEnd(this.firsts, this.firstKinds, row, summary.first);
    this.#putEnd(this.lasts, this.lastKinds, row, summary.last);
    if (summary.numbers !== summary.count || this.firstKinds[row] + this.lastKinds[row] > 0) this.isPlain = false;
  }

  /** Index of the first bucket that begins at or after `begin`, among all. */
  rowAtOrAfter(begin: number): number {
    let low = 0;
    let high = this.to;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.begins[middle] < begin) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #putEnd(values: Float64Array, kinds: Uint8Array, row: number, value: Value): void {
    if (typeof value === 'string') {
      values[row] = this.texts.push(value) - 1;
      kinds[row] = valueKind.text;
    } else if (typeof value === 'boolean') {
      values[row] = value ? 1 : 0;
      kinds[row] = valueKind.boolean;
    } else {
      values[row] = value;
      kinds[row] = valueKind.number;
    }
  }

  #value(value: number, kind: number): Value {
    if (kind === valueKind.text) return this.texts[value] ?? '';
    return kind === valueKind.boolean ? value !== 0 : value;
  }
}
