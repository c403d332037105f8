import type { Aggregate, BucketFill, MetricKind } from '../../domain/aggregate.ts';

/** What has to be kept of each bucket so that every aggregate asked for can be told. */
export interface BucketNeeds {
  /** Least and greatest. */
  readonly extremes: boolean;
  readonly sums: boolean;
  /** Sums of squared deviations; only with `sums`. */
  readonly deviations: boolean;
  /** The first and last reading, of whatever kind. */
  readonly ends: boolean;
  /** The first and last number with their times. */
  readonly numbers: boolean;
  readonly increase: boolean;
  /** Value × ms: none, straight lines between readings, or each value until the next one. */
  readonly area: 'none' | 'linear' | 'step';
  /** Every number, sorted in part. */
  readonly ranks: readonly number[];
  /** Tests of a value for whose time in force is asked. */
  readonly holds: readonly HoldAggregate[];
}

export type HoldAggregate = Extract<Aggregate, { kind: 'timeInRange' | 'duration' }>;

/** From what a question can be answered exactly, the least first: see `sourceNeeded`. */
export type AggregateSource = 'summary' | 'rollup' | 'readings';

/** What has to be kept for these aggregates. */
export function needsOf(aggregates: readonly Aggregate[], kind: MetricKind, fill: BucketFill): BucketNeeds {
  const has = (...kinds: readonly Aggregate['kind'][]): boolean => aggregates.some(({ kind }) => kinds.includes(kind));
  const isArea = has('timeWeightedAvg', 'integral');
  return {
    extremes: has('min', 'max'),
    sums: has('avg', 'sum', 'stddev'),
    deviations: has('stddev'),
    ends: has('first', 'last') || fill === 'previous',
    numbers: isArea || has('delta', 'rate', 'increase') || fill === 'linear',
    increase: has('rate', 'increase'),
    area: isArea ? (kind === 'gauge' ? 'linear' : 'step') : 'none',
    ranks: ranksOf(aggregates),
    holds: aggregates.filter(isHold),
  };
}

/**
 * The least from which these aggregates can be told exactly: `summary`, the row of a chunk (`Summary` without `more`);
 * `rollup`, a `Summary` with `more`; or the `readings` themselves. A single summary may still say too little, such as that of
 * a chunk in which texts stand between numbers: `BucketFold.addSummary` answers false then.
 */
export function sourceNeeded(aggregates: readonly Aggregate[], kind: MetricKind, fill: BucketFill): AggregateSource {
  const needs = needsOf(aggregates, kind, fill);
  if (needs.ranks.length > 0 || needs.holds.length > 0) return 'readings';
  return needs.deviations || needs.increase || needs.area !== 'none' ? 'rollup' : 'summary';
}

/**
 * Which readings beyond the range have a say: the one in force when it begins, and the first at or after its end. `isAhead`:
 * the last reading does not hold to the end of the range, unless one that follows says that it does.
 */
export function boundariesNeeded(
  aggregates: readonly Aggregate[],
  kind: MetricKind,
  fill: BucketFill,
  isAhead = false,
): { readonly before: boolean; readonly after: boolean } {
  const needs = needsOf(aggregates, kind, fill);
  const isLined = fill === 'linear' || needs.area === 'linear';
  const before = needs.numbers || needs.holds.length > 0 || fill === 'previous';
  return { before, after: isLined || (isAhead && before) };
}

/** The ranks asked for, each once; the median is the 50th percentile. */
function ranksOf(aggregates: readonly Aggregate[]): number[] {
  const ranks = new Set<number>();
  for (const aggregate of aggregates) {
    if (aggregate.kind === 'median') ranks.add(50);
    if (aggregate.kind === 'percentile') ranks.add(aggregate.rank);
  }
  return [...ranks];
}

function isHold(aggregate: Aggregate): aggregate is HoldAggregate {
  return aggregate.kind === 'timeInRange' || aggregate.kind === 'duration';
}
