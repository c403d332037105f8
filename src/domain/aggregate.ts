import type { Value } from './reading.ts';

/** What an aggregate is asked for beside its name. */
export type Aggregate =
  | { readonly kind: PlainAggregate }
  /** Percentile by linear interpolation (Hyndman and Fan, 1996, type 7); `rank` 0 … 100. */
  | { readonly kind: 'percentile'; readonly rank: number }
  /** Milliseconds in which the value was in `[low, high]`; a value holds until the next reading. */
  | { readonly kind: 'timeInRange'; readonly low: number; readonly high: number }
  /** Milliseconds in which the value was exactly this; a value holds until the next reading. `on` and `off` are also true and false. */
  | { readonly kind: 'duration'; readonly state: Value };

/**
 * Aggregates without parameters. Booleans count as 0 and 1; texts are counted and take part in `first` and `last` only.
 * `stddev` is that of the population. `delta` is the last value less the one in force when the bucket began. `increase` is
 * what a counter counted, from the reading before the bucket on; a value below the one before it is a reset to zero.
 * `rate` is that a second, from the reading before the bucket to the last one in it. `timeWeightedAvg` and `integral`
 * (value × seconds) interpolate between readings: a gauge linearly, a counter or state holds its value until the next one.
 * The README of the room history has the formulas.
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

const askedOfKind: Readonly<Record<MetricKind, readonly PlainAggregate[]>> = {
  gauge: ['avg', 'min', 'max', 'count'],
  counter: ['increase', 'last', 'count'],
  state: ['last', 'count'],
};

/** What is asked of a metric of this kind when nobody says. */
export function defaultAggregates(kind: MetricKind): readonly Aggregate[] {
  return askedOfKind[kind].map((plain) => ({ kind: plain }));
}

/** What fills buckets without readings: leave them out, null, the value in force, or a line between its neighbours. */
export const bucketFills = ['none', 'null', 'previous', 'linear'] as const;
export type BucketFill = (typeof bucketFills)[number];

/** A list such as `avg,p95,timeInRange(18,24)` cut at its commas, but not within brackets or quotes; no empty names. */
export function splitAggregates(list: string): string[] {
  const names: string[] = [];
  let begin = 0;
  let isInBrackets = false;
  let isQuoted = false;
  for (let at = 0; at < list.length; at++) {
    const char = list[at];
    if (isQuoted && char === '\\') at++;
    else if (isInBrackets && char === '"') isQuoted = !isQuoted;
    else if (!isQuoted && char === '(') isInBrackets = true;
    else if (!isQuoted && char === ')') isInBrackets = false;
    else if (char === ',' && !isInBrackets) {
      names.push(list.slice(begin, at).trim());
      begin = at + 1;
    }
  }
  names.push(list.slice(begin).trim());
  return names.filter((name) => name !== '');
}

/**
 * The aggregate of this name, or null: one of `plainAggregates`, `p` with a rank from 0 to 100 (`p95`, `p99.9`),
 * `timeInRange(low,high)`, `duration(state)`. A state is a number, `true`, `false`, or a text, which may stand in the quotes
 * of JSON and must where it would otherwise be read as something else: `duration("1")`.
 */
export function parseAggregate(name: string): Aggregate | null {
  const plain = plainAggregates.find((candidate) => candidate === name);
  if (plain) return { kind: plain };
  const rank = /^p(\d{1,3}(?:\.\d{1,6})?)$/.exec(name)?.[1];
  if (rank !== undefined) return Number(rank) <= 100 ? { kind: 'percentile', rank: Number(rank) } : null;
  const call = /^(timeInRange|duration)\((.*)\)$/s.exec(name);
  if (!call) return null;
  return call[1] === 'duration' ? parseDurationOf(call[2].trim()) : parseTimeInRange(call[2]);
}

/** The name under which an answer tells the aggregate; `parseAggregate` reads it. */
export function aggregateName(aggregate: Aggregate): string {
  switch (aggregate.kind) {
    case 'percentile':
      return `p${aggregate.rank}`;
    case 'timeInRange':
      return `timeInRange(${aggregate.low},${aggregate.high})`;
    case 'duration':
      return `duration(${stateName(aggregate.state)})`;
    default:
      return aggregate.kind;
  }
}

/** A number as JSON writes it, a sign of plus or minus infinity not among them. */
const numberPattern = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

function parseTimeInRange(parameters: string): Aggregate | null {
  const bounds = parameters.split(',').map((bound) => bound.trim());
  if (bounds.length !== 2 || !bounds.every((bound) => numberPattern.test(bound))) return null;
  const [low, high] = bounds.map(Number);
  return low <= high && Number.isFinite(low) && Number.isFinite(high) ? { kind: 'timeInRange', low, high } : null;
}

function parseDurationOf(text: string): Aggregate | null {
  if (text === '') return null;
  if (text === 'true' || text === 'false') return { kind: 'duration', state: text === 'true' };
  if (numberPattern.test(text)) {
    return Number.isFinite(Number(text)) ? { kind: 'duration', state: Number(text) } : null;
  }
  if (!text.startsWith('"')) return { kind: 'duration', state: text };
  const quoted = unquoted(text);
  return quoted === null ? null : { kind: 'duration', state: quoted };
}

function unquoted(text: string): string | null {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'string' ? parsed : null;
  } catch {
    return null;
  }
}

function stateName(state: Value): string {
  if (typeof state !== 'string') return String(state);
  const isPlain = /^[^\s"(),][^"(),]*$/.test(state) && state.trim() === state;
  const isMistaken = state === 'true' || state === 'false' || numberPattern.test(state);
  return isPlain && !isMistaken ? state : JSON.stringify(state);
}
