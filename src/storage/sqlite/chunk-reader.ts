import { readChunk } from './chunk-rows.ts';
import type { Database, Row } from './database.ts';
import { numberIn, numberOrNullIn, Statements } from './database.ts';
import type { Stretch } from './head.ts';
import type { Slice } from './writer.ts';

/** A chunk row without its bytes. */
export interface ChunkSummary {
  readonly number: number;
  readonly timeMin: number;
  readonly timeMax: number;
  readonly count: number;
  /** Null for chunks that hold more than numbers. */
  readonly numbers: {
    readonly min: number;
    readonly max: number;
    readonly sum: number;
    readonly first: number;
    readonly last: number;
  } | null;
}

// A chunk of booleans is summed up as 0 and 1; what these summaries are for wants true and false.
const columns = 'id & 2147483647, time_min, time_max, count, iif(codec = 4, NULL, min), max, sum, first, last';

/** The chunks of the snapshot that the reader holds. */
export class ChunkReader {
  readonly #statements: Statements;

  constructor(database: Database) {
    this.#statements = new Statements(database);
  }

  /**
   * The head's readings that no chunk of this snapshot holds. The slice was taken before the snapshot, so the head may
   * have been sealed in between; then the chunks hold all of it, perhaps with newer values.
   */
  unsealed(series: number, slice: Slice): Stretch | null {
    const row = this.#statements.get('SELECT sealed_seq FROM series WHERE id = ?').get(series);
    return row && numberIn(row, 0) >= slice.seq ? null : slice.stretch;
  }

  /** Chunks in order that touch `[from, to)`, ascending; they do not overlap. */
  *ascending(series: number, from: number, to: number): Generator<ChunkSummary, void, undefined> {
    const rows = this.#statements
      .get(`SELECT ${columns} FROM kept_chunk WHERE series = ? AND late = 0 AND time_max >= ? ORDER BY time_max`)
      .each(series, from);
    for (const row of rows) {
      const summary = summaryIn(row);
      if (summary.timeMin >= to) return;
      yield summary;
    }
  }

  /** The same, descending. */
  *descending(series: number, from: number, to: number): Generator<ChunkSummary, void, undefined> {
    const beyond = this.#statements
      .get(
        `SELECT ${columns} FROM kept_chunk WHERE series = ? AND late = 0 AND time_max >= ? ORDER BY time_max LIMIT 1`,
      )
      .get(series, to);
    if (beyond) {
      const summary = summaryIn(beyond);
      if (summary.timeMin < to) yield summary;
    }
    const rows = this.#statements
      .get(`SELECT ${columns} FROM kept_chunk WHERE series = ? AND late = 0 AND time_max < ? ORDER BY time_max DESC`)
      .each(series, to);
    for (const row of rows) {
      const summary = summaryIn(row);
      if (summary.timeMax < from) return;
      yield summary;
    }
  }

  /** Late chunks that touch `[from, to)`, in the order in which they were written. */
  late(series: number, from: number, to: number): ChunkSummary[] {
    return this.#statements
      .get(
        `SELECT ${columns} FROM kept_chunk WHERE series = ? AND late = 1 AND time_max >= ? AND time_min < ? ORDER BY id`,
      )
      .all(series, from, to)
      .map(summaryIn);
  }

  /** Unpacks a chunk. Throws `CorruptStoreError`. */
  read(series: number, number: number): Stretch {
    return readChunk(this.#statements, series, number);
  }
}

function summaryIn(row: Row): ChunkSummary {
  const min = numberOrNullIn(row, 4);
  return {
    number: numberIn(row, 0),
    timeMin: numberIn(row, 1),
    timeMax: numberIn(row, 2),
    count: numberIn(row, 3),
    numbers:
      min === null
        ? null
        : { min, max: numberIn(row, 5), sum: numberIn(row, 6), first: numberIn(row, 7), last: numberIn(row, 8) },
  };
}
