import { z } from 'zod';

/** What every REST body is made of. The resources stand beside this file: device, reading, rule, webhook, quarantine. */

/** A point in time as answers write it: RFC 3339, UTC, milliseconds. */
export const Time = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  .meta({ format: 'date-time', description: 'RFC 3339 in UTC with milliseconds', example: '2026-11-20T09:30:00.000Z' });

/** What a reading can hold. */
export const Value = z
  .union([z.number(), z.boolean(), z.string()])
  .meta({ description: 'A number, a boolean or a short text', example: 72 });

/** A UCUM code, or null where the metric's name does not tell. */
export const Unit = z.string().nullable().meta({ description: 'UCUM code, null when unknown', example: '/min' });

export const CursorText = z
  .string()
  .meta({ description: 'A position between commits, "<epoch>:<number>"', example: 'k3J9xQ2m:184467' });

export const Next = z.string().nullable().meta({ description: 'Pass it as `page` to read on; null on the last page' });

/** A page of a list. */
export interface List<T> {
  items: T[];
  next: string | null;
}

/** The schema of a page of `item`. */
export function listOf<T extends z.ZodType>(
  id: string,
  item: T,
): z.ZodObject<{ items: z.ZodArray<T>; next: typeof Next }> {
  return z.object({ items: z.array(item), next: Next }).meta({ id });
}

/** One fault among several: `pointer` into the body, or the `parameter` of the query or path. */
export const ProblemFault = z
  .object({
    pointer: z
      .string()
      .optional()
      .meta({ description: 'RFC 6901 pointer into the body, "" for the whole', example: '/condition/above' }),
    parameter: z.string().optional().meta({ description: 'Name of the query or path parameter', example: 'limit' }),
    code: z.string().meta({ example: 'value_invalid' }),
    detail: z.string(),
  })
  .meta({ id: 'ProblemFault' });
export type ProblemFault = z.infer<typeof ProblemFault>;

/** RFC 9457 problem details: the body of every answer that is not a success, as `application/problem+json`. */
export const Problem = z
  .object({
    type: z.string().meta({ description: 'URI of the kind of problem', example: 'urn:pulsegate:problem:not_found' }),
    title: z.string().meta({ example: 'Not found' }),
    status: z.int().min(400).max(599),
    code: z.string().meta({
      description: 'From the registry that WebSocket errors and quarantine reasons use too',
      example: 'not_found',
    }),
    detail: z.string(),
    instance: z.string().meta({ description: 'The request id, as in the header x-request-id', example: 'req_0V5m…' }),
    errors: z.array(ProblemFault).optional(),
  })
  .meta({ id: 'Problem' });
export type Problem = z.infer<typeof Problem>;

/** `GET /healthz` and `GET /readyz`; when not ready, a problem says why. */
export const Health = z.object({ status: z.literal('ok') }).meta({ id: 'Health' });
export type Health = z.infer<typeof Health>;
