import { z } from 'zod';
import { CursorText, Next, ProblemFault, Time, Unit, Value } from './rest.ts';

export const Sample = z.object({ time: Time, value: Value }).meta({ id: 'Sample' });
export type Sample = z.infer<typeof Sample>;

const seriesFields = { device: z.string(), metric: z.string(), unit: Unit };

/** `GET /devices/{id}/readings`: one series as it was measured. */
export const Readings = z.object({ ...seriesFields, readings: z.array(Sample), next: Next }).meta({ id: 'Readings' });
export type Readings = z.infer<typeof Readings>;

/** What a bucket can say, in the order in which it says it. */
export const aggregateNames = ['avg', 'min', 'max', 'sum', 'count', 'first', 'last'] as const;
export type AggregateName = (typeof aggregateNames)[number];

const numeric = z.number().nullable().optional();
/** Only the aggregates asked for are there. Texts are counted but take no part in avg, min, max and sum (then null). */
export const Bucket = z
  .object({
    time: Time.meta({ description: 'Begin of the bucket' }),
    avg: numeric,
    min: numeric,
    max: numeric,
    sum: numeric,
    count: z.int().optional(),
    first: Value.optional(),
    last: Value.optional(),
  })
  .meta({ id: 'Bucket' });
export type Bucket = z.infer<typeof Bucket>;

/** `GET /devices/{id}/readings?bucket=1m`: the same series by bucket; buckets without readings are left out. */
export const Buckets = z.object({ ...seriesFields, buckets: z.array(Bucket), next: Next }).meta({ id: 'Buckets' });
export type Buckets = z.infer<typeof Buckets>;

export const SeriesReadings = z.object({ ...seriesFields, readings: z.array(Sample) }).meta({ id: 'SeriesReadings' });
export type SeriesReadings = z.infer<typeof SeriesReadings>;

/** `GET /readings`: many series. A series may be cut by the end of a page and goes on at the top of the next. */
export const ManyReadings = z.object({ series: z.array(SeriesReadings), next: Next }).meta({ id: 'ManyReadings' });
export type ManyReadings = z.infer<typeof ManyReadings>;

export const StreamReading = z
  .object({ device: z.string(), metric: z.string(), time: Time, value: Value })
  .meta({ id: 'StreamReading' });
export type StreamReading = z.infer<typeof StreamReading>;

/** What a resumed reader missed and cannot be given any more. */
export const Gap = z
  .object({
    after: CursorText.meta({ description: 'The cursor that was asked for' }),
    resumed: CursorText.meta({ description: 'Where reading goes on' }),
    reason: z.string().meta({ example: 'trimmed' }),
  })
  .meta({ id: 'Gap' });
export type Gap = z.infer<typeof Gap>;

/** `GET /stream`: what was committed after `since`. */
export const StreamPage = z
  .object({ cursor: CursorText, readings: z.array(StreamReading), gap: Gap.nullable() })
  .meta({ id: 'StreamPage' });
export type StreamPage = z.infer<typeof StreamPage>;

/** One reading of `POST /readings`. */
export const NewReading = z
  .object({
    device: z.string().meta({ example: 'wearable-01' }),
    metric: z.string().meta({ example: 'heart_rate' }),
    time: z
      .union([z.string(), z.number()])
      .optional()
      .meta({ description: 'RFC 3339 or epoch milliseconds; left out, the time of receipt' }),
    value: Value,
  })
  .meta({ id: 'NewReading' });
export type NewReading = z.infer<typeof NewReading>;

export const NewReadings = z.union([NewReading, z.array(NewReading)]).meta({ id: 'NewReadings' });

/** The answer to `POST /readings`, given once the readings are on disk. */
export const Ingested = z
  .object({
    cursor: CursorText.meta({ description: 'A position at or after the commit' }),
    stored: z.int(),
    replaced: z.int(),
    identical: z.int(),
    refused: z.array(ProblemFault).optional().meta({ description: 'With `partial=true`: what was left out, and why' }),
  })
  .meta({ id: 'Ingested' });
export type Ingested = z.infer<typeof Ingested>;
