import { z } from 'zod';
import { type AggregateName, aggregateNames, Buckets, Readings } from '../contract/reading.ts';
import { isMetricName, metricNameRule } from '../domain/series.ts';
import type { Bucket } from '../history/reader.ts';
import { deviceParams, deviceWithReadings, metricsOf } from './devices.ts';
import { formatTime } from './moment.ts';
import { readPage, writePage } from './page-token.ts';
import { from, limit, page, readingsMax, to, width } from './parameters.ts';
import type { ApiPorts } from './ports.ts';
import { notFound, parameterRefused } from './problem.ts';
import { type Route, route } from './route.ts';
import { addFault } from './validation.ts';

/** A stretch of time, `[from, to)`, epoch ms. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** Refuses a range whose end lies before its begin. */
export function checkRange(range: Range): Range {
  if (range.from <= range.to) return range;
  throw parameterRefused('from', `"from" (${formatTime(range.from)}) lies after "to" (${formatTime(range.to)})`);
}

export const rangeKey = z.tuple([z.number(), z.number()]);

const order = z
  .enum(['asc', 'desc'])
  .optional()
  .meta({ description: 'Oldest first (default) or newest first; buckets come oldest first' });

const aggDefault: readonly AggregateName[] = ['avg', 'min', 'max', 'count'];
const agg = z
  .string()
  .transform((text, context): readonly AggregateName[] => {
    const asked = text.split(',').map((name) => name.trim());
    const unknown = asked.filter((name) => !aggregateNames.some((known) => known === name));
    if (unknown.length === 0) return aggregateNames.filter((known) => asked.includes(known));
    addFault(context, 'parameter_invalid', `"${unknown.join(', ')}" is not one of ${aggregateNames.join(', ')}`);
    return z.NEVER;
  })
  .optional()
  .meta({
    description: `Aggregates of each bucket, a comma list of ${aggregateNames.join(', ')}; only with \`bucket\`, then ${aggDefault.join(',')} when left out`,
    override: { type: 'string', example: 'avg,min,max,count' },
  });

export function readingRoutes(ports: ApiPorts): readonly Route[] {
  const one = route({
    method: 'GET',
    path: '/api/v1/devices/{id}/readings',
    id: 'getDeviceReadings',
    tag: 'readings',
    summary: 'Readings of one series, raw or by bucket',
    description:
      'The range is [from, to) and defaults to the last hour. A relative time is resolved on the first page and holds for the pages after it. With `bucket`, each bucket shows the aggregates asked for, oldest first, and buckets without readings are left out.',
    params: deviceParams,
    query: z.object({
      metric: z
        .string()
        .refine(isMetricName, { message: `a metric name has ${metricNameRule}` })
        .meta({ description: 'One metric', example: 'heart_rate' }),
      from,
      to,
      order,
      bucket: width,
      agg,
      limit: limit(readingsMax),
      page,
    }),
    body: null,
    success: { status: 200, description: 'Readings, or buckets', schema: z.union([Readings, Buckets]) },
    refusals: ['not_found'],
    async handler({ params, query, now, filters }) {
      checkCombination(query);
      const device = deviceWithReadings(ports, params.id);
      const current = ports.latest.find(device, query.metric);
      if (!current) {
        const metrics = metricsOf(ports, device);
        throw notFound(
          `device "${device}" has no metric "${query.metric}"; it has ${metrics.join(', ') || 'none yet'}`,
        );
      }
      const range =
        query.page === undefined
          ? checkRange({ from: query.from(now), to: query.to(now) })
          : asRange(readPage(filters, query.page, rangeKey));
      const series = {
        series: current.series,
        name: { device, metric: query.metric, unit: ports.units.of(device, query.metric) },
      };
      if (query.bucket !== undefined) {
        const buckets = { ...series, width: query.bucket, agg: query.agg ?? aggDefault };
        return readBuckets({ ...buckets, ...range, limit: query.limit, filters });
      }
      return readSamples({ ...series, ...range, order: query.order ?? 'asc', limit: query.limit, filters });
    },
  });

  return [one];

  async function readSamples(ask: SeriesAsk & { readonly order: 'asc' | 'desc' }): Promise<z.output<typeof Readings>> {
    const { series, from, to, order, limit } = ask;
    const samples = await ports.reader.readings({ series, from, to, order, limit });
    const last = samples.at(-1);
    let next: string | null = null;
    if (last && samples.length === limit) {
      const rest = order === 'asc' ? { from: last.time + 1, to } : { from, to: last.time };
      const more =
        rest.from < rest.to && (await ports.reader.readings({ series, ...rest, order, limit: 1 })).length > 0;
      if (more) next = writePage(ask.filters, [rest.from, rest.to]);
    }
    const readings = samples.map(({ time, value }) => ({ time: formatTime(time), value }));
    return { ...ask.name, readings, next };
  }

  async function readBuckets(
    ask: SeriesAsk & { readonly width: number; readonly agg: readonly AggregateName[] },
  ): Promise<z.output<typeof Buckets>> {
    const { series, from, to, width, limit } = ask;
    const buckets = await ports.reader.buckets({ series, from, to, width, limit });
    const last = buckets.at(-1);
    let next: string | null = null;
    if (last && buckets.length === limit) {
      const rest = last.time + width;
      const more = rest < to && (await ports.reader.buckets({ series, from: rest, to, width, limit: 1 })).length > 0;
      if (more) next = writePage(ask.filters, [rest, to]);
    }
    return { ...ask.name, buckets: buckets.map((bucket) => showBucket(bucket, ask.agg)), next };
  }
}

interface SeriesAsk extends Range {
  readonly series: number;
  readonly name: { readonly device: string; readonly metric: string; readonly unit: string | null };
  readonly limit: number;
  readonly filters: string;
}

function checkCombination(query: {
  readonly bucket?: number | undefined;
  readonly order?: 'asc' | 'desc' | undefined;
  readonly agg?: readonly AggregateName[] | undefined;
}): void {
  if (query.bucket === undefined && query.agg !== undefined) {
    throw parameterRefused('agg', '"agg" needs "bucket", the width over which to aggregate, for example bucket=1m');
  }
  if (query.bucket !== undefined && query.order === 'desc') {
    throw parameterRefused('order', 'buckets come oldest first; leave "order" away');
  }
}

function asRange([from, to]: readonly [number, number]): Range {
  return { from, to };
}

function showBucket(bucket: Bucket, names: readonly AggregateName[]): z.output<typeof Buckets>['buckets'][number] {
  return { time: formatTime(bucket.time), ...Object.fromEntries(names.map((name) => [name, bucket[name]])) };
}
