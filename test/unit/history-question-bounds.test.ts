import { expect, test } from 'vitest';
import { InvariantError } from '../../src/base/errors.ts';
import { bucketsMax, pageReadingsMax, rangesMax } from '../../src/history/queries.ts';
import { checkBuckets, checkPage, checkPoints, checkRanges } from '../../src/history/question-bounds.ts';

const range = { series: 1, from: 0, to: 1 };
const many = (count: number) => Array.from({ length: count }, () => range);

test('a question of the largest size is taken, and one series, reading, bucket or point more is not', () => {
  const ranges = many(rangesMax);
  const asks: readonly [limit: number, ask: (limit: number) => void][] = [
    [rangesMax, (count) => checkRanges(many(count))],
    [pageReadingsMax, (limit) => checkPage({ ranges, order: 'asc', limit })],
    [bucketsMax, (limit) => checkBuckets({ ranges, limit })],
    [bucketsMax, (points) => checkPoints({ ranges, points, method: 'minmax' })],
  ];
  for (const [most, ask] of asks) {
    ask(most);
    expect(() => ask(most + 1)).toThrow(InvariantError);
  }
});

test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])(
  'nobody is answered %d readings, buckets or points',
  (limit) => {
    expect(() => checkPage({ ranges: [range], order: 'asc', limit })).toThrow(InvariantError);
    expect(() => checkBuckets({ ranges: [range], limit })).toThrow(InvariantError);
    expect(() => checkPoints({ ranges: [range], points: limit, method: 'lttb' })).toThrow(InvariantError);
  },
);
