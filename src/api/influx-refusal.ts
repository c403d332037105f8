import { z } from 'zod';
import type { ProblemFault } from '../contract/rest.ts';
import { problemOf } from './problem.ts';
import type { Outgoing } from './route.ts';

/** How the API of InfluxDB 2 says no; `error` is where clients of InfluxDB 1 look. */
export const InfluxRefusal = z
  .object({
    code: z.string().meta({ description: 'As InfluxDB has them', example: 'invalid' }),
    message: z.string(),
    error: z.string().meta({ description: 'The message again' }),
    line: z.number().int().optional().meta({ description: 'The first line that is wrong, from 1' }),
    errors: z
      .array(
        z.object({
          line: z.number().int().optional(),
          column: z.number().int().optional(),
          code: z.string().meta({ description: 'A code of this API' }),
          message: z.string(),
        }),
      )
      .optional()
      .meta({ description: 'Every fault, at most a hundred' }),
  })
  .meta({ id: 'InfluxRefusal' });
type InfluxRefusal = z.output<typeof InfluxRefusal>;

const codes: Readonly<Record<number, string>> = {
  400: 'invalid',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not found',
  413: 'request too large',
  415: 'unsupported media type',
  429: 'too many requests',
  503: 'unavailable',
};

/**
 * A refusal in the words of InfluxDB: 400 for every line that cannot be taken, where our own API says 422. Throws what was
 * thrown when it is an error of ours, which is logged and answered as everywhere.
 */
export function influxAnswer(thrown: unknown, requestId: string): Outgoing {
  const { body, headers, unexpected } = problemOf(thrown, requestId);
  if (unexpected) throw thrown;
  const status = body.status === 422 ? 400 : body.status;
  const errors = (body.errors ?? []).map(placed).sort(byPlace);
  const [first] = errors;
  const message = first?.line === undefined ? body.detail : `line ${first.line}: ${body.detail}`;
  const refusal: InfluxRefusal = {
    code: codes[status] ?? 'invalid',
    message,
    error: message,
    ...(first?.line !== undefined && { line: first.line }),
    ...(errors.length > 0 && { errors }),
  };
  return { status, body: refusal, headers };
}

type Placed = NonNullable<InfluxRefusal['errors']>[number];

function placed({ pointer = '', code, detail }: ProblemFault): Placed {
  const [, line, column] = /^\/line\/(\d+)\/column\/(\d+)$/.exec(pointer) ?? [];
  if (line === undefined || column === undefined) return { code, message: detail };
  return { line: Number(line), column: Number(column), code, message: detail };
}

function byPlace(left: Placed, right: Placed): number {
  return (left.line ?? 0) - (right.line ?? 0) || (left.column ?? 0) - (right.column ?? 0);
}
