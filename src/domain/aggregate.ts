import type { Value } from './reading.ts';

/** What an aggregate is asked for beside its name. */
export type Aggregate =
  | { readonly kind: PlainAggregate }
  /** Nearest-rank-free percentile by linear interpolation (Hyndman and Fan, 1996, type 7); `rank` 0 … 100. */
  | { readonly kind: 'percentile'; readonly rank: number }
  /** Milliseconds in which the value was in `[low, high]`; a value holds until the next reading. */
  | { readonly kind: 'timeInRange'; readonly low: number; readonly high: number }
  /** Milliseconds in which the value was exactly this; a value holds until the next reading. */
  | { readonly kind: 'duration'; readonly state: Value };

/**
 * Aggregates without parameters. Booleans count as 0 and 1; texts are counted and take part in `first` and `last` only.
 * `stddev` is that of the population. `delta` is the last value less the one in force when the bucket began. `increase` is
 * what a counter counted, from the reading before the bucket on; a value below the one before it is a reset to zero.
 * `rate` is that a second. `timeWeightedAvg` and `integral` (value × seconds) interpolate between readings: a gauge
 * linearly, a counter or state holds its value until the next one.
 */
export const plainAggregates = [
  'count',
  'min',
  'max',
  'avg',
  'sum',
  'first',
  'last',
  'stddev',
  'median',
  'delta',
  'rate',
  'increase',
  'timeWeightedAvg',
  'integral',
] as const;
export type PlainAggregate = (typeof plainAggregates)[number];

/** How a value behaves between two readings, and what is asked of it when nobody says. */
export type MetricKind = 'gauge' | 'counter' | 'state';

/** What fills buckets without readings: leave them out, null, the value in force, or a line between its neighbours. */
export const bucketFills = ['none', 'null', 'previous', 'linear'] as const;
export type BucketFill = (typeof bucketFills)[number];
