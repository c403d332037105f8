import type { Series } from '../../domain/series.ts';
import { compareText } from '../page.ts';
import type { SeriesNames } from '../ports.ts';

export interface SeriesName {
  readonly device: string;
  readonly metric: string;
}

/** Order of series wherever many are listed: by device, then metric. */
export function compareSeries(left: SeriesName, right: SeriesName): number {
  return compareText(left.device, right.device) || compareText(left.metric, right.metric);
}

/**
 * Every series there ever was, by device and metric. Numbers are given out once and never again, so only what is new
 * since the last look has to be put in its place.
 */
export class SeriesOrder {
  readonly #names: SeriesNames;
  #sorted: readonly Series[] = [];

  constructor(names: SeriesNames) {
    this.#names = names;
  }

  /** A list that never changes: what comes later is in a new one. */
  all(): readonly Series[] {
    const known = this.#sorted.length;
    const { size } = this.#names;
    if (size <= known) return this.#sorted;
    const fresh: Series[] = [];
    for (let id = known + 1; id <= size; id++) fresh.push(this.#names.series(id));
    this.#sorted = merged(this.#sorted, fresh.sort(compareSeries));
    return this.#sorted;
  }

  /** The series of this name, also when none of its readings is left. */
  find(name: SeriesName): Series | undefined {
    const sorted = this.all();
    const series = sorted[indexOfFirst(sorted, name)];
    return series !== undefined && compareSeries(series, name) === 0 ? series : undefined;
  }
}

/** Index of the first series that is not before `name`; their number when all are. */
export function indexOfFirst(sorted: readonly SeriesName[], name: SeriesName): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareSeries(sorted[middle], name) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function merged(left: readonly Series[], right: readonly Series[]): readonly Series[] {
  if (left.length === 0) return right;
  const all: Series[] = [];
  let at = 0;
  for (const series of right) {
    while (at < left.length && compareSeries(left[at], series) < 0) all.push(left[at++]);
    all.push(series);
  }
  while (at < left.length) all.push(left[at++]);
  return all;
}
