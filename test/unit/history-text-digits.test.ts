import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decimalBytesMax, writeDecimal, writeWhole } from '../../src/history/text/decimal.ts';
import { PageTextWriter } from '../../src/history/text/page-text.ts';
import { TimeWriter } from '../../src/history/text/time-text.ts';

// Digits made by arithmetic, against the ones that the language makes.

const bytes = new Uint8Array(64);
const text = (end: number): string => Buffer.from(bytes.subarray(0, end)).toString('latin1');
const written = (writer: TimeWriter, time: number): string => text(writer.write(bytes, 0, time));
const decimal = (value: number): string => text(writeDecimal(bytes, 0, value));

describe('a number is written as String writes it', () => {
  test('at the edges of what is done by arithmetic', () => {
    const edges = [0, -0, 1, -1, 9, 10, 99, 100, 999, 1e3, 999_999, 1e6, 999_999_999, 1e9, 1e9 + 1, 2 ** 31, 2 ** 32];
    edges.push(
      2 ** 53 - 1,
      2 ** 53,
      2 ** 53 + 2,
      1e15,
      1e20,
      1e21,
      1e22,
      1.5e300,
      5e-324,
      Number.MAX_VALUE,
      1e-6,
      1e-7,
    );
    edges.push(
      0.1,
      0.000_001,
      0.000_009,
      0.999_999,
      0.1 + 0.2,
      1 / 3,
      999_999_999.999_999,
      123_456_789.123_456,
      1e9 + 0.5,
    );
    edges.push(0.000_000_1, 0.000_001_5, 4.35, 1.005, 8.875, 21.4, 36.6, 1_000.001, 1_000_000_000.1);
    for (const value of edges) {
      for (const near of [value, -value, value + Number.EPSILON, value * (1 + 2 ** -52), value * (1 - 2 ** -53)]) {
        if (Number.isFinite(near)) expect(decimal(near)).toBe(String(near));
      }
    }
  });

  test('whatever it is', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(decimal(value)).toBe(String(value));
        expect(decimal(value).length).toBeLessThanOrEqual(decimalBytesMax);
      }),
      { numRuns: 20_000 },
    );
  });

  test('of few decimals, and next to one', () => {
    const near = fc.constantFrom(0, 1, -1, 2, -2);
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.integer({ min: 0, max: 12 }), near, (digits, decimals, ulps) => {
        const value = digits / 10 ** decimals;
        const moved = value * (1 + ulps * 2 ** -52);
        expect(decimal(moved)).toBe(String(moved));
      }),
      { numRuns: 50_000 },
    );
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 0, max: 7 }), (digits, decimals) => {
        const value = digits / 10 ** decimals;
        expect(decimal(value)).toBe(String(value));
      }),
      { numRuns: 50_000 },
    );
  });

  test('as a 32-bit float that was widened', () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(decimal(value)).toBe(String(value));
      }),
      { numRuns: 10_000 },
    );
  });
});

test('a whole number is written whole', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (value) => {
      expect(text(writeWhole(bytes, 0, value))).toBe(String(value));
    }),
    { numRuns: 10_000 },
  );
});

describe('a time is written as toISOString writes it', () => {
  test('on every day of eight centuries, and now and then in ten thousand years', () => {
    const writer = new TimeWriter(new Uint8Array(0));
    const [first, last] = [Date.UTC(1600, 0, 1), Date.UTC(2401, 0, 1)];
    const wrong: string[] = [];
    const check = (time: number): void => {
      const found = written(writer, time);
      if (found !== new Date(time).toISOString()) wrong.push(found);
    };
    for (let time = first; time < last; time += 86_400_000) check(time);
    const years = [Date.parse('0000-01-01'), Date.parse('9999-12-31')] as const;
    for (let time = years[0]; time < years[1]; time += 40 * 86_400_000 + 61_001) check(time);
    expect(wrong).toEqual([]);
  });

  test('in any order, near and far', () => {
    const far = fc.integer({ min: -8_640_000_000_000_000, max: 8_640_000_000_000_000 });
    const year = fc.integer({ min: Date.parse('0000-01-01'), max: Date.parse('+010000-01-01') + 60_000 });
    const today = fc.integer({ min: 1_790_000_000_000, max: 1_790_000_200_000 });
    fc.assert(
      fc.property(fc.array(fc.oneof(far, year, today), { maxLength: 30 }), (times) => {
        const writer = new TimeWriter(Buffer.from('at '));
        for (const time of times) expect(written(writer, time)).toBe(`at ${new Date(time).toISOString()}`);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('columns are written as the language writes their numbers', () => {
  const label = { device: 'hall', metric: 'temperature', unit: null };
  const writer = new PageTextWriter();
  const columnsText = (times: readonly number[], values: readonly number[]): readonly string[] => {
    writer.begin('columns');
    writer.part(0, label);
    const columns = { times: Float64Array.from(times), values: Float64Array.from(values), kinds: null, texts: [] };
    writer.add({ ...columns, count: times.length }, 0, times.length);
    const page = writer.finish();
    return [Buffer.from(page.times ?? []).toString(), Buffer.from(page.bytes).toString()];
  };

  test('values of few decimals, of many, and at the edges between', () => {
    const edges = [0, -0, 0.001, 0.0004, 0.0005, 0.999, 0.9995, 9.5, 10, 99.99, 100, 999.999, 1e3, 1_000.001];
    edges.push(9_999.9, 99_999.99, 999_999.999, 999_999.9996, 1e6, 1_000_000.5, 1e9, 1e21, 1e-7, 5e-324, 1e300);
    const near = edges.flatMap((value) => [value, value * (1 + 2 ** -52), value * (1 - 2 ** -53)]);
    const short = fc.tuple(fc.maxSafeInteger(), fc.integer({ min: 0, max: 15 })).map(([whole, of]) => whole / 10 ** of);
    const value = fc.oneof(
      fc.constantFrom(...near, ...near.map((value) => -value)),
      fc.integer({ min: -2_000_000, max: 2_000_000 }).map((whole) => whole / 1e3),
      short,
      fc.double({ noNaN: true, noDefaultInfinity: true }),
    );
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 40 }), (values) => {
        expect(
          columnsText(
            values.map((_, row) => row),
            values,
          )[1],
        ).toBe(values.map(String).join(','));
      }),
      { numRuns: 5_000 },
    );
  });

  test('times near each other and far, before 1970 and after what a date can say', () => {
    const today = fc.integer({ min: 1_790_000_000_000 - 2_000, max: 1_790_001_002_000 });
    const edge = fc
      .constantFrom(0, 1e6, 1e9, 1e12, 1e13, 1e14, 1e15)
      .chain((time) => fc.integer({ min: time - 1_500, max: time + 1_500 }));
    const time = fc.oneof(today, edge, fc.maxSafeInteger());
    fc.assert(
      fc.property(fc.array(time, { minLength: 1, maxLength: 40 }), (times) => {
        const expected = times.map(String).join(',');
        expect(columnsText(times, times)).toEqual([expected, expected]);
      }),
      { numRuns: 5_000 },
    );
  });

  test('in parts longer than what room is made for at once', () => {
    const rows = Array.from({ length: 10_000 }, (_, row) => row);
    const times = rows.map((row) => 1_790_000_000_000 + row * 997);
    const values = rows.map((row) => (row % 3 === 0 ? -row / 7 : row / 100));
    expect(columnsText(times, values)).toEqual([times.join(','), values.map(String).join(',')]);
  });
});
