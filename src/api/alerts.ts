import { z } from 'zod';
import { showAlert } from '../contract/alert.ts';
import { AlertDetail, AlertList } from '../contract/alert-list.ts';
import type { Alert } from '../domain/alert.ts';
import type { AlertsQuery } from '../history/reader.ts';
import { formatTime } from './moment.ts';
import { readPage, writePage } from './page-token.ts';
import { limit, listMax, noParameters, page, pattern } from './parameters.ts';
import type { ApiPorts } from './ports.ts';
import { notFound } from './problem.ts';
import { type Route, route } from './route.ts';

const key = z.object({ firedAt: z.number(), id: z.string() });
type Key = z.output<typeof key>;

/** Episodes looked at for one page of a filter with wildcards; past it the page ends early and `next` goes on. */
const examinedMax = 5_000;

export function alertRoutes(ports: ApiPorts): readonly Route[] {
  const list = route({
    method: 'GET',
    path: '/api/v1/alerts',
    id: 'listAlerts',
    tag: 'alerts',
    summary: 'Alerts, newest first',
    description:
      'Each is one episode: a rule on a series, from the breach until it cleared. With a wildcard filter a page may be short while `next` is not null.',
    params: noParameters,
    query: z.object({
      state: z.enum(['firing', 'resolved']).optional(),
      rule: z.string().optional().meta({ description: 'Rule id' }),
      device: pattern('device id'),
      limit: limit(listMax),
      page,
    }),
    body: null,
    success: { status: 200, description: 'A page of alerts', schema: AlertList },
    async handler({ query, filters }) {
      const isExact = !/[*?,]/.test(query.device.text);
      const asked = { state: query.state, ruleId: query.rule, device: isExact ? query.device.text.trim() : undefined };
      const after = query.page === undefined ? undefined : readPage(filters, query.page, key);
      const { alerts, next } = await collect(asked, query.device.matches, query.limit, after);
      return { items: alerts.map(showAlert), next: next && writePage(filters, next) };
    },
  });

  const one = route({
    method: 'GET',
    path: '/api/v1/alerts/{id}',
    id: 'getAlert',
    tag: 'alerts',
    summary: 'One alert with its transitions',
    params: z.object({ id: z.string().meta({ description: 'Alert id' }) }),
    query: noParameters,
    body: null,
    success: { status: 200, description: 'The alert', schema: AlertDetail },
    refusals: ['not_found'],
    async handler({ params }) {
      const alert = await ports.reader.alert(params.id);
      if (!alert) throw notFound('there is no alert with this id');
      const transitions = await ports.reader.transitions(alert.id);
      return {
        ...showAlert(alert),
        transitions: transitions.map(({ id, type, sequence, at }) => ({ id, type, sequence, time: formatTime(at) })),
      };
    },
  });

  return [list, one];

  /** Reads on until the page is full: the store knows exact devices, wildcards are matched here. */
  async function collect(
    asked: Pick<AlertsQuery, 'state' | 'ruleId' | 'device'>,
    matches: (device: string) => boolean,
    limit: number,
    after: Key | undefined,
  ): Promise<{ alerts: Alert[]; next: Key | null }> {
    const alerts: Alert[] = [];
    let last = after;
    for (let examined = 0; examined < examinedMax; ) {
      const rows = await ports.reader.alerts({ ...asked, limit: limit + 1, after: last });
      for (const alert of rows) {
        if (matches(alert.device)) {
          if (alerts.length === limit) return { alerts, next: last ?? null };
          alerts.push(alert);
        }
        last = { firedAt: alert.firedAt, id: alert.id };
      }
      if (rows.length <= limit) return { alerts, next: null };
      examined += rows.length;
    }
    return { alerts, next: last ?? null };
  }
}
