import type { Statements } from '../database.ts';
import { numberIn } from '../database.ts';

/** The chunks that may hold a reading of any time in `[from, to)`. */
export interface ChunkCover {
  readonly from: number;
  readonly to: number;
  /** Their numbers, the last written first: late ones by number, then at most one in order. */
  readonly numbers: readonly number[];
}

/** Series of which the last cover is kept. */
const seriesMax = 65_536;
/** Late chunks that are looked at to tell how far a cover reaches. */
const lateMax = 32;

/** For each series the cover that was asked for last: what comes next most often lies in it. */
export class ChunkCovers {
  readonly #statements: Statements;
  readonly #last = new Map<number, ChunkCover>();

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  /** Of which there is one. */
  get series(): number {
    return this.#last.size;
  }

  at(series: number, time: number): ChunkCover {
    const last = this.#last.get(series);
    if (last && time >= last.from && time < last.to) return last;
    const cover = this.#find(series, time);
    if (!last && this.#last.size >= seriesMax) this.#last.clear();
    this.#last.set(series, cover);
    return cover;
  }

  forget(series: number): void {
    this.#last.delete(series);
  }

  forgetAll(): void {
    this.#last.clear();
  }

  #find(series: number, time: number): ChunkCover {
    const next = this.#statements
      .get(
        `SELECT time_min, time_max, id & 2147483647 FROM kept_chunk
         WHERE series = ? AND late = 0 AND time_max >= ? ORDER BY time_max LIMIT 1`,
      )
      .get(series, time);
    const isInOrder = next !== undefined && numberIn(next, 0) <= time;
    // A late chunk may be older than the one in order only in number, never for a time that both hold: readings reach
    // a late chunk because the chunk in order was sealed before them.
    const inOrder = isInOrder ? [numberIn(next, 2)] : [];
    if (isInOrder) return this.#withLate(series, time, numberIn(next, 0), numberIn(next, 1) + 1, inOrder);
    const end = next === undefined ? Number.POSITIVE_INFINITY : numberIn(next, 0);
    return this.#withLate(series, time, this.#endBefore(series, 0, time), end, inOrder);
  }

  /** `from`, `to`: where chunks in order leave `numbers` as they are. */
  #withLate(series: number, time: number, from: number, to: number, numbers: readonly number[]): ChunkCover {
    const rows = this.#statements
      .get(
        `SELECT time_min, time_max, id & 2147483647 FROM kept_chunk
         WHERE series = ? AND late = 1 AND time_max >= ? AND time_min < ? LIMIT ?`,
      )
      .all(series, from, to, lateMax);
    if (rows.length === lateMax) return this.#backwards(series, time, from, numbers);
    const cover = { from, to };
    const late: number[] = [];
    for (const row of rows) {
      const [timeMin, timeMax] = [numberIn(row, 0), numberIn(row, 1)];
      if (timeMax < time) cover.from = Math.max(cover.from, timeMax + 1);
      else if (timeMin > time) cover.to = Math.min(cover.to, timeMin);
      else {
        cover.from = Math.max(cover.from, timeMin);
        cover.to = Math.min(cover.to, timeMax + 1);
        late.push(numberIn(row, 2));
      }
    }
    return { ...cover, numbers: [...late.sort((a, b) => b - a), ...numbers] };
  }

  /** Among many late chunks only those at `time` are looked at, and the cover reaches back from it. */
  #backwards(series: number, time: number, from: number, numbers: readonly number[]): ChunkCover {
    const rows = this.#statements
      .get(
        `SELECT time_min, id & 2147483647 FROM kept_chunk
         WHERE series = ? AND late = 1 AND time_max >= ? AND time_min <= ? ORDER BY id DESC`,
      )
      .all(series, time, time);
    const begins = rows.map((row) => numberIn(row, 0));
    return {
      from: Math.max(from, this.#endBefore(series, 1, time), ...begins),
      to: time + 1,
      numbers: [...rows.map((row) => numberIn(row, 1)), ...numbers],
    };
  }

  /** Where the last chunk before `time` has ended; -Infinity without one. */
  #endBefore(series: number, late: 0 | 1, time: number): number {
    const row = this.#statements
      .get(
        'SELECT time_max FROM kept_chunk WHERE series = ? AND late = ? AND time_max < ? ORDER BY time_max DESC LIMIT 1',
      )
      .get(series, late, time);
    return row === undefined ? Number.NEGATIVE_INFINITY : numberIn(row, 0) + 1;
  }
}
