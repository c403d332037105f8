import { settledColumns } from '../../../domain/settled-columns.ts';
import { decodeCommitRecord, encodeCommitRecord } from '../rows/commit-record.ts';
import type { Database } from '../database.ts';
import { bytesIn, CorruptStoreError, numberIn, Statements } from '../database.ts';
import type { Erasure } from './erasure.ts';
import { ErasureFilter } from './erasure.ts';
import type { Transaction } from '../transaction.ts';
import type { WriterState } from '../writer-state.ts';

/** Log that one step looks at, at most, so that no commit waits long behind it. */
const stepBytesMax = 1 << 19;
const stepRowsMax = 4_096;

/** One pass over the commit log that takes deleted readings out of its rows. What a row tells of a commit besides stays. */
export class LogScrub {
  /** The pass ends before this commit. */
  readonly end: number;
  readonly #statements: Statements;
  readonly #state: WriterState;
  readonly #transaction: Transaction;
  readonly #filter: ErasureFilter;
  #after = 0;

  constructor(database: Database, state: WriterState, transaction: Transaction, erasures: readonly Erasure[]) {
    this.#statements = new Statements(database);
    this.#state = state;
    this.#transaction = transaction;
    this.#filter = new ErasureFilter(erasures);
    this.end = Math.max(0, ...erasures.map(({ seq }) => seq));
  }

  /** Goes on a little; true when there is more. Throws `TransactionError`; then nothing of this step was done. */
  step(): boolean {
    const found = this.#look();
    if (found.rows.length > 0) this.#rewrite(found.rows);
    this.#after = found.last;
    return found.isCutShort;
  }

  #look(): { readonly rows: readonly ScrubbedRow[]; readonly last: number; readonly isCutShort: boolean } {
    const rows: ScrubbedRow[] = [];
    let last = this.#after;
    let looked = 0;
    let bytes = 0;
    const log = this.#statements
      .get('SELECT seq, bytes FROM commit_log WHERE seq > ? AND seq < ? ORDER BY seq')
      .each(this.#after, this.end);
    for (const row of log) {
      last = numberIn(row, 0);
      const before = bytesIn(row, 1);
      const scrubbed = this.#scrubbed(last, before);
      if (scrubbed) rows.push(scrubbed);
      bytes += before.length;
      if (++looked >= stepRowsMax || bytes >= stepBytesMax) return { rows, last, isCutShort: true };
    }
    return { rows, last, isCutShort: false };
  }

  /** The row as it has to be; null when it is that already. What is damaged tells nobody anything and stays. */
  #scrubbed(seq: number, before: Uint8Array<ArrayBuffer>): ScrubbedRow | null {
    try {
      const { readings, settled } = decodeCommitRecord(before);
      const kept = this.#filter.rowsKept(seq, readings);
      if (!kept) return null;
      const bytes = encodeCommitRecord(readings, kept, settledColumns(settled));
      return {
        seq,
        bytes,
        readings: kept.length,
        less: { bytes: before.length - bytes.length, readings: readings.count - kept.length },
      };
    } catch (error) {
      if (error instanceof CorruptStoreError) return null;
      throw error;
    }
  }

  #rewrite(rows: readonly ScrubbedRow[]): void {
    this.#transaction.run(() => {
      const update = this.#statements.get('UPDATE commit_log SET readings = ?, bytes = ? WHERE seq = ?');
      for (const { seq, readings, bytes } of rows) update.run(readings, bytes, seq);
    });
    const { log } = this.#state;
    for (const { less } of rows) {
      log.bytes -= less.bytes;
      log.readings -= less.readings;
    }
  }
}

interface ScrubbedRow {
  readonly seq: number;
  readonly bytes: Uint8Array;
  readonly readings: number;
  readonly less: { readonly bytes: number; readonly readings: number };
}
