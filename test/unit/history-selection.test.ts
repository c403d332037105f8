import fc from 'fast-check';
import { expect, type MockInstance, test, vi } from 'vitest';
import { PercentileBuffer } from '../../src/history/buckets/percentile.ts';
import { Selection } from '../../src/history/buckets/selection.ts';

test('a place is found in however many steps, none of which looks at many more numbers than it may', () => {
  const numbers = fc.array(fc.integer({ min: -20, max: 20 }), { minLength: 1, maxLength: 400 });
  fc.assert(
    fc.property(numbers, fc.nat(), fc.integer({ min: 0, max: 50 }), (some, at, looks) => {
      const place = at % some.length;
      const moved = Float64Array.from(some);
      const sorted = moved.toSorted();
      const selection = new Selection(moved, 0, moved.length - 1, place);
      let steps = 1;
      while (selection.step(looks) < 0) steps++;
      expect(moved[place]).toBe(sorted[place]);
      expect(Math.max(...moved.subarray(0, place))).toBeLessThanOrEqual(moved[place]);
      expect(Math.min(...moved.subarray(place))).toBe(moved[place]);
      expect(moved.toSorted()).toEqual(sorted);
      expect(steps).toBeLessThan(20 * some.length);
    }),
    { numRuns: 500 },
  );
});

test.each([
  ['rise', (at: number) => at],
  ['fall', (at: number) => -at],
  ['rise and then fall', (at: number) => Math.min(at, 100_000 - at)],
  ['fall and then rise', (at: number) => Math.max(at, 100_000 - at)],
  ['rise and fall day after day', (at: number) => Math.sin(at / 1_000) + at / 1e9],
  ['rise, and fall again and again', (at: number) => at % 8_640],
  ['rise by two, and then in between', (at: number) => (at * 2) % 99_999],
])('numbers that %s are found in steps and never sorted', (_, valueAt) => {
  const sort: MockInstance = vi.spyOn(Object.getPrototypeOf(Float64Array.prototype), 'sort');
  try {
    for (const place of [0, 5_000, 50_000, 99_000, 99_999]) {
      const numbers = Float64Array.from({ length: 100_000 }, (_, at) => valueAt(at));
      const sorted = numbers.toSorted();
      const selection = new Selection(numbers, 0, numbers.length - 1, place);
      while (selection.step(10_000) < 0);
      expect(numbers[place]).toBe(sorted[place]);
    }
    expect(sort).not.toHaveBeenCalled();
  } finally {
    sort.mockRestore();
  }
});

test('percentiles of many numbers are brought about in steps, and numbers that come in between count', () => {
  const numbers = Float64Array.from({ length: 300_000 }, (_, row) => (row * 7_919) % 300_007);
  const ranks = [0, 50, 99, 12.5, 100];
  const [whole, stepped] = [new PercentileBuffer(), new PercentileBuffer()];
  whole.add(numbers, 0, numbers.length);
  stepped.add(numbers, 0, 200_000);
  for (let step = 0; step < 3; step++) expect(stepped.settle(ranks, 50_000)).toBeLessThan(0);
  stepped.add(numbers, 200_000, numbers.length);
  let steps = 1;
  while (stepped.settle(ranks, 50_000) < 0) steps++;
  // Several looks at each number, of which one step has a sixth.
  expect(steps).toBeGreaterThan(10);
  expect(ranks.map((rank) => stepped.at(rank))).toEqual(ranks.map((rank) => whole.at(rank)));
});

test('a step that is given up leaves the percentiles right', () => {
  const numbers = Float64Array.from({ length: 100_000 }, (_, row) => (row * 7_919) % 100_003);
  const buffer = new PercentileBuffer();
  buffer.add(numbers, 0, numbers.length);
  expect(buffer.settle([50], 30_000)).toBeLessThan(0);
  const sorted = numbers.toSorted();
  expect(buffer.at(10)).toBeCloseTo(sorted[9_999] + 0.9 * (sorted[10_000] - sorted[9_999]), 6);
  while (buffer.settle([50], 30_000) < 0);
  expect(buffer.at(50)).toBe((sorted[49_999] + sorted[50_000]) / 2);
});
