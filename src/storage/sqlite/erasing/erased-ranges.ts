import type { Deletion } from '../../../domain/deletion.ts';
import type { Stretch } from '../chunks/head.ts';
import { firstAtOrAfter } from '../chunks/head.ts';

/** Times in `[from, to)`, epoch ms. */
export interface TimeRange {
  readonly from: number;
  readonly to: number;
}

/** What a commit deletes: by series, ascending ranges that do not touch each other. */
export class ErasedRanges {
  readonly bySeries = new Map<number, readonly TimeRange[]>();

  constructor(deletions: readonly Deletion[]) {
    for (const { series, from, to } of deletions) {
      const range = { from: bounded(from), to: bounded(to) };
      if (range.from < range.to) this.bySeries.set(series, joined([...(this.bySeries.get(series) ?? []), range]));
    }
  }

  has(series: number, time: number): boolean {
    return this.bySeries.get(series)?.some((range) => holds(range, time)) ?? false;
  }
}

export function holds({ from, to }: TimeRange, time: number): boolean {
  return time >= from && time < to;
}

/** The readings of the stretch that are not in the range, in arrays of their own; the stretch itself when that is all. */
export function withoutRange(stretch: Stretch, { from, to }: TimeRange): Stretch {
  const { times, values, kinds, texts } = stretch;
  const begin = firstAtOrAfter(times, stretch.count, from);
  const end = firstAtOrAfter(times, stretch.count, to);
  if (begin >= end) return stretch;
  const count = stretch.count - (end - begin);
  const left = {
    count,
    times: times.slice(0, count),
    values: values.slice(0, count),
    kinds: kinds?.slice(0, count) ?? null,
    texts,
  };
  left.times.set(times.subarray(end, stretch.count), begin);
  left.values.set(values.subarray(end, stretch.count), begin);
  if (kinds) left.kinds?.set(kinds.subarray(end, stretch.count), begin);
  return left;
}

/** No time of a reading lies beyond, and the columns of the table hold whole numbers only. */
function bounded(time: number): number {
  return Math.min(Math.max(Math.ceil(time), Number.MIN_SAFE_INTEGER), Number.MAX_SAFE_INTEGER);
}

function joined(ranges: TimeRange[]): TimeRange[] {
  const result: TimeRange[] = [];
  for (const range of ranges.sort((a, b) => a.from - b.from)) {
    const last = result.at(-1);
    if (last && range.from <= last.to) result[result.length - 1] = { from: last.from, to: Math.max(last.to, range.to) };
    else result.push(range);
  }
  return result;
}
