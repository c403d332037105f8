import { z } from 'zod';
import { FleetLatest } from '../contract/device.ts';
import { LatestColumns } from '../contract/reading.ts';
import { chooseFormat, contentTypes, mediaTypes } from './answer-format.ts';
import { TimeText } from './moment.ts';
import { readPage, writePage } from './page-token.ts';
import { limit, noParameters, page, pattern, readingsMax } from './parameters.ts';
import type { ApiPorts, CurrentValue } from './ports.ts';
import { tag } from './readings/reading-parameters.ts';
import { matching } from './readings/reading-series.ts';
import { valueText } from './readings/reading-table.ts';
import { type Route, route } from './route.ts';
import type { SeriesOrder } from './readings/series-order.ts';
import { WrittenAnswer } from './written-answer.ts';

const format = z
  .enum(['json', 'columns'])
  .optional()
  .meta({ description: 'The form of the answer; wins over `Accept`, by which it is chosen when left out' });

export function latestRoutes(ports: ApiPorts, order: SeriesOrder): readonly Route[] {
  /** The first series of the page. */
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
      tag,
      format,
      limit: limit(readingsMax),
      page,
    }),
    body: null,
    success: {
      status: 200,
      description: 'A page of current values',
      schema: FleetLatest,
      alternatives: { [mediaTypes.columns]: LatestColumns },
    },
    async handler({ query, filters, accepts, signal }) {
      const form = chooseFormat(query.format, ['json', 'columns'], accepts);
      const cursor = ports.cursor();
      const [device, metric] = query.page === undefined ? ['', ''] : readPage(filters, query.page, key);
      const rows: CurrentValue[] = [];
      let next: string | null = null;
      for await (const series of matching(ports, order.all(), query, { device, metric }, signal)) {
        const current = ports.latest.find(series.device, series.metric);
        if (!current) continue;
        if (rows.length === query.limit) {
          next = writePage(filters, [series.device, series.metric]);
          break;
        }
        rows.push(current);
      }
      const frame = { cursor: JSON.stringify(cursor), next: JSON.stringify(next) };
      const text = form === 'json' ? rowsOf(ports, rows, frame) : columnsOf(ports, rows, frame);
      return new WrittenAnswer(contentTypes[form], Buffer.from(text));
    },
  });
  return [fleet];
}

interface Frame {
  readonly cursor: string;
  readonly next: string;
}

/** Written by hand: of some thousand rows `JSON.stringify` would hold the loop for milliseconds. Names need no escapes. */
function rowsOf(ports: ApiPorts, rows: readonly CurrentValue[], { cursor, next }: Frame): string {
  const text = new TimeText();
  let items = '';
  for (const { device, metric, time, value } of rows) {
    const unit = unitText(ports, device, metric);
    items += `${items === '' ? '' : ','}{"device":"${device}","metric":"${metric}","time":"${text.of(time)}","value":${valueText(value)},"unit":${unit}}`;
  }
  return `{"cursor":${cursor},"items":[${items}],"next":${next}}`;
}

function columnsOf(ports: ApiPorts, rows: readonly CurrentValue[], { cursor, next }: Frame): string {
  const list = (of: (row: CurrentValue) => string | number): string => `[${rows.map(of).join(',')}]`;
  return (
    `{"cursor":${cursor},"devices":${list(({ device }) => `"${device}"`)},"metrics":${list(({ metric }) => `"${metric}"`)},` +
    `"times":${list(({ time }) => time)},"values":${list(({ value }) => valueText(value))},` +
    `"units":${list(({ device, metric }) => unitText(ports, device, metric))},"next":${next}}`
  );
}

function unitText(ports: ApiPorts, device: string, metric: string): string {
  const unit = ports.units.of(device, metric);
  return unit === null ? 'null' : JSON.stringify(unit);
}
