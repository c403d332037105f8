import { expect } from 'vitest';
import type { Random } from '../../src/base/random.ts';
import type { Aggregate } from '../../src/domain/aggregate.ts';
import { bucketFills, plainAggregates } from '../../src/domain/aggregate.ts';
import type { BucketGrid } from '../../src/domain/bucket-grid.ts';
import type { Value } from '../../src/domain/reading.ts';
import { valueAt } from '../../src/domain/reading.ts';
import { type RollupTier, rollupTiers } from '../../src/domain/retention.ts';
import { gridOf } from '../../src/history/buckets/bucket-grid.ts';
import { sourceNeeded } from '../../src/history/buckets/bucket-needs.ts';
import { Decimation } from '../../src/history/shapes/decimation.ts';
import type { AggregateQuery, Resolution, SeriesRange } from '../../src/history/queries.ts';
import type { Sample } from '../../src/history/reader.ts';
import { expectClose } from './history-close.ts';
import { columnsOf } from './history-columns.ts';
import type { HistoryModel } from './history-model.ts';
import { type OracleBucket, oracleBuckets } from './history-oracle.ts';
import type { RigQueries } from './history-rig.ts';
import { samplesIn } from './storage-commits.ts';

const hour = rollupTiers.hour.bucketMs;

/** Who asks: a store and the model that it has to agree with. */
export interface Asked {
  readonly reader: RigQueries;
  readonly model: HistoryModel;
  /** The series there are. */
  readonly series: readonly number[];
  /** A time near which there are readings. */
  readonly time: (random: Random) => number;
}

/** Asks one question of every kind and compares. */
export async function askEverything(asked: Asked, random: Random): Promise<void> {
  await askPages(asked, random);
  await askBoundaries(asked, random);
  await askBuckets(asked, random);
  await askBuckets(asked, random);
  await askAcross(asked, random);
  await askShapes(asked, random);
  await askLog(asked, random);
}

/** All readings of every series, forwards, and the newest of each. */
export async function askAll({ reader, model, series }: Asked): Promise<void> {
  for (const of of series) {
    const range = { series: of, from: Number.MIN_SAFE_INTEGER, to: Number.MAX_SAFE_INTEGER };
    const told = await pagesOf(reader, [range], 'asc', 10_000);
    expect(told[0], `readings of series ${of}`).toEqual(model.of(of).samples());
  }
}

function pick<T>(random: Random, of: readonly T[]): T {
  return of[Math.floor(random.next() * of.length)];
}

function below(random: Random, limit: number): number {
  return Math.floor(random.next() * limit);
}

function rangesOf({ series, time }: Asked, random: Random): SeriesRange[] {
  return Array.from({ length: 1 + below(random, 3) }, () => {
    const [one, other] = [time(random), time(random)];
    const isOpen = random.next() < 0.2;
    return {
      series: pick(random, series),
      from: isOpen ? Number.MIN_SAFE_INTEGER : Math.min(one, other),
      to: isOpen ? Number.MAX_SAFE_INTEGER : Math.max(one, other) + below(random, 2),
    };
  });
}

function within(samples: readonly Sample[], { from, to }: SeriesRange): Sample[] {
  return samples.filter(({ time }) => time >= from && time < to);
}

/** Reads all pages; `meanwhile` comes between two of them. */
export async function pagesOf(
  reader: RigQueries,
  ranges: readonly SeriesRange[],
  order: 'asc' | 'desc',
  limit: number,
  meanwhile: () => void = () => undefined,
): Promise<Sample[][]> {
  const found: Sample[][] = ranges.map(() => []);
  let left = ranges;
  for (;;) {
    const page = await reader.page({ ranges: left, order, limit });
    expect(page.damaged).toEqual([]);
    const skipped = ranges.length - left.length;
    let readings = 0;
    for (const { index, columns } of page.parts) {
      readings += columns.count;
      found[index + skipped].push(...samplesIn(columns));
    }
    expect(readings).toBeLessThanOrEqual(limit);
    if (page.next === null) return found;
    const { index, time } = page.next;
    expect(readings > 0 || index > 0, 'a page gets on').toBe(true);
    left = left
      .slice(index)
      .map((range, at) => (at > 0 ? range : order === 'asc' ? { ...range, from: time } : { ...range, to: time }));
    meanwhile();
  }
}

async function askPages(asked: Asked, random: Random): Promise<void> {
  const { reader, model } = asked;
  const ranges = rangesOf(asked, random);
  const order = pick(random, ['asc', 'desc'] as const);
  const limit = 1 + below(random, pick(random, [5, 40, 300]));
  const found = await pagesOf(reader, ranges, order, limit);
  const expected = ranges.map((range) => {
    const samples = within(model.of(range.series).samples(), range);
    return order === 'asc' ? samples : samples.reverse();
  });
  expect(found, `pages of ${JSON.stringify({ ranges, order, limit })}`).toEqual(expected);
  const readings = expected.reduce((sum, samples) => sum + samples.length, 0);
  const estimate = await reader.estimate(ranges);
  if (readings === 0 || !Number.isFinite(estimate.readings)) expect(estimate.readings).toBeGreaterThanOrEqual(0);
  await askText(asked, ranges, order, expected.flat().slice(0, limit));
}

/** The first page as text, of what page() would have told. */
async function askText(
  { reader }: Asked,
  ranges: readonly SeriesRange[],
  order: 'asc' | 'desc',
  expected: readonly Sample[],
): Promise<void> {
  const labels = ranges.map(({ series }) => ({ device: 'd', metric: `m${series}`, unit: null }));
  const limit = Math.max(expected.length, 1);
  const { bytes } = await reader.text({ ranges, order, limit, format: 'ndjson', labels });
  const lines = new TextDecoder().decode(bytes).split('\n').filter(Boolean);
  const told = lines.map((line) => {
    const { time, value } = JSON.parse(line) as { time: string; value: Value };
    return { time: Date.parse(time), value: value === 0 ? 0 : value };
  });
  // JSON has no negative zero.
  expect(told).toEqual(expected.map(({ time, value }) => ({ time, value: value === 0 ? 0 : value })));
}

async function askBoundaries(asked: Asked, random: Random): Promise<void> {
  const ranges = rangesOf(asked, random);
  const expected = ranges.map(({ series, from, to }) => {
    const samples = asked.model.of(series).samples();
    return {
      before: samples.findLast(({ time }) => time < from) ?? null,
      after: samples.find(({ time }) => time >= to) ?? null,
    };
  });
  expect(await asked.reader.boundaries(ranges), `beside ${JSON.stringify(ranges)}`).toEqual(expected);
}

const someAggregates: readonly Aggregate[] = [
  ...plainAggregates.map((kind) => ({ kind }) as const),
  { kind: 'percentile', rank: 95 },
  { kind: 'timeInRange', low: -0.25, high: 0.5 },
  { kind: 'duration', state: true },
  { kind: 'duration', state: 'on' },
  { kind: 'duration', state: 0.5 },
];
/** What depends on the order of readings and on those beside the range, of which purged time knows little. */
const neighbours = ['increase', 'rate', 'integral', 'timeWeightedAvg', 'delta', 'timeInRange', 'duration'];

type Question = Pick<AggregateQuery, 'ranges' | 'kinds' | 'grid' | 'aggregates' | 'fill' | 'limit'>;

/** A question about buckets, whose answer is exact also where some of its time is purged. */
function bucketQuestion(asked: Asked, random: Random): Question {
  const { model } = asked;
  const ranges = rangesOf(asked, random).map((range) => bounded(asked, range));
  const isPurged = ranges.some(({ series, from }) => from < model.of(series).rawFrom);
  const fill = isPurged ? pick(random, ['none', 'null'] as const) : pick(random, bucketFills);
  const longest = Math.max(...ranges.map(({ from, to }) => to - from));
  const kinds = ranges.map(() => pick(random, ['gauge', 'counter', 'state'] as const));
  let aggregates = Array.from({ length: 1 + below(random, 4) }, () => pick(random, someAggregates));
  if (random.next() < 0.4) aggregates = aggregates.filter(({ kind }) => ['count', 'sum', 'min', 'last'].includes(kind));
  if (aggregates.length === 0) aggregates = [{ kind: 'count' }];
  if (!isPurged) {
    const grid = anyGrid(random, longest);
    const limit = 1 + below(random, 300);
    if (ranges.every((range) => isNeighbourKept(model, range))) return { ranges, kinds, grid, aggregates, fill, limit };
    const alone = aggregates.filter(({ kind }) => !neighbours.includes(kind));
    return { ranges, kinds, grid, aggregates: alone, fill: pick(random, ['none', 'null']), limit };
  }
  return {
    // Of purged time whole hours are told, whatever the rollup.
    ranges: ranges.map((range) => onHours(range, model.of(range.series).rawFrom)),
    kinds,
    grid: hourlyGrid(random, longest),
    aggregates: aggregates.filter(
      ({ kind }) => !neighbours.includes(kind) || ranges.every((range) => isWhole(model, range)),
    ),
    fill,
    limit: 1 + below(random, 300),
  };
}

/** The reading before the range, if there ever was one, is kept. */
function isNeighbourKept(model: HistoryModel, { series, from }: SeriesRange): boolean {
  const kept = model.of(series).samples();
  return kept.some(({ time }) => time < from) || model.visible(series).every(({ time }) => time >= from);
}

/** All that was purged of the series lies in the range, and rollups know in which order it came. */
function isWhole(model: HistoryModel, { series, from, to }: SeriesRange): boolean {
  const { forgotten, isMixed, rawFrom } = model.of(series);
  return !isMixed && to >= rawFrom && [...forgotten.keys()].every((time) => time >= from);
}

/** No bucket lies further away than there are readings. */
function bounded({ model }: Asked, { series, from, to }: SeriesRange): SeriesRange {
  if (from !== Number.MIN_SAFE_INTEGER) return { series, from, to };
  const samples = model.visible(series);
  const begin = (samples[0]?.time ?? 0) - 7_777;
  return { series, from: begin, to: (samples.at(-1)?.time ?? 0) + 7_777 };
}

function onHours({ series, from, to }: SeriesRange, rawFrom: number): SeriesRange {
  const begin = from < rawFrom ? Math.floor(from / hour) * hour : from;
  return { series, from: begin, to: to < rawFrom ? Math.ceil(to / hour) * hour : Math.max(to, begin) };
}

function anyGrid(random: Random, longest: number): BucketGrid {
  // So few buckets that the definitions are quickly gone through.
  const least = Math.max(1, Math.ceil(longest / 150));
  const wall = [60_000, 900_000, hour, 6 * hour].find((width) => width >= least);
  switch (below(random, 5)) {
    case 0:
      if (wall !== undefined) {
        return { kind: 'wall', width: wall, timeZone: pick(random, ['UTC', 'Asia/Kathmandu', 'America/New_York']) };
      }
      return { kind: 'fixed', width: Math.ceil(least / hour) * hour, origin: 0 };
    case 1:
      return {
        kind: 'calendar',
        unit: longest > 100 * 24 * hour ? 'month' : pick(random, ['day', 'week', 'month'] as const),
        count: 1,
        timeZone: pick(random, ['UTC', 'Europe/Vienna', 'Asia/Kathmandu']),
      };
    case 2:
      return { kind: 'fixed', width: Math.ceil(least / 60_000) * 60_000 * (1 + below(random, 3)), origin: 0 };
    case 3:
      return { kind: 'fixed', width: Math.ceil(least / hour) * hour, origin: 0 };
    default:
      return { kind: 'fixed', width: least + below(random, 100_000), origin: below(random, 1_000) };
  }
}

function hourlyGrid(random: Random, longest: number): BucketGrid {
  const least = Math.ceil(longest / 150 / hour);
  switch (below(random, 4)) {
    case 0:
      return {
        kind: 'calendar',
        unit: longest > 100 * 24 * hour ? 'month' : 'day',
        count: 1,
        timeZone: 'Europe/Vienna',
      };
    case 1:
      return least > 6
        ? { kind: 'fixed', width: least * hour, origin: 0 }
        : { kind: 'wall', width: 6 * hour, timeZone: 'UTC' };
    case 2:
      // Finer than what is left; then buckets are as fine as that.
      return least > 10
        ? { kind: 'fixed', width: least * hour, origin: 0 }
        : { kind: 'fixed', width: 7_919, origin: 13 };
    default:
      return { kind: 'fixed', width: Math.max(least, 1 + below(random, 5)) * hour, origin: 0 };
  }
}

/** The pages of one range behind the first, put together, say what the answer to the whole range says. */
async function askNextPages({ reader, model }: Asked, question: Question, random: Random, next: number): Promise<void> {
  const whole = { ...question, limit: Number.MAX_SAFE_INTEGER };
  const { times, columns } = expectedOf(model, whole, 0);
  let from: number | null = next;
  let row = times.indexOf(next);
  while (from !== null) {
    const until: number = random.next() < 0.3 ? (times[row + 1 + below(random, 20)] ?? Infinity) : Infinity;
    const limit = 1 + below(random, 100);
    const asked: AggregateQuery = {
      ...question,
      limit,
      page: { from, until },
    };
    const label = `page of ${JSON.stringify(asked)}`;
    const [{ buckets, next }] = (await reader.aggregate(asked)).parts;
    expect(buckets.count, label).toBeGreaterThan(0);
    const end = row + buckets.count;
    expect([...buckets.times.subarray(0, buckets.count)], label).toEqual(times.slice(row, end));
    const expected = columns.map((column) => column.slice(row, end));
    expectClose(buckets.columns, expected, label);
    expect(next, label).toBe(times[end] ?? null);
    [from, row] = [next, end];
  }
}

interface Expected {
  readonly times: number[];
  /** By aggregate. */
  readonly columns: (Value | null)[][];
  readonly next: number | null;
  readonly coarsest: Resolution;
}

function expectedOf(model: HistoryModel, question: Question, index: number): Expected {
  const { aggregates, fill, limit } = question;
  const { series, from, to } = question.ranges[index];
  const kind = question.kinds[index];
  const { rawFrom } = model.of(series);
  const purged = model.purgedTiers(series, from, to);
  const grid = gridOf(purged.reduce(widened, question.grid));
  const samples = withNeighbours(model.visible(series), from, to);
  const common = { grid, to, kind, fill };
  const counts = from < to ? oracleBuckets({ ...common, from, samples }, { kind: 'count' }) : [];
  const shown = counts.slice(0, limit);
  const columns = aggregates.map((aggregate) => {
    const isKeptOnly = purged.length > 0 && sourceNeeded([aggregate], kind, fill) === 'readings';
    if (!isKeptOnly) return answersOf(oracleBuckets({ ...common, from, samples }, aggregate), shown);
    const first = grid.begin(rawFrom) < rawFrom ? grid.next(grid.begin(rawFrom)) : rawFrom;
    const kept = withNeighbours(model.of(series).samples(), first, to);
    return answersOf(first < to ? oracleBuckets({ ...common, from: first, samples: kept }, aggregate) : [], shown);
  });
  return {
    times: shown.map(({ time }) => time),
    columns,
    next: counts[limit]?.time ?? null,
    coarsest: purged.includes('hour') ? '1h' : purged.includes('minute') ? '1m' : 'raw',
  };
}

/** The readings of a range, and one on either side of it: no more is known of what lies beyond. */
function withNeighbours(samples: readonly Sample[], from: number, to: number): Sample[] {
  const first = samples.findIndex(({ time }) => time >= from);
  const begin = first < 0 ? samples.length : first;
  const end = samples.findIndex(({ time }) => time >= to);
  return samples.slice(Math.max(begin - 1, 0), end < 0 ? samples.length : end + 1);
}

function answersOf(buckets: readonly OracleBucket[], shown: readonly OracleBucket[]): (Value | null)[] {
  const byTime = new Map(buckets.map(({ time, answer }) => [time, answer]));
  return shown.map(({ time }) => byTime.get(time) ?? null);
}

function widened(grid: BucketGrid, tier: RollupTier): BucketGrid {
  const { bucketMs } = rollupTiers[tier];
  if (grid.kind === 'calendar' || grid.width >= bucketMs || gridOf(grid).isOn(bucketMs)) return grid;
  return { kind: 'fixed', width: bucketMs, origin: 0 };
}

async function askBuckets(asked: Asked, random: Random): Promise<void> {
  const { reader, model } = asked;
  const question = bucketQuestion(asked, random);
  if (question.aggregates.length === 0 || isTooFine(model, question)) return;
  const page = await reader.aggregate(question);
  const name = JSON.stringify(question);
  expect(page.damaged, name).toEqual([]);
  expect(page.parts).toHaveLength(question.ranges.length);
  for (const [index, { buckets, next, resolution }] of page.parts.entries()) {
    const expected = expectedOf(model, question, index);
    const label = `part ${index} of ${name}`;
    expect([...buckets.times.subarray(0, buckets.count)], label).toEqual(expected.times);
    expect(next, label).toBe(expected.next);
    expectClose(buckets.columns, expected.columns, label);
    const order: readonly Resolution[] = ['raw', '1m', '1h'];
    if (expected.next === null) {
      expect(order.indexOf(resolution), label).toBeGreaterThanOrEqual(order.indexOf(expected.coarsest));
    }
    if (next !== null) {
      const alone = { ...question, ranges: [question.ranges[index]], kinds: [question.kinds[index]] };
      await askNextPages(asked, alone, random, next);
    }
  }
}

/** Whether the definitions would be gone through for thousands of buckets. */
function isTooFine(model: HistoryModel, { ranges, grid }: Question): boolean {
  return ranges.some(({ series, from, to }) => {
    const wide = model.purgedTiers(series, from, to).reduce(widened, grid);
    return wide.kind !== 'calendar' && (to - from) / wide.width > 400;
  });
}

async function askAcross(asked: Asked, random: Random): Promise<void> {
  const { reader, model } = asked;
  const question = bucketQuestion(asked, random);
  const [aggregate] = question.aggregates;
  if (!aggregate || isTooFine(model, question)) return;
  const { ranges, kinds, grid, limit } = question;
  // Series of one question have one grid; where only some are told in wide buckets, they are reduced apart.
  const grids = new Set(
    ranges.map(({ series, from, to }) => JSON.stringify(model.purgedTiers(series, from, to).reduce(widened, grid))),
  );
  if (grids.size > 1) return;
  const groupOf = ranges.map(({ series }) => series % 2);
  const page = await reader.across({ ranges, kinds, groupOf, groups: 2, grid, aggregate, limit });
  const end = page.next ?? Number.POSITIVE_INFINITY;
  for (const group of [0, 1]) {
    const values = new Map<number, number[]>();
    for (const [index] of ranges.entries()) {
      if (groupOf[index] !== group) continue;
      const all = { ...question, aggregates: [aggregate], fill: 'none', limit: Number.MAX_SAFE_INTEGER } as const;
      const { times, columns } = expectedOf(model, all, index);
      for (const [row, time] of times.entries()) {
        const value = columns[0][row];
        if (time >= end || value === null || typeof value === 'string') continue;
        values.set(time, [...(values.get(time) ?? []), Number(value)]);
      }
    }
    const { count, times, series, sums, mins, maxs } = page.groups[group];
    const told = Array.from({ length: count }, (_, row) => [times[row], series[row], sums[row], mins[row], maxs[row]]);
    const expected = [...values]
      .sort(([a], [b]) => a - b)
      .map(([time, of]) => [time, of.length, of.reduce((sum, one) => sum + one, 0), Math.min(...of), Math.max(...of)]);
    expectClose(told, expected, `across ${JSON.stringify({ ...question, aggregate, groupOf })}`);
  }
}

async function askShapes(asked: Asked, random: Random): Promise<void> {
  const { reader, model } = asked;
  const ranges = rangesOf(asked, random);
  const points = 2 + below(random, 40);
  const method = pick(random, ['minmax', 'lttb'] as const);
  const page = await reader.decimate({ ranges, points, method });
  const name = JSON.stringify({ ranges, points, method });
  expect(page.damaged, name).toEqual([]);
  for (const [index, range] of ranges.entries()) {
    const { columns, resolution } = page.parts[index];
    const told = samplesIn(columns);
    const inside = within(model.of(range.series).samples(), range);
    const tiers = model.purgedTiers(range.series, range.from, range.to);
    if (tiers.length === 0) {
      expect(told, name).toEqual(shapeOf(inside, points, method));
      expect(resolution, name).toBe('raw');
      continue;
    }
    if (told.length > 0) expect(resolution, name).toBe(tiers.includes('hour') ? '1h' : '1m');
    expect(told.length, name).toBeLessThanOrEqual(points);
    const known = new Map<Value, true>(model.visible(range.series).map(({ value }) => [Number(value) + 0, true]));
    for (const [row, { time, value }] of told.entries()) {
      if (row > 0) expect(time, name).toBeGreaterThanOrEqual(told[row - 1].time);
      expect(known.has(Number(value) + 0), `${name} tells ${value}`).toBe(true);
    }
  }
}

function shapeOf(samples: readonly Sample[], points: number, method: 'minmax' | 'lttb'): Sample[] {
  const [first, last] = [samples[0], samples.at(-1)];
  if (!first || !last) return [];
  const decimation = new Decimation({
    from: first.time,
    to: last.time + 1,
    readings: samples.length,
    points,
    method,
  });
  decimation.add(columnsOf(samples), 0, samples.length);
  return samplesIn(decimation.close());
}

/** The log tells each commit from some point on, less what was deleted since. */
async function askLog({ reader, model }: Asked, random: Random): Promise<void> {
  const newest = model.log.at(-1)?.seq ?? 0;
  const { firstKept } = await reader.log({ after: 0, readingsMax: 1 });
  let after = firstKept - 1 + below(random, newest - firstKept + 2);
  const expected = model.log.filter(({ seq }) => seq > after);
  const told: unknown[] = [];
  while (after < newest) {
    const { batches, last } = await reader.log({ after, readingsMax: 1 + below(random, 200) });
    expect(last).toBeGreaterThan(after);
    for (const { seq, at, readings } of batches) {
      const rows = Array.from({ length: readings.count }, (_, row) => [
        readings.series[row],
        readings.times[row],
        valueAt(readings, row),
      ]);
      told.push({ seq, at, rows });
    }
    after = last;
  }
  expect(told, 'the log').toEqual(expected);
}
