import type { SeriesRange } from '../../../history/queries.ts';
import type { HeadsQuery } from './reader-heads.ts';
import { unsealedOf } from './reader-heads.ts';
import type { ReaderTask, Sources } from './reader-task.ts';
import { runEffortMax } from './reader-task.ts';

/** About how many readings there are in ranges; those that were written twice count twice while they wait to be merged. */
export class EstimateTask implements ReaderTask<{ readonly readings: number }> {
  readonly #ranges: readonly SeriesRange[];
  #done = 0;
  #readings = 0;

  constructor(ranges: readonly SeriesRange[]) {
    this.#ranges = ranges;
  }

  run({ chunks, heads }: Sources): boolean {
    for (let at = 0; this.#done < this.#ranges.length; at++, this.#done++) {
      if (at === seriesAtOnce || chunks.effort >= runEffortMax) return false;
      const { series, from, to } = this.#ranges[this.#done];
      const unsealed = unsealedOf(chunks, series, heads, at)?.count ?? 0;
      this.#readings += unsealed + chunks.estimate(series, from, to);
    }
    return true;
  }

  left(): HeadsQuery {
    return headsOfEstimate(this.#ranges.slice(this.#done));
  }

  answer(): { readonly readings: number } {
    return { readings: Math.round(this.#readings) };
  }
}

/** Series whose heads are asked for at once. */
const seriesAtOnce = 64;

/** All of the ranges with which it begins. */
export function headsOfEstimate(ranges: readonly SeriesRange[]): HeadsQuery {
  return headsOfRanges(ranges.slice(0, seriesAtOnce));
}

/** All of each range. */
export function headsOfRanges(ranges: readonly SeriesRange[]): HeadsQuery {
  return {
    ranges: ranges.map((range) => ({ ...range, order: 'asc', limit: Number.POSITIVE_INFINITY })),
    limitAll: Number.POSITIVE_INFINITY,
  };
}
