import { breakAtGaps, decimate, isGap, type Points } from './decimate.ts';
import type { BucketPoint, SeriesBuffer } from './series-buffer.ts';

/** What a chart hands to uPlot. `low` and `high` are the band of a bucket and null where single points are drawn. */
export interface PlotColumns {
  readonly times: number[];
  readonly middle: (number | null)[];
  readonly low: (number | null)[];
  readonly high: (number | null)[];
}

/** Nobody looks for an outage shorter than this, ms. */
const gapLeastMs = 5_000;

/**
 * A buffer as columns for `[from, to]` on `pixels` of width: at most two points a pixel plus the breaks, whatever the
 * buffer holds.
 */
export function plotColumns(buffer: SeriesBuffer, from: number, to: number, pixels: number): PlotColumns {
  return buffer.width === 0 ? pointColumns(buffer.points, from, to, pixels) : bucketColumns(buffer, from, to);
}

function pointColumns(points: Points, from: number, to: number, pixels: number): PlotColumns {
  const line = breakAtGaps(decimate(points, from, to, Math.max(1, Math.floor(pixels))), gapLeastMs);
  const none = line.times.map(() => null);
  return { times: line.times, middle: line.values, low: none, high: none };
}

function bucketColumns(buffer: SeriesBuffer, from: number, to: number): PlotColumns {
  const buckets = buffer.buckets(from, to);
  const times = buckets.map(({ time }) => time);
  const columns: PlotColumns = { times: [], middle: [], low: [], high: [] };
  for (const [index, bucket] of buckets.entries()) {
    if (isGap(times, index, buffer.width * 1.5)) {
      push(columns, ((times[index - 1] ?? bucket.time) + bucket.time + buffer.width) / 2, null);
    }
    push(columns, bucket.time + buffer.width / 2, bucket);
  }
  return columns;
}

function push(columns: PlotColumns, time: number, bucket: BucketPoint | null): void {
  columns.times.push(time);
  columns.middle.push(bucket?.avg ?? null);
  columns.low.push(bucket?.min ?? null);
  columns.high.push(bucket?.max ?? null);
}
