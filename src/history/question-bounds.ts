import { InvariantError } from '../base/errors.ts';
import {
  type AcrossQuery,
  type AggregateQuery,
  bucketsMax,
  type DecimateQuery,
  type PageQuery,
  pageReadingsMax,
  rangesMax,
  type SeriesRange,
} from './queries.ts';

/**
 * What an engine checks before it begins: a question beyond its bounds would hold thread and memory for longer than any
 * other may wait, so whoever asks must ask for less at a time. All throw `InvariantError`.
 */

export function checkRanges(ranges: readonly SeriesRange[]): void {
  if (ranges.length > rangesMax) throw new InvariantError(`a question is about at most ${rangesMax} series`);
}

export function checkPage({ ranges, limit }: PageQuery): void {
  checkRanges(ranges);
  checkNumber(limit, 1, pageReadingsMax, 'readings');
}

export function checkBuckets({ ranges, limit }: Pick<AggregateQuery | AcrossQuery, 'ranges' | 'limit'>): void {
  checkRanges(ranges);
  checkNumber(limit, 1, bucketsMax, 'buckets');
}

export function checkPoints({ ranges, points }: DecimateQuery): void {
  checkRanges(ranges);
  checkNumber(points, 2, bucketsMax, 'points');
}

function checkNumber(asked: number, min: number, max: number, what: string): void {
  if (Number.isInteger(asked) && asked >= min && asked <= max) return;
  throw new InvariantError(`a question is for ${min} to ${max} ${what}, not ${asked}`);
}
