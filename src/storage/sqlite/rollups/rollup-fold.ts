import { type RollupTier, rollupTiers } from '../../../domain/retention.ts';
import { valueKind } from '../../../domain/reading.ts';
import type { SampleColumns } from '../../../domain/sample-columns.ts';
import { joinSummaries, type Summary, summarize } from '../../../history/summary.ts';
import { firstAtOrAfter } from '../chunks/head.ts';
import type { RollupColumns } from './rollup-columns.ts';

/** Values with more decimal places are taken for no decimals: their sums would not fit a packed column anyway. */
const digitsMax = 6;
/** Beyond this a scaled value is not surely whole because the value is a decimal. */
const scaledMax = 2 ** 49;

/** Sums up ascending readings or summaries of one series by bucket, into the columns of a window. */
export class RollupFold {
  readonly #columns: RollupColumns;
  readonly #bucketMs: number;
  #begin = Number.NEGATIVE_INFINITY;
  #summary: Summary | null = null;
  /** Null once a value is no short decimal. */
  #digits: number | null = 0;

  /** Appends to what `columns` hold. */
  constructor(tier: RollupTier, columns: RollupColumns) {
    this.#columns = columns;
    this.#bucketMs = rollupTiers[tier].bucketMs;
  }

  /** Readings of `samples` in `[from, to)`, later than all before. */
  addSamples(samples: SampleColumns, from: number, to: number): void {
    const { times, count } = samples;
    let row = firstAtOrAfter(times, count, from);
    const end = Math.max(firstAtOrAfter(times, count, to), row);
    this.#digits = digitsOf(samples, row, end, this.#digits);
    while (row < end) {
      const begin = Math.floor(times[row] / this.#bucketMs) * this.#bucketMs;
      const next = row + firstAtOrAfter(times.subarray(row), end - row, begin + this.#bucketMs);
      this.#add(begin, summarize(samples, row, next));
      row = next;
    }
  }

  /** Buckets of a finer tier, later than all before. */
  addBuckets(finer: RollupColumns): void {
    const { digits } = finer;
    this.#digits = digits === null || this.#digits === null ? null : Math.max(digits, this.#digits);
    for (let row = finer.from; row < finer.to; row++) {
      this.#add(Math.floor(finer.begins[row] / this.#bucketMs) * this.#bucketMs, finer.summaryAt(row));
    }
  }

  /** A bucket of the same tier that stays as it is. */
  addBucket(begin: number, summary: Summary, digits: number | null): void {
    this.#digits = digits === null || this.#digits === null ? null : Math.max(digits, this.#digits);
    this.#add(begin, summary);
  }

  /** The last bucket is complete. */
  finish(): void {
    this.#flush();
    this.#columns.digits = this.#digits;
  }

  #add(begin: number, summary: Summary): void {
    if (this.#summary !== null && begin === this.#begin) {
      this.#summary = joinSummaries(this.#summary, summary);
      return;
    }
    this.#flush();
    this.#begin = begin;
    this.#summary = summary;
  }

  #flush(): void {
    if (this.#summary !== null) this.#columns.append(this.#begin, this.#summary);
    this.#summary = null;
  }
}

/** The most decimal places of the numbers in rows `begin` to `end` and of `known`; null when there is no such number. */
function digitsOf(samples: SampleColumns, begin: number, end: number, known: number | null): number | null {
  if (known === null) return null;
  const { values, kinds } = samples;
  let digits = known;
  let power = 10 ** digits;
  for (let row = begin; row < end; row++) {
    if (kinds !== null && kinds[row] === valueKind.text) continue;
    const value = values[row];
    while (Math.round(value * power) / power !== value || Math.abs(value * power) > scaledMax) {
      if (++digits > digitsMax) return null;
      power = 10 ** digits;
    }
  }
  return digits;
}
