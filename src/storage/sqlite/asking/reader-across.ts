import type { AcrossColumns, AcrossPage, AcrossQuery, AggregatedSeries, Resolution } from '../../../history/queries.ts';
import { FoldsTask } from './reader-aggregate.ts';
import type { FoldOfSeries } from './reader-fold.ts';
import { coarsest } from './reader-fold.ts';
import type { HeadsQuery } from './reader-heads.ts';
import type { ReaderTask, Sources } from './reader-task.ts';

/** Series made one, bucket by bucket, group by group. */
export class AcrossTask implements ReaderTask<AcrossPage> {
  readonly #limit: number;
  readonly #groups: readonly GroupSums[];
  readonly #folds: FoldsTask;
  #next = Number.POSITIVE_INFINITY;
  #resolution: Resolution = 'raw';

  constructor(query: AcrossQuery) {
    this.#limit = query.limit;
    this.#groups = Array.from({ length: query.groups }, () => new GroupSums());
    this.#folds = new FoldsTask(foldsOfAcross(query), (index, series) => this.#add(query.groupOf[index], series));
  }

  run(sources: Sources): boolean {
    return this.#folds.run(sources);
  }

  left(): HeadsQuery {
    return this.#folds.left();
  }

  answer(): AcrossPage {
    const times = [...new Set(this.#groups.flatMap((group) => [...group.times]))].sort((a, b) => a - b);
    const next = Math.min(this.#next, times[this.#limit] ?? Number.POSITIVE_INFINITY);
    return {
      groups: this.#groups.map((group) => group.columns(next)),
      next: Number.isFinite(next) ? next : null,
      resolution: this.#resolution,
      damaged: this.#folds.damaged,
    };
  }

  /** A series that was not told to its end makes what comes after it incomplete. */
  #add(group: number, { buckets, next, resolution }: AggregatedSeries): void {
    this.#next = Math.min(this.#next, next ?? Number.POSITIVE_INFINITY);
    this.#resolution = coarsest(this.#resolution, resolution);
    const sums = this.#groups[group];
    const [values] = buckets.columns;
    for (let bucket = 0; bucket < buckets.count && buckets.times[bucket] < this.#next; bucket++) {
      const value = values[bucket];
      if (typeof value === 'number') sums.add(buckets.times[bucket], value);
      else if (typeof value === 'boolean') sums.add(buckets.times[bucket], Number(value));
    }
    // Series may have readings at quite different times: what lies behind the last bucket of the answer is let go.
    if (sums.count > this.#limit * 2) this.#next = Math.min(this.#next, sums.cut(this.#limit));
  }
}

/** What of the heads it begins with. */
export function headsOfAcross(query: AcrossQuery): HeadsQuery {
  return new FoldsTask(foldsOfAcross(query), () => undefined).left();
}

function foldsOfAcross({ ranges, kinds, grid, aggregate, limit, holdsUntil, page }: AcrossQuery): FoldOfSeries[] {
  return ranges.map((range, index) => ({
    range,
    kind: kinds[index],
    grid,
    aggregates: [aggregate],
    fill: 'none',
    limit,
    holdsUntil,
    page,
  }));
}

interface BucketSums {
  series: number;
  sum: number;
  min: number;
  max: number;
}

/** One group: by bucket, of the series that have a value in it. */
class GroupSums {
  readonly #buckets = new Map<number, BucketSums>();

  get times(): Iterable<number> {
    return this.#buckets.keys();
  }

  get count(): number {
    return this.#buckets.size;
  }

  /** Lets go all but the first `limit` buckets, and returns where the first of the others began. */
  cut(limit: number): number {
    const end = Float64Array.from(this.#buckets.keys()).sort()[limit];
    for (const time of this.#buckets.keys()) if (time >= end) this.#buckets.delete(time);
    return end;
  }

  add(time: number, value: number): void {
    const bucket = this.#buckets.get(time);
    if (!bucket) {
      this.#buckets.set(time, { series: 1, sum: value, min: value, max: value });
      return;
    }
    bucket.series++;
    bucket.sum += value;
    if (value < bucket.min) bucket.min = value;
    if (value > bucket.max) bucket.max = value;
  }

  /** Of the buckets that begin before `end`, ascending. */
  columns(end: number): AcrossColumns {
    const rows = [...this.#buckets].filter(([time]) => time < end).sort(([a], [b]) => a - b);
    return {
      count: rows.length,
      times: Float64Array.from(rows, ([time]) => time),
      series: Float64Array.from(rows, ([, { series }]) => series),
      sums: Float64Array.from(rows, ([, { sum }]) => sum),
      mins: Float64Array.from(rows, ([, { min }]) => min),
      maxs: Float64Array.from(rows, ([, { max }]) => max),
    };
  }
}
