// A file system that is really full: what happens to commits, to deletions and afterwards.
import { rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import type { Engine } from '../../src/history/engine.ts';
import { createSqliteEngine } from '../../src/storage/sqlite/engine.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type SmallDisk, smallDisk } from '../support/small-disk.ts';
import { allReadings, commitOf, newSeries, type Row, untilStats } from '../support/storage-commits.ts';

const reserveBytes = 2 << 20;

describe.skipIf(process.platform !== 'linux')('on a full disk', () => {
  let disk: SmallDisk;
  let engine: Engine;
  let clock: FakeClock;
  let seq: number;
  const warnings: string[] = [];
  const other = (): string => join(disk.path, 'other');
  const reserve = (): string => join(disk.path, 'pulsegate.reserve');

  const make = (): Engine =>
    createSqliteEngine({
      dir: disk.path,
      clock,
      log: { ...silentLog, warn: (_, message) => void warnings.push(message) },
      sealCount: 256,
      sealAfterMs: 60_000,
      reserveBytes,
    });

  beforeEach(async () => {
    disk = smallDisk(16 << 20);
    clock = new FakeClock();
    warnings.length = 0;
    engine = make();
    await engine.open();
    seq = 1;
    await engine.commit(commitOf(1, [], { newSeries: newSeries(2) }));
    clock.advance(5_000);
    while ((statSync(reserve(), { throwIfNoEntry: false })?.size ?? 0) < reserveBytes) await engine.reader.stats();
  });
  afterEach(async () => {
    await engine.close();
    disk.remove();
  });

  function rows(count: number): Row[] {
    return Array.from({ length: count }, (_, index): Row => [1, seq * 10_000 + index, Math.sin(seq * 10_000 + index)]);
  }

  async function commit(count: number): Promise<void> {
    await engine.commit(commitOf(seq + 1, rows(count)));
    seq++;
  }

  /** Takes all the room that is left. */
  function fill(): void {
    for (let bytes = 8 << 20; bytes >= 512; bytes >>= 1) {
      for (;;) {
        try {
          writeFileSync(other(), new Uint8Array(bytes), { flag: 'a' });
        } catch {
          break;
        }
      }
    }
  }

  /** Commits until the disk says no; every one before is acknowledged. */
  async function commitUntilFull(): Promise<unknown> {
    fill();
    for (;;) {
      try {
        await commit(2_000);
      } catch (error) {
        return error;
      }
    }
  }

  it('a commit is refused and nothing of it is kept, and when there is room again all goes on', async () => {
    const failure = await commitUntilFull();
    expect(failure).toMatchObject({ outcome: 'rolled_back', reason: 'full', readings: { count: 2_000 } });
    const acknowledged = (seq - 1) * 2_000;
    expect(await allReadings(engine, 1)).toHaveLength(acknowledged);
    rmSync(other());
    await commit(2_000);
    expect(await allReadings(engine, 1)).toHaveLength(acknowledged + 2_000);
    await engine.close();
    engine = make();
    expect((await engine.open()).seq).toBe(seq);
    expect(await allReadings(engine, 1)).toHaveLength(acknowledged + 2_000);
  });

  it('readings can be deleted, for which the reserve is given up; it is filled again when there is room', async () => {
    await commitUntilFull();
    const kept = (await allReadings(engine, 1)).length;
    expect(statSync(reserve()).size).toBe(reserveBytes);
    // As large as a commit that was refused: the deletion would fail as well.
    const deletion = commitOf(seq + 1, rows(2_000), { deletions: [{ series: 1, from: 0, to: 10_000_000 }] });
    const { deleted } = await engine.commit(deletion);
    seq++;
    expect(deleted?.readings).toBe(kept);
    expect(statSync(reserve(), { throwIfNoEntry: false })).toBe(undefined);
    expect(await allReadings(engine, 1)).toHaveLength(2_000);
    await commit(2_000);
    while (warnings.length === 0) {
      clock.advance(5_000);
      await engine.reader.stats();
    }
    expect(warnings).toContain('the disk has no room for the reserve that deletions on a full disk need; make room');
    rmSync(other());
    await untilStats(engine, () => {
      clock.advance(5_000);
      return statSync(reserve(), { throwIfNoEntry: false })?.size === reserveBytes;
    });
    expect(await allReadings(engine, 1)).toHaveLength(4_000);
  });

  it('there is no room for a backup, which leaves nothing behind, and commits are not disturbed', async () => {
    for (let batch = 0; batch < 20; batch++) await commit(2_000);
    fill();
    const copy = join(disk.path, 'copy.db');
    await expect(engine.backup(copy)).rejects.toThrow('no room for a copy');
    expect(statSync(copy, { throwIfNoEntry: false })).toBe(undefined);
    rmSync(other());
    await commit(2_000);
    const facts = await engine.backup(copy);
    expect(facts).toMatchObject({ seq, bytes: statSync(copy).size });
  });
});
