import type { ChunkStore } from '../chunks/chunk-store.ts';
import type { Database } from '../database.ts';
import { numberIn, Statements } from '../database.ts';
import type { Erasure } from './erasure.ts';
import { readErasures } from './erasure.ts';
import { LogScrub } from './log-scrub.ts';
import { readMeta, writeMeta } from '../rows/meta.ts';
import { PageScrub } from './page-scrub.ts';
import type { Transaction } from '../transaction.ts';
import type { WriterState } from '../writer-state.ts';

/** Chunks that one step removes at most, so that a commit waits a few milliseconds for it and no longer. */
const chunksPerStep = 64;

/**
 * What is left to do after a deletion was committed, a little between two commits:
 *
 *   remove the hidden chunks ─► take the readings out of the log ─► drop the rows of `erasure` ─► overwrite free pages
 *
 * Each step is a transaction whose freed bytes SQLite overwrites, and can be repeated, so a kill costs nothing but time.
 * At the end `isLogStale` asks for the write-ahead log to be emptied, in which older states of pages stand.
 */
export class ErasureWork {
  /** The write-ahead log still holds what was deleted, or may, when it was left by a kill. Whoever empties it says so. */
  isLogStale = true;
  readonly #database: Database;
  readonly #statements: Statements;
  readonly #state: WriterState;
  readonly #chunks: ChunkStore;
  readonly #transaction: Transaction;
  #isDue = true;
  #pass: LogScrub | null = null;
  #pages: PageScrub | null = null;

  constructor(
    database: Database,
    state: WriterState,
    parts: { readonly chunks: ChunkStore; readonly transaction: Transaction },
  ) {
    this.#database = database;
    this.#statements = new Statements(database);
    this.#state = state;
    this.#chunks = parts.chunks;
    this.#transaction = parts.transaction;
  }

  /** A commit deleted something. */
  wake(): void {
    this.#isDue = true;
  }

  /** Does a little; true when there is more. Throws `TransactionError`; then what was to be done stays due. */
  step(): boolean {
    if (!this.#isDue) return false;
    const erasures = readErasures(this.#statements);
    if (erasures.length > 0) {
      const pending = erasures.find(({ chunkTo }) => chunkTo > 0);
      this.#database.overwriting(() => (pending ? this.#removeChunks(pending, erasures) : this.#scrubLog(erasures)));
      return true;
    }
    this.#isDue = this.#scrubPages();
    return this.#isDue;
  }

  #removeChunks(erasure: Erasure, all: readonly Erasure[]): void {
    const series = this.#state.series[erasure.series];
    const isDone = this.#chunks.change(this.#transaction, 'deleted', (edit) => {
      const numbers = this.#hidden(erasure);
      if (series) for (const number of numbers) edit.remove(series, number);
      const isLast = numbers.length < chunksPerStep || !series;
      if (isLast) this.#statements.get('UPDATE erasure SET chunk_to = 0 WHERE id = ?').run(erasure.id);
      return isLast;
    });
    const isMore = all.some(({ id, series: of, chunkTo }) => id !== erasure.id && of === erasure.series && chunkTo > 0);
    if (series && isDone && !isMore) series.isErasing = false;
  }

  #hidden({ series, from, to, chunkTo }: Erasure): number[] {
    return this.#statements
      .get(
        `SELECT id & 2147483647 FROM chunk
         WHERE series = ? AND late IN (0, 1) AND time_max >= ? AND time_max < ? AND time_min >= ?
           AND (id & 2147483647) < ? LIMIT ?`,
      )
      .all(series, from, to, from, chunkTo, chunksPerStep)
      .map((row) => numberIn(row, 0));
  }

  /** What is deleted while a pass is under way waits for the next one. */
  #scrubLog(erasures: readonly Erasure[]): void {
    this.#pass ??= new LogScrub(this.#database, this.#state, this.#transaction, erasures);
    const pass = this.#pass;
    if (pass.step()) return;
    this.#transaction.run(() => {
      this.#statements.get('DELETE FROM erasure WHERE seq <= ? AND chunk_to = 0').run(pass.end);
      writeMeta(this.#statements, 'pages_stale', 1);
    });
    this.#pass = null;
    this.#pages = null;
  }

  #scrubPages(): boolean {
    if (Number(readMeta(this.#statements, 'pages_stale') ?? 0) === 0) return false;
    this.#pages ??= new PageScrub(this.#database, this.#transaction);
    if (this.#pages.step()) return true;
    this.#transaction.run(() => writeMeta(this.#statements, 'pages_stale', 0));
    this.#pages = null;
    this.isLogStale = true;
    return false;
  }
}
