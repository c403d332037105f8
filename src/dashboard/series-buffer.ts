import { PointRing } from './point-ring.ts';

/** One aggregate as the history answers it. `time` is the begin, epoch ms. */
export interface BucketPoint {
  readonly time: number;
  readonly min: number;
  readonly max: number;
  readonly avg: number;
  readonly count: number;
}

/** What history knew when it was asked. `width` is the bucket in ms, 0 when `points` are all there is. */
export interface HistoryPage {
  readonly width: number;
  /** Complete buckets, ascending, all of them before `boundary`. */
  readonly buckets: readonly BucketPoint[];
  /** Epoch ms from which `points` hold every reading. */
  readonly boundary: number;
  readonly points: readonly { readonly time: number; readonly value: number }[];
}

const pointsMax = 20_000;
/** With buckets, points that may wait as they came before all but the newest two buckets of them are folded. */
const foldAt = 2_000;
const bucketsMax = 4_096;

/**
 * One series as a chart sees it: complete buckets up to a boundary, single points after it. Live readings that arrive
 * while history is asked for are also in the answer; points are kept by time, so that they count once.
 */
export class SeriesBuffer {
  readonly points = new PointRing(pointsMax);
  #width = 0;
  #boundary = Number.NEGATIVE_INFINITY;
  #buckets: BucketPoint[] = [];

  get width(): number {
    return this.#width;
  }

  get isEmpty(): boolean {
    return this.points.size === 0 && this.#buckets.length === 0;
  }

  /** Takes over a page of history, keeping the live points that are newer than it or the same. */
  load(page: HistoryPage): void {
    const live: [number, number][] = [];
    for (let index = this.points.indexFrom(page.boundary); index < this.points.size; index++) {
      live.push([this.points.time(index), this.points.value(index)]);
    }
    this.points.clear();
    this.#width = page.width;
    this.#boundary = page.boundary;
    this.#buckets = page.buckets.slice(-bucketsMax);
    for (const { time, value } of page.points) this.points.add(time, value);
    for (const [time, value] of live) this.points.add(time, value);
  }

  /** A live reading. One that is older than the boundary widens its bucket. */
  add(time: number, value: number): void {
    if (time >= this.#boundary) {
      this.points.add(time, value);
      if (this.#width > 0 && this.points.size > foldAt) this.#foldOldest();
      return;
    }
    const start = Math.floor(time / this.#width) * this.#width;
    const at = this.#buckets.findLastIndex((bucket) => bucket.time <= start);
    const known = this.#buckets[at];
    if (known?.time === start) this.#buckets[at] = widened(known, value);
    else this.#buckets.splice(at + 1, 0, { time: start, min: value, max: value, avg: value, count: 1 });
  }

  /** Forgets what ended before `time`. */
  dropBefore(time: number): void {
    this.points.dropBefore(time);
    const keep = this.#buckets.findIndex((bucket) => bucket.time + this.#width > time);
    if (keep !== 0) this.#buckets = keep === -1 ? [] : this.#buckets.slice(keep);
  }

  /** All buckets that overlap `[from, to]`, the points after the boundary folded into some too. */
  buckets(from: number, to: number): readonly BucketPoint[] {
    const folded = [...this.#buckets, ...bucketsOf(this.points, this.#width, this.points.size)];
    return folded.filter((bucket) => bucket.time + this.#width > from && bucket.time <= to);
  }

  /** The newest value, or undefined when there is none. */
  get last(): number | undefined {
    return this.points.size > 0 ? this.points.value(this.points.size - 1) : this.#buckets.at(-1)?.avg;
  }

  /** Turns the points of all but the newest two buckets into buckets, so that the ring never has to drop any. */
  #foldOldest(): void {
    const newest = this.points.time(this.points.size - 1);
    const boundary = Math.floor(newest / this.#width) * this.#width - this.#width;
    if (boundary <= this.#boundary) return;
    const folded = bucketsOf(this.points, this.#width, this.points.indexFrom(boundary));
    this.#buckets = [...this.#buckets, ...folded].slice(-bucketsMax);
    this.points.dropBefore(boundary);
    this.#boundary = boundary;
  }
}

/**
 * The first `count` points by bucket; a bucket's edge is a whole multiple of its width since the epoch. Runs for every
 * drawing, so it makes one object a bucket and none a point.
 */
function bucketsOf(points: PointRing, width: number, count: number): BucketPoint[] {
  const buckets: BucketPoint[] = [];
  let index = 0;
  while (index < count) {
    const start = Math.floor(points.time(index) / width) * width;
    const first = index;
    let min = Number.POSITIVE_INFINITY;
    let max = Number.NEGATIVE_INFINITY;
    let avg = 0;
    for (; index < count && points.time(index) < start + width; index++) {
      const value = points.value(index);
      if (value < min) min = value;
      if (value > max) max = value;
      // A running mean: a sum of large readings would overflow.
      avg += (value - avg) / (index - first + 1);
    }
    buckets.push({ time: start, min, max, avg, count: index - first });
  }
  return buckets;
}

function widened(bucket: BucketPoint, value: number): BucketPoint {
  const count = bucket.count + 1;
  return {
    time: bucket.time,
    min: Math.min(bucket.min, value),
    max: Math.max(bucket.max, value),
    avg: bucket.avg + (value - bucket.avg) / count,
    count,
  };
}
