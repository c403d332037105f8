import { z } from 'zod';
import { ManyReadings, type SeriesReadings } from '../contract/reading.ts';
import { compareSeries, type SeriesName } from './latest.ts';
import { formatTime } from './moment.ts';
import { firstOf } from './page.ts';
import { readPage, writePage } from './page-token.ts';
import { from, limit, noParameters, page, pattern, readingsMax, to } from './parameters.ts';
import type { ApiPorts } from './ports.ts';
import { checkRange, rangeKey } from './readings.ts';
import { type Route, route } from './route.ts';

/** Series looked into for one page, so that a wide filter over a quiet range still answers soon. */
const seriesPerPage = 200;

/** Where the next page begins: the whole range, the series it begins with, and from what time inside that series. */
const key = z.tuple([rangeKey, z.string(), z.string(), z.number()]);

export function manyReadingsRoutes(ports: ApiPorts): readonly Route[] {
  const many = route({
    method: 'GET',
    path: '/api/v1/readings',
    id: 'getReadings',
    tag: 'readings',
    summary: 'Raw readings of many series',
    description:
      'Series by device and metric, each oldest first; series without readings in the range are left out. `limit` counts readings. A page may end inside a series, and may be empty while `next` is not null: read on until it is.',
    params: noParameters,
    query: z.object({
      device: pattern('device id'),
      metric: pattern('metric name'),
      from,
      to,
      limit: limit(readingsMax),
      page,
    }),
    body: null,
    success: { status: 200, description: 'Readings by series', schema: ManyReadings },
    async handler({ query, now, filters }) {
      const resumed = query.page === undefined ? null : readPage(filters, query.page, key);
      const [begin, end] = resumed?.[0] ?? [query.from(now), query.to(now)];
      checkRange({ from: begin, to: end });
      const first: SeriesName = { device: resumed?.[1] ?? '', metric: resumed?.[2] ?? '' };
      const matching = ports.latest.select(query.device.matches, query.metric.matches);
      const page = firstOf(notBefore(matching, first), seriesPerPage, compareSeries);

      const shown: SeriesReadings[] = [];
      let room = query.limit;
      for (const [index, current] of page.rows.entries()) {
        const { device, metric } = current;
        const isCut = resumed !== null && compareSeries(current, first) === 0;
        const samples = await ports.reader.readings({
          series: current.series,
          from: isCut ? resumed[3] : begin,
          to: end,
          order: 'asc',
          limit: room,
        });
        if (samples.length > 0) {
          const readings = samples.map(({ time, value }) => ({ time: formatTime(time), value }));
          shown.push({ device, metric, unit: ports.units.of(device, metric), readings });
        }
        room -= samples.length;
        if (room === 0) {
          const isLast = index === page.rows.length - 1 && !page.more;
          const rest = (samples.at(-1)?.time ?? begin) + 1;
          const isDone = isLast && (await isEmpty(current.series, rest, end));
          const next = isDone ? null : writePage(filters, [[begin, end], device, metric, rest]);
          return { series: shown, next };
        }
      }
      const last = page.rows.at(-1);
      // Nothing of the last series is left, and the next page begins by finding that out.
      const next = page.more && last ? writePage(filters, [[begin, end], last.device, last.metric, end]) : null;
      return { series: shown, next };
    },
  });

  return [many];

  async function isEmpty(series: number, from: number, to: number): Promise<boolean> {
    return from >= to || (await ports.reader.readings({ series, from, to, order: 'asc', limit: 1 })).length === 0;
  }
}

function* notBefore<T extends SeriesName>(rows: Iterable<T>, first: SeriesName): Generator<T> {
  for (const row of rows) if (compareSeries(row, first) >= 0) yield row;
}
