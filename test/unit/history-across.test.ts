import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Value } from '../../src/domain/reading.ts';
import { AcrossFold, mergeAcross, reduce } from '../../src/history/buckets/across.ts';
import { type Reduction, reductions } from '../../src/history/queries.ts';

/** A series: the value of some buckets. */
type Answers = ReadonlyMap<number, Value | null>;

const answers: fc.Arbitrary<Answers> = fc
  .uniqueArray(
    fc.tuple(fc.nat(40), fc.oneof(fc.integer({ min: -9, max: 9 }), fc.boolean(), fc.constantFrom(null, 'on'))),
    {
      selector: ([time]) => time,
      maxLength: 12,
    },
  )
  .map((rows) => new Map(rows.toSorted(([a], [b]) => a - b)));

function foldOf(group: readonly Answers[]): AcrossFold {
  const fold = new AcrossFold();
  for (const series of group) fold.addSeries(Float64Array.from(series.keys()), series.size, [...series.values()]);
  return fold;
}

function numbersAt(group: readonly Answers[], time: number): number[] {
  return group.flatMap((series) => {
    const value = series.get(time) ?? null;
    return value === null || typeof value === 'string' ? [] : [Number(value)];
  });
}

const reduced: Readonly<Record<Reduction, (some: readonly number[]) => number>> = {
  avg: (some) => some.reduce((sum, number) => sum + number, 0) / some.length,
  sum: (some) => some.reduce((sum, number) => sum + number, 0),
  min: (some) => Math.min(...some),
  max: (some) => Math.max(...some),
  count: (some) => some.length,
};

describe('series made one', () => {
  test('have in each bucket what those make that have a number there, and no other buckets', () => {
    fc.assert(
      fc.property(fc.array(answers, { maxLength: 8 }), (group) => {
        const columns = foldOf(group).columns();
        const times = [...new Set(group.flatMap((series) => [...series.keys()]))]
          .filter((time) => numbersAt(group, time).length > 0)
          .toSorted((a, b) => a - b);
        expect([...columns.times]).toEqual(times);
        for (const reduction of reductions) {
          for (const [row, value] of reduce(columns, reduction).entries()) {
            expect(value).toBeCloseTo(reduced[reduction](numbersAt(group, times[row])), 9);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  test('are the same whether they come in one answer or in several', () => {
    fc.assert(
      fc.property(fc.array(fc.array(answers, { maxLength: 4 }), { maxLength: 4 }), (pages) => {
        expect(mergeAcross(pages.map((page) => foldOf(page).columns()))).toEqual(foldOf(pages.flat()).columns());
      }),
    );
  });

  test('sum up to null beyond all doubles', () => {
    const huge = new Map([[0, Number.MAX_VALUE]]);
    expect(reduce(foldOf([huge, huge]).columns(), 'sum')).toEqual([null]);
  });
});
