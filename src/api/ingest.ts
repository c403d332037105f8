import { z } from 'zod';
import { Ingested, NewReadings } from '../contract/reading.ts';
import { senderOf } from '../domain/principal.ts';
import { formatCursor, parseCursor } from '../domain/cursor.ts';
import { flag, noParameters } from './parameters.ts';
import type { ApiPorts } from './ports.ts';
import { showFault } from './problem.ts';
import { bytesBody, type Route, route } from './route.ts';

const ndjson = 'application/x-ndjson';

/** `seq` as a cursor of this life of the database. */
export function cursorAt(ports: ApiPorts, seq: number): string {
  return formatCursor(parseCursor(ports.cursor()).epoch, seq);
}

export function ingestRoutes(ports: ApiPorts): readonly Route[] {
  const post = route({
    method: 'POST',
    path: '/api/v1/readings',
    id: 'postReadings',
    tag: 'readings',
    scope: 'write',
    forDevices: true,
    summary: 'Send readings',
    description:
      'A JSON array (or one object) or NDJSON. The answer comes after the readings are on disk. All or nothing: one bad reading refuses the request with 422 and every fault in `errors`; with `partial=true` the good ones are stored and the others told in `refused`. Sending the same again changes nothing.',
    params: noParameters,
    query: z.object({ partial: flag }),
    body: bytesBody(['application/json', ndjson], NewReadings),
    success: { status: 200, description: 'The readings are on disk', schema: Ingested },
    refusals: ['payload_not_json', 'payload_shape', 'storage_unavailable', 'overloaded'],
    async handler({ query, body, caller }) {
      const format = body.type === ndjson ? 'ndjson' : 'json';
      const outcome = await ports.intake.post(body.bytes, format, {
        partial: query.partial,
        sender: senderOf(caller),
      });
      const { seq, stored, replaced, identical, refused } = outcome;
      const result = { cursor: cursorAt(ports, seq), stored, replaced, identical };
      return query.partial ? { ...result, refused: refused.map(showFault) } : result;
    },
  });
  return [post];
}
