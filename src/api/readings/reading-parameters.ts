import { z } from 'zod';
import { nearest } from '../../base/nearest.ts';
import { isTimeZone } from '../../base/time-zone.ts';
import { answerFormats } from '../answer-format.ts';
import {
  type Aggregate,
  aggregateName,
  bucketFills,
  parseAggregate,
  plainAggregates,
  splitAggregates,
} from '../../domain/aggregate.ts';
import { compileTagGlob, isTagGlob, type TagGlob } from '../../domain/tag-glob.ts';
import { isDeviceId, isMetricName } from '../../domain/series.ts';
import { parseBucketWidth } from './bucket-width.ts';
import { type Offset, parseOffset } from './earlier-period.ts';
import { parseMoment } from '../moment.ts';
import { flag, from, page, parsed, readingsMax, to } from '../parameters.ts';
import { addFault } from '../validation.ts';

/** The parameters that one series and many are asked with alike. What goes together is decided in `reading-question.ts`. */

/** Most points that a series can be drawn with, and most buckets that it can be answered in. */
export const pointsMax = 10_000;

const order = z
  .enum(['asc', 'desc'])
  .optional()
  .meta({ description: 'Oldest first (default) or newest first; buckets and points come oldest first' });

const limit = z
  .string()
  .transform((text, context): number | 'all' => {
    if (text === 'all') return text;
    const count = /^\d{1,6}$/.test(text) ? Number(text) : 0;
    if (count >= 1 && count <= readingsMax) return count;
    addFault(context, 'parameter_invalid', `"limit" must be a whole number from 1 to ${readingsMax}, or all`);
    return z.NEVER;
  })
  .optional();

const limitDescription = (what: string): { description: string; override: object } => ({
  description: `${what}. \`all\`: no end, the answer is streamed; so it is where NDJSON, CSV, SenML or line protocol come without \`limit\``,
  override: {
    type: ['integer', 'string'],
    default: 100,
    oneOf: [
      { type: 'integer', minimum: 1, maximum: readingsMax },
      { type: 'string', const: 'all' },
    ],
  },
});

const bucket = z
  .string()
  .transform((text, context) => parsed(context, () => parseBucketWidth(text)))
  .optional()
  .meta({
    description:
      'Answer by bucket: a width such as `30s`, `15m`, `1h` (units ms s m h d w), or by the calendar `1d`, `1w`, `1month`, `1quarter`, `1year`. Buckets begin at whole multiples of it on the wall clock of `tz`, weeks on Monday; days have 23, 24 or 25 hours where clocks are set',
    override: { type: 'string', example: '15m' },
  });

const agg = z
  .string()
  .transform((text, context): readonly Aggregate[] => {
    const asked = new Map<string, Aggregate>();
    const unknown: string[] = [];
    for (const name of splitAggregates(text)) {
      const aggregate = parseAggregate(name);
      if (aggregate) asked.set(aggregateName(aggregate), aggregate);
      else unknown.push(name);
    }
    if (unknown.length === 0 && asked.size >= 1 && asked.size <= aggregatesMax) return [...asked.values()];
    const detail =
      unknown.length === 0 ? `"agg" takes 1 to ${aggregatesMax} aggregates` : unknown.map(unknownAggregate).join('; ');
    addFault(context, 'parameter_invalid', detail);
    return z.NEVER;
  })
  .optional()
  .meta({
    description:
      'What each bucket says, a comma list; only with `bucket`. Left out, the kind of the metric decides: a gauge avg,min,max,count, a counter increase,last,count, a state last,count. There are `count min max avg sum first last stddev median delta rate increase timeWeightedAvg integral`, percentiles `p0` to `p100`, `timeInRange(lo,hi)` and `duration(value)`, the last two in ms',
    override: { type: 'string', example: 'avg,p95,timeInRange(18,24)' },
  });

/** Most aggregates of one answer. */
const aggregatesMax = 20;
const aggregateList = `${plainAggregates.join(', ')}, p0 to p100, timeInRange(lo,hi) and duration(value)`;

const tz = z
  .string()
  .transform((name, context) => {
    if (isTimeZone(name)) return name;
    const guess = nearest(name, ['UTC', ...Intl.supportedValuesOf('timeZone')]) ?? cityZone(name);
    const hint = guess === null ? 'write an IANA name such as Europe/Berlin' : `did you mean "${guess}"?`;
    addFault(context, 'parameter_invalid', `"${name.slice(0, 64)}" is not a time zone; ${hint}`);
    return z.NEVER;
  })
  .optional()
  .meta({
    description:
      'The time zone in whose wall time buckets begin, an IANA name; only with `bucket` or `offset`. Left out: for one device the zone it is registered with, otherwise UTC',
    override: { type: 'string', example: 'Europe/Berlin' },
  });

const fill = z.enum(bucketFills).optional().meta({
  description:
    'What stands for buckets without readings: `none` leaves them out (default), `null` shows them empty, `previous` the value in force, `linear` a line between their neighbours. Of what is yet to come nothing is known',
});

const points = z
  .string()
  .transform((text, context) => {
    const count = /^\d{1,6}$/.test(text) ? Number(text) : 0;
    if (count >= 2 && count <= pointsMax) return count;
    addFault(context, 'parameter_invalid', `"points" must be a whole number from 2 to ${pointsMax}`);
    return z.NEVER;
  })
  .optional()
  .meta({
    description: 'The shape of each series in at most so many of its readings, for a chart; texts are left out',
    override: { type: 'integer', minimum: 2, maximum: pointsMax, example: 800 },
  });

const method = z.enum(['minmax', 'lttb']).optional().meta({
  description:
    'How `points` are chosen: `minmax` keeps the extremes of equal stretches (default), `lttb` the largest triangles',
});

const pick = z
  .enum(['first', 'last'])
  .optional()
  .meta({ description: 'Of each series only the first or the last reading of the range' });

const boundary = flag.meta({
  description:
    'With JSON: shows beside each series the reading `before` the range and the first one `after` it, so that a chart of steps begins right. A series with nothing in the range but one before it is then there, too',
  override: { type: 'boolean', enum: [true, false], default: false },
});

/** An offset with the text that asked for it. */
export interface AskedOffset {
  readonly text: string;
  readonly offset: Offset;
}

const offset = z
  .string()
  .transform((text, context) => parsed(context, (): AskedOffset => ({ text, offset: parseOffset(text) })))
  .optional()
  .meta({
    description:
      'Compares with the period so long before (`1d`, `1w`, `1month`, `1year`, any duration): its answer stands under `compare` in each series, times moved onto this period. Whole days, weeks and months go by the calendar of `tz`: it begins and ends at the same time of day, whether clocks were set in between or not. Readings and points are all moved by as much as its begin; buckets of the calendar by the calendar, where those of an hour that is skipped or repeated may stand at the same time. All stay in order; a longer period reaches beyond the end. JSON only',
    override: { type: 'string', example: '1d' },
  });

/** Behind a reading that was read already. */
export interface AfterReading {
  readonly device: string;
  readonly metric: string;
  readonly time: number;
}

const after = z
  .string()
  .transform((text, context) =>
    parsed(context, (): AfterReading => {
      const [device, metric, time, ...rest] = text.split('/');
      if (device && metric && time && rest.length === 0 && isDeviceId(device) && isMetricName(metric)) {
        const moment = parseMoment(time);
        // A relative time moves on, and no reading does.
        if (moment(0) === moment(1)) return { device, metric, time: moment(0) };
      }
      const detail = '"after" is device/metric/time of the last reading that arrived, as it was told';
      addFault(context, 'parameter_invalid', detail);
      return z.NEVER;
    }),
  )
  .optional()
  .meta({
    description:
      'Goes on behind this reading, `device/metric/time`: for a download that was cut, with the parameters that it began with',
    override: { type: 'string', example: 'wearable-01/heart_rate/2026-11-20T09:30:00.000Z' },
  });

const format = z
  .enum(answerFormats)
  .optional()
  .meta({ description: 'The form of the answer; wins over `Accept`, by which it is chosen when left out' });

/** Filter on the tags of devices; keeps nothing when it was not asked for. */
export const tag = z
  .string()
  .transform((text, context): TagGlob => {
    if (isTagGlob(text)) return compileTagGlob(text);
    addFault(context, 'parameter_invalid', 'a tag is asked for as key:value, for example tag=site:north*');
    return z.NEVER;
  })
  .optional()
  .meta({
    description:
      'Only devices with this tag, `key:value` with `*` and `?`; of several with commas between, any. Tags are those of the registration',
    override: { type: 'string', example: 'site:north*' },
  });

export const readingParameters = {
  from,
  to,
  order,
  bucket,
  agg,
  tz,
  fill,
  points,
  method,
  pick,
  boundary,
  offset,
  after,
  format,
  limit: limit.meta(limitDescription('Most readings or buckets on the page')),
  page,
};

/** What is wrong with an aggregate that cannot be read. */
function unknownAggregate(name: string): string {
  const shown = name.slice(0, 64);
  if (name.startsWith('timeInRange')) {
    return `"${shown}" must be timeInRange(lo,hi) with two numbers, the lower one first, for example timeInRange(18,24)`;
  }
  if (name.startsWith('duration')) return `"${shown}" must be duration(value), for example duration(on)`;
  if (/^p\d/.test(name)) return `"${shown}" is no percentile; they go from p0 to p100`;
  const guess = nearest(name, plainAggregates);
  const hint = guess === null ? `there are ${aggregateList}` : `did you mean "${guess}"?`;
  return `"${shown}" is no aggregate; ${hint}`;
}

/** The zone of a city that was written alone: "Berlin". */
function cityZone(name: string): string | null {
  const city = name.trim().replaceAll(' ', '_').toLowerCase();
  return Intl.supportedValuesOf('timeZone').find((zone) => zone.toLowerCase().endsWith(`/${city}`)) ?? null;
}
