import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import type { Engine } from '../../src/history/engine.ts';
import { Database } from '../../src/storage/sqlite/database.ts';
import { Doctor } from '../../src/storage/sqlite/safekeeping/doctor.ts';
import { setAside } from '../../src/storage/sqlite/safekeeping/doctor-repair.ts';
import { createSqliteEngine } from '../../src/storage/sqlite/engine.ts';
import type { Finding } from '../../src/storage/sqlite/safekeeping/finding.ts';
import { openForExamination } from '../../src/storage/sqlite/schema.ts';
import { blobsOf, damage } from '../support/damaged-store.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { allReadings, commitOf, type Row, untilStats } from '../support/storage-commits.ts';
import { tempFolder } from '../support/temp-folder.ts';

let folder: ReturnType<typeof tempFolder>;
let database: Database;
let path: string;
const start = 1_790_000_000_000;

/** A second apart, with a jitter that costs bytes, so that it pays to keep the times once. */
function timeOf(number: number): number {
  return start + number * 1_000 + (Math.imul(number * number, 0x9e_37_79_b1) >>> 23);
}

function makeEngine(clock = new FakeClock()): Engine {
  return createSqliteEngine({ dir: folder.path, clock, log: silentLog, sealCount: 64, sealAfterMs: 60_000 });
}

/** Numbers that share their times with booleans, texts by themselves, and a few readings that only the log holds. */
beforeEach(async () => {
  folder = tempFolder();
  path = join(folder.path, 'pulsegate.db');
  const clock = new FakeClock();
  const engine = makeEngine(clock);
  await engine.open();
  const newSeries = ['flow', 'level', 'valve', 'mode'].map((metric, index) => ({
    id: index + 1,
    device: 'pump',
    metric,
  }));
  for (let seq = 1; seq <= 8; seq++) {
    const rows = Array.from({ length: 8 }, (_, index): Row[] => {
      const number = (seq - 1) * 8 + index + 1;
      const time = timeOf(number);
      return [
        [1, time, number / 10],
        [2, time, number],
        [3, time, number % 3 === 0],
        [4, time + 1, `mode ${number % 5}`],
      ];
    });
    await engine.commit(commitOf(seq, rows.flat(), { newSeries: seq === 1 ? newSeries : [] }));
  }
  clock.advance(65_000);
  await untilStats(engine, ({ headReadings }) => headReadings === 0);
  for (let seq = 9; seq <= 11; seq++) await engine.commit(commitOf(seq, [[1, start + seq * 100_000, seq]]));
  await engine.close();
  database = new Database(path, { busyTimeoutMs: 0 });
});
afterEach(() => {
  database.close();
  folder.remove();
});

function examine(): Finding[] {
  return [...new Doctor(database, { isQuiet: true }).examine()].filter((finding) => finding !== null);
}

describe('the doctor', () => {
  it('finds nothing wrong with a store that is whole, and says what it looked at', () => {
    const doctor = new Doctor(database, { isQuiet: true });
    expect([...doctor.examine()].filter((finding) => finding !== null)).toEqual([]);
    expect(doctor.examined).toMatchObject({ commits: 11, readings: 256 });
    expect(doctor.examined.chunks).toBe(4);
  });

  it.each(['chunk', 'time_column', 'commit_log'] as const)('finds every byte of a %s that was changed', (table) => {
    const blobs = blobsOf(database, table);
    expect(blobs.length).toBeGreaterThan(0);
    for (const blob of blobs.slice(-4)) {
      for (let at = 0; at < blob.bytes.length; at++) {
        damage(database, blob, at);
        const findings = examine();
        expect(findings.length, `byte ${at} of ${table} ${blob.key}`).toBeGreaterThan(0);
        for (const { kind } of findings) expect(kind).toBe(table === 'commit_log' ? 'commit' : 'chunk');
      }
      damage(database, blob, null);
    }
    expect(examine()).toEqual([]);
  });

  it('names the series, the times and the number of readings of a damaged chunk', () => {
    const [blob] = blobsOf(database, 'chunk').filter(({ key }) => Math.floor(key / 2 ** 31) === 4);
    damage(database, blob, 5);
    expect(examine()).toMatchObject([
      {
        kind: 'chunk',
        device: 'pump',
        metric: 'mode',
        firstTime: timeOf(1) + 1,
        lastTime: timeOf(64) + 1,
        readings: 64,
      },
    ]);
  });

  it('a damaged time column costs every series that shares it', () => {
    const [blob] = blobsOf(database, 'time_column');
    damage(database, blob, 3);
    const metrics = examine().map((finding) => finding.kind === 'chunk' && finding.metric);
    expect(metrics).toEqual(['flow', 'level', 'valve']);
  });

  it.each([
    ['a summary', 'UPDATE chunk SET max = max + 1 WHERE series = 2', 'chunk'],
    ['a span', 'UPDATE chunk SET time_max = time_max + 1 WHERE series = 1', 'chunk'],
    ['a count', 'UPDATE chunk SET count = 63 WHERE series = 1', 'chunk'],
    ['a number of readings in the log', 'UPDATE commit_log SET readings = 9 WHERE seq = 10', 'commit'],
    ['a total', "UPDATE meta SET value = 7 WHERE name = 'chunks'", 'total'],
    ['a count of references', 'UPDATE time_column SET chunks = chunks + 1', 'total'],
    ['a time column that is gone', 'DELETE FROM time_column', 'chunk'],
  ])('finds %s that is not so', (_, sql, kind) => {
    database.exec(sql);
    expect(examine().map((finding) => finding.kind)).toContain(kind);
  });

  it.skipIf(process.platform === 'win32')('finds secrets that others can read', () => {
    const secrets = join(folder.path, 'secrets.json');
    writeFileSync(secrets, '{}', { mode: 0o600 });
    expect(examine()).toEqual([]);
    chmodSync(secrets, 0o640);
    expect(examine()).toMatchObject([{ kind: 'mode', file: secrets }]);
  });

  it('finds a torn page of the file, and looks at the rest all the same', () => {
    const [leaf] = database.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'commit_log'").all();
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    database.close();
    const bytes = readFileSync(path);
    bytes.fill(0xff, (Number(leaf[0]) - 1) * 4_096, Number(leaf[0]) * 4_096);
    writeFileSync(path, bytes);
    database = new Database(path, { busyTimeoutMs: 0 });
    const doctor = new Doctor(database, { isQuiet: true });
    expect([...doctor.examine()].some((finding) => finding?.kind === 'file')).toBe(true);
    expect(doctor.examined.chunks).toBe(4);
  });

  it('refuses what is no store of this version', () => {
    const other = join(folder.path, 'other.db');
    expect(() => openForExamination(other)).toThrow('There is no database at');
    writeFileSync(other, 'x'.repeat(200));
    expect(() => openForExamination(other)).toThrow('is not a SQLite database');
    database.exec('PRAGMA user_version = 2');
    expect(() => openForExamination(path)).toThrow('made by an older Pulsegate');
  });
});

function aside(): string {
  return join(folder.path, 'aside.ndjson');
}

describe('what is damaged is set aside', () => {
  it('and the rest is there, healthy and open to commits', async () => {
    const chunks = blobsOf(database, 'chunk');
    damage(database, chunks[1], 9);
    const before = examine();
    expect(setAside(database, before, aside())).toBe(1);
    expect(examine()).toEqual([]);
    const [line] = readFileSync(aside(), 'utf8').trim().split('\n');
    const kept = Buffer.from((JSON.parse(line) as { bytes: string }).bytes, 'base64');
    expect(kept).toHaveLength(chunks[1].bytes.length);
    database.close();
    const engine = makeEngine();
    await engine.open();
    expect(await allReadings(engine, 2)).toEqual([]);
    expect(await allReadings(engine, 1)).toHaveLength(67);
    expect(await allReadings(engine, 4)).toHaveLength(64);
    await engine.commit(commitOf(12, [[2, start + 1, 5]]));
    expect(await allReadings(engine, 2)).toEqual([{ time: start + 1, value: 5 }]);
    await engine.close();
    database = new Database(path, { busyTimeoutMs: 0 });
  });

  it('a start names the damaged commit, and once that is set aside begins without its readings', async () => {
    const [blob] = blobsOf(database, 'commit_log').filter(({ key }) => key === 10);
    damage(database, blob, 30);
    const engine = makeEngine();
    await expect(engine.open()).rejects.toThrow(/is damaged \(commit 10 of its log cannot be read.*doctor --repair/);
    expect(examine()).toMatchObject([{ kind: 'commit', seq: 10, readings: 1, isNeeded: true }]);
    expect(setAside(database, examine(), aside())).toBe(1);
    expect((await engine.open()).seq).toBe(11);
    expect((await allReadings(engine, 1)).slice(-2).map(({ value }) => value)).toEqual([9, 11]);
    await engine.close();
  });

  it('totals are counted again, with nothing lost', () => {
    database.exec("UPDATE meta SET value = 99 WHERE name IN ('chunks', 'chunk_readings')");
    database.exec('UPDATE time_column SET chunks = 9');
    expect(setAside(database, examine(), aside())).toBe(0);
    expect(examine()).toEqual([]);
  });
});
