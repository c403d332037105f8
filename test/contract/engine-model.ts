import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Value } from '../../src/domain/reading.ts';
import { disposition } from '../../src/domain/reading.ts';
import type { Engine } from '../../src/history/engine.ts';
import type { Sample } from '../../src/history/reader.ts';
import type { FakeClock } from '../support/fake-clock.ts';
import type { PlainBucket, Row } from '../support/storage-commits.ts';
import { allReadings, commitOf, newSeries, plainBuckets, readingsOf, untilStats } from '../support/storage-commits.ts';

const seriesCount = 3;

type Step =
  | { readonly kind: 'commit'; readonly rows: readonly Row[] }
  | { readonly kind: 'burst'; readonly series: number; readonly from: number; readonly count: number }
  | { readonly kind: 'age' }
  | { readonly kind: 'reopen' }
  | {
      readonly kind: 'read';
      readonly series: number;
      readonly from: number;
      readonly length: number;
      readonly limit: number;
      readonly order: 'asc' | 'desc';
      readonly width: number;
    };

const series = fc.integer({ min: 1, max: seriesCount });
/** Few distinct times, so that readings meet: late, repeated, replaced. Values are exact in sums. */
const time = fc.integer({ min: 0, max: 400 });
const value: fc.Arbitrary<Value> = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: -8, max: 8 }).map((eighths) => eighths / 8) },
  { weight: 1, arbitrary: fc.constantFrom<Value>(-0, true, false, 'on', 'öff') },
);
const row: fc.Arbitrary<Row> = fc.tuple(series, time, value);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('commit'), rows: fc.array(row, { maxLength: 40 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('burst'),
      series,
      from: time,
      count: fc.integer({ min: 1, max: 150 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('age') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen') }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('read'),
      series,
      from: fc.integer({ min: -10, max: 500 }),
      length: fc.integer({ min: 1, max: 600 }),
      limit: fc.integer({ min: 1, max: 300 }),
      order: fc.constantFrom('asc', 'desc'),
      width: fc.integer({ min: 1, max: 300 }),
    }),
  },
);

/** A store beside a map of maps: whatever the sequence of commits, seals, reopens and reads, both say the same. */
export function engineModelExam(
  parts: () => { readonly engine: Engine; readonly clock: FakeClock; readonly reopen: () => Promise<unknown> },
): void {
  it('says the same as a map of maps, whatever the order of commits, seals, reopens and reads', async () => {
    const { engine, clock, reopen } = parts();
    let lastSeries = 0;
    await engine.open();
    let seq = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps) => {
        // Each run has series of its own, in the same store.
        const offset = lastSeries;
        const model = new Map<number, Map<number, Value>>();
        await engine.commit(
          commitOf(++seq, [], {
            newSeries: newSeries(offset + seriesCount).slice(offset),
          }),
        );
        lastSeries = offset + seriesCount;
        for (const next of steps) {
          switch (next.kind) {
            case 'commit':
              await commitBoth(
                engine,
                ++seq,
                next.rows.map(([of, at, what]) => [of + offset, at, what] as const),
                model,
              );
              break;
            case 'burst':
              await commitBoth(
                engine,
                ++seq,
                Array.from(
                  { length: next.count },
                  (_, index) => [next.series + offset, next.from + index, index / 4] as const,
                ),
                model,
              );
              break;
            case 'age':
              clock.advance(120_000);
              await untilStats(engine, ({ headReadings }) => headReadings === 0);
              break;
            case 'reopen':
              await reopen();
              break;
            default:
              await compareReads(engine, model.get(next.series + offset) ?? new Map(), {
                ...next,
                series: next.series + offset,
              });
          }
        }
        for (let of = offset + 1; of <= offset + seriesCount; of++) {
          expect(await allReadings(engine, of)).toEqual(samplesOf(model.get(of) ?? new Map()));
        }
      }),
      { numRuns: 60 },
    );
  });
}

async function commitBoth(
  engine: Engine,
  seq: number,
  rows: readonly Row[],
  model: Map<number, Map<number, Value>>,
): Promise<void> {
  const expected = rows.map(([of, at, what]) => {
    const kept = model.get(of) ?? new Map<number, Value>();
    model.set(of, kept);
    const before = kept.get(at);
    if (before !== undefined && Object.is(before, what)) return disposition.identical;
    const isNew = before === undefined;
    kept.set(at, what);
    return isNew ? disposition.stored : disposition.replaced;
  });
  const { dispositions } = await engine.commit(commitOf(seq, rows));
  expect(dispositions ? [...dispositions].slice(0, rows.length) : rows.map(() => disposition.stored)).toEqual(expected);
  const page = await engine.reader.log({ after: seq - 1, readingsMax: 1 });
  expect(page.batches[0]?.readings.count).toBe(expected.filter((one) => one !== disposition.identical).length);
}

async function compareReads(
  engine: Engine,
  kept: ReadonlyMap<number, Value>,
  read: Extract<Step, { kind: 'read' }>,
): Promise<void> {
  const to = read.from + read.length;
  const inside = samplesOf(kept).filter(({ time: at }) => at >= read.from && at < to);
  const ordered = read.order === 'asc' ? inside : inside.toReversed();
  const { series: of, from, limit, order, width } = read;
  expect(await readingsOf(engine, { series: of, from, to, order, limit })).toEqual(ordered.slice(0, limit));
  const buckets = await plainBuckets(engine, { series: of, from, to, width, limit });
  expect(buckets).toEqual(bucketsOf(inside, width).slice(0, limit));
}

function samplesOf(kept: ReadonlyMap<number, Value>): Sample[] {
  return [...kept].map(([at, what]) => ({ time: at, value: what })).sort((a, b) => a.time - b.time);
}

/** Aggregates by the definition, without a thought for speed. */
function bucketsOf(samples: readonly Sample[], width: number): PlainBucket[] {
  const groups = Map.groupBy(samples, ({ time: at }) => Math.floor(at / width) * width);
  return [...groups].map(([begin, group]) => {
    const numbers = group
      .map(({ value: what }) => what)
      .filter((what) => typeof what !== 'string')
      .map(Number);
    const sum = numbers.reduce((total, number) => total + number, 0);
    const told = [Math.min(...numbers) + 0, Math.max(...numbers) + 0, sum + 0, sum / numbers.length + 0];
    const numeric = numbers.length === 0 ? told.map(() => null) : told;
    return { time: begin, values: [group.length, ...numeric, group[0]?.value ?? 0, group.at(-1)?.value ?? 0] };
  });
}
