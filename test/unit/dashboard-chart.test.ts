import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bucketFor, durationText, ranges, spanOf } from '../../src/dashboard/chart-range.ts';
import { parseDuration } from '../../src/base/duration.ts';
import { breakAtGaps, decimate, type Points } from '../../src/dashboard/decimate.ts';
import { plotColumns } from '../../src/dashboard/plot-columns.ts';
import { PointRing } from '../../src/dashboard/point-ring.ts';
import { SeriesBuffer } from '../../src/dashboard/series-buffer.ts';

const from = 1_790_000_000_000;
const values = fc.double({ min: -1e6, max: 1e6, noNaN: true });
/** Points in ascending time within `[from, from + 100,000]`, each time once. */
const pointLists = fc
  .uniqueArray(fc.tuple(fc.integer({ min: 0, max: 100_000 }), values), { selector: ([time]) => time, maxLength: 400 })
  .map((points) => points.map(([time, value]) => ({ time: from + time, value })).toSorted((a, b) => a.time - b.time));

function pointsOf(list: readonly { time: number; value: number }[]): Points {
  return {
    size: list.length,
    time: (index) => list[index]?.time ?? Number.NaN,
    value: (index) => list[index]?.value ?? Number.NaN,
  };
}

describe('decimation', () => {
  test('draws at most two points a pixel column, only real ones, in order of time', () => {
    fc.assert(
      fc.property(pointLists, fc.integer({ min: 1, max: 300 }), (list, columns) => {
        const to = from + 100_000;
        const line = decimate(pointsOf(list), from, to, columns);
        const real = new Set(list.map(({ time, value }) => `${time} ${value}`));
        const perColumn = new Map<number, number>();
        for (const [index, time] of line.times.entries()) {
          expect(real.has(`${time} ${line.values[index]}`)).toBe(true);
          if (index > 0) expect(time).toBeGreaterThan(line.times[index - 1] ?? 0);
          const column = Math.min(columns - 1, Math.floor((time - from) / (100_000 / columns)));
          perColumn.set(column, (perColumn.get(column) ?? 0) + 1);
        }
        expect(Math.max(0, ...perColumn.values())).toBeLessThanOrEqual(2);
      }),
    );
  });

  test('keeps the smallest and the largest value of every column', () => {
    fc.assert(
      fc.property(pointLists, fc.integer({ min: 1, max: 50 }), (list, columns) => {
        const line = decimate(pointsOf(list), from, from + 100_000, columns);
        const column = (time: number): number => Math.min(columns - 1, Math.floor((time - from) / (100_000 / columns)));
        for (let at = 0; at < columns; at++) {
          const all = list.filter(({ time }) => column(time) === at).map(({ value }) => value);
          const kept = line.values.filter((_, index) => column(line.times[index] ?? 0) === at).map(Number);
          expect(Math.min(...kept)).toBe(Math.min(...all));
          expect(Math.max(...kept)).toBe(Math.max(...all));
        }
      }),
    );
  });

  test('leaves out what lies outside the range', () => {
    const list = [0, 10, 20, 30].map((time) => ({ time: from + time, value: time }));
    expect(decimate(pointsOf(list), from + 10, from + 20, 100).values).toEqual([10, 20]);
  });

  test('the line breaks over an outage and nowhere else', () => {
    const list = [0, 1, 2, 30, 31].map((second) => ({ time: from + second * 1_000, value: second }));
    const line = decimate(pointsOf(list), from, from + 40_000, 1_000);
    const broken = breakAtGaps(line, 5_000);
    expect(broken.values).toEqual([0, 1, 2, null, 30, 31]);
    expect(broken.times[3]).toBe(from + 16_000);
  });

  test('five times the usual distance is still no outage, more is', () => {
    const list = [0, 1, 2, 3, 8, 9, 15, 16].map((second) => ({ time: from + second * 1_000, value: second }));
    const line = decimate(pointsOf(list), from, from + 20_000, 1_000);
    expect(breakAtGaps(line, 1_000).values).toEqual([0, 1, 2, 3, 8, 9, null, 15, 16]);
  });

  test('a device that speaks more often than before is not drawn as if it had been silent', () => {
    const slow = Array.from({ length: 30 }, (_, index) => ({ time: from + index * 10_000, value: index }));
    const fast = Array.from({ length: 200 }, (_, index) => ({ time: from + 293_000 + index * 1_000, value: index }));
    const line = decimate(pointsOf([...slow, ...fast]), from, from + 500_000, 1_000);
    expect(breakAtGaps(line, 5_000).values).not.toContain(null);
    const later = fast.map(({ time, value }) => ({ time: time + 60_000, value }));
    const broken = breakAtGaps(decimate(pointsOf([...slow, ...later]), from, from + 600_000, 1_000), 5_000);
    expect(broken.values.indexOf(null)).toBe(slow.length);
  });

  test('a device that speaks every five minutes is not drawn as a row of outages', () => {
    const list = Array.from({ length: 20 }, (_, index) => ({ time: from + index * 300_000, value: index }));
    const line = decimate(pointsOf(list), from, from + 6_000_000, 1_000);
    expect(breakAtGaps(line, 5_000).values).not.toContain(null);
  });
});

describe('the point ring', () => {
  test('beside a map of times it holds the newest points in order, whatever comes late or again', () => {
    const adds = fc.array(fc.tuple(fc.integer({ min: 0, max: 60 }), values), { maxLength: 120 });
    fc.assert(
      fc.property(adds, fc.integer({ min: 1, max: 20 }), (points, capacity) => {
        const ring = new PointRing(capacity);
        let model: [number, number][] = [];
        for (const [time, value] of points) {
          ring.add(time, value);
          model = [...new Map([...model, [time, value] as const])].toSorted((a, b) => a[0] - b[0]).slice(-capacity);
        }
        const held = Array.from({ length: ring.size }, (_, index) => [ring.time(index), ring.value(index)]);
        expect(held).toEqual(model);
      }),
    );
  });

  test('grows beyond its first slots without losing or moving a point', () => {
    const ring = new PointRing(5_000);
    for (let time = 0; time < 4_000; time++) ring.add(time, -time);
    ring.dropBefore(1_500);
    for (let time = 4_000; time < 6_000; time++) ring.add(time, -time);
    expect(ring.size).toBe(4_500);
    for (let index = 0; index < ring.size; index++) expect(ring.value(index)).toBe(-(1_500 + index));
  });

  test('finds the first point at or after a time', () => {
    const ring = new PointRing(10);
    for (const time of [10, 20, 30]) ring.add(time, 0);
    expect([5, 10, 11, 30, 31].map((time) => ring.indexFrom(time))).toEqual([0, 0, 1, 2, 3]);
  });
});

describe('the series buffer', () => {
  const width = 1_000;
  const page = {
    width,
    buckets: [
      { time: from - 2_000, min: 1, max: 3, avg: 2, count: 10 },
      { time: from - 1_000, min: 2, max: 4, avg: 3, count: 10 },
    ],
    boundary: from,
    points: [{ time: from + 100, value: 5 }],
  };

  test('a reading that came live while history was asked for counts once', () => {
    const buffer = new SeriesBuffer();
    buffer.add(from + 100, 5);
    buffer.add(from + 200, 7);
    buffer.load(page);
    expect(buffer.buckets(from - 10_000, from + 10_000).at(-1)).toEqual({
      time: from,
      min: 5,
      max: 7,
      avg: 6,
      count: 2,
    });
  });

  test('a live reading of a part that history already covers by buckets is not added to it a second time', () => {
    const buffer = new SeriesBuffer();
    buffer.add(from - 500, 4);
    buffer.load(page);
    expect(buffer.buckets(from - 10_000, from + 10_000)).toEqual([
      ...page.buckets,
      { time: from, min: 5, max: 5, avg: 5, count: 1 },
    ]);
  });

  test('a late reading widens its bucket, or makes the one that was missing', () => {
    const buffer = new SeriesBuffer();
    buffer.load(page);
    buffer.add(from - 1_500, 9);
    buffer.add(from - 4_500, 6);
    const [missing, widened] = buffer.buckets(from - 10_000, from);
    expect(missing).toEqual({ time: from - 5_000, min: 6, max: 6, avg: 6, count: 1 });
    expect(widened).toMatchObject({ time: from - 2_000, min: 1, max: 9, count: 11 });
  });

  test('live readings fold into the same buckets that the gateway would make of them', () => {
    fc.assert(
      fc.property(pointLists, (list) => {
        const buffer = new SeriesBuffer();
        buffer.load({ width: 5_000, buckets: [], boundary: from, points: [] });
        for (const { time, value } of list) buffer.add(time, value);
        const expected = Map.groupBy(list, ({ time }) => Math.floor(time / 5_000) * 5_000);
        const buckets = buffer.buckets(from - 5_000, from + 200_000);
        expect(buckets.map(({ time }) => time)).toEqual([...expected.keys()]);
        for (const bucket of buckets) {
          const all = expected.get(bucket.time)?.map(({ value }) => value) ?? [];
          expect([bucket.min, bucket.max, bucket.count]).toEqual([Math.min(...all), Math.max(...all), all.length]);
          const sum = all.reduce((total, value) => total + value, 0);
          expect(bucket.avg).toBeCloseTo(sum / all.length, 4);
        }
      }),
    );
  });

  test('after days of readings it holds a bounded number of points and loses no bucket of the range', () => {
    const buffer = new SeriesBuffer();
    buffer.load({ width: 60_000, buckets: [], boundary: from, points: [] });
    const count = 100_000;
    for (let second = 0; second < count; second++) buffer.add(from + second * 1_000, second % 60);
    expect(buffer.points.size).toBeLessThanOrEqual(2_001);
    const buckets = buffer.buckets(from, from + count * 1_000);
    expect(buckets.reduce((total, bucket) => total + bucket.count, 0)).toBe(count);
  });

  test('what left the range is forgotten, the bucket at its edge is not', () => {
    const buffer = new SeriesBuffer();
    buffer.load(page);
    buffer.dropBefore(from - 500);
    expect(buffer.buckets(from - 10_000, from + 10_000).map(({ time }) => time)).toEqual([from - 1_000, from]);
    buffer.dropBefore(from + 60_000);
    expect(buffer.isEmpty).toBe(true);
  });
});

describe('the columns of a chart', () => {
  test('stay within two points a pixel and their breaks, for single points and for buckets', () => {
    fc.assert(
      fc.property(
        pointLists,
        fc.integer({ min: 20, max: 200 }),
        fc.constantFrom(0, 1_000, 20_000),
        (list, pixels, width) => {
          const buffer = new SeriesBuffer();
          buffer.load({ width, buckets: [], boundary: width === 0 ? Number.NEGATIVE_INFINITY : from, points: list });
          const columns = plotColumns(buffer, from, from + 100_000, pixels);
          const points = columns.middle.filter((value) => value !== null).length;
          expect(points).toBeLessThanOrEqual(width === 0 ? pixels * 2 : Math.ceil(100_000 / width) + 1);
          expect(columns.times.length).toBeLessThanOrEqual(points * 2);
          expect(columns.times).toEqual(columns.times.toSorted((a, b) => a - b));
          expect([columns.middle.length, columns.low.length, columns.high.length]).toEqual(
            Array.from({ length: 3 }, () => columns.times.length),
          );
        },
      ),
    );
  });

  test('a missing stretch of buckets breaks the line and its band', () => {
    const buffer = new SeriesBuffer();
    const bucket = (index: number) => ({ time: from + index * 1_000, min: 0, max: 2, avg: 1, count: 3 });
    buffer.load({ width: 1_000, buckets: [0, 1, 2, 9, 10].map(bucket), boundary: from + 20_000, points: [] });
    const columns = plotColumns(buffer, from, from + 20_000, 500);
    expect(columns.middle).toEqual([1, 1, 1, null, 1, 1]);
    expect(columns.low).toEqual([0, 0, 0, null, 0, 0]);
    expect(columns.times[0]).toBe(from + 500);
  });
});

describe('ranges', () => {
  test('give at most one bucket for two pixels, of a width the REST API reads back', () => {
    fc.assert(
      fc.property(fc.constantFrom(...ranges), fc.integer({ min: 100, max: 2_000 }), (range, pixels) => {
        const width = bucketFor(range, pixels);
        if (range === '5m') {
          expect(width).toBe(0);
          return;
        }
        expect(parseDuration(durationText(width))).toBe(width);
        if (width < 86_400_000) expect(spanOf(range) / width).toBeLessThanOrEqual(pixels / 2);
      }),
    );
  });
});
