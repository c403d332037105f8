import { afterEach, beforeEach, expect, it } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import { ReadingBuilder } from '../../src/domain/reading-builder.ts';
import type { Engine } from '../../src/history/engine.ts';
import { createSqliteEngine } from '../../src/storage/sqlite/engine.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { commitOf, newSeries } from '../support/storage-commits.ts';
import { tempFolder } from '../support/temp-folder.ts';

let folder: ReturnType<typeof tempFolder>;
let engine: Engine;

beforeEach(async () => {
  folder = tempFolder();
  engine = createSqliteEngine({
    dir: folder.path,
    clock: new FakeClock(),
    log: silentLog,
    resumeWindow: { ms: 900_000, bytes: 8 << 20 },
  });
  await engine.open();
});
afterEach(async () => {
  await engine.close();
  folder.remove();
});

it('the write-ahead log and the file stay bounded while commits and reads never pause', async () => {
  const seriesCount = 500;
  const rounds = 1_600;
  const progress = { isDone: false };
  let reads = 0;
  const read = async (): Promise<void> => {
    // Three pages asked for at any time, so that there is always a snapshot open.
    while (!progress.isDone) {
      await engine.reader.page({ ranges: [{ series: 1, from: 0, to: 1e15 }], order: 'asc', limit: 100_000 });
      reads++;
    }
  };
  let walMax = 0;
  const write = async (): Promise<void> => {
    for (let seq = 1; seq <= rounds; seq++) {
      const builder = new ReadingBuilder(2_000);
      for (let row = 0; row < 2_000; row++) {
        // Series 1 gets the lion's share, so that its pages are long.
        builder.add(row % 4 === 0 ? 1 + (row % seriesCount) : 1, seq * 2_000 + row, Math.sqrt(row));
      }
      await engine.commit({
        ...commitOf(seq, []),
        readings: builder.build(),
        newSeries: seq === 1 ? newSeries(seriesCount) : [],
      });
      if (seq % 20 === 0) walMax = Math.max(walMax, (await engine.reader.stats()).walBytes);
    }
    progress.isDone = true;
  };
  await Promise.all([write(), read(), read(), read()]);
  const { fileBytes } = await engine.reader.stats();
  expect(reads).toBeGreaterThan(50);
  // About 35 MB went through the log. Four are let wait, sixteen bring the writer to wait; the rest is what came meanwhile.
  expect(walMax).toBeLessThan(28 << 20);
  // Noisy values take 6 to 9 bytes sealed; without pages being used again the log alone would add 35 MB to that.
  expect(fileBytes).toBeLessThan(48 << 20);
});
