import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import type { Engine } from '../../src/history/engine.ts';
import type { DecimatePage } from '../../src/history/queries.ts';
import type { Sample } from '../../src/history/reader.ts';
import { Database } from '../../src/storage/sqlite/database.ts';
import { createSqliteEngine } from '../../src/storage/sqlite/engine.ts';
import { FakeClock } from '../support/fake-clock.ts';
import type { Row } from '../support/storage-commits.ts';
import { commitOf, newSeries, samplesIn, untilStats } from '../support/storage-commits.ts';
import { tempFolder } from '../support/temp-folder.ts';

const minute = 60_000;
const windowMs = 360 * minute;
const begin = Math.floor(1_790_000_000_000 / windowMs) * windowMs;
/** More than are looked at one by one: a reading a second. */
const count = 240_000;
const spikes = [31_007, 150_033];

let folder: ReturnType<typeof tempFolder>;
let engine: Engine;

beforeEach(() => {
  folder = tempFolder();
});
afterEach(async () => {
  await engine.close();
  folder.remove();
});

function open(clock: FakeClock): Promise<unknown> {
  engine = createSqliteEngine({ dir: folder.path, clock, log: silentLog, sealAfterMs: 60_000 });
  return engine.open();
}

function valueAt(row: number): number {
  return spikes.includes(row) ? 1_000 + row : Math.round(Math.sin(row / 10_000) * 100);
}

async function shape(method: 'minmax' | 'lttb'): Promise<{ part: DecimatePage['parts'][number]; samples: Sample[] }> {
  const ranges = [{ series: 1, from: begin - minute, to: begin + 2 * count * 1_000 }];
  const { parts, damaged } = await engine.reader.decimate({ ranges, points: 40, method });
  expect(damaged).toEqual([]);
  return { part: parts[0], samples: samplesIn(parts[0].columns) };
}

it('the shape of very many readings comes from rollups and what was written over them, and from the readings where one is damaged', async () => {
  const clock = new FakeClock();
  await open(clock);
  let seq = 0;
  for (let row = 0; row < count; row += 10_000) {
    const rows = Array.from({ length: 10_000 }, (_, at): Row => [1, begin + (row + at) * 1_000, valueAt(row + at)]);
    await engine.commit(commitOf(++seq, rows, { at: begin + row * 1_000, newSeries: seq === 1 ? newSeries(1) : [] }));
  }
  await untilStats(engine, ({ rollups, headReadings }) => {
    clock.advance(5_100);
    return headReadings === 0 && rollups >= 10;
  });
  // Late and not yet sealed, in a minute that is summed up.
  const late = begin + 90_000_500;
  await engine.commit(commitOf(++seq, [[1, late, -5_000]]));

  const compare = async (): Promise<void> => {
    for (const method of ['minmax', 'lttb'] as const) {
      const { part, samples } = await shape(method);
      expect(part.resolution).toBe('1m');
      expect(samples.length).toBeLessThanOrEqual(40);
      for (const row of spikes) {
        const spike = samples.find(({ value }) => value === valueAt(row));
        expect(Math.floor((spike?.time ?? 0) / minute)).toBe(Math.floor((begin + row * 1_000) / minute));
      }
      expect(samples).toContainEqual({ time: late, value: -5_000 });
      expect(samples.map(({ time }) => time)).toEqual(samples.map(({ time }) => time).sort((a, b) => a - b));
      if (method === 'minmax') continue;
      expect(samples[0]).toEqual({ time: begin, value: valueAt(0) });
      expect(samples.at(-1)).toEqual({ time: begin + (count - 1) * 1_000, value: valueAt(count - 1) });
    }
  };
  await compare();

  await engine.close();
  const database = new Database(join(folder.path, 'pulsegate.db'), { busyTimeoutMs: 0 });
  // The window that holds the first spike.
  database.exec(
    'UPDATE rollup SET bytes = zeroblob(length(bytes)) WHERE id = (SELECT id FROM rollup ORDER BY id LIMIT 1 OFFSET 1)',
  );
  database.close();
  await open(clock);
  await compare();
  const { samples } = await shape('minmax');
  expect(samples).toContainEqual({ time: begin + spikes[0] * 1_000, value: valueAt(spikes[0]) });
});
