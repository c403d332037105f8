import type { Buckets, Readings } from '../contract/reading.ts';
import { bucketFor, durationText, type Range, spanOf } from './chart-range.ts';
import type { RestClient } from './rest-client.ts';
import type { BucketPoint, HistoryPage } from './series-buffer.ts';

/** The most that one page of readings or buckets holds. */
const pageMax = 10_000;
/** Readings may be this far ahead of the gateway's clock before it moves them, ms. */
const aheadMs = 60_000;

interface HistoryRequest {
  readonly device: string;
  readonly metric: string;
  readonly range: Range;
  /** Width of the chart; decides how fine the buckets are. */
  readonly pixels: number;
  readonly signal: AbortSignal;
}

/**
 * Asks REST for what a chart shows: single readings for a short range, otherwise complete buckets and, for the newest
 * two, single readings that live ones can join. A short range that holds more than a page comes in buckets of a second.
 */
export async function loadHistory(rest: RestClient, request: HistoryRequest): Promise<HistoryPage> {
  const now = rest.gatewayNow();
  const span = spanOf(request.range);
  const width = bucketFor(request.range, request.pixels);
  if (width > 0) return bucketed(rest, request, now, width);
  const page = await pointsFrom(rest, request, now - span, now);
  if (!page.isComplete) return bucketed(rest, request, now, 1_000);
  return { width: 0, buckets: [], boundary: Number.NEGATIVE_INFINITY, points: page.points };
}

async function bucketed(rest: RestClient, request: HistoryRequest, now: number, width: number): Promise<HistoryPage> {
  const boundary = (Math.floor(now / width) - 1) * width;
  const begin = Math.floor((now - spanOf(request.range)) / width) * width;
  const [buckets, tail] = await Promise.all([
    bucketsBetween(rest, request, begin, boundary, width),
    pointsFrom(rest, request, boundary, now),
  ]);
  return { width, buckets, boundary, points: tail.points };
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

async function bucketsBetween(
  rest: RestClient,
  { device, metric, signal }: HistoryRequest,
  from: number,
  to: number,
  width: number,
): Promise<BucketPoint[]> {
  const page = await rest.get<Buckets>(
    `api/v1/devices/${encodeURIComponent(device)}/readings`,
    {
      metric,
      from: String(from),
      to: String(to),
      bucket: durationText(width),
      agg: 'avg,min,max,count',
      limit: String(pageMax),
    },
    signal,
  );
  return page.buckets.flatMap(({ time, avg, min, max, count }) => {
    if (avg == null || min == null || max == null) return [];
    return [{ time: Date.parse(time), avg, min, max, count: count ?? 1 }];
  });
}
