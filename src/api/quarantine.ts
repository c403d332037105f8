import { z } from 'zod';
import { Quarantined, QuarantineList } from '../contract/quarantine.ts';
import type { QuarantineRecord } from '../domain/quarantine.ts';
import { formatTime } from './moment.ts';
import { readPage, writePage } from './page-token.ts';
import { limit, listMax, noParameters, page } from './parameters.ts';
import type { ApiPorts } from './ports.ts';
import { notFound } from './problem.ts';
import { type Route, route } from './route.ts';

/** Bytes of a payload that a list shows. */
const shownBytes = 1_024;

export function quarantineRoutes(ports: ApiPorts): readonly Route[] {
  const list = route({
    method: 'GET',
    path: '/api/v1/quarantine',
    id: 'listQuarantine',
    tag: 'quarantine',
    summary: 'Refused messages, newest first',
    description: 'Each with its topic, the reason and the place in the payload. Lists cut payloads to 1,024 bytes.',
    params: noParameters,
    query: z.object({ limit: limit(listMax), page }),
    body: null,
    success: { status: 200, description: 'A page of refused messages', schema: QuarantineList },
    async handler({ query, filters }) {
      const before = query.page === undefined ? undefined : readPage(filters, query.page, z.int());
      const records = await ports.reader.quarantine({ limit: query.limit + 1, before });
      const shown = records.slice(0, query.limit);
      const last = shown.at(-1);
      return {
        items: shown.map((record) => showQuarantined(record, shownBytes)),
        next: records.length > query.limit && last ? writePage(filters, last.id) : null,
      };
    },
  });

  const one = route({
    method: 'GET',
    path: '/api/v1/quarantine/{id}',
    id: 'getQuarantined',
    tag: 'quarantine',
    summary: 'One refused message with its whole payload',
    params: z.object({ id: z.string().meta({ override: { type: 'integer', minimum: 1 } }) }),
    query: noParameters,
    body: null,
    success: { status: 200, description: 'The message', schema: Quarantined },
    refusals: ['not_found'],
    async handler({ params }) {
      const id = /^\d{1,15}$/.test(params.id) ? Number(params.id) : 0;
      const [record] = await ports.reader.quarantine({ limit: 1, before: id + 1 });
      if (record?.id !== id)
        throw notFound('no message with this id is in the quarantine; the oldest make room for new');
      return showQuarantined(record, record.payload.length);
    },
  });

  return [list, one];
}

function showQuarantined(record: QuarantineRecord, bytesMax: number): Quarantined {
  const truncated = record.payload.length > bytesMax;
  const bytes = record.payload.subarray(0, bytesMax);
  const text = textOf(bytes, truncated);
  return {
    id: record.id,
    receivedAt: formatTime(record.receivedAt),
    topic: record.topic,
    client: record.client,
    reason: record.reason,
    pointer: record.pointer,
    detail: record.detail,
    payload: text ?? Buffer.from(bytes).toString('base64'),
    encoding: text === null ? 'base64' : 'utf-8',
    payloadBytes: record.payload.length,
    truncated,
  };
}

/** The bytes as text, or null when they are not UTF-8. A character that the cut went through is dropped. */
function textOf(bytes: Uint8Array, isCut: boolean): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes, { stream: isCut });
  } catch {
    return null;
  }
}
