import { silentLog } from '../../src/base/log.ts';
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { ReadingBuilder } from '../../src/domain/reading-builder.ts';
import type { Engine } from '../../src/history/engine.ts';
import { createSqliteEngine } from '../../src/storage/sqlite/engine.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { commitOf } from '../support/storage-commits.ts';
import type { BenchData, Block } from './history-data.ts';

/** Readings committed at once. */
const batchReadings = 5_000;

/**
 * A store in `dir` that holds the data, sealed as a gateway would seal it: the clock runs with the readings. `settle` is
 * asked after the last commit, until it says that there is nothing left to wait for.
 */
export async function fillEngine(
  dir: string,
  data: BenchData,
): Promise<{ readonly engine: Engine; readonly clock: FakeClock }> {
  const clock = new FakeClock();
  const engine = createSqliteEngine({ dir, clock, log: silentLog });
  await engine.open();
  let seq = 0;
  let newSeries = data.series.map((series, index) => ({ id: index + 1, ...series }));
  let readings = new ReadingBuilder(batchReadings * 2);
  let waiting = 0;
  let now = 0;
  const commit = async (): Promise<void> => {
    await engine.commit(commitOf(++seq, [], { at: Math.round(now), newSeries, readings: readings.build() }));
    newSeries = [];
    readings = new ReadingBuilder(batchReadings * 2);
    waiting = 0;
  };
  for (const block of data.blocks()) {
    addBlock(readings, block);
    waiting += block.count;
    const time = block.times[block.count - 1] ?? 0;
    if (now > 0) clock.advance(Math.max(time - now, 0));
    now = time;
    if (waiting >= batchReadings) await commit();
  }
  if (waiting > 0) await commit();
  return { engine, clock };
}

function addBlock(readings: ReadingBuilder, block: Block): void {
  for (let row = 0; row < block.count; row++) {
    readings.add((block.series[row] ?? 0) + 1, block.times[row] ?? 0, block.values[row] ?? 0);
  }
}

/** The plainest SQLite: a row for every reading, clustered by series and time. */
export class RowStore {
  readonly #database: DatabaseSync;

  constructor(dir: string) {
    this.#database = new DatabaseSync(join(dir, 'rows.db'));
    this.#database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536');
    this.#database.exec(
      'CREATE TABLE IF NOT EXISTS reading (series INTEGER, time INTEGER, value REAL, PRIMARY KEY (series, time)) STRICT, WITHOUT ROWID',
    );
  }

  fill(data: BenchData): void {
    const insert = this.#database.prepare('INSERT INTO reading VALUES (?, ?, ?)');
    let waiting = 0;
    this.#database.exec('BEGIN');
    for (const block of data.blocks()) {
      for (let row = 0; row < block.count; row++) {
        insert.run((block.series[row] ?? 0) + 1, block.times[row] ?? 0, block.values[row] ?? 0);
      }
      waiting += block.count;
      if (waiting < 200_000) continue;
      this.#database.exec('COMMIT; BEGIN');
      waiting = 0;
    }
    this.#database.exec('COMMIT; PRAGMA wal_checkpoint(TRUNCATE)');
  }

  raw(series: number, from: number, to: number): number {
    const statement = this.#database.prepare(
      'SELECT time, value FROM reading WHERE series = ? AND time >= ? AND time < ? ORDER BY time',
    );
    statement.setReturnArrays(true);
    return statement.all(series, from, to).length;
  }

  buckets(series: number, from: number, to: number, width: number): number {
    const statement = this.#database.prepare(
      'SELECT CAST((time - ?2) / ?4 AS INTEGER), min(value), max(value), avg(value), count(*) FROM reading WHERE series = ?1 AND time >= ?2 AND time < ?3 GROUP BY 1 ORDER BY 1',
    );
    statement.setReturnArrays(true);
    return statement.all(series, from, to, width).length;
  }

  latest(seriesCount: number): number {
    const statement = this.#database.prepare(
      'SELECT time, value FROM reading WHERE series = ? ORDER BY time DESC LIMIT 1',
    );
    statement.setReturnArrays(true);
    let found = 0;
    for (let series = 1; series <= seriesCount; series++) if (statement.get(series)) found++;
    return found;
  }

  /**
   * Deletes the readings of each series before `time`, by ranges of the key in one transaction, and says how many there
   * were. The write-ahead log is not copied into the file by it.
   */
  deleteBefore(seriesCount: number, time: number): number {
    this.#database.exec('PRAGMA wal_autocheckpoint = 0; BEGIN');
    const statement = this.#database.prepare('DELETE FROM reading WHERE series = ? AND time < ?');
    let deleted = 0;
    for (let series = 1; series <= seriesCount; series++) deleted += Number(statement.run(series, time).changes);
    this.#database.exec('COMMIT');
    return deleted;
  }

  close(): void {
    this.#database.close();
  }
}
