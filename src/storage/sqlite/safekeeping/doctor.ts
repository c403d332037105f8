import { statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { messageOf } from '../../../base/errors.ts';
import { valueKind } from '../../../domain/reading.ts';
import { rollupTiers } from '../../../domain/retention.ts';
import { unpackChunk } from '../chunks/chunk-rows.ts';
import { decodeCommitRecord } from '../rows/commit-record.ts';
import type { Database, Row } from '../database.ts';
import {
  bytesIn,
  CorruptStoreError,
  faultOf,
  numberIn,
  numberOrNullIn,
  Statements,
  textOrNullIn,
} from '../database.ts';
import type { Finding } from './finding.ts';
import type { Stretch } from '../chunks/head.ts';
import { readMeta } from '../rows/meta.ts';
import { decodeRollup } from '../rollups/rollup-codec.ts';
import { RollupColumns, rollupPart } from '../rollups/rollup-columns.ts';
import { rollupOf } from '../rollups/rollup-key.ts';

/** What was looked at. */
export interface Examined {
  commits: number;
  chunks: number;
  readings: number;
  rollups: number;
}

/** Rows of one statement at most, so that no snapshot of a gateway that runs is held for long. */
const batchRows = 256;

/**
 * Looks at everything in a store that carries a checksum or can be counted, without changing anything; a gateway may run
 * on it meanwhile. What it says about totals holds only while nobody writes.
 */
export class Doctor {
  readonly examined: Examined = { commits: 0, chunks: 0, readings: 0, rollups: 0 };
  readonly #database: Database;
  readonly #statements: Statements;
  readonly #isQuiet: boolean;

  /** `isQuiet`: nobody else has the store open. */
  constructor(database: Database, options: { readonly isQuiet: boolean }) {
    this.#database = database;
    this.#statements = new Statements(database);
    this.#isQuiet = options.isQuiet;
  }

  /** Everything that is wrong, as it is found; null in between, when a little more was looked at. */
  *examine(): Generator<Finding | null, void, undefined> {
    yield* this.#guarded('sqlite_schema', this.#file());
    yield* this.#guarded('commit_log', this.#commits());
    yield* this.#guarded('chunk', this.#chunks());
    yield* this.#guarded('rollup', this.#rollups());
    if (this.#isQuiet) yield* this.#guarded('meta', this.#totals());
    yield* this.#modes();
  }

  *#file(): Generator<Finding | null> {
    for (const row of this.#database.prepare('PRAGMA quick_check').all()) {
      const detail = String(row[0]);
      if (detail !== 'ok') yield { kind: 'file', detail };
    }
    yield null;
  }

  /** A table that SQLite itself cannot read on is one finding, and the others are looked at all the same. */
  *#guarded(table: string, findings: Generator<Finding | null>): Generator<Finding | null> {
    try {
      yield* findings;
    } catch (error) {
      if (!['corrupt', 'io', 'not_a_database'].includes(faultOf(error))) throw error;
      yield { kind: 'file', detail: `${table} cannot be read on: ${messageOf(error)}` };
    }
  }

  *#commits(): Generator<Finding | null> {
    const replayFrom = Number(readMeta(this.#statements, 'replay_from') ?? 1);
    const statement = this.#statements.get(
      'SELECT seq, at, readings, bytes FROM commit_log WHERE seq > ? ORDER BY seq LIMIT ?',
    );
    for (let after = 0; ; ) {
      const rows = statement.all(after, batchRows);
      for (const row of rows) {
        const [seq, readings] = [numberIn(row, 0), numberIn(row, 2)];
        const detail = faultIn(() => {
          const { count } = decodeCommitRecord(bytesIn(row, 3)).readings;
          if (count !== readings) throw new CorruptStoreError(`it holds ${count} readings and says ${readings}`);
        });
        this.examined.commits++;
        if (detail !== null) {
          yield { kind: 'commit', seq, at: numberIn(row, 1), readings, isNeeded: seq >= replayFrom, detail };
        }
        after = seq;
      }
      yield null;
      if (rows.length < batchRows) return;
    }
  }

  *#chunks(): Generator<Finding | null> {
    const statement = this.#statements.get(
      `SELECT c.id, c.time_min, c.time_max, c.count, c.codec, c.min, c.max, c.sum, c.first, c.last, c.bytes, c.times,
         t.bytes, s.device, s.metric
       FROM chunk c LEFT JOIN time_column t ON t.id = c.times LEFT JOIN series s ON s.id = c.series
       WHERE c.id > ? ORDER BY c.id LIMIT ?`,
    );
    for (let after = -1; ; ) {
      const rows = statement.all(after, batchRows);
      for (const row of rows) {
        after = numberIn(row, 0);
        const readings = numberIn(row, 3);
        this.examined.chunks++;
        this.examined.readings += readings;
        const detail = faultIn(() => checkChunk(row));
        if (detail === null) continue;
        yield {
          kind: 'chunk',
          device: textOrNullIn(row, 13) ?? '',
          metric: textOrNullIn(row, 14) ?? '',
          firstTime: numberIn(row, 1),
          lastTime: numberIn(row, 2),
          readings,
          detail,
          series: Math.floor(after / 2 ** 31),
          number: after % 2 ** 31,
        };
      }
      yield null;
      if (rows.length < batchRows) return;
    }
  }

  *#rollups(): Generator<Finding | null> {
    const columns = new RollupColumns();
    const statement = this.#statements.get('SELECT id, bytes FROM rollup WHERE id > ? ORDER BY id LIMIT ?');
    const name = this.#statements.get('SELECT device, metric FROM series WHERE id = ?');
    for (let after = -1; ; ) {
      const rows = statement.all(after, batchRows);
      for (const row of rows) {
        after = numberIn(row, 0);
        const { series, tier, begin } = rollupOf(after);
        this.examined.rollups++;
        const detail = faultIn(() => decodeRollup(bytesIn(row, 1), { tier, begin }, rollupPart.all, columns));
        if (detail === null) continue;
        const [device, metric] = name.get(series) ?? ['', ''];
        const to = begin + rollupTiers[tier].windowMs;
        yield {
          kind: 'rollup',
          device: String(device),
          metric: String(metric),
          tier,
          from: begin,
          to,
          detail,
          id: after,
        };
      }
      yield null;
      if (rows.length < batchRows) return;
    }
  }

  *#totals(): Generator<Finding | null> {
    const counted = this.#statements.get('SELECT count(*), coalesce(sum(count), 0) FROM chunk').get();
    for (const [at, name] of (['chunks', 'chunk_readings'] as const).entries()) {
      const [kept, count] = [Number(readMeta(this.#statements, name) ?? 0), numberIn(counted, at)];
      if (kept !== count) yield { kind: 'total', name, kept, counted: count };
    }
    const columns = this.#statements
      .get(
        `SELECT t.id, t.chunks, coalesce(c.chunks, 0) FROM time_column t
         LEFT JOIN (SELECT times, count(*) AS chunks FROM chunk WHERE times IS NOT NULL GROUP BY times) c ON c.times = t.id
         WHERE t.chunks <> coalesce(c.chunks, 0)`,
      )
      .all();
    for (const row of columns) {
      yield {
        kind: 'total',
        name: `time column ${numberIn(row, 0)}`,
        kept: numberIn(row, 1),
        counted: numberIn(row, 2),
      };
    }
    yield null;
  }

  *#modes(): Generator<Finding | null> {
    if (process.platform === 'win32') return;
    const file = join(dirname(this.#database.path), 'secrets.json');
    const mode = (statSync(file, { throwIfNoEntry: false })?.mode ?? 0) & 0o777;
    if ((mode & 0o077) !== 0) {
      yield {
        kind: 'mode',
        file,
        detail: `its mode is ${mode.toString(8)}: others can read the secrets; 600 is right`,
      };
    }
  }
}

/** Why reading fails; null when it does not. */
function faultIn(read: () => void): string | null {
  try {
    read();
    return null;
  } catch (error) {
    if (error instanceof CorruptStoreError) return error.message;
    throw error;
  }
}

/** Throws `CorruptStoreError` where a chunk and its row differ. */
function checkChunk(row: Row): void {
  const stretch = unpackChunk(numberIn(row, 4), bytesIn(row, 10), timesIn(row));
  const { count, times } = stretch;
  const facts = [count, times[0], times[count - 1]];
  const said = [numberIn(row, 3), numberIn(row, 1), numberIn(row, 2)];
  if (facts.some((fact, at) => fact !== said[at])) {
    throw new CorruptStoreError(
      `it holds ${facts.join(', ')} (readings, first and last time) and says ${said.join(', ')}`,
    );
  }
  for (let at = 1; at < count; at++) {
    if (times[at] <= times[at - 1]) throw new CorruptStoreError(`its times are not ascending at reading ${at}`);
  }
  checkSummary(row, stretch);
}

function timesIn(row: Row): Uint8Array | null {
  if (row[11] === null) return null;
  if (row[12] === null) throw new CorruptStoreError(`its time column ${String(row[11])} is not there`);
  return bytesIn(row, 12);
}

function checkSummary(row: Row, { count, values, kinds }: Stretch): void {
  const min = numberOrNullIn(row, 5);
  if (min === null || kinds?.includes(valueKind.text)) return;
  let least = values[0];
  let greatest = values[0];
  let sum = 0;
  for (let at = 0; at < count; at++) {
    least = Math.min(least, values[at]);
    greatest = Math.max(greatest, values[at]);
    sum += values[at];
  }
  const facts = [least, greatest, sum, values[0], values[count - 1]];
  for (const [at, fact] of facts.entries()) {
    const said = numberIn(row, 5 + at);
    if (Math.abs(said - fact) > 1e-9 * Math.max(Math.abs(said), Math.abs(fact))) {
      throw new CorruptStoreError('its summary does not say what its readings say');
    }
  }
}
