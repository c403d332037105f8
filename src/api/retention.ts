import { z } from 'zod';
import { EffectiveRetention, Retention, RetentionBody, showPolicy, showRetentionRule } from '../contract/retention.ts';
import { formatTime } from './moment.ts';
import { readPage, writePage } from './page-token.ts';
import { limit, listMax, noParameters, page, pattern } from './parameters.ts';
import type { ApiPorts } from './ports.ts';
import { jsonBody, type Route, route } from './route.ts';
import { indexOfFirst, SeriesOrder } from './readings/series-order.ts';

/** How long series are kept, as people decide it. */
export function retentionRoutes(ports: ApiPorts): readonly Route[] {
  const { retention } = ports;
  const order = new SeriesOrder(ports.names);

  const show = route({
    method: 'GET',
    path: '/api/v1/retention',
    id: 'getRetention',
    tag: 'retention',
    summary: 'How long readings are kept',
    description:
      'Rules in order: the first that matches device, metric and tags of a series holds. `default` is that of the configuration (`storage.keepRaw`, `storage.keepMinutes`, `storage.keepHours`).',
    params: noParameters,
    query: noParameters,
    body: null,
    success: { status: 200, description: 'The rules and the default', schema: Retention },
    handler: () => shown(),
  });

  const replace = route({
    method: 'PUT',
    path: '/api/v1/retention',
    id: 'putRetention',
    tag: 'retention',
    summary: 'Replace the rules',
    description:
      'The list as a whole; it holds at once. What is too old by then is deleted within minutes. Under a longer rule they are taken again (from an export, say) once what is left of the series before that time is deleted, or they would count twice. `minute` and `hour` are how long sums by the minute and hour outlive the readings; left out, for ever.',
    params: noParameters,
    query: noParameters,
    body: jsonBody(RetentionBody),
    success: { status: 200, description: 'The rules as they are now', schema: Retention },
    refusals: ['validation_failed', 'conflict'],
    async handler({ body }) {
      await retention.put(body.rules);
      return shown();
    },
  });

  const effective = route({
    method: 'GET',
    path: '/api/v1/retention/effective',
    id: 'getEffectiveRetention',
    tag: 'retention',
    summary: 'Which rule holds for which series',
    description: 'By device and metric.',
    params: noParameters,
    query: z.object({
      device: pattern('device id'),
      metric: pattern('metric name'),
      limit: limit(listMax),
      page,
    }),
    body: null,
    success: { status: 200, description: 'A page of series with their policy', schema: EffectiveRetention },
    handler({ query, filters, now }) {
      const after = query.page === undefined ? null : readPage(filters, query.page, z.tuple([z.string(), z.string()]));
      const sorted = order.all();
      const items: EffectiveRetention['items'] = [];
      let at = after === null ? 0 : indexOfFirst(sorted, { device: after[0], metric: after[1] });
      for (; at < sorted.length && items.length < query.limit; at++) {
        const { device, metric } = sorted[at];
        if (!query.device.matches(device) || !query.metric.matches(metric)) continue;
        const { policy, rule } = retention.of(device, metric);
        const from = retention.keptFrom(device, metric, now);
        const keptFrom = from === Number.NEGATIVE_INFINITY ? null : formatTime(from);
        items.push({ device, metric, rule: rule?.name ?? null, ...showPolicy(policy), keptFrom });
      }
      const first = sorted[at];
      return { items, next: first ? writePage(filters, [first.device, first.metric]) : null };
    },
  });

  return [show, replace, effective];

  function shown(): Retention {
    return { rules: retention.rules().map(showRetentionRule), default: showPolicy(retention.defaults) };
  }
}
