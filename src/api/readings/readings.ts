import { z } from 'zod';
import { Buckets, ColumnReadings, ReadingLines, Readings, SenmlPack } from '../../contract/reading.ts';
import { isMetricName, metricNameRule } from '../../domain/series.ts';
import { mediaTypes } from '../answer-format.ts';
import { deviceParams, deviceWithReadings, metricsOf } from '../devices.ts';
import { askerOf } from './asker.ts';
import type { Downloads } from './downloads.ts';
import { PagePlaces } from '../page-places.ts';
import type { ApiPorts } from '../ports.ts';
import { notFound, parameterRefused, type RequestRefused } from '../problem.ts';
import { answerReadings, beginOf } from './reading-answer.ts';
import { readingParameters } from './reading-parameters.ts';
import { questionOf } from './reading-question.ts';
import { askedSeries } from './reading-series.ts';
import { type Route, route } from '../route.ts';
import type { SeriesOrder } from './series-order.ts';

/** What readings are answered as beside JSON. */
export const readingAlternatives = {
  [mediaTypes.columns]: ColumnReadings,
  [mediaTypes.ndjson]: ReadingLines.ndjson,
  [mediaTypes.csv]: ReadingLines.csv,
  [mediaTypes.senml]: SenmlPack,
  [mediaTypes.influx]: ReadingLines.influx,
};

/** What stands above an answer that has no place for it inside. */
export const readingHeaders = {
  'x-next-page': z
    .string()
    .optional()
    .meta({ description: 'Of a page of text: `page` of the next one; none on the last' }),
  'x-total-estimate': z
    .int()
    .min(0)
    .optional()
    .meta({ description: 'Of readings without a limit: about how many there are' }),
  'x-damaged-readings': z.int().min(0).optional().meta({
    description:
      'Of a page of text, and as a trailer behind a download of text: readings that are missing because what held them on disk is damaged',
  }),
  'x-damaged-first': z.string().optional().meta({
    description: 'With it: the first stretch of which they are, as `device/metric/from/to`',
    example: 'wearable-17/heart_rate/2026-09-21T08:00:00.000Z/2026-09-21T08:17:05.000Z',
  }),
};

/** What the description of both questions says. */
export const readingRules =
  'The range is half-open, [from, to): a reading at `from` is in it, one at `to` is not. It defaults to the last hour; a relative time is resolved on the first page and holds for the pages after it. A page of text names the next one in `x-next-page`; without `limit` text is streamed whole, with `X-Total-Estimate` readings, and a download that was cut goes on with `after`. Readings that are missing because what held them is damaged stand under `damaged` in JSON and are told in `X-Damaged-Readings` and `X-Damaged-First` of text: above a page, behind a download as HTTP trailers.';

/** Pages of one series that are made at once, and those that wait. */
const pagesBounds = { max: 64, waitingEach: 100, waitingMax: 1_000 };

export function readingRoutes(ports: ApiPorts, order: SeriesOrder, downloads: Downloads): readonly Route[] {
  const places = new PagePlaces(pagesBounds);
  const one = route({
    method: 'GET',
    path: '/api/v1/devices/{id}/readings',
    id: 'getDeviceReadings',
    tag: 'readings',
    summary: 'Readings of one series: raw, by bucket or decimated',
    description: `${readingRules} With \`bucket\` the answer is by bucket, from what is kept of readings by the minute or hour where that says the same or is all there is (\`resolution\`); with \`points\` it is the shape of the series in few readings; with \`pick\` one reading.`,
    params: deviceParams,
    query: z.object({
      metric: z
        .string()
        .refine(isMetricName, { message: `a metric name has ${metricNameRule}` })
        .meta({ description: 'One metric', example: 'heart_rate' }),
      ...readingParameters,
    }),
    body: null,
    success: {
      status: 200,
      description: 'Readings, or buckets',
      schema: z.union([Readings, Buckets]),
      alternatives: readingAlternatives,
      headers: readingHeaders,
    },
    refusals: ['not_found', 'duration_invalid', 'too_many_questions', 'overloaded'],
    handler({ params, query, now, filters, accepts, caller, signal }) {
      const asker = askerOf(caller, signal);
      const question = questionOf(query, accepts, { isMany: false });
      const known = order.find({ device: params.id, metric: query.metric });
      if (!known) throw noSuchMetric(deviceWithReadings(ports, params.id), query.metric);
      const single = askedSeries(ports, known);
      const { device } = known;
      const { after } = question;
      if (after && (after.device !== device || after.metric !== query.metric)) {
        throw parameterRefused('after', `"after" is a reading of another series than ${device}/${query.metric}`);
      }
      const { range, at } = beginOf(query, question, now, filters);
      const timeZone = question.timeZone ?? ports.decisions.snapshot().registrations.get(device)?.timeZone ?? null;
      async function* series(): AsyncGenerator<typeof single> {
        yield single;
      }
      const asked = { question, range, series, single, at, now, timeZone, filters, asker };
      return places.use(asker, () => answerReadings(ports, downloads, asked));
    },
  });
  return [one];

  function noSuchMetric(device: string, metric: string): RequestRefused {
    const metrics = metricsOf(ports, device);
    return notFound(`device "${device}" has no metric "${metric}"; it has ${metrics.join(', ') || 'none yet'}`);
  }
}
