import type { Value } from '../../domain/reading.ts';

/** The buckets of a fold, ascending, one row each: what came into them so far. */
export class BucketTable {
  count = 0;
  /** Begins on the grid, epoch ms. */
  times = new Float64Array(initialRows);
  /** The part of each bucket that lies in the range: `[begins, ends)`. */
  begins = new Float64Array(initialRows);
  ends = new Float64Array(initialRows);
  /** Readings. */
  counts = new Float64Array(initialRows);
  /** Those of them that are numbers or booleans. */
  numbers = new Float64Array(initialRows);
  mins = new Float64Array(initialRows);
  maxs = new Float64Array(initialRows);
  sums = new Float64Array(initialRows);
  /** Sums of squared deviations from the mean. */
  deviations = new Float64Array(initialRows);
  increases = new Float64Array(initialRows);
  /** Value × ms. */
  areas = new Float64Array(initialRows);
  /** First and last number with their times. */
  firstNumbers = new Float64Array(initialRows);
  firstNumberTimes = new Float64Array(initialRows);
  lastNumbers = new Float64Array(initialRows);
  lastNumberTimes = new Float64Array(initialRows);
  /** First and last reading; null without one. */
  readonly firsts: (Value | null)[] = [];
  readonly lasts: (Value | null)[] = [];
  /** By rank asked for: the percentile of each row, NaN without numbers. */
  readonly percentiles: number[][];
  /** By hold asked for: ms in force. */
  readonly held: number[][];

  constructor(ranks: number, holds: number) {
    this.percentiles = Array.from({ length: ranks }, () => []);
    this.held = Array.from({ length: holds }, () => []);
  }

  /** Adds an empty bucket. */
  add(time: number, begin: number, end: number): void {
    const row = this.count++;
    if (row === this.times.length) this.#grow();
    this.times[row] = time;
    this.begins[row] = begin;
    this.ends[row] = end;
    this.mins[row] = Number.POSITIVE_INFINITY;
    this.maxs[row] = Number.NEGATIVE_INFINITY;
    this.firsts.push(null);
    this.lasts.push(null);
    for (const held of this.held) held.push(0);
  }

  #grow(): void {
    this.times = doubled(this.times);
    this.begins = doubled(this.begins);
    this.ends = doubled(this.ends);
    this.counts = doubled(this.counts);
    this.numbers = doubled(this.numbers);
    this.mins = doubled(this.mins);
    this.maxs = doubled(this.maxs);
    this.sums = doubled(this.sums);
    this.deviations = doubled(this.deviations);
    this.increases = doubled(this.increases);
    this.areas = doubled(this.areas);
    this.firstNumbers = doubled(this.firstNumbers);
    this.firstNumberTimes = doubled(this.firstNumberTimes);
    this.lastNumbers = doubled(this.lastNumbers);
    this.lastNumberTimes = doubled(this.lastNumberTimes);
  }
}

const initialRows = 32;

function doubled(column: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(column.length * 2);
  larger.set(column);
  return larger;
}
