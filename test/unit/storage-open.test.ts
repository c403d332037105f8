import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import type { Engine } from '../../src/history/engine.ts';
import { EngineOpenError } from '../../src/history/engine.ts';
import { lockDataFolder } from '../../src/storage/data-lock.ts';
import { createSqliteEngine } from '../../src/storage/sqlite/engine.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { allReadings, commitOf, crashImage, newSeries, readingsOf, untilStats } from '../support/storage-commits.ts';
import { tempFolder } from '../support/temp-folder.ts';

let folder: ReturnType<typeof tempFolder>;
let path: string;

function engineIn(dir: string): Engine {
  return createSqliteEngine({ dir, clock: new FakeClock(), log: silentLog, sealCount: 64 });
}

/** A store with a hundred sealed readings and one in the log. */
async function makeStore(dir = folder.path): Promise<void> {
  const engine = engineIn(dir);
  await engine.open();
  const rows = Array.from({ length: 100 }, (_, index) => [1, index, index / 8] as const);
  await engine.commit(commitOf(1, rows, { newSeries: newSeries(1) }));
  await untilStats(engine, ({ headReadings }) => headReadings === 0);
  await engine.commit(commitOf(2, [[1, 100, 12.5]]));
  await engine.close();
}

function change(sql: string): void {
  const database = new DatabaseSync(path);
  database.exec(sql);
  database.close();
}

/** What `open` says; fails when it opens. */
async function refusal(dir = folder.path): Promise<string> {
  const error = await engineIn(dir)
    .open()
    .then(
      () => new Error('it opened'),
      (thrown: unknown) => thrown,
    );
  expect(error).toBeInstanceOf(EngineOpenError);
  return error instanceof Error ? error.message : '';
}

beforeEach(() => {
  folder = tempFolder();
  path = join(folder.path, 'pulsegate.db');
});
afterEach(() => folder.remove());

describe('a database is refused with a sentence and left as it is', () => {
  it('when a newer version made it', async () => {
    await makeStore();
    change('PRAGMA user_version = 7');
    const before = readFileSync(path);
    expect(await refusal()).toContain(`${path} has version 7, made by a newer Pulsegate`);
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(existsSync(`${path}-wal`)).toBe(false);
  });

  it.each([
    ['text', 'this is no database, but long enough to hold a header of one hundred bytes '.repeat(4)],
    ['a few bytes', 'oops'],
  ])('when the file is %s', async (_, content) => {
    writeFileSync(path, content);
    expect(await refusal()).toContain(`The file ${path} is not a SQLite database`);
    expect(readFileSync(path, 'utf8')).toBe(content);
  });

  it('when another program made it', async () => {
    change('CREATE TABLE theirs (a)');
    const before = readFileSync(path);
    expect(await refusal()).toContain('is a SQLite database of another program');
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  it('when its pages are overwritten', async () => {
    await makeStore();
    const bytes = readFileSync(path);
    bytes.fill(0xa5, 4_096);
    writeFileSync(path, bytes);
    expect(await refusal()).toContain(`The database ${path} is damaged`);
  });

  it('when its end is missing', async () => {
    await makeStore();
    truncateSync(path, 5_000);
    expect(await refusal()).toContain(`The database ${path} is damaged`);
  });

  it('when a commit in the log is damaged in a way that SQLite does not see', async () => {
    await makeStore();
    change(
      "UPDATE commit_log SET bytes = CAST(substr(bytes, 1, length(bytes) - 4) || x'00000000' AS BLOB) WHERE seq = 2",
    );
    expect(await refusal()).toMatch(
      /is damaged \(commit 2 of its log cannot be read: commit record of \d+ bytes fails its checksum\)/,
    );
  });

  it('when its folder is a file', async () => {
    writeFileSync(join(folder.path, 'file'), '');
    expect(await refusal(join(folder.path, 'file', 'data'))).toContain('cannot be made');
  });
});

describe('what is damaged is not answered as if it were whole', () => {
  it('a chunk that fails its checksum is left out and named, and the others are answered', async () => {
    await makeStore();
    change('UPDATE chunk SET bytes = zeroblob(length(bytes)) WHERE id & 2147483647 = 0');
    const engine = engineIn(folder.path);
    await engine.open();
    const all = { ranges: [{ series: 1, from: 0, to: 1_000 }], order: 'asc', limit: 100 } as const;
    const page = await engine.reader.page(all);
    expect(page.damaged).toEqual([{ series: 1, firstTime: 0, lastTime: 49, readings: 50 }]);
    expect(page.parts.map(({ columns }) => columns.count)).toEqual([51]);
    expect((await engine.reader.stats()).damagedChunks).toBe(1);
    const newest = { series: 1, from: 60, to: 1_000, order: 'asc', limit: 100 } as const;
    expect(await readingsOf(engine, newest)).toHaveLength(41);
    await engine.close();
  });
});

describe('after a kill', () => {
  it('a late reading that was acknowledged after its time was sealed is still there', async () => {
    const engine = engineIn(folder.path);
    await engine.open();
    const rows = Array.from({ length: 100 }, (_, index) => [1, index * 10, index] as const);
    await engine.commit(commitOf(1, rows, { newSeries: newSeries(1) }));
    await untilStats(engine, ({ headReadings }) => headReadings === 0);
    // Late, replaced and in order, all after the seal; by their times the first two look as if they were sealed.
    await engine.commit(
      commitOf(2, [
        [1, 505, -1],
        [1, 500, -2],
        [1, 2_000, 3],
      ]),
    );
    const image = crashImage(folder.path);
    await engine.close();
    const revived = engineIn(image.path);
    const recovered = await revived.open();
    expect(recovered).toMatchObject({ seq: 2, series: [{ time: 2_000, value: 3 }] });
    const expected = new Map<number, number>([
      ...rows.map(([, time, value]) => [time, value] as const),
      [505, -1],
      [500, -2],
      [2_000, 3],
    ]);
    const found = await allReadings(revived, 1);
    expect(found).toEqual([...expected].sort(([a], [b]) => a - b).map(([time, value]) => ({ time, value })));
    await revived.close();
    image.remove();
  });

  it('readings of a seal that was committed are not read from the log a second time', async () => {
    const engine = engineIn(folder.path);
    await engine.open();
    const rows = Array.from({ length: 100 }, (_, index) => [1, index, index] as const);
    await engine.commit(commitOf(1, [...rows, [2, 1, 1]], { newSeries: newSeries(2) }));
    const stats = await untilStats(engine, ({ headReadings }) => headReadings === 1);
    expect(stats.logReadings).toBe(101);
    const image = crashImage(folder.path);
    await engine.close();
    const revived = engineIn(image.path);
    await revived.open();
    // Series 2 is not sealed, so the log is read from commit 1 on; series 1 must stay out of the heads.
    expect((await revived.reader.stats()).headReadings).toBe(1);
    expect(await allReadings(revived, 1)).toHaveLength(100);
    await revived.close();
    image.remove();
  });

  it('a device was last seen at its last commit, though its row was not written since', async () => {
    const engine = engineIn(folder.path);
    await engine.open();
    await engine.commit(commitOf(1, [[1, 1, 1]], { newSeries: newSeries(1) }));
    await engine.commit(commitOf(2, [[1, 2, 1]]));
    const image = crashImage(folder.path);
    await engine.close();
    const revived = engineIn(image.path);
    expect((await revived.open()).devices).toMatchObject([{ lastSeen: 1_790_000_002_000 }]);
    await revived.close();
    image.remove();
  });
});

describe('the lock of the data folder', () => {
  it('is refused to a second holder in the same process until it is released', async () => {
    const lock = await lockDataFolder(folder.path);
    await expect(lockDataFolder(folder.path)).rejects.toThrow(
      `The data folder ${folder.path} is in use by another gateway`,
    );
    lock.release();
    lock.release();
    (await lockDataFolder(folder.path)).release();
  });

  it('is refused while another process holds it, and free once that was killed', async () => {
    const script = `
      const { lockDataFolder } = await import(${JSON.stringify(new URL('../../src/storage/data-lock.ts', import.meta.url).href)});
      await lockDataFolder(${JSON.stringify(folder.path)});
      console.log('held');
      setInterval(() => {}, 1e9);`;
    const holder = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(holder.stdout, 'data');
    await expect(lockDataFolder(folder.path)).rejects.toThrow('in use by another gateway');
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    (await lockDataFolder(folder.path)).release();
  });

  it('names a folder that cannot be used', async () => {
    const file = join(folder.path, 'file');
    writeFileSync(file, '');
    await expect(lockDataFolder(file)).rejects.toThrow(`The data folder ${file} cannot be used`);
    copyFileSync(file, join(folder.path, 'gateway.lock'));
    (await lockDataFolder(folder.path)).release();
  });
});
