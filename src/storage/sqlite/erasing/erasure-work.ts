import type { Clock } from '../../../base/clock.ts';
import type { ChunkEdit, ChunkStore } from '../chunks/chunk-store.ts';
import type { Database, Row } from '../database.ts';
import { Statements } from '../database.ts';
import type { Erasure } from './erasure.ts';
import { readErasures } from './erasure.ts';
import { LogScrub } from './log-scrub.ts';
import { readMeta, writeMeta } from '../rows/meta.ts';
import { PageScrub } from './page-scrub.ts';
import { StepPace } from '../keeping/step-pace.ts';
import type { Transaction } from '../transaction.ts';
import type { WriterState } from '../writer-state.ts';

/** Chunks of a range that are removed before a step looks at the clock. */
const chunksAtATime = 16;

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
  readonly #pace: StepPace;
  #isDue = true;
  /** What is pending, as it was read after the last deletion; null: to be read. */
  #erasures: readonly Erasure[] | null = null;
  #pass: LogScrub | null = null;
  #pages: PageScrub | null = null;

  constructor(
    database: Database,
    state: WriterState,
    parts: {
      readonly chunks: ChunkStore;
      readonly transaction: Transaction;
      readonly clock: Pick<Clock, 'monotonic'>;
    },
  ) {
    this.#database = database;
    this.#statements = new Statements(database);
    this.#state = state;
    this.#chunks = parts.chunks;
    this.#transaction = parts.transaction;
    this.#pace = new StepPace(parts.clock);
  }

  /** A commit deleted something. */
  wake(): void {
    this.#isDue = true;
    this.#erasures = null;
  }

  /** Does a little; true when there is more. Throws `TransactionError`; then what was to be done stays due. */
  step(): boolean {
    if (!this.#isDue) return false;
    const erasures = this.#erasures ?? readErasures(this.#statements);
    this.#erasures = erasures;
    if (erasures.length > 0) {
      const pending = erasures.filter(({ chunkTo }) => chunkTo > 0);
      this.#database.overwriting(() =>
        pending.length > 0 ? this.#removeChunks(pending, erasures) : this.#scrubLog(erasures),
      );
      return true;
    }
    this.#isDue = this.#scrubPages();
    return this.#isDue;
  }

  #removeChunks(pending: readonly Erasure[], all: readonly Erasure[]): void {
    this.#pace.begin();
    const done = this.#chunks.change(this.#transaction, 'deleted', (edit) => {
      const ended = new Set<Erasure>();
      for (const erasure of pending) {
        if (!this.#removeHidden(edit, erasure)) break;
        ended.add(erasure);
        if (this.#pace.isOver) break;
      }
      return ended;
    });
    this.#pace.end();
    this.#erasures = all.map((erasure) => (done.has(erasure) ? { ...erasure, chunkTo: 0 } : erasure));
    const left = new Set(pending.filter((erasure) => !done.has(erasure)).map(({ series }) => series));
    for (const erasure of done) {
      const series = this.#state.series[erasure.series];
      if (series && !left.has(erasure.series)) series.isErasing = false;
    }
  }

  /** Removes chunks as long as there is time; true when none is left. */
  #removeHidden(edit: ChunkEdit, erasure: Erasure): boolean {
    const series = this.#state.series[erasure.series];
    if (series) {
      while (edit.removeAll(series, this.#hidden(erasure)).chunks === chunksAtATime) {
        if (this.#pace.isOver) return false;
      }
    }
    this.#statements.get('UPDATE erasure SET chunk_to = 0 WHERE id = ?').run(erasure.id);
    return true;
  }

  #hidden({ series, from, to, chunkTo }: Erasure): Row[] {
    return this.#statements
      .get(
        `SELECT count, times, id & 2147483647 FROM chunk
         WHERE series = ? AND late IN (0, 1) AND time_max >= ? AND time_max < ? AND time_min >= ?
           AND (id & 2147483647) < ? LIMIT ?`,
      )
      .all(series, from, to, from, chunkTo, chunksAtATime);
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
    this.#erasures = null;
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
