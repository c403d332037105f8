import type { Buckets, Readings, Resolution } from '../contract/reading.ts';
import { bucketFor, durationText, type Range, spanOf } from './chart-range.ts';
import type { RestClient } from './rest-client.ts';
import type { BucketPoint, HistoryPage } from './series-buffer.ts';

/** The most that one page of readings or buckets holds. */
const pageMax = 10_000;
/** Readings may be this far ahead of the gateway's clock before it moves them, ms. */
const aheadMs = 60_000;
/** What the newest readings are summed up by where there are more of them than a page holds, ms. */
const tailWidth = 60_000;

/** How values behave between readings. */
export type ChartKind = Buckets['kind'];

interface HistoryRequest {
  readonly device: string;
  readonly metric: string;
  readonly kind: ChartKind;
  readonly range: Range;
  /** Width of the chart; decides how fine the buckets are. */
  readonly pixels: number;
  readonly signal: AbortSignal;
}

/** History with what it was made of: where readings are gone, sums of them by the minute or hour remain. */
export interface LoadedHistory extends HistoryPage {
  readonly resolution: Resolution;
}

/** What of a bucket the line goes through. */
const middle = { gauge: 'avg', counter: 'last', state: 'timeWeightedAvg' } as const;

/**
 * Asks REST for what a chart shows: single readings for a short range, otherwise complete buckets and, for the newest
 * two, single readings that live ones can join. A short range that holds more than a page comes in buckets of a second.
 */
export async function loadHistory(rest: RestClient, request: HistoryRequest): Promise<LoadedHistory> {
  const now = rest.gatewayNow();
  const span = spanOf(request.range);
  const width = bucketFor(request.range, request.pixels);
  if (width > 0) return bucketed(rest, request, now, width);
  const page = await pointsFrom(rest, request, now - span, now);
  if (!page.isComplete) return bucketed(rest, request, now, 1_000);
  return { width: 0, buckets: [], boundary: Number.NEGATIVE_INFINITY, points: page.points, resolution: 'raw' };
}

async function bucketed(rest: RestClient, request: HistoryRequest, now: number, width: number): Promise<LoadedHistory> {
  const boundary = (Math.floor(now / width) - 1) * width;
  const begin = Math.floor((now - spanOf(request.range)) / width) * width;
  const [complete, points] = await Promise.all([
    bucketsBetween(rest, request, { from: begin, to: boundary }, width),
    tailFrom(rest, request, boundary, now, width),
  ]);
  return { width, buckets: complete.buckets, boundary, points, resolution: complete.resolution };
}

/** What came since the last complete bucket: every reading, or what they were by the minute where those are too many. */
async function tailFrom(
  rest: RestClient,
  request: HistoryRequest,
  boundary: number,
  now: number,
  width: number,
): Promise<HistoryPage['points']> {
  const tail = await pointsFrom(rest, request, boundary, now);
  if (tail.isComplete || width <= tailWidth) return tail.points;
  const { buckets } = await bucketsBetween(rest, request, { from: boundary, to: now + aheadMs }, tailWidth);
  return buckets.map(({ time, avg }) => ({ time, value: avg }));
}

async function pointsFrom(
  rest: RestClient,
  { device, metric, signal }: HistoryRequest,
  from: number,
  now: number,
): Promise<{ points: { time: number; value: number }[]; isComplete: boolean }> {
  const page = await rest.get<Readings>(
    `api/v1/devices/${encodeURIComponent(device)}/readings`,
    {
      metric,
      from: String(Math.floor(from)),
      to: String(Math.ceil(now + aheadMs)),
      order: 'desc',
      limit: `${pageMax}`,
    },
    signal,
  );
  const points = page.readings.reverse().flatMap(({ time, value }) => {
    return typeof value === 'string' ? [] : [{ time: Date.parse(time), value: Number(value) }];
  });
  return { points, isComplete: page.next === null };
}

/** A gauge leaves gaps where it was silent; what a counter or a state was stays until it says otherwise. */
async function bucketsBetween(
  rest: RestClient,
  { device, metric, kind, signal }: HistoryRequest,
  { from, to }: { readonly from: number; readonly to: number },
  width: number,
): Promise<{ readonly buckets: readonly BucketPoint[]; readonly resolution: Resolution }> {
  const page = await rest.get<Buckets>(
    `api/v1/devices/${encodeURIComponent(device)}/readings`,
    {
      metric,
      from: String(from),
      to: String(Math.ceil(to)),
      bucket: durationText(width),
      agg: `${middle[kind]},min,max,count`,
      fill: kind === 'gauge' ? 'none' : 'previous',
      // The edges are counted here, from the epoch; the device may be registered in a zone of its own.
      tz: 'UTC',
      limit: String(pageMax),
    },
    signal,
  );
  const buckets = page.buckets.flatMap((bucket) => {
    const { time, min, max, count } = bucket;
    const value = bucket[middle[kind]];
    if (value == null || typeof value === 'string' || min == null || max == null) return [];
    return [{ time: Date.parse(time), avg: Number(value), min, max, count: count || 1 }];
  });
  return { buckets, resolution: page.resolution };
}
