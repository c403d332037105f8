import type { RollupTier } from '../../../domain/retention.ts';
import { rollupTiers } from '../../../domain/retention.ts';
import type { BucketFold } from '../../../history/buckets/bucket-fold.ts';
import type { BucketNeeds } from '../../../history/buckets/bucket-needs.ts';
import type { Grid } from '../../../history/buckets/bucket-grid.ts';
import type { SeriesRange } from '../../../history/queries.ts';
import type { Sample } from '../../../history/reader.ts';
import type { Summary } from '../../../history/summary.ts';
import { CorruptStoreError } from '../database.ts';
import type { RollupColumns } from '../rollups/rollup-columns.ts';
import { rollupPart } from '../rollups/rollup-columns.ts';
import type { RollupReader } from '../rollups/rollup-reader.ts';

/** How the buckets of a rollup come into a fold: one by one with all that is known, or those of a bucket as one. */
export interface RollupUse {
  /** Bits of `rollupPart`. */
  readonly parts: number;
  readonly isOneByOne: boolean;
}

/** `isOneByOne`: what happens between two readings has a say. */
export function rollupUse({ extremes, sums, ends }: BucketNeeds, isOneByOne: boolean): RollupUse {
  if (isOneByOne) return { parts: rollupPart.all, isOneByOne };
  let parts = 0;
  if (extremes) parts |= rollupPart.extremes;
  if (sums) parts |= rollupPart.sums;
  if (ends) parts |= rollupPart.edges | rollupPart.ends;
  return { parts, isOneByOne };
}

/**
 * Adds rows `columns.from` to `columns.to` to a fold. Returns the row before which it stopped, because it may reach over the
 * edge of a bucket and its readings have to tell, or `columns.to`. `wholeMs`: how long each of them is; null where there
 * are no readings to tell.
 */
export function addRollups(
  fold: BucketFold,
  grid: Grid,
  columns: RollupColumns,
  use: RollupUse,
  wholeMs: number | null,
): number {
  if (use.isOneByOne) {
    for (let row = columns.from; row < columns.to && !fold.isFull; row++) {
      if (wholeMs === null) addOne(fold, grid, columns.summaryAt(row));
      else if (!fold.addSummary(columns.summaryAt(row))) return row;
    }
    return columns.to;
  }
  const length = wholeMs ?? 1;
  for (let row = columns.from; row < columns.to && !fold.isFull; ) {
    const edge = grid.next(grid.begin(columns.begins[row]));
    let end = row;
    while (end < columns.to && columns.begins[end] + length <= edge) end++;
    if (end === row) return row;
    fold.addSummary(joined(columns, row, end, use.parts));
    row = end;
  }
  return columns.to;
}

/** A bucket of a rollup that reaches over the edge of a bucket, which happens only where it is all there is, counts where it begins. */
function addOne(fold: BucketFold, grid: Grid, summary: Summary): void {
  if (fold.addSummary(summary)) return;
  const { firstTime, lastTime, more } = summary;
  const last = Math.min(lastTime, grid.next(grid.begin(firstTime)) - 1);
  fold.addSummary({
    ...summary,
    lastTime: last,
    more: more && { ...more, lastNumberTime: Math.min(more.lastNumberTime, last) },
  });
}

/** Rows `begin` to `end` as one, as far as `parts` say; its times are those at which buckets of the rollup begin. */
function joined(columns: RollupColumns, begin: number, end: number, parts: number): Summary {
  const { counts, numbers, mins, maxs, sums } = columns;
  let count = 0;
  let numberCount = 0;
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let sum = 0;
  for (let row = begin; row < end; row++) {
    count += counts[row];
    numberCount += numbers[row];
    if (numbers[row] === 0) continue;
    if (mins[row] < min) min = mins[row];
    if (maxs[row] > max) max = maxs[row];
    sum += sums[row];
  }
  const hasEnds = (parts & rollupPart.ends) !== 0;
  return {
    firstTime: columns.begins[begin],
    lastTime: columns.begins[end - 1],
    count,
    numbers: numberCount,
    min,
    max,
    sum,
    first: hasEnds ? columns.firstValue(begin) : 0,
    last: hasEnds ? columns.lastValue(end - 1) : 0,
    more: null,
  };
}

/** Windows that are looked through for a neighbour: the nearest one, and others should it tell of none or be damaged. */
const windowsMax = 4;
const tiers: readonly RollupTier[] = ['minute', 'hour'];

/** The last reading before `time` that a rollup knows of, however far away; damaged ones know of none. */
export function rollupBefore(rollups: RollupReader, series: number, time: number): Sample | null {
  let found: Sample | null = null;
  for (const tier of tiers) {
    const { windowMs, bucketMs } = rollupTiers[tier];
    let end = Math.floor(time / bucketMs) * bucketMs;
    for (let window = 0; window < windowsMax; window++) {
      const begin = rollups.windowBefore(series, tier, end);
      if (begin === null) break;
      const ends = rollupEnds(rollups, { series, from: begin, to: Math.min(begin + windowMs, end) }, tier);
      if (ends && (found === null || ends.last.time > found.time)) found = ends.last;
      if (ends) break;
      end = begin;
    }
  }
  return found;
}

/** Windows that are looked through for a number behind texts. */
const numberWindowsMax = 64;

/** The last number of a range before `time` that a rollup knows of. */
export function rollupNumberBefore(rollups: RollupReader, range: SeriesRange, time: number): Sample | null {
  let found: Sample | null = null;
  for (const tier of tiers) {
    const { windowMs, bucketMs } = rollupTiers[tier];
    let end = Math.floor(time / bucketMs) * bucketMs;
    for (let window = 0; window < numberWindowsMax && end > (found?.time ?? range.from); window++) {
      const begin = rollups.windowBefore(range.series, tier, end);
      if (begin === null) break;
      const last = lastNumber(rollups, { ...range, from: begin, to: Math.min(begin + windowMs, end) }, tier);
      if (last && last.time >= range.from && (found === null || last.time > found.time)) found = last;
      if (last) break;
      end = begin;
    }
  }
  return found;
}

function lastNumber(rollups: RollupReader, { series, from, to }: SeriesRange, tier: RollupTier): Sample | null {
  let last: Sample | null = null;
  try {
    for (const columns of rollups.windows(series, tier, from, to, rollupPart.all)) {
      for (let row = columns.from; row < columns.to; row++) {
        const { more } = columns.summaryAt(row);
        if (more && columns.numbers[row] > 0) last = { time: more.lastNumberTime, value: more.lastNumber };
      }
    }
  } catch (error) {
    if (!(error instanceof CorruptStoreError)) throw error;
  }
  return last;
}

/** The first reading from `time` on that a rollup knows of, however far away; damaged ones know of none. */
export function rollupFrom(rollups: RollupReader, series: number, time: number): Sample | null {
  let found: Sample | null = null;
  for (const tier of tiers) {
    const { windowMs } = rollupTiers[tier];
    let from = time;
    for (let window = 0; window < windowsMax; window++) {
      const begin = rollups.windowFrom(series, tier, from);
      if (begin === null) break;
      const ends = rollupEnds(rollups, { series, from: Math.max(from, begin), to: begin + windowMs }, tier);
      if (ends && (found === null || ends.first.time < found.time)) found = ends.first;
      if (ends) break;
      from = begin + windowMs;
    }
  }
  return found;
}

/** The first and the last reading that rollups of a range know of, as far as they are not damaged. */
export function rollupEnds(
  rollups: RollupReader,
  { series, from, to }: SeriesRange,
  tier: RollupTier,
): { readonly first: Sample; readonly last: Sample } | null {
  let first: Sample | null = null;
  let last: Sample | null = null;
  try {
    for (const columns of rollups.windows(series, tier, from, to, rollupPart.all)) {
      const [begin, end] = [columns.from, columns.to - 1];
      first ??= { time: columns.firstTimes[begin], value: columns.firstValue(begin) };
      last = { time: columns.lastTimes[end], value: columns.lastValue(end) };
    }
  } catch (error) {
    if (!(error instanceof CorruptStoreError)) throw error;
  }
  return first && last && { first, last };
}
