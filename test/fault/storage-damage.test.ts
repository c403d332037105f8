// Every byte of what is sealed is changed, one after the other, under a running engine: whatever stood there costs its
// own readings and nothing else.
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import { disposition, type Value } from '../../src/domain/reading.ts';
import { sampleValue } from '../../src/domain/sample-columns.ts';
import type { Engine } from '../../src/history/engine.ts';
import { Database } from '../../src/storage/sqlite/database.ts';
import { createSqliteEngine } from '../../src/storage/sqlite/engine.ts';
import { type Blob, blobsOf, damage } from '../support/damaged-store.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { commitOf, type Row, untilStats } from '../support/storage-commits.ts';
import { tempFolder } from '../support/temp-folder.ts';

const start = 1_790_000_000_000;
const metrics = ['flow', 'level', 'valve', 'mode'];
const perChunk = 64;
const errors: string[] = [];

let folder: ReturnType<typeof tempFolder>;
let engine: Engine;
let outside: Database;
let seq: number;

beforeEach(async () => {
  folder = tempFolder();
  errors.length = 0;
  const clock = new FakeClock();
  const log = { ...silentLog, error: (_: object, message: string) => void errors.push(message) };
  engine = createSqliteEngine({ dir: folder.path, clock, log, sealCount: perChunk, sealAfterMs: 60_000 });
  await engine.open();
  const newSeries = metrics.map((metric, index) => ({ id: index + 1, device: 'pump', metric }));
  for (seq = 1; seq <= 3; seq++) {
    const rows = Array.from({ length: perChunk }, (_, index) => rowsAt((seq - 1) * perChunk + index));
    await engine.commit(commitOf(seq, rows.flat(), { newSeries: seq === 1 ? newSeries : [] }));
    await untilStats(engine, ({ headReadings }) => headReadings === 0);
  }
  outside = new Database(join(folder.path, 'pulsegate.db'), { busyTimeoutMs: 1_000 });
});
afterEach(async () => {
  outside.close();
  await engine.close();
  folder.remove();
});

/** A second apart, with a jitter that costs bytes, so that it pays to keep the times once. */
function timeOf(number: number): number {
  return start + number * 1_000 + (Math.imul(number * number, 0x9e_37_79_b1) >>> 23);
}

function valueOf(series: number, number: number): Value {
  return [number / 10, number, number % 3 === 0, `mode ${number % 5}`][series - 1];
}

function rowsAt(number: number): Row[] {
  return metrics.map((_, index): Row => [index + 1, timeOf(number), valueOf(index + 1, number)]);
}

/** What a series has in all, less the readings of chunks that are damaged. */
async function read(series: number): Promise<{
  readonly numbers: readonly number[];
  readonly damaged: readonly { readonly firstTime: number; readonly lastTime: number; readonly readings: number }[];
}> {
  const range = { series, from: 0, to: Number.MAX_SAFE_INTEGER };
  const { parts, next, damaged } = await engine.reader.page({ ranges: [range], order: 'asc', limit: 10_000 });
  expect(next).toBe(null);
  const numbers = parts.flatMap(({ columns }) =>
    Array.from({ length: columns.count }, (_, row) => {
      const number = Math.floor((columns.times[row] - start) / 1_000);
      expect([columns.times[row], sampleValue(columns, row)]).toEqual([timeOf(number), valueOf(series, number)]);
      return number;
    }),
  );
  for (const stretch of damaged) expect(stretch.series).toBe(series);
  return { numbers, damaged };
}

function chunkNumbers(chunk: number): number[] {
  return Array.from({ length: perChunk }, (_, index) => chunk * perChunk + index);
}

const seriesOf = ({ key }: Blob): number => Math.floor(key / 2 ** 31);

describe('a changed byte of a chunk', () => {
  it.each(metrics.map((metric, index) => [metric, index + 1] as const))(
    'of %s is named and leaves every other chunk as it is, wherever it stands',
    async (_, series) => {
      const blob = blobsOf(outside, 'chunk').filter((found) => seriesOf(found) === series)[1];
      for (let at = 0; at < blob.bytes.length; at++) {
        damage(outside, blob, at, 1 << (at % 8));
        const { numbers, damaged } = await read(series);
        expect(numbers, `byte ${at}`).toEqual([...chunkNumbers(0), ...chunkNumbers(2)]);
        expect(damaged).toEqual([
          { series, firstTime: timeOf(perChunk), lastTime: timeOf(2 * perChunk - 1), readings: perChunk },
        ]);
      }
      for (const other of [1, 2, 3, 4]) {
        if (other !== series) expect(await read(other)).toMatchObject({ numbers: { length: 192 }, damaged: [] });
      }
      damage(outside, blob, null);
      expect(await read(series)).toMatchObject({ numbers: { length: 192 }, damaged: [] });
      // Told once, however often it is asked for.
      expect(errors).toHaveLength(1);
      expect((await engine.reader.stats()).damagedChunks).toBeGreaterThan(0);
    },
  );
});

it('a changed byte of shared times costs the chunks that share them, and no other', async () => {
  const [, blob] = blobsOf(outside, 'time_column');
  const sharing = outside.prepare('SELECT series FROM chunk WHERE times = ? ORDER BY series').all(blob.key);
  expect(sharing.length).toBeGreaterThan(1);
  for (let at = 0; at < blob.bytes.length; at++) {
    damage(outside, blob, at, 1 << (at % 8));
    for (let series = 1; series <= metrics.length; series++) {
      const isSharing = sharing.some(([of]) => of === series);
      const { numbers, damaged } = await read(series);
      expect(numbers.length, `byte ${at}, series ${series}`).toBe(isSharing ? 2 * perChunk : 3 * perChunk);
      expect(damaged).toHaveLength(isSharing ? 1 : 0);
    }
  }
});

it('commits go on over damaged chunks: late readings are stored, and so is what comes after', async () => {
  for (const blob of blobsOf(outside, 'chunk')) damage(outside, blob, 4);
  const late = await engine.commit(commitOf(seq, rowsAt(70)));
  expect(new Set(late.dispositions ?? [disposition.stored])).toEqual(new Set([disposition.stored]));
  await engine.commit(commitOf(seq + 1, rowsAt(500)));
  expect((await read(2)).numbers).toEqual([70, 500]);
  const { deleted } = await engine.commit(
    commitOf(seq + 2, [], { deletions: [{ series: 2, from: 0, to: timeOf(71) }] }),
  );
  expect(deleted?.newest).toEqual([{ series: 2, time: timeOf(500), value: 500 }]);
  expect((await read(2)).numbers).toEqual([500]);
  await engine.close();
  await engine.open();
  expect((await read(2)).numbers).toEqual([500]);
});
