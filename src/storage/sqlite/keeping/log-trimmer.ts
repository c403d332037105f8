import type { Database } from '../database.ts';
import { numberIn, Statements } from '../database.ts';
import type { Transaction } from '../transaction.ts';
import type { WriterState } from '../writer-state.ts';

/** Bytes of log that one step deletes at most, so that no commit waits long behind it. */
const stepBytesMax = 1 << 20;
/** Rows that one step looks at. */
const stepRowsMax = 4_096;
/** Less than this is left for later, so that small commits are not followed by a deletion each. */
const stepBytesMin = 1 << 18;

/**
 * Deletes the beginning of the commit log: commits whose readings are all sealed and that lie outside the resume
 * window, which is `ms` back from the newest commit or `bytes` of log, whichever is less. The newest commit stays.
 */
export class LogTrimmer {
  readonly #statements: Statements;
  readonly #state: WriterState;
  readonly #transaction: Transaction;
  readonly #window: { readonly ms: number; readonly bytes: number };
  /** Nothing can be trimmed before a commit newer than this came or more was sealed. */
  #idleUntil = { at: 0, replayFrom: 0, bytes: 0 };

  constructor(
    database: Database,
    state: WriterState,
    transaction: Transaction,
    window: { readonly ms: number; readonly bytes: number },
  ) {
    this.#statements = new Statements(database);
    this.#state = state;
    this.#transaction = transaction;
    this.#window = window;
  }

  /** Trims at most about a megabyte; true when there is more to trim. Throws `TransactionError`. */
  step(): boolean {
    const state = this.#state;
    if (!this.#isWorthALook()) return false;
    const found = this.#removable();
    this.#idleUntil = { at: found.nextAt, replayFrom: state.replayFrom, bytes: state.log.bytes };
    if (found.rows === 0 || (found.bytes < stepBytesMin && found.rows < stepRowsMax)) return false;
    this.#transaction.run(() => this.#statements.get('DELETE FROM commit_log WHERE seq <= ?').run(found.last));
    state.log.firstKept = found.last + 1;
    state.log.bytes -= found.bytes;
    state.log.readings -= found.readings;
    this.#idleUntil = { at: 0, replayFrom: 0, bytes: 0 };
    return found.isCutShort;
  }

  /** Cheap enough for every commit: has anything moved since the last look that found too little? */
  #isWorthALook(): boolean {
    const { replayFrom, lastCommitAt, log } = this.#state;
    if (log.firstKept >= replayFrom) return false;
    const idle = this.#idleUntil;
    return (
      lastCommitAt >= idle.at ||
      replayFrom > idle.replayFrom ||
      (log.bytes > this.#window.bytes && log.bytes > idle.bytes)
    );
  }

  #removable(): {
    rows: number;
    last: number;
    bytes: number;
    readings: number;
    isCutShort: boolean;
    nextAt: number;
  } {
    const { seq: newest, replayFrom, lastCommitAt, log } = this.#state;
    const found = { rows: 0, last: 0, bytes: 0, readings: 0, isCutShort: false, nextAt: Number.POSITIVE_INFINITY };
    const rows = this.#statements
      .get('SELECT seq, at, readings, length(bytes) FROM commit_log WHERE seq < ? ORDER BY seq LIMIT ?')
      .each(Math.min(replayFrom, newest), stepRowsMax);
    for (const row of rows) {
      const at = numberIn(row, 1);
      const isOutside = at < lastCommitAt - this.#window.ms || log.bytes - found.bytes > this.#window.bytes;
      if (!isOutside) {
        // Once this commit is old enough there is surely some seconds' worth to trim.
        found.nextAt = at + this.#window.ms + 10_000;
        return found;
      }
      if (found.bytes >= stepBytesMax) {
        found.isCutShort = true;
        return found;
      }
      found.rows++;
      found.last = numberIn(row, 0);
      found.readings += numberIn(row, 2);
      found.bytes += numberIn(row, 3);
    }
    found.isCutShort = found.rows === stepRowsMax;
    return found;
  }
}
