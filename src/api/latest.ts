import { z } from 'zod';
import { FleetLatest } from '../contract/device.ts';
import { formatTime } from './moment.ts';
import { firstOf } from './page.ts';
import { readPage, writePage } from './page-token.ts';
import { limit, listMax, noParameters, page, pattern } from './parameters.ts';
import type { ApiPorts, CurrentValue } from './ports.ts';
import { type Route, route } from './route.ts';
import { compareSeries, type SeriesName } from './series-order.ts';

export function latestRoutes(ports: ApiPorts): readonly Route[] {
  const key = z.tuple([z.string(), z.string()]);
  const fleet = route({
    method: 'GET',
    path: '/api/v1/latest',
    id: 'getFleetLatest',
    tag: 'latest',
    summary: 'Current values across the fleet',
    description:
      'By device and metric. `cursor` is a position before which nothing is missing here: go on from it with GET /stream or the WebSocket.',
    params: noParameters,
    query: z.object({
      device: pattern('device id'),
      metric: pattern('metric name'),
      limit: limit(listMax),
      page,
    }),
    body: null,
    success: { status: 200, description: 'A page of current values', schema: FleetLatest },
    handler({ query, filters }) {
      const cursor = ports.cursor();
      const [device, metric] = query.page === undefined ? ['', ''] : readPage(filters, query.page, key);
      const matching = ports.latest.select(query.device.matches, query.metric.matches);
      const { rows, more } = firstOf(after(matching, { device, metric }), query.limit, compareSeries);
      const last = rows.at(-1);
      return {
        cursor,
        items: rows.map((current) => ({
          device: current.device,
          metric: current.metric,
          time: formatTime(current.time),
          value: current.value,
          unit: ports.units.of(current.device, current.metric),
        })),
        next: more && last ? writePage(filters, [last.device, last.metric]) : null,
      };
    },
  });
  return [fleet];
}

function* after(rows: Iterable<CurrentValue>, last: SeriesName): Generator<CurrentValue> {
  for (const row of rows) if (compareSeries(row, last) > 0) yield row;
}
