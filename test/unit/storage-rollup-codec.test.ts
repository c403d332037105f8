import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rollupTiers } from '../../src/domain/retention.ts';
import { summarize } from '../../src/history/summary.ts';
import { CorruptStoreError } from '../../src/storage/sqlite/database.ts';
import type { Stretch } from '../../src/storage/sqlite/chunks/head.ts';
import { decodeRollup, encodeRollup } from '../../src/storage/sqlite/rollups/rollup-codec.ts';
import { RollupColumns, rollupPart } from '../../src/storage/sqlite/rollups/rollup-columns.ts';
import { RollupFold } from '../../src/storage/sqlite/rollups/rollup-fold.ts';
import { rollupId, rollupOf } from '../../src/storage/sqlite/rollups/rollup-key.ts';

const { bucketMs, windowMs } = rollupTiers.minute;
const begin = windowMs * 80_000;

function stretchOf(rows: readonly (readonly [time: number, value: number | boolean | string])[]): Stretch {
  const texts: string[] = [];
  return {
    count: rows.length,
    times: Float64Array.from(rows, ([time]) => begin + time),
    values: Float64Array.from(rows, ([, value]) => (typeof value === 'string' ? texts.push(value) - 1 : Number(value))),
    kinds: Uint8Array.from(rows, ([, value]) => (typeof value === 'string' ? 2 : typeof value === 'boolean' ? 1 : 0)),
    texts,
  };
}

function columnsOf(stretch: Stretch): RollupColumns {
  const columns = new RollupColumns();
  const fold = new RollupFold('minute', columns);
  fold.addSamples(stretch, begin, begin + windowMs);
  fold.finish();
  return columns;
}

function again(columns: RollupColumns, parts: number = rollupPart.all): RollupColumns {
  const decoded = new RollupColumns();
  decodeRollup(encodeRollup('minute', begin, columns), { tier: 'minute', begin }, parts, decoded);
  return decoded;
}

/** Everything that a window says, without what `more` may gain by rounding. */
function told(columns: RollupColumns): unknown[] {
  return Array.from({ length: columns.to }, (_, row) => {
    const { more, ...rest } = columns.summaryAt(row);
    const { firstNumber, firstNumberTime, lastNumber, lastNumberTime } = more ?? {};
    return [columns.begins[row], { ...rest, sum: 0 }, firstNumber, firstNumberTime, lastNumber, lastNumberTime];
  });
}

const value = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: -4_000, max: 4_000 }).map((hundredths) => hundredths / 100) },
  { weight: 1, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true }) },
  { weight: 1, arbitrary: fc.constantFrom<number | boolean | string>(true, false, 'on', 'öff', '', -0) },
);
const readings = fc
  .uniqueArray(fc.tuple(fc.nat(windowMs - 1), value), { minLength: 1, maxLength: 200, selector: ([time]) => time })
  .map((rows) => rows.sort(([one], [other]) => one - other));

describe('a window of a rollup', () => {
  it('is read as it was written, whatever the readings', () => {
    fc.assert(
      fc.property(readings, (rows) => {
        const columns = columnsOf(stretchOf(rows));
        expect(told(again(columns))).toEqual(told(columns));
      }),
      { numRuns: 300 },
    );
  });

  it('has the sums of short decimals to the last digit, freed of the rounding of doubles', () => {
    const rows = Array.from({ length: 1_200 }, (_, at) => [at * 1_000, ((at * 37) % 1_001) / 10] as const);
    const decoded = again(columnsOf(stretchOf(rows)));
    expect(decoded.to).toBe(20);
    for (let row = 0; row < decoded.to; row++) {
      const tenths = rows.slice(row * 60, row * 60 + 60).map(([, each]) => Math.round(each * 10));
      const sum = tenths.reduce((all, each) => all + each, 0);
      const mean = sum / 60;
      expect(decoded.sums[row]).toBe(sum / 10);
      const deviations = tenths.reduce((all, each) => all + (each - mean) ** 2, 0) / 100;
      expect(decoded.deviations[row]).toBeCloseTo(deviations, 9);
    }
  });

  it('takes no more room for a bucket of one reading than the reading takes', () => {
    const rows = Array.from({ length: 360 }, (_, at) => [at * 60_000 + 17, (at * 7) % 40] as const);
    const bytes = encodeRollup('minute', begin, columnsOf(stretchOf(rows)));
    expect(bytes.length).toBeLessThan(360 * 1.5);
  });

  it('knows sums beyond the range of numbers', () => {
    const rows = [
      [0, Number.MAX_VALUE],
      [1, Number.MAX_VALUE],
    ] as const;
    const decoded = again(columnsOf(stretchOf(rows)));
    expect(decoded.sums[0]).toBe(Number.POSITIVE_INFINITY);
    expect(decoded.maxs[0]).toBe(Number.MAX_VALUE);
  });

  it('is read only as far as is asked for', () => {
    const stretch = stretchOf(Array.from({ length: 900 }, (_, at) => [at * 1_000, at % 60] as const));
    const all = again(columnsOf(stretch));
    for (const part of [rollupPart.extremes, rollupPart.sums, rollupPart.deviations, rollupPart.increases]) {
      const some = again(columnsOf(stretch), part);
      expect(some.counts.subarray(0, 15)).toEqual(all.counts.subarray(0, 15));
      const [name] = (
        {
          [rollupPart.extremes]: ['maxs'],
          [rollupPart.sums]: ['sums'],
          [rollupPart.deviations]: ['deviations'],
          [rollupPart.increases]: ['increases'],
        } as const
      )[part];
      expect(some[name].subarray(0, 15)).toEqual(all[name].subarray(0, 15));
    }
    expect(summarize(stretch, 0, 60).sum).toBe(all.sums[0]);
  });

  it('is refused when any of its bytes is another, and when it is cut off', () => {
    const rows = [...Array.from({ length: 90 }, (_, at) => [at * 2_000, at / 4] as const), [190_000, 'on'] as const];
    const bytes = encodeRollup('minute', begin, columnsOf(stretchOf(rows)));
    const columns = new RollupColumns();
    const read = (some: Uint8Array) => () => decodeRollup(some, { tier: 'minute', begin }, rollupPart.all, columns);
    expect(read(bytes)).not.toThrow();
    for (let at = 0; at < bytes.length; at++) {
      const damaged = bytes.slice();
      damaged[at] ^= 0x10;
      expect(read(damaged)).toThrow(CorruptStoreError);
      expect(read(bytes.slice(0, at))).toThrow(CorruptStoreError);
    }
  });

  it('has a key that tells its series, tier and time, also before the epoch', () => {
    for (const tier of ['minute', 'hour'] as const) {
      for (const at of [-3, 0, 5, 80_000]) {
        const window = { series: 199_999, tier, begin: at * rollupTiers[tier].windowMs };
        expect(rollupOf(rollupId(window.series, tier, window.begin + bucketMs))).toEqual(window);
      }
    }
  });
});
