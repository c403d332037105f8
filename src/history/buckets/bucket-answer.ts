import type { Aggregate, BucketFill } from '../../domain/aggregate.ts';
import type { Value } from '../../domain/reading.ts';
import type { BucketNeeds } from './bucket-needs.ts';
import type { BucketTable } from './bucket-table.ts';
import type { Sample } from '../reader.ts';

/** All that is known when a fold is closed. */
export interface ClosedFold {
  readonly aggregates: readonly Aggregate[];
  readonly needs: BucketNeeds;
  readonly fill: BucketFill;
  readonly table: BucketTable;
  /** The last reading before the range, and the last one that is a number. */
  readonly before: Sample | null;
  readonly numberBefore: Sample | null;
  readonly after: Sample | null;
  /** The value between numbers is known in `[knownFrom, knownTo)`, epoch ms; NaN when never. */
  readonly knownFrom: number;
  /** Nothing is known from then on. */
  readonly knownTo: number;
  /** What is in force is known from then on. */
  readonly heldFrom: number;
}

type Answer = Value | null;

/** One column of answers for each aggregate. */
export function answerColumns(fold: ClosedFold): Answer[][] {
  const filler = fillerOf(fold);
  let hold = 0;
  return fold.aggregates.map((aggregate) => {
    const index = aggregate.kind === 'timeInRange' || aggregate.kind === 'duration' ? hold++ : 0;
    return columnOf(fold, aggregate, index, filler);
  });
}

function columnOf(fold: ClosedFold, aggregate: Aggregate, hold: number, filler: Filler): Answer[] {
  const { table } = fold;
  const { counts, numbers, sums, deviations } = table;
  switch (aggregate.kind) {
    case 'count':
      return column(table, (row) => counts[row]);
    case 'first':
    case 'last': {
      const ends = aggregate.kind === 'first' ? table.firsts : table.lasts;
      return column(table, (row) => (counts[row] === 0 ? filler.reading(row) : ends[row]));
    }
    case 'min':
      return numberColumn(table, filler, (row) => table.mins[row]);
    case 'max':
      return numberColumn(table, filler, (row) => table.maxs[row]);
    case 'avg':
      return numberColumn(table, filler, (row) => sums[row] / numbers[row]);
    case 'median':
      return numberColumn(table, filler, percentileOf(fold, 50));
    case 'percentile':
      return numberColumn(table, filler, percentileOf(fold, aggregate.rank));
    case 'sum':
      return numberColumn(table, null, (row) => sums[row]);
    case 'stddev':
      return numberColumn(table, null, (row) => Math.sqrt(deviations[row] / numbers[row]));
    case 'delta':
      return deltaColumn(fold);
    case 'increase':
      return increaseColumn(fold);
    case 'rate':
      return rateColumn(fold);
    case 'integral':
      return column(table, (row) => (knownMs(fold, row) > 0 ? finite(table.areas[row] / 1_000) : null));
    case 'timeWeightedAvg':
      return column(table, (row) => {
        const known = knownMs(fold, row);
        return known > 0 ? finite(table.areas[row] / known) : null;
      });
    default: {
      // timeInRange and duration
      const held = table.held[hold];
      const until = fold.knownTo;
      return column(table, (row) =>
        Math.min(table.ends[row], until) > Math.max(table.begins[row], fold.heldFrom) ? held[row] : null,
      );
    }
  }
}

function column(table: BucketTable, answer: (row: number) => Answer): Answer[] {
  const answers: Answer[] = [];
  for (let row = 0; row < table.count; row++) answers.push(answer(row));
  return answers;
}

/** A column of which buckets without numbers have nothing, and those without any reading what fills them. */
function numberColumn(table: BucketTable, filler: Filler | null, answer: (row: number) => number): Answer[] {
  return column(table, (row) => {
    if (table.numbers[row] > 0) return finite(answer(row));
    return table.counts[row] === 0 && filler ? filler.number(row) : null;
  });
}

function percentileOf({ needs, table }: ClosedFold, rank: number): (row: number) => number {
  const percentiles = table.percentiles[needs.ranks.indexOf(rank)];
  return (row) => percentiles[row];
}

function deltaColumn({ table, numberBefore, knownTo }: ClosedFold): Answer[] {
  let inForce = numberOf(numberBefore);
  return column(table, (row) => {
    if (isAhead(table, row, knownTo)) return null;
    if (table.numbers[row] === 0) return inForce === null ? null : 0;
    const start = inForce ?? table.firstNumbers[row];
    inForce = table.lastNumbers[row];
    return finite(inForce - start);
  });
}

function increaseColumn({ table, numberBefore, knownTo }: ClosedFold): Answer[] {
  let isKnown = numberBefore !== null;
  return column(table, (row) => {
    isKnown ||= table.numbers[row] > 0;
    return isKnown && !isAhead(table, row, knownTo) ? finite(table.increases[row]) : null;
  });
}

function rateColumn({ table, numberBefore }: ClosedFold): Answer[] {
  let since = numberBefore?.time ?? Number.NaN;
  return column(table, (row) => {
    if (table.numbers[row] === 0) return null;
    const start = Number.isNaN(since) ? table.firstNumberTimes[row] : since;
    since = table.lastNumberTimes[row];
    return since > start ? finite((table.increases[row] / (since - start)) * 1_000) : null;
  });
}

/** For how long of a bucket the value between numbers is known, ms. */
function knownMs({ table, knownFrom, knownTo }: ClosedFold, row: number): number {
  return Math.min(table.ends[row], knownTo) - Math.max(table.begins[row], knownFrom);
}

/** Which of two zeros comes out depends on the order of adding, so it is always the positive one; beyond all doubles: null. */
function finite(number: number): number | null {
  return Number.isFinite(number) ? number + 0 : null;
}

function numberOf(sample: Sample | null): number | null {
  return sample === null || typeof sample.value === 'string' ? null : Number(sample.value);
}

/** What stands in a bucket without readings. */
interface Filler {
  number(row: number): number | null;
  reading(row: number): Answer;
}

function fillerOf(fold: ClosedFold): Filler {
  switch (fold.fill) {
    case 'previous': {
      const values = valuesInForce(fold);
      return {
        number: (row) => (typeof values[row] === 'string' || values[row] === null ? null : Number(values[row])),
        reading: (row) => values[row],
      };
    }
    case 'linear': {
      const values = valuesOnLine(fold);
      return { number: (row) => values[row], reading: (row) => values[row] };
    }
    default:
      return { number: () => null, reading: () => null };
  }
}

/** By row: the reading in force at its end; null where that is not known. */
function valuesInForce({ table, before, knownTo }: ClosedFold): Answer[] {
  let value = before?.value ?? null;
  return column(table, (row) => {
    if (table.counts[row] > 0) value = table.lasts[row];
    return isAhead(table, row, knownTo) ? null : value;
  });
}

/** Whether nothing is known of a bucket, for it is yet to come. */
function isAhead({ counts, begins }: BucketTable, row: number, knownTo: number): boolean {
  return counts[row] === 0 && begins[row] >= knownTo;
}

/** By row: where the straight line between the number before it and the one after it is in its middle. */
function valuesOnLine({ table, numberBefore, after }: ClosedFold): (number | null)[] {
  const values: (number | null)[] = [];
  let left = numberOf(numberBefore);
  let leftTime = numberBefore?.time ?? 0;
  let empty = 0;
  const fillTo = (end: number, right: number | null, rightTime: number): void => {
    for (let row = empty; row < end; row++) {
      const middle = (table.begins[row] + table.ends[row]) / 2;
      const part = (middle - leftTime) / (rightTime - leftTime);
      values[row] = left === null || right === null ? null : finite(left + (right - left) * part);
    }
  };
  for (let row = 0; row < table.count; row++) {
    if (table.numbers[row] === 0) continue;
    fillTo(row, table.firstNumbers[row], table.firstNumberTimes[row]);
    left = table.lastNumbers[row];
    leftTime = table.lastNumberTimes[row];
    values[row] = null;
    empty = row + 1;
  }
  fillTo(table.count, numberOf(after), after?.time ?? 0);
  return values;
}
