import { z } from 'zod';
import { CursorText, Next, ProblemFault, Time, Unit, Value } from './rest.ts';

export const Sample = z.object({ time: Time, value: Value }).meta({ id: 'Sample' });
export type Sample = z.infer<typeof Sample>;

const seriesFields = { device: z.string(), metric: z.string(), unit: Unit };

/** What an answer was made of: the readings themselves, or what is kept of them by the minute or hour. */
export const Resolution = z.enum(['raw', '1m', '1h']).meta({
  description: 'What the answer was made of: readings, or what is kept of them by the minute or hour',
});
export type Resolution = z.infer<typeof Resolution>;

/** Readings that are missing from an answer because what held them on disk is damaged. */
export const Damaged = z
  .object({ device: z.string(), metric: z.string(), from: Time, to: Time, readings: z.int() })
  .meta({ id: 'Damaged', description: 'Missing from this answer: what held them on disk is damaged' });
export type Damaged = z.infer<typeof Damaged>;

/** With `boundary=true`: what was in force when the range began, and what came when it was over. */
const boundaryFields = {
  before: Sample.nullable().optional().meta({ description: 'With `boundary=true`: the last reading before the range' }),
  after: Sample.nullable().optional().meta({ description: 'With `boundary=true`: the first reading behind the range' }),
};

const offsetText = z.string().meta({ description: 'How far back the period lies', example: '1d' });
const comparedReadings = z
  .object({ offset: offsetText, readings: z.array(Sample) })
  .optional()
  .meta({ description: 'With `offset`: the earlier period, its times moved onto this one' });

const readingFields = {
  ...seriesFields,
  resolution: Resolution.optional().meta({ description: 'Of `points`' }),
  method: z.enum(['minmax', 'lttb']).optional().meta({ description: 'Of `points`: how they were chosen' }),
  ...boundaryFields,
  compare: comparedReadings,
  readings: z.array(Sample),
};
const ends = { damaged: z.array(Damaged).optional(), next: Next };

/** `GET /devices/{id}/readings`: one series as it was measured, or its shape in few readings. */
export const Readings = z.object({ ...readingFields, ...ends }).meta({
  id: 'Readings',
  example: {
    device: 'wearable-01',
    metric: 'heart_rate',
    unit: '/min',
    readings: [
      { time: '2026-11-20T09:30:00.000Z', value: 72 },
      { time: '2026-11-20T09:30:01.000Z', value: 73 },
    ],
    next: null,
  },
});
export type Readings = z.infer<typeof Readings>;

const numeric = z.number().nullable().optional();
const held = Value.nullable().optional();
/** The aggregates that were asked for, under their names: also `p95`, `timeInRange(18,24)` and the like. */
export const Bucket = z
  .object({
    time: Time.meta({ description: 'Begin of the bucket; it ends where the next one begins' }),
    avg: numeric,
    min: numeric,
    max: numeric,
    sum: numeric,
    count: z.int().optional(),
    first: held,
    last: held,
  })
  .catchall(Value.nullable())
  .meta({
    id: 'Bucket',
    description:
      'The aggregates that were asked for, under their names. Booleans count as 0 and 1; texts are counted and take part in `first`, `last` and `duration` only. Null: there is nothing to tell',
  });
export type Bucket = z.infer<typeof Bucket>;

/** How values behave between readings. */
const Kind = z.enum(['gauge', 'counter', 'state']);

const bucketFields = {
  ...seriesFields,
  kind: Kind.meta({ description: 'How its values behave between readings, by the profile of the device' }),
  resolution: Resolution,
  ...boundaryFields,
  compare: z
    .object({ offset: offsetText, buckets: z.array(Bucket) })
    .optional()
    .meta({ description: 'With `offset`: the earlier period, its times moved onto this one' }),
  buckets: z.array(Bucket),
};

/** `GET /devices/{id}/readings?bucket=1m`: the same series by bucket. */
export const Buckets = z.object({ ...bucketFields, ...ends }).meta({
  id: 'Buckets',
  example: {
    device: 'wearable-01',
    metric: 'heart_rate',
    unit: '/min',
    kind: 'gauge',
    resolution: 'raw',
    buckets: [{ time: '2026-11-20T09:30:00.000Z', avg: 72.4, min: 68, max: 81, count: 60 }],
    next: null,
  },
});
export type Buckets = z.infer<typeof Buckets>;

export const SeriesReadings = z.object(readingFields).meta({ id: 'SeriesReadings' });
export type SeriesReadings = z.infer<typeof SeriesReadings>;

/** `GET /readings`: many series. A series may be cut by the end of a page and goes on at the top of the next. */
export const ManyReadings = z.object({ series: z.array(SeriesReadings), ...ends }).meta({ id: 'ManyReadings' });
export type ManyReadings = z.infer<typeof ManyReadings>;

export const SeriesBuckets = z.object(bucketFields).meta({ id: 'SeriesBuckets' });
export type SeriesBuckets = z.infer<typeof SeriesBuckets>;

/** `GET /readings?bucket=1h`: many series by bucket, each of them whole. */
export const ManyBuckets = z.object({ series: z.array(SeriesBuckets), ...ends }).meta({ id: 'ManyBuckets' });
export type ManyBuckets = z.infer<typeof ManyBuckets>;

/** How the values of several series become one. */
export const Reduction = z.enum(['avg', 'sum', 'min', 'max', 'count']);
export type Reduction = z.infer<typeof Reduction>;

/** `GET /readings?bucket=1h&groupBy=site`: series made one, bucket by bucket. */
export const GroupedBuckets = z
  .object({
    series: z.array(
      z.object({
        group: z
          .record(z.string(), z.string().nullable())
          .meta({ description: 'What the series of the group have in common; null: devices without that tag' }),
        metric: z.string().nullable().meta({ description: 'Null where the group has several' }),
        unit: Unit,
        aggregate: z.string().meta({ description: 'Of each series and bucket', example: 'avg' }),
        reduce: Reduction.meta({ description: 'How the series become one' }),
        of: z.int().meta({ description: 'Series in the group' }),
        resolution: Resolution,
        buckets: z.array(Bucket),
      }),
    ),
    ...ends,
  })
  .meta({
    id: 'GroupedBuckets',
    example: {
      series: [
        {
          group: { site: 'north' },
          metric: 'temperature',
          unit: 'Cel',
          aggregate: 'avg',
          reduce: 'max',
          of: 12,
          resolution: 'raw',
          buckets: [{ time: '2026-11-20T09:00:00.000Z', max: 23.8 }],
        },
      ],
      next: null,
    },
  });
export type GroupedBuckets = z.infer<typeof GroupedBuckets>;

const columnFields = {
  ...seriesFields,
  times: z.array(z.int()).meta({ description: 'Epoch ms' }),
};
/** `format=columns`. Beside `times` stand `values`, or for buckets one list for each aggregate. */
export const ColumnSeries = z
  .object({ ...columnFields, values: z.array(Value).optional() })
  .catchall(z.unknown())
  .meta({
    id: 'ColumnSeries',
    description:
      'Beside `times` stand `values`, or of buckets a list for each aggregate under its name. A long series may come in several parts, one behind the other',
    example: { device: 'wearable-01', metric: 'heart_rate', unit: '/min', times: [1_790_000_000_000], values: [72] },
  });
export const ColumnReadings = z.object({ series: z.array(ColumnSeries), ...ends }).meta({ id: 'ColumnReadings' });
export type ColumnReadings = z.infer<typeof ColumnReadings>;

/** `format=senml`: RFC 8428. */
export const SenmlPack = z
  .array(
    z.object({
      n: z.string().meta({ description: 'device/metric', example: 'wearable-01/heart_rate' }),
      u: z.string().optional().meta({ description: 'Unit of the SenML registry, where it has it' }),
      t: z.number().meta({ description: 'Seconds since the epoch' }),
      v: z.number().optional(),
      vb: z.boolean().optional(),
      vs: z.string().optional(),
    }),
  )
  .meta({ id: 'SenmlPack', description: 'Records of RFC 8428' });

/** The forms of text, with what a line holds. */
export const ReadingLines = {
  ndjson: z.string().meta({
    description: 'A JSON object a line, as POST /readings takes it',
    example: '{"device":"wearable-01","metric":"heart_rate","time":"2026-11-20T09:30:00.000Z","value":72}\n',
  }),
  csv: z.string().meta({
    description: 'RFC 4180 with a header; texts in quotes, with an apostrophe before what a spreadsheet would run',
    example: 'device,metric,time,value,unit\r\nwearable-01,heart_rate,2026-11-20T09:30:00.000Z,72,/min\r\n',
  }),
  influx: z.string().meta({
    description: 'InfluxDB line protocol, ns',
    example: 'heart_rate,device=wearable-01 value=72 1790000000000000000\n',
  }),
};

/** `GET /latest?format=columns`: the same rows, column by column. */
export const LatestColumns = z
  .object({
    cursor: CursorText,
    devices: z.array(z.string()),
    metrics: z.array(z.string()),
    times: z.array(z.int()).meta({ description: 'Epoch ms' }),
    values: z.array(Value),
    units: z.array(Unit),
    next: Next,
  })
  .meta({ id: 'LatestColumns' });
export type LatestColumns = z.infer<typeof LatestColumns>;

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
