import { z } from 'zod';
import { type Attempt, type Delivery, DeliveryDetail, DeliveryList, DeliveryState } from '../contract/webhook.ts';
import type { Attempt as KeptAttempt, DeliveryRecord } from '../domain/delivery.ts';
import { cursorAt } from './ingest.ts';
import { formatTime } from './moment.ts';
import { readPage, writePage } from './page-token.ts';
import { limit, listMax, noParameters, page } from './parameters.ts';
import type { ApiPorts } from './ports.ts';
import { notFound } from './problem.ts';
import { type Route, route } from './route.ts';
import { webhookOf, webhookParams } from './webhooks.ts';

export function deliveryRoutes(ports: ApiPorts): readonly Route[] {
  const key = z.object({ seq: z.int(), id: z.string() });
  const list = route({
    method: 'GET',
    path: '/api/v1/webhooks/{id}/deliveries',
    id: 'listDeliveries',
    tag: 'webhooks',
    summary: 'What was sent to a webhook, newest first',
    params: webhookParams,
    query: z.object({ state: DeliveryState.optional(), limit: limit(listMax), page }),
    body: null,
    success: { status: 200, description: 'A page of deliveries', schema: DeliveryList },
    refusals: ['not_found'],
    async handler({ params, query, filters }) {
      const records = await ports.reader.deliveries({
        webhookId: webhookOf(ports, params.id).id,
        state: query.state,
        order: 'desc',
        limit: query.limit + 1,
        after: query.page === undefined ? undefined : readPage(filters, query.page, key),
      });
      const shown = records.slice(0, query.limit);
      const last = shown.at(-1);
      return {
        items: shown.map(showDelivery),
        next: records.length > query.limit && last ? writePage(filters, { seq: last.seq, id: last.id }) : null,
      };
    },
  });

  const one = route({
    method: 'GET',
    path: '/api/v1/deliveries/{id}',
    id: 'getDelivery',
    tag: 'webhooks',
    summary: 'One delivery with its body and attempts',
    params: z.object({ id: z.string().meta({ description: 'The webhook-id header' }) }),
    query: noParameters,
    body: null,
    success: { status: 200, description: 'The delivery', schema: DeliveryDetail },
    refusals: ['not_found'],
    async handler({ params }) {
      const record = await ports.reader.delivery(params.id);
      if (!record) throw notFound('there is no delivery with this id');
      const attempts = await ports.reader.attempts(record.id);
      return { ...showDelivery(record), body: record.body, attempts: attempts.map(showAttempt) };
    },
  });

  return [list, one];

  function showDelivery(record: DeliveryRecord): Delivery {
    const { nextAttemptAt } = record;
    return {
      id: record.id,
      webhook: record.webhookId,
      type: record.type,
      sequence: record.sequence,
      state: record.state,
      attemptCount: record.attempts,
      cursor: cursorAt(ports, record.seq),
      createdAt: formatTime(record.createdAt),
      // Kept as 0 for "at once".
      nextAttemptAt: nextAttemptAt === null ? null : formatTime(Math.max(nextAttemptAt, record.createdAt)),
    };
  }
}

function showAttempt(attempt: KeptAttempt): Attempt {
  const { number, startedAt, durationMs, outcome, status, error, excerpt, nextAttemptAt } = attempt;
  const times = {
    startedAt: formatTime(startedAt),
    nextAttemptAt: nextAttemptAt === null ? null : formatTime(nextAttemptAt),
  };
  return { number, durationMs, outcome, status, error, excerpt, ...times };
}
