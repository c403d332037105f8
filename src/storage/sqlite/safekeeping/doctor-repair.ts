import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import type { ReadingColumns } from '../../../domain/reading.ts';
import { settledColumns } from '../../../domain/settled-columns.ts';
import { ChunkStore } from '../chunks/chunk-store.ts';
import { encodeCommitRecord } from '../rows/commit-record.ts';
import type { Database, Row } from '../database.ts';
import { bytesIn, numberIn, Statements, textIn } from '../database.ts';
import type { Finding } from './finding.ts';
import { writeMeta } from '../rows/meta.ts';
import { StorageTransaction } from '../transaction.ts';
import { WriterState } from '../writer-state.ts';

const noReadings: ReadingColumns = {
  count: 0,
  series: new Uint32Array(0),
  times: new Float64Array(0),
  values: new Float64Array(0),
  kinds: new Uint8Array(0),
  texts: [],
};

/**
 * Sets aside what is damaged, so that the gateway starts and answers with the rest. The bytes of every damaged row go
 * into the new file `aside`, a JSON object a line, before one transaction takes them out of the store: chunks go, commits
 * stay in their places without readings, rollups are made again from readings that are still kept, totals are counted.
 * The caller holds the data folder. What is wrong with the file itself is not mended here. Returns how many rows went.
 */
export function setAside(database: Database, findings: readonly Finding[], aside: string): number {
  const statements = new Statements(database);
  const rows = findings.flatMap((finding) => rowOf(statements, finding) ?? []);
  if (rows.length > 0) writeAside(aside, rows);
  const state = stateOf(statements);
  const store = new ChunkStore(database, state, { forget: () => {}, changed: () => {} });
  store.change(new StorageTransaction(database), 'deleted', (edit) => {
    for (const finding of findings) {
      if (finding.kind === 'chunk') {
        const series = state.series[finding.series];
        if (series) edit.remove(series, finding.number);
        else statements.get('DELETE FROM chunk WHERE id = (? << 31) | ?').run(finding.series, finding.number);
      } else if (finding.kind === 'commit') {
        statements
          .get('UPDATE commit_log SET readings = 0, bytes = ? WHERE seq = ?')
          .run(encodeCommitRecord(noReadings, null, settledColumns([])), finding.seq);
      } else if (finding.kind === 'rollup') {
        statements.get('DELETE FROM rollup WHERE id = ?').run(finding.id);
        statements.get('INSERT OR IGNORE INTO rollup_due (id) VALUES (?)').run(finding.id);
      }
    }
  });
  new StorageTransaction(database).run(() => countAgain(statements));
  return rows.length;
}

interface AsideRow {
  readonly table: string;
  readonly key: number;
  readonly finding: Finding;
  /** Base64. */
  readonly bytes: string;
  /** The same of the time column of a chunk that shares one. */
  readonly times: string | null;
}

function rowOf(statements: Statements, finding: Finding): AsideRow | null {
  const read = (table: string, key: number, sql: string): AsideRow | null => {
    const row = statements.get(sql).get(key);
    if (!row) return null;
    const [bytes, times] = [base64In(row, 0), row[1] === null ? null : base64In(row, 1)];
    return { table, key, finding, bytes, times };
  };
  switch (finding.kind) {
    case 'chunk':
      return read(
        'chunk',
        finding.series * 2 ** 31 + finding.number,
        'SELECT c.bytes, t.bytes FROM chunk c LEFT JOIN time_column t ON t.id = c.times WHERE c.id = ?',
      );
    case 'commit':
      return read('commit_log', finding.seq, 'SELECT bytes, NULL FROM commit_log WHERE seq = ?');
    case 'rollup':
      return read('rollup', finding.id, 'SELECT bytes, NULL FROM rollup WHERE id = ?');
    default:
      return null;
  }
}

function base64In(row: Row, column: number): string {
  return Buffer.from(bytesIn(row, column)).toString('base64');
}

function writeAside(path: string, rows: readonly AsideRow[]): void {
  const file = openSync(path, 'wx', 0o600);
  try {
    for (const row of rows) writeSync(file, `${JSON.stringify(row)}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** As much of the writer's memory as removing chunks needs. */
function stateOf(statements: Statements): WriterState {
  const state = new WriterState();
  for (const row of statements.get('SELECT id, device, metric, chunks FROM series ORDER BY id').each()) {
    state.addSeries(numberIn(row, 0), textIn(row, 1), textIn(row, 2)).chunks = numberIn(row, 3);
  }
  return state;
}

function countAgain(statements: Statements): void {
  const counted = statements.get('SELECT count(*), coalesce(sum(count), 0) FROM chunk').get();
  writeMeta(statements, 'chunks', numberIn(counted, 0));
  writeMeta(statements, 'chunk_readings', numberIn(counted, 1));
  statements
    .get(
      `UPDATE time_column SET chunks = counted.chunks
       FROM (SELECT t.id AS id, count(c.id) AS chunks FROM time_column t LEFT JOIN chunk c ON c.times = t.id GROUP BY t.id)
         AS counted
       WHERE counted.id = time_column.id AND counted.chunks <> time_column.chunks`,
    )
    .run();
  statements.get('DELETE FROM time_column WHERE chunks = 0').run();
}
