import { z } from 'zod';
import { timeZone } from '../../base/time-zone.ts';
import type { BucketGrid } from '../../domain/bucket-grid.ts';
import type { Asker, Boundaries, SeriesRange } from '../../history/queries.ts';
import { type BucketWidth, gridOf } from './bucket-width.ts';
import { EarlierPeriod } from './earlier-period.ts';
import { timeMax } from '../moment.ts';
import { writePage } from '../page-token.ts';
import type { ApiPorts } from '../ports.ts';
import { parameterRefused } from '../problem.ts';
import { sampleText } from './reading-envelope.ts';
import type { Question, Range } from './reading-question.ts';
import type { AskedSeries } from './reading-series.ts';

/** A question with the series that it is asked of. */
export interface ReadingAsk {
  readonly question: Question;
  readonly range: Range;
  /** In the order of the answer, from where the page begins. Series that come meanwhile are not among them. */
  series(): AsyncGenerator<AskedSeries>;
  /** The only series there can be; null: as many as there are. */
  readonly single: AskedSeries | null;
  /** Where the first series goes on: a time of its own, or null for its begin. */
  readonly at: number | null;
  /** When it was asked, epoch ms: readings hold until then, and nothing is known of what is to come. */
  readonly now: number;
  /** The time zone of the answer. */
  readonly timeZone: string | null;
  /** What page tokens belong to. */
  readonly filters: string;
  /** Who waits for the answer. */
  readonly asker: Asker;
}

/** A token is no secret, and may be made up: it says nothing that a query could not. */
const pageTime = z.int().min(-timeMax).max(timeMax);

/** Where a page begins: the whole range, the series it begins with, and from what time inside that series. */
export const positionKey = z.tuple([
  z.tuple([pageTime, pageTime]).refine(([from, to]) => from <= to),
  z.string(),
  z.string(),
  pageTime.nullable(),
]);

/** The token of the page that begins with `series`, at `time` if that was begun already. */
export function nextPage({ range, filters }: ReadingAsk, series: AskedSeries, time: number | null): string {
  const key: z.input<typeof positionKey> = [[range.from, range.to], series.device, series.metric, time];
  return writePage(filters, key);
}

/** The grid of a width in the answer's zone. A zone that was asked for must have such buckets. */
export function askedGrid({ question, timeZone }: ReadingAsk, width: BucketWidth): BucketGrid {
  const grid = gridOf(width, timeZone) ?? (question.timeZone === null ? gridOf(width, null) : null);
  if (grid) return grid;
  const detail =
    'buckets on a wall clock divide a day, such as 5m, 1h or 6h, or are whole days; leave "tz" away or take one';
  throw parameterRefused('bucket', detail);
}

/** The earlier period of a question that compares. */
export interface Comparison {
  readonly text: string;
  readonly period: EarlierPeriod;
}

export function comparisonOf({ question, range, timeZone: zone }: ReadingAsk): Comparison | null {
  if (question.offset === null) return null;
  const { text, offset } = question.offset;
  return { text, period: new EarlierPeriod(range, offset, zone === null ? null : timeZone(zone)) };
}

/** The members `before` and `after` of each range, or nothing. */
export async function boundaryTexts(
  ports: ApiPorts,
  { question, asker }: ReadingAsk,
  ranges: readonly SeriesRange[],
): Promise<readonly BoundaryText[]> {
  if (!question.boundary || ranges.length === 0) return ranges.map(() => ({ text: '', isBefore: false }));
  return (await ports.reader.boundaries(ranges, asker)).map(({ before, after }: Boundaries) => ({
    text: `,"before":${sampleText(before)},"after":${sampleText(after)}`,
    isBefore: before !== null,
  }));
}

export interface BoundaryText {
  readonly text: string;
  /** Whether something was in force when the range began. */
  readonly isBefore: boolean;
}
