import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Aggregate, BucketFill, MetricKind } from '../../src/domain/aggregate.ts';
import { bucketFills, plainAggregates } from '../../src/domain/aggregate.ts';
import type { BucketGrid } from '../../src/domain/bucket-grid.ts';
import type { Value } from '../../src/domain/reading.ts';
import { rawCutoff } from '../../src/domain/retention.ts';
import { BucketFold } from '../../src/history/buckets/bucket-fold.ts';
import { gridOf } from '../../src/history/buckets/bucket-grid.ts';
import { Decimation } from '../../src/history/shapes/decimation.ts';
import type { Engine } from '../../src/history/engine.ts';
import type {
  AcrossColumns,
  AggregatedSeries,
  AggregateQuery,
  BucketColumns,
  DecimateQuery,
  PageQuery,
  ReadingsPage,
  SeriesRange,
} from '../../src/history/queries.ts';
import { rowFormats } from '../../src/history/queries.ts';
import { writePage } from '../../src/history/text/page-text.ts';
import type { EngineStats, Sample } from '../../src/history/reader.ts';
import { seededRandom } from '../../src/base/random.ts';
import { FakeClock } from '../support/fake-clock.ts';
import type { Row } from '../support/storage-commits.ts';
import { commitOf, newSeries, readingsOf, samplesIn, untilStats } from '../support/storage-commits.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { columnsOf } from '../support/memory-history.ts';
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
              case 'delete': {
                const range = { series: next.series + first, from: next.from, to: next.from + next.length };
                const kept = modelOf(model, range.series);
                for (const when of kept.keys()) if (when >= range.from && when < range.to) kept.delete(when);
                await engine.commit(commitOf(++seq, [], { deletions: [range] }));
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
                await compareBuckets(engine, model, ranges, next);
                await compareAcross(engine, model, ranges, next);
                await compareShapes(engine, model, ranges, next);
              }
            }
          }
        }),
        { numRuns: 50 },
      );
    });

    it('a shape told from summaries is the one that the readings have', async () => {
      const random = seededRandom(11);
      const count = 30_000;
      const samples = Array.from({ length: count }, (_, index) => ({
        time: index * 1_000 + Math.floor(random.next() * 900),
        value: Math.round(Math.sin(index / 900) * 1_000 + random.next() * 100) / 100,
      }));
      const model = new Map([[1, new Map<number, Value>()]]);
      let seq = 0;
      const put = async (part: readonly Sample[]): Promise<void> => {
        for (const { time: at, value: what } of part) modelOf(model, 1).set(at, what);
        const rows = part.map(({ time: at, value: what }) => [1, at, what] as const);
        await engine.commit(commitOf(++seq, rows, { newSeries: seq === 1 ? newSeries(1) : [] }));
      };
      for (let at = 0; at < count; at += 5_000) await put(samples.slice(at, at + 5_000));
      clock.advance(120_000);
      await untilStats(engine, ({ headReadings }) => headReadings === 0);
      // Late ones in the middle, of which some are greater than all there was, sealed or not.
      await put([10_000_500, 10_100_950].map((at) => ({ time: at, value: 99 + at / 1e9 })));
      for (const [from, length] of [
        [0, 1e9],
        [1_234_567, 25_000_000],
        [9_000_000, 9_000_000],
      ]) {
        const ranges = [{ series: 1, from, to: from + length }];
        for (const points of [2, 3, 4, 6]) await compareShapes(engine, model, ranges, { points, method: 'minmax' });
      }
    });

    it('a short question does not wait for a long one', async () => {
      const rows = Array.from({ length: 50_000 }, (_, index): Row => [1, index * 1_000, (index * 7919) % 1_000]);
      for (let seq = 1; seq <= 10; seq++) {
        const part = rows.slice((seq - 1) * 5_000, seq * 5_000);
        await engine.commit(commitOf(seq, part, { newSeries: seq === 1 ? newSeries(1) : [] }));
      }
      clock.advance(120_000);
      await untilStats(engine, ({ headReadings }) => headReadings === 0);
      const ranges = [{ series: 1, from: 0, to: 1e9 }];
      const answered: string[] = [];
      const long = engine.reader.aggregate({ ...wish(1e9, [{ kind: 'median' }], 'gauge', 'none'), ranges });
      const short = engine.reader.command('none');
      await Promise.all([long.then(() => answered.push('long')), short.then(() => answered.push('short'))]);
      expect(answered).toEqual(['short', 'long']);
      expect((await long).parts[0].buckets.columns).toEqual([[499.5]]);
    });

    it('percentiles of many numbers, which take runs of their own, are those of the sorted numbers', async () => {
      const count = 60_000;
      const values = Array.from({ length: count }, (_, index) => (index * 7_919) % 60_013);
      for (let seq = 1; seq <= 12; seq++) {
        const first = (seq - 1) * 5_000;
        const rows = values.slice(first, seq * 5_000).map((value, index): Row => [1, (first + index) * 1_000, value]);
        await engine.commit(commitOf(seq, rows, { newSeries: seq === 1 ? newSeries(1) : [] }));
      }
      clock.advance(120_000);
      await untilStats(engine, ({ headReadings }) => headReadings === 0);
      const ranks = Array.from({ length: 20 }, (_, index) => index * 5);
      const aggregates = ranks.map((rank): Aggregate => ({ kind: 'percentile', rank }));
      for (const inBucket of [25_000, 7_001, count]) {
        const { parts } = await engine.reader.aggregate({
          ...wish(inBucket * 1_000, aggregates, 'gauge', 'none'),
          ranges: [{ series: 1, from: 0, to: count * 1_000 }],
        });
        const { columns, count: buckets } = parts[0].buckets;
        expect(buckets).toBe(Math.ceil(count / inBucket));
        for (let bucket = 0; bucket < buckets; bucket++) {
          const sorted = values.slice(bucket * inBucket, (bucket + 1) * inBucket).toSorted((a, b) => a - b);
          for (const [index, rank] of ranks.entries()) {
            const place = ((sorted.length - 1) * rank) / 100;
            const low = sorted[Math.floor(place)];
            const expected = low + (place % 1) * ((sorted[Math.floor(place) + 1] ?? low) - low);
            expect(columns[index][bucket], `p${rank} of ${inBucket}`).toBeCloseTo(expected, 6);
          }
        }
      }
    });

    it('long questions that come all at once are all answered, and those that are cut off by the end are refused', async () => {
      const rows = Array.from({ length: 60_000 }, (_, index): Row => [1, index * 1_000, (index * 7919) % 1_000]);
      for (let seq = 1; seq <= 12; seq++) {
        const part = rows.slice((seq - 1) * 5_000, seq * 5_000);
        await engine.commit(commitOf(seq, part, { newSeries: seq === 1 ? newSeries(1) : [] }));
      }
      clock.advance(120_000);
      await untilStats(engine, ({ headReadings }) => headReadings === 0);
      const ask = () =>
        engine.reader.aggregate({
          ...wish(1e9, [{ kind: 'median' }], 'gauge', 'none'),
          ranges: [{ series: 1, from: 0, to: 1e9 }],
        });
      const answers = await Promise.all(Array.from({ length: 30 }, ask));
      for (const { parts } of answers) expect(parts[0].buckets.columns).toEqual([[499.5]]);
      const cut = Promise.allSettled(Array.from({ length: 30 }, ask));
      await engine.close();
      // None is left waiting for one before it.
      const ends = await cut;
      expect(ends.some(({ status }) => status === 'rejected')).toBe(true);
      await engine.open();
      expect((await ask()).parts[0].buckets.columns).toEqual([[499.5]]);
    });

    describe('of many askers', () => {
      /** Medians of the same readings again and again: a question of many runs. */
      const long: AggregateQuery = {
        ...wish(1e9, [{ kind: 'median' }], 'gauge', 'none'),
        ranges: Array.from({ length: 100 }, () => ({ series: 1, from: 0, to: 1e9 })),
        kinds: Array.from({ length: 100 }, () => 'gauge'),
      };
      const short: PageQuery = { ranges: [{ series: 1, from: 0, to: 1e9 }], order: 'asc', limit: 100 };

      beforeEach(async () => {
        const rows = Array.from({ length: 10_000 }, (_, index): Row => [1, index * 1_000, (index * 7919) % 1_000]);
        await engine.commit(commitOf(1, rows, { newSeries: newSeries(1) }));
        clock.advance(120_000);
        await untilStats(engine, ({ headReadings }) => headReadings === 0);
      });

      it('a question for which nobody waits any more costs no further run and is kept nowhere', async () => {
        const begin = (await engine.reader.stats()).questionRuns;
        await engine.reader.aggregate(long);
        const whole = (await engine.reader.stats()).questionRuns - begin;
        expect(whole).toBeGreaterThan(10);
        const leaving = new AbortController();
        const asker = { name: 'leaver', signal: leaving.signal };
        // More than go on at once: of those that wait for a turn nothing is left, either.
        const left = Array.from({ length: 12 }, () => engine.reader.aggregate(long, asker));
        const ends = Promise.allSettled(left);
        await untilStats(engine, ({ openQuestions }) => openQuestions === 12);
        leaving.abort(new Error('gone'));
        for (const end of await ends) expect(end).toMatchObject({ status: 'rejected', reason: leaving.signal.reason });
        const { openQuestions, questionRuns } = await engine.reader.stats();
        expect(openQuestions).toBe(0);
        expect(questionRuns - begin).toBeLessThan(3 * whole);
        await expect(engine.reader.page(short, asker)).rejects.toThrow('gone');
        await expect(engine.reader.aggregate(long, asker)).rejects.toThrow('gone');
        expect((await engine.reader.stats()).questionRuns).toBe(questionRuns);
        // The turns were given back.
        expect((await engine.reader.aggregate(long)).parts).toHaveLength(100);
      });

      it('who asks little does not wait for who asks much', async () => {
        const leaving = new AbortController();
        const greedy = { name: 'greedy', signal: leaving.signal };
        const quiet = { name: 'quiet', signal: new AbortController().signal };
        const answered: string[] = [];
        const many = Array.from({ length: 40 }, () => engine.reader.aggregate(long, greedy));
        const downloads = Array.from({ length: 40 }, () => engine.reader.page({ ...short, limit: 100_000 }, greedy));
        const ends = Promise.allSettled(many);
        for (const question of many)
          void question.then(
            () => answered.push('much'),
            () => undefined,
          );
        const { questionRuns } = await engine.reader.stats();
        await engine.reader.page(short, quiet);
        // What stood in the thread, and a turn of the other.
        expect((await engine.reader.stats()).questionRuns - questionRuns).toBeLessThan(16);
        await engine.reader.aggregate(long, quiet);
        expect(answered).toEqual([]);
        leaving.abort();
        await Promise.allSettled([ends, ...downloads]);
      });
    });

    it('a question is answered the same from rollups, under which late readings are written, and after the readings are gone', async () => {
      const day = 86_400_000;
      const begin = Math.ceil(1_790_000_000_000 / day) * day;
      const daily = 28_800;
      const count = 4 * daily;
      const random = seededRandom(5);
      let level = 100;
      const samples = Array.from({ length: count }, (_, index) => {
        level += random.next() < 0.02 ? -level : Math.floor(random.next() * 8) / 8;
        return { time: begin + index * 3_000 + Math.floor(random.next() * 900), value: level };
      });
      const model = new Map([[1, new Map<number, Value>()]]);
      let seq = 0;
      let at = begin;
      const put = async (part: readonly Sample[]): Promise<void> => {
        for (const { time: when, value: what } of part) modelOf(model, 1).set(when, what);
        at = Math.max(at, ...part.map(({ time: when }) => when));
        const rows = part.map(({ time: when, value: what }) => [1, when, what] as const);
        await engine.commit(commitOf(++seq, rows, { at, newSeries: seq === 1 ? newSeries(1) : [] }));
      };
      /** Time passes, and what is due is done. */
      const settle = (isWanted: (stats: EngineStats) => boolean): Promise<EngineStats> =>
        untilStats(engine, (stats) => {
          clock.advance(5_100);
          return stats.headReadings === 0 && isWanted(stats);
        });
      const all = { series: 1, from: begin - day, to: begin + 5 * day };
      const part = { series: 1, from: begin + 1_234_567, to: begin + 3 * day + 7_654_321 };
      const compareAll = async (range: SeriesRange): Promise<void> => {
        for (const width of [3_600_000, 6 * 3_600_000, day]) {
          await compareBuckets(engine, model, [range], wish(width, plain, 'gauge', 'none'));
          await compareBuckets(engine, model, [range], wish(width, between, 'gauge', 'none'));
          await compareBuckets(engine, model, [range], wish(width, [...plain, ...between], 'counter', 'previous'));
        }
      };

      /** Buckets whose edges lie within minutes, which are summed up all the same. */
      const compareOff = async (range: SeriesRange): Promise<void> => {
        for (const width of [3 * 3_600_000 + 1, 7_654_321]) {
          for (const [aggregates, kind, fill] of [
            [plain, 'gauge', 'none'],
            [between, 'gauge', 'linear'],
            [[...plain, ...between], 'counter', 'previous'],
          ] as const) {
            const { parts } = await engine.reader.aggregate({
              ...wish(width, aggregates, kind, fill),
              ranges: [range],
            });
            expect(parts[0].resolution).toBe('1m');
            await compareBuckets(engine, model, [range], wish(width, aggregates, kind, fill));
          }
        }
      };

      for (let row = 0; row < count; row += 5_000) await put(samples.slice(row, row + 5_000));
      const { rollups } = await settle((stats) => stats.rollups >= 4 * 4 - 1);
      for (const range of [all, part]) await compareAll(range);
      for (const range of [all, part]) await compareOff(range);
      const [{ resolution }] = (await engine.reader.aggregate({ ...wish(day, plain, 'gauge', 'none'), ranges: [all] }))
        .parts;
      expect(resolution).toBe('1m');
      await compareBuckets(engine, model, [part], wish(600_000, [{ kind: 'median' }, ...plain], 'gauge', 'none'));

      // Late, over what is summed up: new, and another value; first in the head, then in chunks.
      await put([
        { time: begin + 2 * day + 1_234, value: 9_999 },
        { time: samples[50_000].time, value: -77 },
        { time: samples[50_000].time + 1, value: 78 },
      ]);
      for (const range of [all, part]) await compareAll(range);
      for (const range of [all, part]) await compareOff(range);
      await settle((stats) => stats.rollups >= rollups);
      for (const range of [all, part]) await compareAll(range);
      for (const range of [all, part]) await compareOff(range);

      const policy = { raw: day, minute: 2 * day, hour: null };
      const none = await engine.retain({ policies: [policy], ofSeries: new Uint16Array(2) });
      expect(none.filter((time) => !Number.isNaN(time))).toEqual(new Float64Array(0));
      const cutoff = rawCutoff(policy, at);
      const gone = samples.filter(({ time: when }) => when < cutoff).length;
      expect(gone).toBeGreaterThan(2 * daily);
      // A chunk goes when its last reading is out.
      await settle((stats) => stats.purgedReadings > gone - 64);
      const [, goneBefore] = await engine.retain({ policies: [policy], ofSeries: new Uint16Array(2) });
      expect(goneBefore).toBe(cutoff);
      const [first] = await readingsOf(engine, { ...all, order: 'asc', limit: 1 });
      expect(first.time).toBe(samples.find(({ time: when }) => when >= cutoff)?.time);
      expect(await readingsOf(engine, { ...all, to: cutoff, order: 'desc', limit: 10 })).toEqual([]);
      await compareAll(all);

      // Finer than what is left: buckets are as fine as that, and what only readings tell is told where they are.
      const median = wish(600_000, [{ kind: 'median' }, { kind: 'count' }], 'gauge', 'none');
      const fine = (await engine.reader.aggregate({ ...median, ranges: [all] })).parts[0];
      expect(fine.resolution).toBe('1h');
      const expected = folded(model, all, 'gauge', { ...median, grid: { kind: 'fixed', width: 3_600_000, origin: 0 } });
      expect(fine.buckets.times.slice(0, fine.buckets.count)).toEqual(expected.buckets.times);
      expect(fine.buckets.columns[1]).toEqual(expected.buckets.columns[1]);
      expect(fine.buckets.columns[0]).toEqual(
        expected.buckets.columns[0].map((value, row) => (expected.buckets.times[row] < cutoff ? null : value)),
      );
      const minutes = wish(60_000, plain, 'gauge', 'none');
      await compareBuckets(engine, model, [{ ...all, from: begin + 2.5 * day }], minutes);

      // The shape goes on over the time that is gone.
      const shape = await engine.reader.decimate({ ranges: [all], points: 100, method: 'lttb' });
      const [{ columns, resolution: coarsest }] = shape.parts;
      expect(coarsest).toBe('1h');
      expect(columns.count).toBe(100);
      expect(columns.times[0]).toBe(samples[0].time);
      expect(columns.times[99]).toBe(samples.at(-1)?.time);
    });
  });
}

type Step =
  | { readonly kind: 'commit'; readonly rows: readonly Row[] }
  | { readonly kind: 'delete'; readonly series: number; readonly from: number; readonly length: number }
  | { readonly kind: 'age' }
  | { readonly kind: 'reopen' }
  | {
      readonly kind: 'ask';
      readonly ranges: readonly { readonly series: number; readonly from: number; readonly length: number }[];
      readonly order: 'asc' | 'desc';
      readonly limit: number;
      readonly grid: BucketGrid;
      readonly kinds: readonly MetricKind[];
      readonly aggregates: readonly Aggregate[];
      readonly fill: BucketFill;
      readonly points: number;
      readonly method: DecimateQuery['method'];
    };

const aggregate: fc.Arbitrary<Aggregate> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...plainAggregates).map((kind): Aggregate => ({ kind })) },
  fc.integer({ min: 0, max: 100 }).map((rank): Aggregate => ({ kind: 'percentile', rank })),
  fc.constant<Aggregate>({ kind: 'timeInRange', low: -0.25, high: 0.5 }),
  fc.constantFrom<Value>(true, 'on', 0.5).map((state): Aggregate => ({ kind: 'duration', state })),
);

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
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('delete'),
      series,
      from: fc.integer({ min: -10, max: 500 }),
      length: fc.integer({ min: 0, max: 300 }),
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
      grid: fc.record({
        kind: fc.constant('fixed'),
        width: fc.integer({ min: 1, max: 300 }),
        origin: fc.integer({ min: -50, max: 50 }),
      }),
      kinds: fc.array(fc.constantFrom<MetricKind>('gauge', 'counter', 'state'), { minLength: 4, maxLength: 4 }),
      // One alone may be told from a summary where several could not.
      aggregates: fc.oneof(
        fc.array(aggregate, { minLength: 1, maxLength: 4 }),
        fc
          .subarray(['min', 'max', 'avg', 'sum', 'count', 'first', 'last'] as const, { minLength: 1 })
          .map((names) => names.map((kind) => ({ kind }))),
      ),
      fill: fc.constantFrom(...bucketFills),
      holdsUntil: fc.option(fc.integer({ min: -10, max: 1_400 }), { nil: undefined }),
      points: fc.integer({ min: 2, max: 40 }),
      method: fc.constantFrom('minmax', 'lttb'),
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
    await compareText(engine, { ranges: left, order, limit }, page);
    const skipped = ranges.length - left.length;
    let readings = 0;
    for (const { index, samples } of partsIn(page)) {
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
  // Readings that wait to be merged are counted each time they were written.
  const whole = ranges.map(({ series: of }) => ({ series: of, from: -1_000, to: 100_000 }));
  const written = ranges.reduce((sum, { series: of }) => sum + (model.get(of)?.size ?? 0), 0);
  expect((await engine.reader.estimate(whole)).readings).toBeGreaterThanOrEqual(written);
  const parts = await engine.reader.estimate(ranges);
  expect(parts.readings).toBeLessThanOrEqual((await engine.reader.estimate(whole)).readings);
}

/** Every format in turn. */
async function compareText(engine: Engine, query: PageQuery, page: ReadingsPage): Promise<void> {
  const format = rowFormats[query.limit % rowFormats.length];
  const labels = query.ranges.map(({ series: of }) => ({ device: `device-${of}`, metric: 'value', unit: null }));
  const { next, damaged, ...text } = await engine.reader.text({ ...query, format, labels });
  expect({ next, damaged }).toEqual({ next: page.next, damaged: page.damaged });
  expect(text).toEqual(writePage(page, format, labels));
}

function partsIn(page: ReadingsPage): { index: number; samples: Sample[] }[] {
  return page.parts.map(({ index, columns }) => ({ index, samples: samplesIn(columns) }));
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

const plain = (['count', 'min', 'max', 'avg', 'sum', 'first', 'last'] as const).map((kind) => ({ kind }));
const between = (['stddev', 'delta', 'rate', 'increase', 'timeWeightedAvg', 'integral'] as const).map((kind) => ({
  kind,
}));

function wish(width: number, aggregates: readonly Aggregate[], kind: MetricKind, fill: BucketFill): BucketWish {
  return { grid: { kind: 'fixed', width, origin: 0 }, kinds: [kind], aggregates, fill, limit: 10_000 };
}

interface BucketWish {
  readonly grid: BucketGrid;
  readonly kinds: readonly MetricKind[];
  readonly aggregates: readonly Aggregate[];
  readonly fill: BucketFill;
  readonly limit: number;
  readonly holdsUntil?: number | undefined;
}

/** What a fold says that was given all readings at once: `history` has tests of its own for what that means. */
function folded(
  model: Model,
  { series: of, from, to }: SeriesRange,
  kind: MetricKind,
  wish: BucketWish,
): AggregatedSeries {
  const samples = samplesOf(model, of);
  const { grid, ...rest } = wish;
  const before = samples.findLast(({ time: at }) => at < from) ?? null;
  const fold = new BucketFold({ ...rest, grid: gridOf(grid), kind, from, to, before });
  const inside = samples.filter(({ time: at }) => at >= from && at < to);
  fold.addReadings(columnsOf(inside), 0, inside.length);
  const { buckets, next } = fold.close(samples.find(({ time: at }) => at >= to) ?? null);
  return { buckets, next, resolution: 'raw' };
}

async function compareBuckets(
  engine: Engine,
  model: Model,
  ranges: readonly SeriesRange[],
  wish: BucketWish,
): Promise<void> {
  const { kinds, ...rest } = wish;
  const page = await engine.reader.aggregate({ ...rest, ranges, kinds: kinds.slice(0, ranges.length) });
  expect(page.damaged).toEqual([]);
  expect(page.parts).toHaveLength(ranges.length);
  for (const [index, range] of ranges.entries()) {
    const expected = folded(model, range, kinds[index], wish);
    expect(page.parts[index].next).toBe(expected.next);
    expectBuckets(page.parts[index].buckets, expected.buckets);
  }
}

/** Sums in another order differ in their last digits. */
function expectBuckets(found: BucketColumns, expected: BucketColumns): void {
  expect(found.times.slice(0, found.count)).toEqual(expected.times.slice(0, expected.count));
  expect(found.columns.map((column) => column.map(rounded))).toEqual(
    expected.columns.map((column) => column.map(rounded)),
  );
}

function rounded(value: Value | null): Value | null {
  return typeof value === 'number' ? Math.round(value * 1e6) / 1e6 + 0 : value;
}

async function compareAcross(
  engine: Engine,
  model: Model,
  ranges: readonly SeriesRange[],
  wish: BucketWish,
): Promise<void> {
  const groupOf = ranges.map(({ series: of }) => of % 2);
  const kinds = wish.kinds.slice(0, ranges.length);
  const [first] = wish.aggregates;
  const { grid, limit, holdsUntil } = wish;
  const rest = { grid, aggregate: first, limit, holdsUntil };
  const page = await engine.reader.across({ ranges, kinds, groupOf, groups: 2, ...rest });
  const parts = ranges.map((range, index) =>
    folded(model, range, kinds[index], { ...wish, aggregates: [first], fill: 'none', limit: Number.MAX_SAFE_INTEGER }),
  );
  const end = page.next ?? Number.POSITIVE_INFINITY;
  // Whoever reads on gets further.
  if (page.next !== null) expect(page.next).toBeGreaterThan(Math.min(...ranges.map(({ from }) => from)));
  for (const group of [0, 1]) {
    const expected = new Map<number, number[]>();
    for (const [index, { buckets }] of parts.entries()) {
      if (groupOf[index] !== group) continue;
      for (let row = 0; row < buckets.count; row++) {
        const value = buckets.columns[0][row];
        if (value === null || typeof value === 'string' || buckets.times[row] >= end) continue;
        expected.set(buckets.times[row], [...(expected.get(buckets.times[row]) ?? []), Number(value)]);
      }
    }
    const rows = [...expected].sort(([a], [b]) => a - b);
    expect(acrossRows(page.groups[group])).toEqual(
      rows.map(([at, values]) => [
        at,
        values.length,
        rounded(values.reduce((sum, one) => sum + one, 0)),
        rounded(Math.min(...values)),
        rounded(Math.max(...values)),
      ]),
    );
  }
}

function acrossRows({ count, times, series: of, sums, mins, maxs }: AcrossColumns): unknown[] {
  return Array.from({ length: count }, (_, row) => [
    times[row],
    of[row],
    rounded(sums[row]),
    rounded(mins[row]),
    rounded(maxs[row]),
  ]);
}

async function compareShapes(
  engine: Engine,
  model: Model,
  ranges: readonly SeriesRange[],
  { points, method }: Pick<DecimateQuery, 'points' | 'method'>,
): Promise<void> {
  const page = await engine.reader.decimate({ ranges, points, method });
  const expected = ranges.map(({ series: of, from, to }) => {
    const inside = samplesOf(model, of).filter(({ time: at }) => at >= from && at < to);
    const [first, last] = [inside[0], inside.at(-1)];
    if (!first || !last) return [];
    const extent = { from: first.time, to: last.time + 1, readings: inside.length };
    const decimation = new Decimation({ ...extent, points, method });
    decimation.add(columnsOf(inside), 0, inside.length);
    return samplesIn(decimation.close());
  });
  expect(page.parts.map(({ columns }) => samplesIn(columns))).toEqual(expected);
  expect(page.parts.map(({ resolution }) => resolution)).toEqual(ranges.map(() => 'raw'));
}
