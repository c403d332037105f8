import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sampleValue } from '../../src/domain/sample-columns.ts';
import type { Value } from '../../src/domain/reading.ts';
import type { Engine } from '../../src/history/engine.ts';
import type { ReadingsPage, SeriesRange } from '../../src/history/queries.ts';
import type { Sample } from '../../src/history/reader.ts';
import { FakeClock } from '../support/fake-clock.ts';
import type { Row } from '../support/storage-commits.ts';
import { commitOf, newSeries, untilStats } from '../support/storage-commits.ts';
import { tempFolder } from '../support/temp-folder.ts';
import type { MakeEngine } from './engine-exam.ts';

const seriesCount = 3;

/** Questions about readings, beside plain arrays under random sequences of writing. */
export function engineQuestionsExam(name: string, make: MakeEngine): void {
  describe(`${name} asked for readings`, () => {
    let clock: FakeClock;
    let folder: ReturnType<typeof tempFolder>;
    let engine: Engine;

    beforeEach(async () => {
      clock = new FakeClock();
      folder = tempFolder();
      engine = make({
        dir: folder.path,
        clock,
        sealAfterMs: 60_000,
        sealCount: 32,
        resumeWindow: { ms: 900_000, bytes: 1 << 20 },
        quarantineBytesMax: 10_000,
      });
      await engine.open();
    });
    afterEach(async () => {
      await engine.close();
      folder.remove();
    });

    it('answers pages, boundaries and estimates as plain arrays would', async () => {
      let seq = 0;
      let offset = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 24 }), async (steps) => {
          const model = new Map<number, Map<number, Value>>();
          const first = offset;
          offset += seriesCount;
          await engine.commit(commitOf(++seq, [], { newSeries: newSeries(offset).slice(first) }));
          for (const next of steps) {
            switch (next.kind) {
              case 'commit': {
                const rows = next.rows.map(([of, at, what]) => [of + first, at, what] as const);
                for (const [of, at, what] of rows) modelOf(model, of).set(at, what);
                await engine.commit(commitOf(++seq, rows));
                break;
              }
              case 'age':
                clock.advance(120_000);
                await untilStats(engine, ({ headReadings }) => headReadings === 0);
                break;
              case 'reopen':
                await engine.close();
                await engine.open();
                break;
              default: {
                const ranges = next.ranges.map(({ series: of, from, length }) => ({
                  series: of + first,
                  from,
                  to: from + length,
                }));
                await comparePages(engine, model, ranges, next);
                await compareBoundaries(engine, model, ranges);
              }
            }
          }
        }),
        { numRuns: 80 },
      );
    }, 120_000);
  });
}

type Step =
  | { readonly kind: 'commit'; readonly rows: readonly Row[] }
  | { readonly kind: 'age' }
  | { readonly kind: 'reopen' }
  | {
      readonly kind: 'ask';
      readonly ranges: readonly { readonly series: number; readonly from: number; readonly length: number }[];
      readonly order: 'asc' | 'desc';
      readonly limit: number;
    };

const series = fc.integer({ min: 1, max: seriesCount });
/** Few distinct times, so that readings meet: late, repeated, replaced. Values are exact in sums. */
const time = fc.integer({ min: 0, max: 400 });
const value: fc.Arbitrary<Value> = fc.oneof(
  { weight: 12, arbitrary: fc.integer({ min: -8, max: 8 }).map((eighths) => eighths / 8) },
  { weight: 1, arbitrary: fc.constantFrom<Value>(-0, true, false, 'on', 'öff') },
);
const rowsOfOne = fc
  .record({ series, from: time, step: fc.integer({ min: 1, max: 7 }), values: fc.array(value, { maxLength: 90 }) })
  .map(({ series: of, from, step: width, values }): Row[] =>
    values.map((what, index) => [of, from + index * width, what]),
  );
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('commit'), rows: rowsOfOne }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('commit'),
      rows: fc.array(fc.tuple(series, time, value), { maxLength: 40 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('age') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen') }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('ask'),
      ranges: fc.array(
        fc.record({ series, from: fc.integer({ min: -10, max: 500 }), length: fc.integer({ min: 0, max: 900 }) }),
        { minLength: 1, maxLength: 4 },
      ),
      order: fc.constantFrom('asc', 'desc'),
      limit: fc.integer({ min: 1, max: 200 }),
    }),
  },
);

type Model = ReadonlyMap<number, ReadonlyMap<number, Value>>;

function modelOf(model: Map<number, Map<number, Value>>, of: number): Map<number, Value> {
  const kept = model.get(of) ?? new Map<number, Value>();
  model.set(of, kept);
  return kept;
}

function samplesOf(model: Model, of: number): Sample[] {
  return [...(model.get(of) ?? [])].map(([at, what]) => ({ time: at, value: what })).sort((a, b) => a.time - b.time);
}

async function comparePages(
  engine: Engine,
  model: Model,
  ranges: readonly SeriesRange[],
  { order, limit }: { readonly order: 'asc' | 'desc'; readonly limit: number },
): Promise<void> {
  const expected = ranges.map(({ series: of, from, to }) => {
    const inside = samplesOf(model, of).filter(({ time: at }) => at >= from && at < to);
    return order === 'asc' ? inside : inside.toReversed();
  });
  const found: Sample[][] = ranges.map(() => []);
  let left = ranges;
  for (;;) {
    const page = await engine.reader.page({ ranges: left, order, limit });
    expect(page.damaged).toEqual([]);
    const skipped = ranges.length - left.length;
    let readings = 0;
    for (const { index, samples } of samplesIn(page)) {
      readings += samples.length;
      found[index + skipped].push(...samples);
    }
    expect(readings).toBeLessThanOrEqual(limit);
    if (page.next === null) break;
    // Whoever reads on finds something, when there is one series.
    expect(readings).toBeGreaterThan(0);
    const { index, time: at } = page.next;
    left = left
      .slice(index)
      .map((range, place) => (place > 0 ? range : order === 'asc' ? { ...range, from: at } : { ...range, to: at }));
    if (ranges.length === 1) expect(found[0].length).toBeLessThan(expected[0].length);
  }
  expect(found).toEqual(expected);
  const { readings } = await engine.reader.estimate(ranges);
  if (expected.every((samples) => samples.length === 0)) return;
  expect(readings).toBeGreaterThanOrEqual(0);
}

function samplesIn(page: ReadingsPage): { index: number; samples: Sample[] }[] {
  return page.parts.map(({ index, columns }) => ({
    index,
    samples: Array.from({ length: columns.count }, (_, row) => ({
      time: columns.times[row],
      value: sampleValue(columns, row),
    })),
  }));
}

async function compareBoundaries(engine: Engine, model: Model, ranges: readonly SeriesRange[]): Promise<void> {
  expect(await engine.reader.boundaries(ranges)).toEqual(
    ranges.map(({ series: of, from, to }) => {
      const samples = samplesOf(model, of);
      return {
        before: samples.findLast(({ time: at }) => at < from) ?? null,
        after: samples.find(({ time: at }) => at >= to) ?? null,
      };
    }),
  );
}
