import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import { EngineOpenError } from '../../src/history/engine.ts';
import type { Engine } from '../../src/history/engine.ts';
import { createSqliteEngine } from '../../src/storage/sqlite/engine.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { allReadings, commitOf } from '../support/storage-commits.ts';
import { makeVersion1 } from '../support/storage-version-1.ts';
import { tempFolder } from '../support/temp-folder.ts';

let folder: ReturnType<typeof tempFolder>;
let engine: Engine;

beforeEach(() => {
  folder = tempFolder();
  engine = createSqliteEngine({ dir: folder.path, clock: new FakeClock(), log: silentLog });
});
afterEach(async () => {
  await engine.close();
  folder.remove();
});

/** A number in the file `name` of the folder. */
function numberIn(name: string, sql: string): unknown {
  const database = new DatabaseSync(join(folder.path, name), { readOnly: true });
  try {
    return Object.values(database.prepare(sql).get() ?? {})[0];
  } finally {
    database.close();
  }
}

describe('a store of the first version', () => {
  it('is brought forward with everything that it held', async () => {
    const epoch = makeVersion1(folder.path);
    const recovered = await engine.open();
    expect(recovered).toMatchObject({
      epoch,
      seq: 1,
      series: [{ id: 1, device: 'fridge', metric: 'temperature', time: 2_000, value: 22 }],
      settled: [{ client: 'c', packetId: 7, hash: 8 }],
      tokens: [],
      sessions: [],
      commands: [],
    });
    expect(recovered.devices).toEqual([
      {
        device: 'fridge',
        firstSeen: 1_790_000_000_995,
        lastSeen: 1_790_000_001_000,
        status: 'offline',
        statusAt: 1_790_000_001_000,
        statusCause: null,
        attributes: { model: 'x' },
        clockCorrected: 3,
        provisioned: null,
      },
    ]);
    expect(await engine.reader.quarantined(1)).toMatchObject({ sender: { device: null, forOthers: true } });
    expect(await engine.reader.deliveries({ limit: 9, order: 'asc' })).toMatchObject([{ id: 'd1', state: 'pending' }]);
    expect(await allReadings(engine, 1)).toHaveLength(2);
    await engine.commit(commitOf(2, [[1, 3_000, 23]]));
    expect(await allReadings(engine, 1)).toHaveLength(3);
  });

  it('is copied beside itself before, whole and as it was', async () => {
    makeVersion1(folder.path);
    await engine.open();
    await engine.close();
    expect(readdirSync(folder.path).sort()).toEqual(['pulsegate.db', 'pulsegate.db.v1']);
    expect(numberIn('pulsegate.db.v1', 'PRAGMA user_version')).toBe(1);
    expect(numberIn('pulsegate.db.v1', 'PRAGMA application_id')).toBe(0x50_55_4c_53);
    expect(numberIn('pulsegate.db.v1', 'SELECT count(*) FROM commit_log')).toBe(1);
    expect(numberIn('pulsegate.db.v1', "SELECT count(*) FROM sqlite_schema WHERE name = 'command'")).toBe(0);
    expect(numberIn('pulsegate.db', 'PRAGMA user_version')).toBe(3);
    await engine.open();
    expect(numberIn('pulsegate.db.v1', 'PRAGMA user_version'), 'a later start leaves the copy alone').toBe(1);
  });

  it('is copied also where a kill left half of an earlier copy', async () => {
    makeVersion1(folder.path);
    writeFileSync(join(folder.path, 'pulsegate.db.v1.part'), 'half');
    await engine.open();
    expect(numberIn('pulsegate.db.v1', 'SELECT count(*) FROM device')).toBe(1);
    expect(existsSync(join(folder.path, 'pulsegate.db.v1.part'))).toBe(false);
  });

  it('is not touched when it cannot be copied, and the refusal says so', async () => {
    makeVersion1(folder.path);
    // A folder that is not empty stands where the copy would go.
    mkdirSync(join(folder.path, 'pulsegate.db.v1', 'inside'), { recursive: true });
    await expect(engine.open()).rejects.toThrow(EngineOpenError);
    await expect(engine.open()).rejects.toThrow('could not be copied');
    expect(numberIn('pulsegate.db', 'PRAGMA user_version')).toBe(1);
  });
});

it('a new store is not copied', async () => {
  await engine.open();
  await engine.close();
  expect(readdirSync(folder.path)).toEqual(['pulsegate.db']);
});
