import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { PercentileBuffer, percentile } from '../../src/history/buckets/percentile.ts';
import { quantile } from '../support/history-oracle.ts';

const ranks = fc.oneof(
  fc.constantFrom(0, 5, 25, 50, 75, 95, 99, 99.9, 100),
  fc.double({ min: 0, max: 100, noNaN: true }),
);
const numbers = fc.array(fc.oneof(fc.integer({ min: -3, max: 3 }), fc.double({ min: -1e6, max: 1e6, noNaN: true })), {
  minLength: 1,
  maxLength: 300,
});

test('a percentile is that of the sorted numbers, and the numbers stay the same ones', () => {
  fc.assert(
    fc.property(numbers, ranks, (some, rank) => {
      const moved = Float64Array.from(some);
      expect(percentile(moved, moved.length, rank)).toBeCloseTo(quantile(some, rank), 6);
      expect(moved.toSorted()).toEqual(Float64Array.from(some).sort());
    }),
    { numRuns: 500 },
  );
});

test.each([
  ['ascending', (row: number) => row],
  ['descending', (row: number) => -row],
  ['all the same', () => 7],
  ['of two values', (row: number) => row % 2],
  ['a saw', (row: number) => row % 1_000],
  ['up and down', (row: number) => Math.abs(row - 100_000)],
])('two hundred thousand numbers that are %s need no more than a few looks at each', (_name, numberAt) => {
  const numbers = Float64Array.from({ length: 200_000 }, (_, row) => numberAt(row));
  const sorted = numbers.toSorted();
  let looks = 0;
  const counted = new Proxy(numbers, {
    get(target, key) {
      looks++;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  expect(percentile(counted, numbers.length, 50)).toBe((sorted[99_999] + sorted[100_000]) / 2);
  expect(looks / numbers.length).toBeLessThan(20);
});

test('of several ranks each is right, in whatever order and with numbers that come in between', () => {
  const some = fc.array(fc.oneof(ranks, numbers), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(numbers, some, (first, steps) => {
      const buffer = new PercentileBuffer();
      const all = [...first];
      buffer.add(Float64Array.from(first), 0, first.length);
      for (const step of steps) {
        if (typeof step === 'number') expect(buffer.at(step)).toBeCloseTo(quantile(all, step), 6);
        else {
          all.push(...step);
          buffer.add(Float64Array.from(step), 0, step.length);
        }
      }
    }),
  );
});

test('twenty ranks of two hundred thousand numbers need not twenty times the looks of one', () => {
  let looks = 0;
  const numbers = Float64Array.from({ length: 200_000 }, (_, row) => (row * 7_919) % 200_003);
  const counted = new Proxy(numbers, {
    get(target, key) {
      looks++;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const settled: number[] = [];
  for (let rank = 0; rank < 100; rank += 5) percentile(counted, numbers.length, rank, settled);
  expect(looks / numbers.length).toBeLessThan(60);
});

test('what comes in parts is what comes at once, and a cleared buffer begins anew', () => {
  fc.assert(
    fc.property(numbers, ranks, fc.integer({ min: 1, max: 50 }), (some, rank, length) => {
      const buffer = new PercentileBuffer();
      buffer.add(Float64Array.of(9e9), 0, 1);
      buffer.clear();
      const values = Float64Array.from(some);
      for (let row = 0; row < values.length; row += length)
        buffer.add(values, row, Math.min(values.length, row + length));
      expect(buffer.count).toBe(some.length);
      expect(buffer.at(rank)).toBeCloseTo(quantile(some, rank), 6);
    }),
  );
});

test('beyond its bound a buffer keeps every second number, then every fourth, from the first on', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 500 }), fc.integer({ min: 1, max: 70 }), (count, length) => {
      const buffer = new PercentileBuffer(16);
      const values = Float64Array.from({ length: count }, (_, row) => row);
      for (let row = 0; row < count; row += length) buffer.add(values, row, Math.min(count, row + length));
      let stride = 1;
      while (Math.ceil(count / stride) >= 16) stride *= 2;
      expect(buffer.count).toBe(Math.ceil(count / stride));
      const kept = Array.from({ length: buffer.count }, (_, index) => index * stride);
      if (count > 0) expect(buffer.at(37)).toBeCloseTo(quantile(kept, 37), 9);
      else expect(buffer.at(37)).toBeNaN();
    }),
    { numRuns: 500 },
  );
});
