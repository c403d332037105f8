import { valueKind } from '../../../domain/reading.ts';
import type { PackedChunk } from './chunk-rows.ts';
import type { Database, Row } from '../database.ts';
import { numberIn, numberOrNullIn, Statements } from '../database.ts';
import { writeMeta } from '../rows/meta.ts';
import type { SeriesState } from '../series-state.ts';
import type { TimeColumnsEdit } from './time-columns.ts';
import { TimeColumns } from './time-columns.ts';
import type { Transaction } from '../transaction.ts';
import type { WriterState } from '../writer-state.ts';

/** Hears what became of chunks, once that is on disk. */
export interface ChunkWatcher {
  /** The chunk is not what it was, or gone. */
  forget(series: number, number: number): void;
  /** The series has chunks that it did not have. */
  changed(series: number): void;
}

/** Why chunks are written: fresh from a head, again because chunks were merged, or because readings were deleted. */
export type ChunkCause = 'sealed' | 'merged' | 'deleted';

/** What went. */
export interface RemovedChunks {
  readonly chunks: number;
  readonly readings: number;
}

/**
 * The only way in which chunk rows come, change and go, so that nothing that is derived from them drifts: references of
 * time columns, the next chunk number of a series, the totals in `meta` and in memory, chunks kept decoded.
 *
 * All chunks of a series obey: chunks in order never overlap each other in time; a reading of a late chunk overrides the
 * chunks in order and late chunks of lower number; the head overrides all.
 */
export class ChunkStore {
  readonly #statements: Statements;
  readonly #state: WriterState;
  readonly #times: TimeColumns;
  readonly #watcher: ChunkWatcher;

  constructor(database: Database, state: WriterState, watcher: ChunkWatcher) {
    this.#statements = new Statements(database);
    this.#state = state;
    this.#times = new TimeColumns(database);
    this.#watcher = watcher;
  }

  /**
   * Changes chunks in a transaction of their own. Throws `TransactionError`; then nothing changed, on disk or in memory.
   */
  change<T>(transaction: Transaction, cause: ChunkCause, write: (edit: ChunkEdit) => T): T {
    let edit = this.edit(cause);
    const result = transaction.run(() => {
      // Anew, should the transaction be run again.
      edit = this.edit(cause);
      const written = write(edit);
      edit.finish();
      return written;
    });
    edit.apply();
    return result;
  }

  /**
   * For a transaction that does more: call `finish` as the last thing before COMMIT and `apply` after it. An edit whose
   * transaction failed is dropped.
   */
  edit(cause: ChunkCause): ChunkEdit {
    return new ChunkEdit(this.#statements, this.#state, this.#times.edit(), this.#watcher, cause);
  }
}

/** What one transaction does to chunks. Memory changes in `apply` only. */
export class ChunkEdit {
  readonly #statements: Statements;
  readonly #state: WriterState;
  readonly #times: TimeColumnsEdit;
  readonly #watcher: ChunkWatcher;
  readonly #cause: ChunkCause;
  /** The next number of each series that got chunks. */
  readonly #next = new Map<SeriesState, number>();
  readonly #sealed = new Set<SeriesState>();
  readonly #changed: [series: number, number: number][] = [];
  #chunks = 0;
  #readings = 0;
  #written = 0;

  constructor(
    statements: Statements,
    state: WriterState,
    times: TimeColumnsEdit,
    watcher: ChunkWatcher,
    cause: ChunkCause,
  ) {
    this.#statements = statements;
    this.#state = state;
    this.#times = times;
    this.#watcher = watcher;
    this.#cause = cause;
  }

  /** Adds a chunk and returns its number, which is greater than all before it. */
  insert(series: SeriesState, isLate: boolean, chunk: PackedChunk): number {
    const number = this.#next.get(series) ?? series.chunks;
    this.#next.set(series, number + 1);
    this.#write(series, number, isLate, chunk);
    return number;
  }

  /** Puts other readings in the place of a chunk: its number and its lateness stay. Does nothing when it is gone. */
  replace(series: SeriesState, number: number, chunk: PackedChunk): void {
    const removed = this.#delete(series, number);
    if (removed) this.#write(series, number, numberIn(removed, 2) === 1, chunk);
  }

  /** Removes a chunk. Does nothing when it is gone. */
  remove(series: SeriesState, number: number): void {
    this.#delete(series, number);
  }

  /** A late chunk that overlaps no chunk in order and no late chunk of lower number is one in order. */
  putInOrder(series: SeriesState, number: number): void {
    this.#statements.get('UPDATE chunk SET late = 0 WHERE id = (? << 31) | ?').run(series.id, number);
  }

  /**
   * Removes up to `max` chunks whose readings are all before `cutoff`, the oldest first. A late chunk stays as long as a
   * chunk is left that may hold older values of its times: they must not come back.
   */
  removeBefore(series: SeriesState, cutoff: number, max: number): RemovedChunks {
    const inOrder = this.removeAll(
      series,
      this.#statements
        .get(
          `SELECT count, times, id & 2147483647 FROM chunk WHERE series = ? AND late = 0 AND time_max < ?
           ORDER BY time_max LIMIT ?`,
        )
        .all(series.id, cutoff, max),
    );
    if (inOrder.chunks >= max || !this.#hasLate(series)) return inOrder;
    const left = this.#statements
      .get(
        `SELECT min(coalesce((SELECT time_min FROM chunk WHERE series = ?1 AND late = 0 ORDER BY time_max LIMIT 1), ?2),
           coalesce((SELECT min(time_min) FROM chunk WHERE series = ?1 AND late = 1 AND time_max >= ?2), ?2), ?2)`,
      )
      .get(series.id, cutoff);
    const late = this.removeAll(
      series,
      this.#statements
        .get(
          `SELECT count, times, id & 2147483647 FROM chunk WHERE series = ? AND late = 1 AND time_max < ?
           ORDER BY time_max LIMIT ?`,
        )
        .all(series.id, numberIn(left, 0), max - inOrder.chunks),
    );
    return { chunks: inOrder.chunks + late.chunks, readings: inOrder.readings + late.readings };
  }

  /** Removes chunks, each as a row of its count of readings, its time column and its number. */
  removeAll(series: SeriesState, rows: readonly Row[]): RemovedChunks {
    // By key and one by one: a statement that finds, deletes and returns rows has to keep them aside meanwhile.
    const statement = this.#statements.get('DELETE FROM chunk WHERE id = (? << 31) | ?');
    let readings = 0;
    for (const row of rows) {
      const number = numberIn(row, 2);
      statement.run(series.id, number);
      this.#noteRemoved(series, number, row);
      readings += numberIn(row, 0);
    }
    return { chunks: rows.length, readings };
  }

  /** The head of `series` is sealed with this transaction: its row says so, by position. */
  noteSealed(series: SeriesState): void {
    this.#sealed.add(series);
  }

  /** Writes what follows from the changes. The last thing before COMMIT. */
  finish(): void {
    this.#times.finish();
    this.#written += this.#times.written;
    for (const series of this.#sealed) this.#writeSealed(series, this.#next.get(series) ?? series.chunks);
    for (const [series, next] of this.#next) {
      if (!this.#sealed.has(series)) {
        this.#statements.get('UPDATE series SET chunks = ? WHERE id = ?').run(next, series.id);
      }
    }
    const state = this.#state;
    if (this.#chunks !== 0) writeMeta(this.#statements, 'chunks', state.chunks + this.#chunks);
    if (this.#readings !== 0) writeMeta(this.#statements, 'chunk_readings', state.chunkReadings + this.#readings);
    if (this.#written === 0) return;
    if (this.#cause === 'sealed') writeMeta(this.#statements, 'sealed_bytes', state.sealedBytes + this.#written);
    if (this.#cause === 'merged') writeMeta(this.#statements, 'merged_bytes', state.mergedBytes + this.#written);
  }

  /** The transaction is on disk. */
  apply(): void {
    this.#times.apply();
    const state = this.#state;
    state.chunks += this.#chunks;
    state.chunkReadings += this.#readings;
    if (this.#cause === 'sealed') state.sealedBytes += this.#written;
    if (this.#cause === 'merged') state.mergedBytes += this.#written;
    for (const [series, next] of this.#next) {
      series.chunks = next;
      this.#watcher.changed(series.id);
    }
    for (const [series, number] of this.#changed) this.#watcher.forget(series, number);
  }

  #write(series: SeriesState, number: number, isLate: boolean, chunk: PackedChunk): void {
    const times = chunk.times === null ? null : this.#times.reference(chunk.times);
    this.#statements
      .get(
        `INSERT INTO chunk
           (id, series, late, time_min, time_max, seq, count, codec, min, max, sum, first, last, bytes, times)
         VALUES ((? << 31) | ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        series.id,
        number,
        series.id,
        isLate ? 1 : 0,
        chunk.timeMin,
        chunk.timeMax,
        this.#state.seq,
        chunk.count,
        chunk.codec,
        chunk.min,
        chunk.max,
        chunk.sum,
        chunk.first,
        chunk.last,
        chunk.bytes,
        times,
      );
    this.#chunks++;
    this.#readings += chunk.count;
    this.#written += chunk.bytes.length;
  }

  #delete(series: SeriesState, number: number): Row | undefined {
    const row = this.#statements
      .get('DELETE FROM chunk WHERE id = (? << 31) | ? RETURNING count, times, late')
      .get(series.id, number);
    if (row) this.#noteRemoved(series, number, row);
    return row;
  }

  #hasLate(series: SeriesState): boolean {
    return (
      this.#statements.get('SELECT 1 FROM chunk WHERE series = ? AND late = 1 LIMIT 1').get(series.id) !== undefined
    );
  }

  /** `row`: its count of readings and its time column. */
  #noteRemoved(series: SeriesState, number: number, row: Row): void {
    this.#chunks--;
    this.#readings -= numberIn(row, 0);
    const times = numberOrNullIn(row, 1);
    if (times !== null) this.#times.release(times);
    this.#changed.push([series.id, number]);
  }

  #writeSealed(series: SeriesState, next: number): void {
    this.#statements
      .get('UPDATE series SET time = ?, kind = ?, value = ?, sealed_seq = ?, chunks = ? WHERE id = ?')
      .run(
        series.time,
        series.kind,
        series.kind === valueKind.text ? series.text : series.value,
        this.#state.seq,
        next,
        series.id,
      );
  }
}
