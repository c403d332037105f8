import { valueKind, type Value } from '../domain/reading.ts';
import { type SampleColumns, sampleValue } from '../domain/sample-columns.ts';

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
  readonly sumOfSquares: number;
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

/** Sums up rows `begin` to `end` (excluded, at least one) of ascending readings. */
export function summarize(columns: SampleColumns, begin: number, end: number): Summary {
  const { times, values, kinds } = columns;
  let numbers = 0;
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let sum = 0;
  let sumOfSquares = 0;
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
    sumOfSquares += value * value;
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
      sumOfSquares,
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
