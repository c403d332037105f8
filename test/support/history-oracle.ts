import type { Aggregate, BucketFill, MetricKind } from '../../src/domain/aggregate.ts';
import type { Value } from '../../src/domain/reading.ts';
import type { Grid } from '../../src/history/buckets/bucket-grid.ts';
import type { Sample } from '../../src/history/reader.ts';

/** What is asked of readings: all that stand in it are known, those out of `[from, to)` as neighbours only. */
export interface OracleQuestion {
  readonly samples: readonly Sample[];
  readonly grid: Grid;
  readonly from: number;
  readonly to: number;
  readonly kind: MetricKind;
  readonly fill: BucketFill;
  readonly holdsUntil?: number | undefined;
}

export interface OracleBucket {
  readonly time: number;
  readonly answer: Value | null;
}

interface Numbered {
  readonly time: number;
  readonly number: number;
}

/** The definitions of the room history, word by word, without a thought for speed. */
export function oracleBuckets(question: OracleQuestion, aggregate: Aggregate): OracleBucket[] {
  const { grid, from, to, fill, samples } = question;
  const buckets: OracleBucket[] = [];
  for (let time = grid.begin(from); time < to; time = grid.next(time)) {
    const begin = Math.max(time, from);
    const end = Math.min(grid.next(time), to);
    const inside = samples.filter((sample) => sample.time >= begin && sample.time < end);
    if (inside.length === 0 && fill === 'none') continue;
    buckets.push({ time, answer: answerOf(question, aggregate, begin, end, inside) });
  }
  return buckets;
}

function answerOf(
  question: OracleQuestion,
  aggregate: Aggregate,
  begin: number,
  end: number,
  inside: readonly Sample[],
): Value | null {
  const all = numbersOf(question.samples);
  const numbers = numbersOf(inside).map(({ number }) => number);
  const earlier = all.filter(({ time }) => time < begin);
  const known = [...earlier.slice(-1), ...numbersOf(inside)];
  const isUnknown = known.length === 0 || (inside.length === 0 && begin >= knownTo(question));
  const empty = (): Value | null =>
    filled(question, begin, end, aggregate.kind === 'first' || aggregate.kind === 'last');
  const of = (fold: (some: readonly number[]) => number): Value | null => {
    if (inside.length === 0) return empty();
    return numbers.length === 0 ? null : fold(numbers);
  };
  switch (aggregate.kind) {
    case 'count':
      return inside.length;
    case 'min':
      return of((some) => Math.min(...some));
    case 'max':
      return of((some) => Math.max(...some));
    case 'avg':
      return of(mean);
    case 'median':
      return of((some) => quantile(some, 50));
    case 'percentile':
      return of((some) => quantile(some, aggregate.rank));
    case 'sum':
      return numbers.length === 0 ? null : total(numbers);
    case 'stddev':
      return numbers.length === 0 ? null : Math.sqrt(mean(numbers.map((number) => (number - mean(numbers)) ** 2)));
    case 'first':
      return inside.length === 0 ? empty() : inside[0].value;
    case 'last':
      return inside.length === 0 ? empty() : inside[inside.length - 1].value;
    case 'delta':
      return isUnknown ? null : known[known.length - 1].number - known[0].number;
    case 'increase':
      return isUnknown ? null : total(known.slice(1).map(({ number }, at) => counted(known[at].number, number)));
    case 'rate': {
      const span = known.length === 0 ? 0 : (known[known.length - 1].time - known[0].time) / 1_000;
      if (numbers.length === 0 || span === 0) return null;
      return total(known.slice(1).map(({ number }, at) => counted(known[at].number, number))) / span;
    }
    case 'integral':
    case 'timeWeightedAvg': {
      let area = 0;
      let span = 0;
      for (const piece of pieces(question, all, begin, end)) {
        const middle = (piece.begin + piece.end) / 2;
        area += piece.at(middle) * (piece.end - piece.begin);
        span += piece.end - piece.begin;
      }
      if (span === 0) return null;
      return aggregate.kind === 'integral' ? area / 1_000 : area / span;
    }
    case 'timeInRange':
      return heldMs(question, begin, end, (value) => {
        return typeof value !== 'string' && Number(value) >= aggregate.low && Number(value) <= aggregate.high;
      });
    default:
      return heldMs(question, begin, end, (value) => {
        if (typeof value === 'boolean' && aggregate.state === (value ? 'on' : 'off')) return true;
        return value === aggregate.state;
      });
  }
}

/** Nothing is known from then on. */
function knownTo({ samples, to, holdsUntil = to }: OracleQuestion): number {
  return samples.find(({ time }) => time >= to)?.time ?? Math.max(holdsUntil, samples.at(-1)?.time ?? holdsUntil);
}

function numbersOf(samples: readonly Sample[]): Numbered[] {
  return samples.flatMap(({ time, value }) => (typeof value === 'string' ? [] : [{ time, number: Number(value) }]));
}

function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}

function mean(numbers: readonly number[]): number {
  return total(numbers) / numbers.length;
}

function counted(before: number, after: number): number {
  return after >= before ? after - before : after;
}

/** Hyndman and Fan, type 7, over the sorted numbers. */
export function quantile(numbers: readonly number[], rank: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const place = ((sorted.length - 1) * rank) / 100;
  const low = sorted[Math.floor(place)];
  const high = sorted[Math.ceil(place)];
  return low + (high - low) * (place - Math.floor(place));
}

interface Piece {
  readonly begin: number;
  readonly end: number;
  at(time: number): number;
}

/** The value between numbers, as straight pieces of it in `[begin, end)`. */
function pieces(question: OracleQuestion, all: readonly Numbered[], begin: number, end: number): Piece[] {
  const { kind } = question;
  const last = knownTo(question);
  return all.flatMap(({ time, number }, index) => {
    const next = all[index + 1];
    const isLine = kind === 'gauge' && next !== undefined;
    const slope = isLine ? (next.number - number) / (next.time - time) : 0;
    const piece = {
      begin: Math.max(begin, time),
      end: Math.min(end, next?.time ?? last),
      at: (at: number) => number + slope * (at - time),
    };
    return piece.begin < piece.end ? [piece] : [];
  });
}

function heldMs(question: OracleQuestion, begin: number, end: number, fits: (value: Value) => boolean): number | null {
  let held = 0;
  let known = 0;
  const { samples } = question;
  for (const [index, { time, value }] of samples.entries()) {
    const span = Math.min(end, samples[index + 1]?.time ?? knownTo(question)) - Math.max(begin, time);
    if (span <= 0) continue;
    known += span;
    if (fits(value)) held += span;
  }
  return known === 0 ? null : held;
}

function filled(question: OracleQuestion, begin: number, end: number, isReading: boolean): Value | null {
  const { fill, samples } = question;
  if (fill === 'previous') {
    if (begin >= knownTo(question)) return null;
    const value = samples.findLast(({ time }) => time < begin)?.value ?? null;
    if (isReading || value === null) return value;
    return typeof value === 'string' ? null : Number(value);
  }
  if (fill !== 'linear') return null;
  const numbers = numbersOf(samples);
  const before = numbers.findLast(({ time }) => time < begin);
  const after = numbers.find(({ time }) => time >= end);
  if (!before || !after) return null;
  const part = ((begin + end) / 2 - before.time) / (after.time - before.time);
  return before.number + (after.number - before.number) * part;
}
