import { valueKind, type Value } from '../domain/reading.ts';
import { type SampleColumns, sampleValue } from '../domain/sample-columns.ts';
import { deviationsFrom } from './buckets/column-sums.ts';
import { PickedNumbers } from './buckets/picked-numbers.ts';

/**
 * What is known of a stretch of readings of one series without the readings: the row of a chunk, or a bucket of a rollup.
 * Booleans count as 0 and 1. `min` … are 0 where `numbers` is 0.
 */
export interface Summary {
  /** Times of the first and the last reading, epoch ms. */
  readonly firstTime: number;
  readonly lastTime: number;
  /** Readings. */
  readonly count: number;
  /** Those of them that are numbers or booleans. */
  readonly numbers: number;
  readonly min: number;
  readonly max: number;
  readonly sum: number;
  readonly first: Value;
  readonly last: Value;
  /** What only rollups know; null for chunks. */
  readonly more: SummaryMore | null;
}

/** All of numbers and booleans only; where texts stand between them they are passed over. */
export interface SummaryMore {
  /** Sum of the squared deviations from the mean: sums of plain squares cannot tell 101,325.1 from 101,325.2. */
  readonly deviations: number;
  /** What a counter counted from the first to the last number; a smaller value than the one before is a reset to zero. */
  readonly increase: number;
  /** Value × ms from the first to the last number, straight lines between them. */
  readonly linearArea: number;
  /** The same when a value holds until the next one. */
  readonly stepArea: number;
  /** The first and last number with its time; 0 where there is none. */
  readonly firstNumber: number;
  readonly firstNumberTime: number;
  readonly lastNumber: number;
  readonly lastNumberTime: number;
}

/** Summaries of equally wide stretches as columns, ascending: row i of each says what a `Summary` with `more` says. */
export interface SummaryColumns {
  /** Begins of the stretches, epoch ms; those without readings are left out. */
  readonly begins: Float64Array;
  readonly counts: Float64Array;
  readonly numbers: Float64Array;
  readonly mins: Float64Array;
  readonly maxs: Float64Array;
  readonly sums: Float64Array;
  readonly deviations: Float64Array;
  readonly increases: Float64Array;
  readonly linearAreas: Float64Array;
  readonly stepAreas: Float64Array;
  readonly firstNumbers: Float64Array;
  readonly firstNumberTimes: Float64Array;
  readonly lastNumbers: Float64Array;
  readonly lastNumberTimes: Float64Array;
  firstValue(row: number): Value;
  lastValue(row: number): Value;
}

/** Sums up rows `begin` to `end` (excluded, at least one) of ascending readings. */
export function summarize(columns: SampleColumns, begin: number, end: number): Summary {
  const { times, values, kinds } = columns;
  let numbers = 0;
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let sum = 0;
  let increase = 0;
  let linearArea = 0;
  let stepArea = 0;
  let firstNumber = 0;
  let firstNumberTime = 0;
  let lastNumber = 0;
  let lastNumberTime = 0;
  for (let row = begin; row < end; row++) {
    if (kinds !== null && kinds[row] === valueKind.text) continue;
    const value = values[row];
    const time = times[row];
    if (value < min) min = value;
    if (value > max) max = value;
    sum += value;
    if (numbers === 0) {
      firstNumber = value;
      firstNumberTime = time;
    } else {
      const span = time - lastNumberTime;
      increase += value >= lastNumber ? value - lastNumber : value;
      linearArea += ((value + lastNumber) / 2) * span;
      stepArea += lastNumber * span;
    }
    lastNumber = value;
    lastNumberTime = time;
    numbers++;
  }
  return {
    firstTime: times[begin],
    lastTime: times[end - 1],
    count: end - begin,
    numbers,
    min: numbers === 0 ? 0 : min,
    max: numbers === 0 ? 0 : max,
    sum,
    first: sampleValue(columns, begin),
    last: sampleValue(columns, end - 1),
    more: {
      deviations: deviationsOf(sum, numbers, columns, begin, end),
      increase,
      linearArea,
      stepArea,
      firstNumber,
      firstNumberTime,
      lastNumber,
      lastNumberTime,
    },
  };
}

function deviationsOf(sum: number, numbers: number, columns: SampleColumns, begin: number, end: number): number {
  if (numbers === 0) return 0;
  if (numbers === end - begin) return deviationsFrom(sum / numbers, columns.values, begin, end);
  const picked = new PickedNumbers();
  const count = picked.take(columns, begin, end);
  return deviationsFrom(sum / numbers, picked.values, 0, count);
}

/** The summary of the readings of both, all of `later` being after all of `earlier`; `more` is null unless both know more. */
export function joinSummaries(earlier: Summary, later: Summary): Summary {
  const { min, max } = earlier.numbers === 0 ? later : earlier;
  return {
    firstTime: earlier.firstTime,
    lastTime: later.lastTime,
    count: earlier.count + later.count,
    numbers: earlier.numbers + later.numbers,
    min: later.numbers === 0 ? min : Math.min(min, later.min),
    max: later.numbers === 0 ? max : Math.max(max, later.max),
    sum: earlier.sum + later.sum,
    first: earlier.first,
    last: later.last,
    more: earlier.more && later.more && joinMore(earlier, earlier.more, later, later.more),
  };
}

function joinMore(earlier: Summary, before: SummaryMore, later: Summary, after: SummaryMore): SummaryMore {
  if (later.numbers === 0) return before;
  if (earlier.numbers === 0) return after;
  const span = after.firstNumberTime - before.lastNumberTime;
  const from = before.lastNumber;
  const to = after.firstNumber;
  return {
    deviations: joinedDeviations(
      { count: earlier.numbers, sum: earlier.sum, deviations: before.deviations },
      { count: later.numbers, sum: later.sum, deviations: after.deviations },
    ),
    increase: before.increase + after.increase + (to >= from ? to - from : to),
    linearArea: before.linearArea + after.linearArea + ((from + to) / 2) * span,
    stepArea: before.stepArea + after.stepArea + from * span,
    firstNumber: before.firstNumber,
    firstNumberTime: before.firstNumberTime,
    lastNumber: after.lastNumber,
    lastNumberTime: after.lastNumberTime,
  };
}

/** Numbers of which only these are known. */
export interface Moments {
  /** At least one. */
  readonly count: number;
  readonly sum: number;
  /** Sum of the squared deviations from their mean. */
  readonly deviations: number;
}

/** Sum of the squared deviations of both from their common mean (Chan, Golub and LeVeque, 1979). */
export function joinedDeviations(one: Moments, other: Moments): number {
  const apart = other.sum / other.count - one.sum / one.count;
  return one.deviations + other.deviations + (apart * apart * one.count * other.count) / (one.count + other.count);
}
