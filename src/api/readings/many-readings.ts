import { z } from 'zod';
import { GroupedBuckets, ManyBuckets, ManyReadings, Reduction } from '../../contract/reading.ts';
import { askerOf } from './asker.ts';
import type { Downloads } from './downloads.ts';
import { PagePlaces } from '../page-places.ts';
import { noParameters, pattern } from '../parameters.ts';
import type { ApiPorts } from '../ports.ts';
import { answerReadings, beginOf } from './reading-answer.ts';
import { readingParameters, tag } from './reading-parameters.ts';
import { questionOf } from './reading-question.ts';
import { type AskedSeries, askedSeries, matching } from './reading-series.ts';
import { readingAlternatives, readingHeaders, readingRules } from './readings.ts';
import { type Route, route } from '../route.ts';
import { compareSeries, type SeriesOrder } from './series-order.ts';

const groupBy = z.string().min(1).max(64).optional().meta({
  description:
    'Makes the series of each group one, bucket by bucket: the key of a tag, `device` (all its metrics that match) or `metric`. Series of different metrics are not mixed but by `device`',
  example: 'site',
});

const reduce = Reduction.optional().meta({
  description: 'How the values of the series of a group become one; with `groupBy`, `avg` when left out',
});

/** Pages of many series that are made at once, some of them 10 MB, and those that wait. */
const pagesBounds = { max: 8, waitingEach: 100, waitingMax: 1_000 };

export function manyReadingsRoutes(ports: ApiPorts, order: SeriesOrder, downloads: Downloads): readonly Route[] {
  const places = new PagePlaces(pagesBounds);
  const many = route({
    method: 'GET',
    path: '/api/v1/readings',
    id: 'getReadings',
    tag: 'readings',
    summary: 'Readings of many series: raw, by bucket, decimated or grouped',
    description: `Series by device and metric; those without readings in the range are left out. ${readingRules} \`limit\` counts readings, with \`bucket\`, \`points\` or \`pick\` series, with \`groupBy\` buckets. A page of readings may end inside a series. A page may hold less than \`limit\`, even nothing, while \`next\` is not null: read on until it is.`,
    params: noParameters,
    query: z.object({
      device: pattern('device id'),
      metric: pattern('metric name'),
      tag,
      groupBy,
      reduce,
      ...readingParameters,
    }),
    body: null,
    success: {
      status: 200,
      description: 'Readings or buckets, by series or group',
      schema: z.union([ManyReadings, ManyBuckets, GroupedBuckets]),
      alternatives: readingAlternatives,
      headers: readingHeaders,
    },
    refusals: ['duration_invalid', 'too_many_questions', 'overloaded'],
    async handler({ query, now, filters, accepts, caller, signal }) {
      const asker = askerOf(caller, signal);
      const question = questionOf(query, accepts, { isMany: true });
      const { range, first, at } = beginOf(query, question, now, filters);
      const sorted = order.all();
      const begin = first ?? { device: '', metric: '' };
      const filter = { device: query.device, metric: query.metric, tag: query.tag };
      async function* series(): AsyncGenerator<AskedSeries> {
        for await (const one of matching(ports, sorted, filter, begin, signal)) yield askedSeries(ports, one);
      }
      // The series that was begun may be gone from the filter, or never have been: then the next one begins anew.
      const begun = first && (await matching(ports, sorted, filter, begin, signal).next());
      const isBegun = first !== null && begun?.done === false && compareSeries(begun.value, first) === 0;
      const asked = {
        question,
        range,
        series,
        single: null,
        at: isBegun ? at : null,
        now,
        timeZone: question.timeZone,
        filters,
        asker,
      };
      return places.use(asker, () => answerReadings(ports, downloads, asked));
    },
  });
  return [many];
}
