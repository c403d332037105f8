import * as fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { type RetentionPolicy, rollupCutoff, type RollupTier, rollupTiers } from '../../src/domain/retention.ts';
import type { Value } from '../../src/domain/reading.ts';
import type { Summary } from '../../src/history/summary.ts';
import { summarize } from '../../src/history/summary.ts';
import type { Stretch } from '../../src/storage/sqlite/chunks/head.ts';
import { newSeries, type Row } from '../support/storage-commits.ts';
import { KeepingRig, type ToldBucket } from '../support/storage-keeping.ts';

const hour = 3_600_000;
const day = 24 * hour;
/** Two days before a window of hours ends, so that runs cross that. */
const start = rollupTiers.hour.windowMs * 1_380 + 13 * day;
const tiers: readonly RollupTier[] = ['minute', 'hour'];

let rig: KeepingRig | null = null;
afterEach(() => {
  rig?.close();
  rig = null;
});

function planOf(policy: RetentionPolicy) {
  return { policies: [policy], ofSeries: new Uint16Array(64) };
}

function stretchOfMap(readings: ReadonlyMap<number, Value>): Stretch {
  const rows = [...readings].sort(([one], [other]) => one - other);
  const texts: string[] = [];
  const kinds = rows.map(([, value]) => (typeof value === 'string' ? 2 : typeof value === 'boolean' ? 1 : 0));
  return {
    count: rows.length,
    times: Float64Array.from(rows, ([time]) => time),
    values: Float64Array.from(rows, ([, value]) => (typeof value === 'string' ? texts.push(value) - 1 : Number(value))),
    kinds: Uint8Array.from(kinds),
    texts,
  };
}

/** What the buckets of `readings` are by definition. */
function bucketsOf(readings: Stretch, tier: RollupTier): Map<number, Summary> {
  const { bucketMs } = rollupTiers[tier];
  const buckets = new Map<number, Summary>();
  for (let row = 0; row < readings.count; ) {
    const begin = Math.floor(readings.times[row] / bucketMs) * bucketMs;
    let end = row;
    while (end < readings.count && readings.times[end] < begin + bucketMs) end++;
    buckets.set(begin, summarize(readings, row, end));
    row = end;
  }
  return buckets;
}

/** Equal but for the rounding of sums. */
function expectSame(told: ToldBucket, wanted: Summary | ToldBucket | undefined): void {
  const { begin, ...summary } = told;
  if (!wanted) throw new Error(`a rollup tells of a bucket at ${begin} that has no readings`);
  const inexact = ['sum'] as const;
  for (const name of inexact) expectClose(summary[name], wanted[name]);
  const { more, ...rest } = summary;
  expect({ ...rest, sum: 0 }).toEqual({ ...wanted, sum: 0, more: undefined, begin: undefined });
  if (more === null || wanted.more === null) throw new Error('a summary of readings knows more');
  const { deviations, increase, linearArea, stepArea, ...edges } = more;
  const { deviations: d, increase: i, linearArea: l, stepArea: s, ...wantedEdges } = wanted.more;
  expect(edges).toEqual(wantedEdges);
  expectClose(deviations, d);
  expectClose(increase, i);
  expectClose(linearArea, l);
  expectClose(stepArea, s);
}

function expectClose(found: number, wanted: number): void {
  const error = Math.abs(found - wanted);
  if (!(error <= 1e-9 * Math.max(1, Math.abs(wanted)))) throw new Error(`${found} where ${wanted} was wanted`);
}

/** A rollup tells of the times that it says it tells exactly what the chunks hold, as far as their readings are kept. */
function expectTrue(one: KeepingRig, series: number): void {
  const rawFrom = one.rawFrom(series);
  const sealed = one.sealed(series);
  for (const tier of tiers) {
    const wanted = bucketsOf(sealed, tier);
    const { covered, buckets } = one.rollup(series, tier);
    for (const bucket of buckets) if (bucket.begin >= rawFrom) expectSame(bucket, wanted.get(bucket.begin));
    const told = new Set(buckets.map(({ begin }) => begin));
    for (const begin of wanted.keys()) {
      const isCovered = covered.some(({ from, to }) => begin >= from && begin < to);
      if (isCovered && begin >= rawFrom && !told.has(begin)) throw new Error(`the bucket at ${begin} is not told`);
    }
  }
}

/** Of purged time the rollups tell what the model has. */
function expectRemembered(one: KeepingRig, series: number, model: ReadonlyMap<number, Value>, policy: RetentionPolicy) {
  const rawFrom = one.rawFrom(series);
  const { head } = one.writer.state.series[series] ?? {};
  const known = new Map([...model].filter(([time]) => time < rawFrom && (head?.indexOf(time) ?? -1) < 0));
  const isTold = new Set<number>();
  for (const tier of tiers) {
    const wanted = bucketsOf(stretchOfMap(known), tier);
    const { covered, buckets } = one.rollup(series, tier);
    for (const bucket of buckets) {
      if (bucket.begin >= rawFrom) continue;
      const { count, numbers, min, max, firstTime, lastTime } = wanted.get(bucket.begin) ?? {};
      expect({ ...bucket, min: bucket.min + 0 }).toMatchObject({ count, numbers, min, max, firstTime, lastTime });
      expectClose(bucket.sum, wanted.get(bucket.begin)?.sum ?? Number.NaN);
    }
    for (const time of known.keys()) {
      if (covered.some(({ from, to }) => time >= from && time < to)) isTold.add(time);
    }
  }
  const keptFrom = Math.min(...tiers.map((tier) => rollupCutoff(policy, tier, one.writer.state.lastCommitAt)));
  for (const time of known.keys()) if (time >= keptFrom && !isTold.has(time)) throw new Error(`${time} is forgotten`);
}

describe('rollups', () => {
  it('are made of windows that chunks have passed where they save much, and are what the readings are', () => {
    rig = new KeepingRig(start);
    rig.commit([], { newSeries: newSeries(2) });
    for (let part = 0; part < 15; part++) {
      const rows: Row[] = [];
      for (let second = 0; second < 1_800; second++) {
        const time = start + (part * 1_800 + second) * 1_000;
        rows.push([1, time, Math.round(Math.sin(time / 7e5) * 2_000) / 100]);
        if (second % 120 === 0) rows.push([2, time, second % 7]);
      }
      rig.at = start + (part + 1) * 1_800_000;
      rig.commit(rows);
      rig.sealAll();
    }
    rig.rollUp();
    expectTrue(rig, 1);
    expect(rig.rollup(1, 'minute').covered).toEqual([{ from: start, to: start + 6 * hour }]);
    expect(rig.rollup(1, 'minute').buckets).toHaveLength(360);
    // One reading each two minutes: a rollup would be no smaller.
    expect(rig.rollup(2, 'minute').covered).toEqual([]);
    expect(rig.writer.kept().rollups).toBe(1);
    // 21,600 readings.
    const bytes = rig.database.number('SELECT sum(length(bytes)) FROM rollup');
    expect(bytes).toBeLessThan(9_000);
  });

  it('are made again when readings come late, are replaced or deleted', () => {
    rig = new KeepingRig(start);
    rig.commit([], { newSeries: newSeries(1) });
    rig.commit(Array.from({ length: 25_000 }, (_, index): Row => [1, start + index * 1_000, index % 10]));
    rig.sealAll();
    rig.rollUp();
    expect(rig.rollup(1, 'minute').covered).toHaveLength(1);
    rig.commit([
      [1, start + 500, 1_000],
      [1, start + 60_000, -5],
    ]);
    rig.sealAll();
    // Until then the window is not told, and what is told stays true.
    expect(rig.rollup(1, 'minute').covered).toEqual([]);
    rig.rollUp();
    expectTrue(rig, 1);
    expect(rig.rollup(1, 'minute').buckets[0]?.max).toBe(1_000);
    rig.commit([], { deletions: [{ series: 1, from: start, to: start + 2 * hour }] });
    expect(rig.rollup(1, 'minute').covered).toEqual([]);
    rig.work();
    rig.rollUp();
    expectTrue(rig, 1);
    expect(rig.rollup(1, 'minute').buckets[0]?.begin).toBe(start + 2 * hour);
  });

  it('are not taken when readings of their time were written while they were made', () => {
    rig = new KeepingRig(start);
    const one = rig;
    rig.commit([], { newSeries: newSeries(1) });
    rig.commit(Array.from({ length: 25_000 }, (_, index): Row => [1, start + index * 1_000, 1]));
    rig.sealAll();
    rig.work(0);
    // The look; then the sums.
    expect(rig.rollUpOnce()).toBe(true);
    const write = (): void => {
      one.commit([[1, start + 1, 99]]);
      one.sealAll();
    };
    expect(rig.rollUpOnce(write)).toBe(true);
    expect(rig.rollup(1, 'minute').buckets).toEqual([]);
    rig.rollUp();
    expectTrue(rig, 1);
    expect(rig.rollup(1, 'minute').buckets[0]?.count).toBe(61);
  });

  it('hours are the same made of minutes and made of readings', () => {
    const told = [1, 60].map((step) => {
      rig?.close();
      rig = new KeepingRig(start);
      rig.commit([], { newSeries: newSeries(1) });
      const rows: Row[] = [];
      for (let at = 0; at < 3 * day; at += 60_000) rows.push([1, start + at, ((at / 60_000) % 97) / 8]);
      rig.commit(rows);
      rig.sealAll();
      // Minutes are wanted only where they are purged; a window of hours is passed after two days.
      if (step === 1) {
        rig.at = start + 3 * day;
        rig.commit([]);
        rig.writer.retain(planOf({ raw: 6 * hour, minute: null, hour: null }));
      }
      rig.settle();
      return rig.rollup(1, 'hour').buckets;
    });
    expect(told[0]).toHaveLength(48);
    for (const [index, bucket] of (told[0] ?? []).entries()) expectSame(bucket, told[1]?.[index]);
  });
});

const series = fc.integer({ min: 1, max: 2 });
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('burst' as const),
      series,
      back: fc.nat(2 * day),
      count: fc.integer({ min: 1, max: 600 }),
      every: fc.constantFrom(1_000, 1_000, 60_000, 600_000),
      salt: fc.nat(50),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('words' as const), series, back: fc.nat(day) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('late' as const),
      series,
      back: fc.array(fc.nat(6 * day), { maxLength: 6 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('pass' as const), hours: fc.integer({ min: 1, max: 30 }) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('seal' as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('work' as const), steps: fc.integer({ min: 1, max: 6 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('roll' as const), interfere: fc.option(fc.nat(2 * day), { nil: null }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('settle' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('delete' as const),
      series,
      back: fc.nat(5 * day),
      hours: fc.integer({ min: 1, max: 40 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('kill' as const) }) },
);
const policies: readonly RetentionPolicy[] = [
  { raw: null, minute: null, hour: null },
  { raw: day, minute: null, hour: null },
  { raw: day, minute: 2 * day, hour: null },
  { raw: day, minute: 0, hour: null },
  { raw: 6 * hour, minute: 0, hour: 0 },
];

describe('rollups and retention', () => {
  it('whatever comes in whatever order, is deleted, purged and killed: what is told is true, and nothing is forgotten', () => {
    let serial = 0;
    fc.assert(
      fc.property(
        fc.constantFrom(...policies),
        fc.array(step, { minLength: 4, maxLength: 30, size: 'max' }),
        (policy, steps) => {
          rig?.close();
          rig = new KeepingRig(start + 2 * day);
          const one = rig;
          const models = [1, 2].map(() => new Map<number, Value>());
          const write = (id: number, rows: readonly (readonly [number, Value])[]): void => {
            one.commit(rows.map(([time, value]): Row => [id, time, value]));
            for (const [time, value] of rows) models[id - 1]?.set(time, value);
          };
          one.commit([], { newSeries: newSeries(2) });
          one.writer.retain(planOf(policy));
          const check = (): void => {
            for (const id of [1, 2]) {
              expectTrue(one, id);
              expectRemembered(one, id, models[id - 1] ?? new Map(), policy);
            }
          };
          for (const each of steps) {
            const raw = 'series' in each ? one.rawFrom(each.series) : 0;
            switch (each.kind) {
              case 'burst': {
                // Times that may meet again, but never those of what is purged: that cannot be told from a new reading.
                const from = Math.max(Math.floor((one.at - each.back) / 60_000) * 60_000, raw);
                const rows = Array.from(
                  { length: each.count },
                  (_, at) => [from + at * each.every, ((at * each.salt) % 83) / 4] as const,
                );
                write(
                  each.series,
                  rows.filter(([time]) => time <= one.at),
                );
                break;
              }
              case 'words':
                write(
                  each.series,
                  ['on', true, 'off', 2]
                    .map((value, at) => [Math.max(one.at - each.back, raw) + at * 500 + 3, value] as const)
                    .filter(([time]) => time <= one.at),
                );
                break;
              case 'late':
                write(
                  each.series,
                  each.back.map(
                    (back) =>
                      [
                        (Math.floor((one.at - back) / 100_000) * 1_000 + (serial++ % 1_000)) * 100 + 7,
                        back % 13,
                      ] as const,
                  ),
                );
                break;
              case 'pass':
                one.at += each.hours * hour;
                one.commit([]);
                break;
              case 'seal':
                one.sealAll();
                break;
              case 'work':
                one.work(each.steps);
                break;
              case 'roll':
                one.rollUpOnce(() => {
                  if (each.interfere === null) return;
                  const time = Math.max(one.at - each.interfere, one.rawFrom(1)) + 0;
                  write(1, [[Math.min(time, one.at), 5]]);
                  one.sealAll();
                });
                break;
              case 'settle':
                one.settle();
                break;
              case 'delete': {
                const from = Math.floor((one.at - each.back) / hour) * hour;
                const to = from + each.hours * hour;
                one.commit([], { deletions: [{ series: each.series, from, to }] });
                const model = models[each.series - 1];
                for (const time of model?.keys() ?? []) if (time >= from && time < to) model?.delete(time);
                break;
              }
              case 'kill':
                one.kill();
                one.writer.retain(planOf(policy));
            }
            check();
          }
          one.settle();
          check();
        },
      ),
      { numRuns: 60 },
    );
  }, 300_000);
});
