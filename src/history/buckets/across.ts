import type { Value } from '../../domain/reading.ts';
import type { AcrossColumns, Reduction } from '../queries.ts';

/** Series become one, bucket by bucket: of the values of those that have one in a bucket, how many, sum, least, greatest. */
export class AcrossFold {
  #count = 0;
  #times = new Float64Array(0);
  #series = new Float64Array(0);
  #sums = new Float64Array(0);
  #mins = new Float64Array(0);
  #maxs = new Float64Array(0);

  /** Adds one value of a series for each of the first `count` buckets (ascending); null and texts take no part. */
  addSeries(times: Float64Array, count: number, values: readonly (Value | null)[]): void {
    const taking = new Float64Array(count);
    const numbers = new Float64Array(count);
    let taken = 0;
    for (let row = 0; row < count; row++) {
      const value = values[row];
      if (value === null || typeof value === 'string') continue;
      taking[taken] = times[row];
      numbers[taken++] = Number(value);
    }
    this.#makeRoom(taking, taken);
    let at = 0;
    for (let row = 0; row < taken; row++) {
      while (this.#times[at] < taking[row]) at++;
      this.#add(at, 1, numbers[row], numbers[row], numbers[row]);
    }
  }

  /** Adds what was summed up of other series. */
  addColumns({ count, times, series, sums, mins, maxs }: AcrossColumns): void {
    this.#makeRoom(times, count);
    let at = 0;
    for (let row = 0; row < count; row++) {
      while (this.#times[at] < times[row]) at++;
      this.#add(at, series[row], sums[row], mins[row], maxs[row]);
    }
  }

  /** What was added so far. The fold may go on. */
  columns(): AcrossColumns {
    const count = this.#count;
    return {
      count,
      times: this.#times.slice(0, count),
      series: this.#series.slice(0, count),
      sums: this.#sums.slice(0, count),
      mins: this.#mins.slice(0, count),
      maxs: this.#maxs.slice(0, count),
    };
  }

  #add(row: number, series: number, sum: number, min: number, max: number): void {
    this.#series[row] += series;
    this.#sums[row] += sum;
    if (min < this.#mins[row]) this.#mins[row] = min;
    if (max > this.#maxs[row]) this.#maxs[row] = max;
  }

  /** Gives each of these buckets a row; mostly all have one. */
  #makeRoom(times: Float64Array, count: number): void {
    const missing = this.#missing(times, count);
    if (missing === 0) return;
    const total = this.#count + missing;
    const old = { count: this.#count, times: this.#times };
    const sources = new Int32Array(total).fill(-1);
    const merged = new Float64Array(total);
    let from = 0;
    let other = 0;
    for (let row = 0; row < total; row++) {
      const isOld = from < old.count && (other >= count || old.times[from] <= times[other]);
      if (isOld && other < count && old.times[from] === times[other]) other++;
      if (isOld) sources[row] = from;
      merged[row] = isOld ? old.times[from++] : times[other++];
    }
    this.#count = total;
    this.#times = merged;
    this.#series = spread(this.#series, sources, 0);
    this.#sums = spread(this.#sums, sources, 0);
    this.#mins = spread(this.#mins, sources, Number.POSITIVE_INFINITY);
    this.#maxs = spread(this.#maxs, sources, Number.NEGATIVE_INFINITY);
  }

  #missing(times: Float64Array, count: number): number {
    let missing = 0;
    let at = 0;
    for (let row = 0; row < count; row++) {
      while (at < this.#count && this.#times[at] < times[row]) at++;
      if (at >= this.#count || this.#times[at] !== times[row]) missing++;
    }
    return missing;
  }
}

/** Several answers about different series of one group as one. */
export function mergeAcross(pages: readonly AcrossColumns[]): AcrossColumns {
  const fold = new AcrossFold();
  for (const page of pages) fold.addColumns(page);
  return fold.columns();
}

/** The values of the group, bucket by bucket; null where a sum is beyond all doubles. */
export function reduce(columns: AcrossColumns, reduction: Reduction): (number | null)[] {
  const reduced: (number | null)[] = [];
  for (let row = 0; row < columns.count; row++) {
    const value = reducedAt(columns, row, reduction);
    // Of several zeros the order decides which comes out, so it is always the positive one.
    reduced.push(Number.isFinite(value) ? value + 0 : null);
  }
  return reduced;
}

function reducedAt({ series, sums, mins, maxs }: AcrossColumns, row: number, reduction: Reduction): number {
  switch (reduction) {
    case 'avg':
      return sums[row] / series[row];
    case 'sum':
      return sums[row];
    case 'min':
      return mins[row];
    case 'max':
      return maxs[row];
    default:
      return series[row];
  }
}

function spread(column: Float64Array, sources: Int32Array, empty: number): Float64Array<ArrayBuffer> {
  return Float64Array.from(sources, (source) => (source < 0 ? empty : column[source]));
}
