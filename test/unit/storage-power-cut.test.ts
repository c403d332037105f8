import { statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import type { Engine } from '../../src/history/engine.ts';
import { createSqliteEngine } from '../../src/storage/sqlite/engine.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { allReadings, commitOf, crashImage, newSeries, type Row, untilStats } from '../support/storage-commits.ts';
import { tempFolder } from '../support/temp-folder.ts';

const walName = 'pulsegate.db-wal';
/** A frame of the write-ahead log: a page of 4 KB and its header. */
const frameBytes = 4_096 + 24;

function engineIn(dir: string, clock = new FakeClock()): Engine {
  return createSqliteEngine({ dir, clock, log: silentLog, sealAfterMs: 6_000 });
}

// Sealing is not synced by itself: what the disk then has of it after a power cut is a beginning of the log that is at
// least as long as it was when the last commit was answered.
it('a power cut anywhere behind the last commit leaves every acknowledged reading, sealed or not', async () => {
  const folder = tempFolder();
  const clock = new FakeClock();
  const engine = engineIn(folder.path, clock);
  await engine.open();
  const rows: Row[] = Array.from({ length: 700 }, (_, index) => [1 + (index % 3), 1_000 + index, index / 8]);
  await engine.commit(commitOf(1, rows.slice(0, 90), { newSeries: newSeries(3) }));
  await engine.commit(commitOf(2, rows.slice(90)));
  const acknowledged = statSync(join(folder.path, walName)).size;
  // Heads are sealed when they are old, which is before a checkpoint is due.
  clock.advance(12_000);
  await untilStats(engine, ({ headReadings }) => headReadings === 0);
  const sealed = statSync(join(folder.path, walName)).size;
  expect(sealed).toBeGreaterThan(acknowledged + frameBytes);
  for (let length = acknowledged; length <= sealed; length += frameBytes) {
    const image = crashImage(folder.path);
    truncateSync(join(image.path, walName), length);
    const again = engineIn(image.path);
    const { seq } = await again.open();
    expect(seq).toBe(2);
    for (const series of [1, 2, 3]) {
      const expected = rows.filter(([of]) => of === series).map(([, time, value]) => ({ time, value }));
      expect(await allReadings(again, series), `cut at ${length} of ${sealed}`).toEqual(expected);
    }
    await again.close();
    image.remove();
  }
  await engine.close();
  folder.remove();
});
