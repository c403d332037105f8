import type { SampleColumns } from '../../../domain/sample-columns.ts';
import { sampleValue } from '../../../domain/sample-columns.ts';
import type { Boundaries, SeriesRange } from '../../../history/queries.ts';
import type { Sample } from '../../../history/reader.ts';
import type { SnapshotChunks } from './reader-chunks.ts';
import type { HeadRange, HeadsQuery } from './reader-heads.ts';
import { isCutShort, unsealedOf } from './reader-heads.ts';
import { readSeries } from './reader-page.ts';
import type { ReaderTask, Sources } from './reader-task.ts';
import { runEffortMax } from './reader-task.ts';

/** The last reading before each range and the first one at or after its end. */
export class BoundariesTask implements ReaderTask<readonly Boundaries[]> {
  readonly #ranges: readonly SeriesRange[];
  readonly #found: Boundaries[] = [];

  constructor(ranges: readonly SeriesRange[]) {
    this.#ranges = ranges;
  }

  run({ chunks, heads }: Sources): boolean {
    const begun = this.#found.length;
    for (const [at, { series, from, to }] of this.#ranges.slice(begun).entries()) {
      if (chunks.effort >= runEffortMax) return false;
      const [before, after] = [at * 2, at * 2 + 1].map((index) => unsealedOf(chunks, series, heads, index));
      const isStale =
        isCutShort(chunks, series, heads, at * 2, { limit: 1, left: before }) ||
        isCutShort(chunks, series, heads, at * 2 + 1, { limit: 1, left: after });
      if (isStale) return false;
      this.#found.push({
        before: lastBefore(chunks, series, from, before),
        after: firstFrom(chunks, series, to, after),
      });
    }
    return true;
  }

  left(): HeadsQuery {
    return headsOfBoundaries(this.#ranges.slice(this.#found.length));
  }

  answer(): readonly Boundaries[] {
    return this.#found;
  }
}

/** Two for each range. */
export function headsOfBoundaries(ranges: readonly SeriesRange[]): HeadsQuery {
  return {
    ranges: ranges.flatMap(({ series, from, to }) => [headBefore(series, from), headFrom(series, to)]),
    limitAll: Number.POSITIVE_INFINITY,
  };
}

export function headBefore(series: number, time: number): HeadRange {
  return { series, from: Number.NEGATIVE_INFINITY, to: time, order: 'desc', limit: 1 };
}

export function headFrom(series: number, time: number): HeadRange {
  return { series, from: time, to: Number.POSITIVE_INFINITY, order: 'asc', limit: 1 };
}

/** The last reading of a series before `time`. */
export function lastBefore(
  chunks: SnapshotChunks,
  series: number,
  time: number,
  head: SampleColumns | null,
): Sample | null {
  const range = { series, from: Number.NEGATIVE_INFINITY, to: time };
  return sampleOf(readSeries(chunks, range, { order: 'desc', limit: 1, head, isNextWanted: false }).columns);
}

/** The first reading of a series at or after `time`. */
export function firstFrom(
  chunks: SnapshotChunks,
  series: number,
  time: number,
  head: SampleColumns | null,
): Sample | null {
  const range = { series, from: time, to: Number.POSITIVE_INFINITY };
  return sampleOf(readSeries(chunks, range, { order: 'asc', limit: 1, head, isNextWanted: false }).columns);
}

function sampleOf(columns: SampleColumns): Sample | null {
  return columns.count === 0 ? null : { time: columns.times[0], value: sampleValue(columns, 0) };
}
