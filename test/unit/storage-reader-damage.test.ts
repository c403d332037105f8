import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Log } from '../../src/base/log.ts';
import type { Engine } from '../../src/history/engine.ts';
import type { AggregatePage, AggregateQuery } from '../../src/history/queries.ts';
import { Database } from '../../src/storage/sqlite/database.ts';
import { createSqliteEngine } from '../../src/storage/sqlite/engine.ts';
import { FakeClock } from '../support/fake-clock.ts';
import type { Row } from '../support/storage-commits.ts';
import { commitOf, newSeries, samplesIn, untilStats } from '../support/storage-commits.ts';
import { tempFolder } from '../support/temp-folder.ts';

const hour = 3_600_000;
/** A window of minutes begins here. */
const begin = Math.floor(1_790_000_000_000 / (6 * hour)) * 6 * hour;
/** A day and a half, a reading every two seconds, whole numbers. */
const count = 36 * 1_800;

let folder: ReturnType<typeof tempFolder>;
let clock: FakeClock;
let errors: string[];
let engine: Engine;

function open(): Promise<unknown> {
  const log: Log = {
    debug: () => {},
    info: () => {},
    warn: () => {},
    error: (_: object, message: string) => errors.push(message),
  };
  engine = createSqliteEngine({ dir: folder.path, clock, log, sealCount: 1_024, sealAfterMs: 60_000 });
  return engine.open();
}

beforeEach(async () => {
  folder = tempFolder();
  clock = new FakeClock();
  errors = [];
  await open();
  let seq = 0;
  for (let row = 0; row < count; row += 5_400) {
    const rows = Array.from(
      { length: 5_400 },
      (_, index): Row => [1, begin + (row + index) * 2_000, (row + index) % 7],
    );
    await engine.commit(commitOf(++seq, rows, { at: begin + row * 2_000, newSeries: seq === 1 ? newSeries(1) : [] }));
  }
  await engine.commit(commitOf(++seq, [[1, begin + 48 * hour, 1]], { at: begin + 48 * hour }));
});
afterEach(async () => {
  await engine.close();
  folder.remove();
});

/** Changes the store while it is closed. */
async function damage(sql: string): Promise<void> {
  await engine.close();
  const database = new Database(join(folder.path, 'pulsegate.db'), { busyTimeoutMs: 0 });
  database.exec(sql);
  database.close();
  await open();
}

const query: AggregateQuery = {
  ranges: [{ series: 1, from: begin, to: begin + 36 * hour }],
  kinds: ['gauge'],
  grid: { kind: 'fixed', width: hour, origin: 0 },
  aggregates: [{ kind: 'count' }, { kind: 'sum' }],
  fill: 'none',
  limit: 1_000,
};

function countsOf(page: AggregatePage): readonly unknown[] {
  return page.parts[0].buckets.columns[0];
}

async function untilRolledUp(): Promise<void> {
  await untilStats(engine, ({ rollups, headReadings }) => {
    clock.advance(5_100);
    return headReadings === 0 && rollups >= 6;
  });
}

it('a damaged rollup costs nothing while the readings are there', async () => {
  await untilRolledUp();
  const before = await engine.reader.aggregate(query);
  expect(before.parts[0].resolution).not.toBe('raw');
  await damage(
    'UPDATE rollup SET bytes = zeroblob(length(bytes)) WHERE id IN (SELECT id FROM rollup ORDER BY id LIMIT 2)',
  );
  const after = await engine.reader.aggregate(query);
  expect(countsOf(after)).toEqual(Array.from({ length: 36 }, () => 1_800));
  expect(after.parts[0].buckets).toEqual(before.parts[0].buckets);
  expect(after.damaged).toEqual([]);
});

it('where the readings are gone a damaged rollup costs its own hours, and the answer names them', async () => {
  await engine.retain({
    policies: [{ raw: 24 * hour, minute: null, hour: 0 }],
    ofSeries: new Uint16Array(2),
  });
  await untilStats(engine, ({ purgedReadings }) => {
    clock.advance(5_100);
    return purgedReadings >= 24 * 1_800 - 1_024;
  });
  expect(countsOf(await engine.reader.aggregate(query))).toEqual(Array.from({ length: 36 }, () => 1_800));
  await damage('UPDATE rollup SET bytes = zeroblob(length(bytes)) WHERE id = (SELECT min(id) FROM rollup)');
  const page = await engine.reader.aggregate(query);
  expect(countsOf(page)).toEqual(Array.from({ length: 30 }, () => 1_800));
  expect(page.parts[0].buckets.times[0]).toBe(begin + 6 * hour);
  expect(page.damaged).toEqual([{ series: 1, firstTime: begin, lastTime: begin + 6 * hour - 1, readings: 0 }]);
  const shape = await engine.reader.decimate({ ranges: query.ranges, points: 50, method: 'lttb' });
  expect(shape.damaged).toEqual(page.damaged);
  expect(shape.parts[0].columns.count).toBeGreaterThan(40);
});

it('a damaged chunk costs its own readings in every kind of answer, is logged once and counted', async () => {
  clock.advance(120_000);
  await untilStats(engine, ({ headReadings }) => headReadings === 0);
  await damage(
    'UPDATE chunk SET bytes = zeroblob(length(bytes)) WHERE id = (SELECT id FROM chunk WHERE time_min > (SELECT min(time_max) FROM chunk) ORDER BY time_min LIMIT 1); DELETE FROM rollup; UPDATE series SET minute_to = minute_from, hour_to = hour_from',
  );
  const { ranges } = query;
  const page = await engine.reader.page({ ranges, order: 'asc', limit: 10_000 });
  expect(page.damaged).toHaveLength(1);
  const [{ firstTime, lastTime, readings }] = page.damaged;
  const times = page.parts.flatMap(({ columns }) => samplesIn(columns)).map(({ time }) => time);
  expect(times.some((time) => time >= firstTime && time <= lastTime)).toBe(false);
  expect(times).toHaveLength(10_000);
  expect(times[9_999]).toBe(begin + (9_999 + readings) * 2_000);

  const back = await engine.reader.page({ ranges: [{ ...ranges[0], to: lastTime + 2_001 }], order: 'desc', limit: 2 });
  expect(back.parts.flatMap(({ columns }) => samplesIn(columns)).map(({ time }) => time)).toEqual([
    lastTime + 2_000,
    firstTime - 2_000,
  ]);
  const [boundaries] = await engine.reader.boundaries([{ series: 1, from: lastTime + 1, to: lastTime + 1 }]);
  expect([boundaries.before?.time, boundaries.after?.time]).toEqual([firstTime - 2_000, lastTime + 2_000]);
  const buckets = await engine.reader.aggregate({ ...query, aggregates: [{ kind: 'median' }, { kind: 'count' }] });
  expect(buckets.damaged).toEqual(page.damaged);
  const counted = buckets.parts[0].buckets.columns[1].reduce((sum: number, one) => sum + Number(one), 0);
  expect(counted).toBe(count - readings);

  expect((await engine.reader.stats()).damagedChunks).toBe(1);
  expect(errors.filter((message) => message.includes('is damaged'))).toHaveLength(1);
});
