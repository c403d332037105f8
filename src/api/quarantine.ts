import { z } from 'zod';
import { RejectedError } from '../base/errors.ts';
import { Quarantined, QuarantineList, Retried, RetryFilter } from '../contract/quarantine.ts';
import { Ingested } from '../contract/reading.ts';
import type { QuarantineRecord } from '../domain/quarantine.ts';
import { cursorAt } from './ingest.ts';
import { formatTime } from './moment.ts';
import { readPage, writePage } from './page-token.ts';
import { limit, listMax, noParameters, page } from './parameters.ts';
import type { ApiPorts } from './ports.ts';
import { notFound, RequestRefused, showFault } from './problem.ts';
import { retryMatching } from './quarantine-retry.ts';
import { jsonBody, type Route, route } from './route.ts';

const quarantineParams = z.object({ id: z.string().meta({ override: { type: 'integer', minimum: 1 } }) });

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
    params: quarantineParams,
    query: noParameters,
    body: null,
    success: { status: 200, description: 'The message', schema: Quarantined },
    refusals: ['not_found'],
    handler: async ({ params: { id } }) => showQuarantined(await quarantinedOf(id), Number.POSITIVE_INFINITY),
  });

  const retryOne = route({
    method: 'POST',
    path: '/api/v1/quarantine/{id}/retry',
    id: 'retryQuarantined',
    tag: 'quarantine',
    summary: 'Try a refused message again',
    description:
      'After its mapping was mended or its device registered. It is taken as it came, with its own time of receipt. When it is still wrong, 422 says why in `errors`, and it stays.',
    params: quarantineParams,
    query: noParameters,
    body: null,
    success: { status: 200, description: 'Its readings are on disk, and it left the quarantine', schema: Ingested },
    refusals: ['not_found', 'validation_failed', 'storage_unavailable', 'overloaded'],
    async handler({ params: { id } }) {
      const record = await quarantinedOf(id);
      const { seq, stored, replaced, identical } = await ports.quarantine.retry(record).catch(stillRefused);
      return { cursor: cursorAt(ports, seq), stored, replaced, identical };
    },
  });

  const retryMany = route({
    method: 'POST',
    path: '/api/v1/quarantine/retry',
    id: 'retryQuarantine',
    tag: 'quarantine',
    summary: 'Try refused messages again',
    description:
      'Those of a reason, of topics, or all, the oldest first. Each is taken or stays by itself. With `more` in the answer, ask again.',
    params: noParameters,
    query: noParameters,
    body: jsonBody(RetryFilter),
    success: { status: 200, description: 'What came of it', schema: Retried },
    refusals: ['validation_failed', 'storage_unavailable', 'overloaded'],
    handler: ({ body, signal }) => retryMatching(ports, body, signal),
  });

  const remove = route({
    method: 'DELETE',
    path: '/api/v1/quarantine/{id}',
    id: 'deleteQuarantined',
    tag: 'quarantine',
    summary: 'Throw a refused message away',
    params: quarantineParams,
    query: noParameters,
    body: null,
    success: { status: 204, description: 'The message is gone', schema: z.void() },
    refusals: ['not_found', 'storage_unavailable'],
    async handler({ params: { id } }) {
      await ports.quarantine.remove([(await quarantinedOf(id)).id]);
    },
  });

  return [list, one, retryOne, retryMany, remove];

  async function quarantinedOf(text: string): Promise<QuarantineRecord> {
    const record = await ports.reader.quarantined(/^\d{1,15}$/.test(text) ? Number(text) : 0);
    if (record) return record;
    throw notFound('no message with this id is in the quarantine; the oldest make room for new');
  }
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

/** The reason of today, which may be another than the one on record. */
function stillRefused(thrown: unknown): never {
  if (!(thrown instanceof RejectedError)) throw thrown;
  const { code, pointer, message } = thrown;
  const errors = thrown.errors.length > 0 ? thrown.errors : [{ pointer, code, detail: message }];
  throw new RequestRefused('validation_failed', `the message is still refused: ${message}`, {
    errors: errors.map(showFault),
  });
}

/** The bytes as text, or null when they are not UTF-8. A character that the cut went through is dropped. */
function textOf(bytes: Uint8Array, isCut: boolean): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes, { stream: isCut });
  } catch {
    return null;
  }
}
