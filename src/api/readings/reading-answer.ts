import type { z } from 'zod';
import { answerBuckets } from './bucket-answer.ts';
import type { Downloads } from './downloads.ts';
import { answerGroups } from './group-answer.ts';
import { readPage } from '../page-token.ts';
import { answerPick, answerPoints } from './point-answer.ts';
import type { ApiPorts } from '../ports.ts';
import { answerRaw } from './raw-answer.ts';
import { positionKey, type ReadingAsk } from './reading-ask.ts';
import { checkRange, type Question, type Range, type ReadingQuery } from './reading-question.ts';
import type { SeriesName } from './series-order.ts';
import type { WrittenAnswer } from '../written-answer.ts';

/** Where an answer begins. */
export interface Begin {
  readonly range: Range;
  /** The first series; null: from the first there is. */
  readonly first: SeriesName | null;
  /** Where that series goes on: a time of its own, or null for its begin. */
  readonly at: number | null;
}

/** The begin that a page token or `after` says, or that of the range. */
export function beginOf(query: ReadingQuery, question: Question, now: number, filters: string): Begin {
  if (query.page !== undefined) {
    const key: z.output<typeof positionKey> = readPage(filters, query.page, positionKey);
    const [[from, to], device, metric, at] = key;
    return { range: { from, to }, first: { device, metric }, at };
  }
  const range = checkRange({ from: query.from(now), to: query.to(now) });
  const { after, shape } = question;
  if (after === null) return { range, first: null, at: null };
  // Ascending, the rest begins behind the reading; descending, it ends before it. Nothing outside of the range comes back.
  const isDescending = shape.kind === 'raw' && shape.order === 'desc';
  const at = isDescending
    ? Math.min(Math.max(after.time, range.from), range.to)
    : Math.max(range.from, Math.min(after.time + 1, range.to));
  return { range, first: after, at };
}

/** Answers in the shape and form that were asked for. */
export function answerReadings(ports: ApiPorts, downloads: Downloads, ask: ReadingAsk): Promise<WrittenAnswer> {
  const { shape } = ask.question;
  switch (shape.kind) {
    case 'raw':
      return answerRaw(ports, downloads, ask, shape);
    case 'buckets':
      return answerBuckets(ports, downloads, ask, shape);
    case 'points':
      return answerPoints(ports, downloads, ask, shape);
    case 'pick':
      return answerPick(ports, downloads, ask, shape);
    default:
      return answerGroups(ports, downloads, ask, shape);
  }
}
