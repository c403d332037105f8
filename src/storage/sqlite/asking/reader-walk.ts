import type { SampleColumns } from '../../../domain/sample-columns.ts';
import type { SeriesRange } from '../../../history/queries.ts';
import { firstAtOrAfter } from '../chunks/head.ts';
import type { ChunkRow, SnapshotChunks } from './reader-chunks.ts';
import type { Rows } from './reader-columns.ts';
import { mergeLayers } from './reader-columns.ts';

/** A stretch of time of one series, and the readings in it. */
export interface Piece {
  /** `[from, to)`, epoch ms: the readings in it are these and no others. */
  readonly from: number;
  readonly to: number;
  /** The chunk that is all of it, whole and with nothing written over it; null when it has to be unpacked. */
  readonly chunk: ChunkRow | null;
  /** Ascending; good until the next piece is asked for. Null when they are damaged. */
  rows(): Rows | null;
}

/**
 * The readings of a series in a range, ascending, piece by piece: chunks in order, what late chunks and the head wrote
 * over them or between them. Order of writing decides: chunks in order, late chunks by number, then the head.
 *
 * ```
 *   in order   |-----1-----|     |----2----|          |---3---|
 *   late            |--4--|            |-----5-----|
 *   head                                      .  .             . . . .
 *   pieces     [     1+4   ]     [   2+5   ][ 5+head ][   3   ][ head ]
 * ```
 *
 * Late chunks are unpacked when the walk reaches them and let go when it has passed them, so that what is held does not
 * grow with the range.
 */
export function* walk(
  chunks: SnapshotChunks,
  range: SeriesRange,
  head: SampleColumns | null,
  isUnpacked: boolean,
): Generator<Piece, void, undefined> {
  const { series, to } = range;
  const from = Math.max(range.from, chunks.facts(series).rawFrom);
  if (from >= to) return;
  const layers = new LateLayers(chunks, chunks.late(series, from, to), head);
  let at = from;
  for (const chunk of chunks.ascending(series, from, to, isUnpacked)) {
    if (chunk.timeMin > at) yield* layers.between(at, chunk.timeMin);
    const begin = Math.max(chunk.timeMin, at);
    at = Math.min(chunk.timeMax + 1, to);
    yield layers.over(chunk, begin, at);
  }
  if (at < to) yield* layers.between(at, to);
}

/** A late chunk that the walk has reached. */
class LateLayer {
  readonly chunk: ChunkRow;
  readonly #chunks: SnapshotChunks;
  #columns: SampleColumns | null | undefined;

  constructor(chunks: SnapshotChunks, chunk: ChunkRow) {
    this.#chunks = chunks;
    this.chunk = chunk;
  }

  rows(from: number, to: number): Rows | null {
    if (this.#columns === undefined) this.#columns = this.#chunks.unpack(this.chunk, false);
    return this.#columns && rowsIn(this.#columns, from, to);
  }
}

/** What was written after the chunks in order: late chunks and the head. */
class LateLayers {
  readonly #chunks: SnapshotChunks;
  /** By the time at which they begin; those before `#next` were reached. */
  readonly #late: readonly ChunkRow[];
  #next = 0;
  #reached: LateLayer[] = [];
  readonly #head: SampleColumns | null;

  constructor(chunks: SnapshotChunks, late: readonly ChunkRow[], head: SampleColumns | null) {
    this.#chunks = chunks;
    this.#late = late;
    this.#head = head;
  }

  /** The piece that is `chunk` in `[from, to)`, with what was written over it. */
  over(chunk: ChunkRow, from: number, to: number): Piece {
    this.#reach(from, to);
    const over = this.#rowsIn(from, to);
    const isWhole = over.length === 0 && chunk.timeMin >= from && chunk.timeMax < to;
    return {
      from,
      to,
      chunk: isWhole ? chunk : null,
      rows: () => {
        const columns = this.#chunks.unpack(chunk, true);
        const under = columns && rowsIn(columns, from, to);
        if (over.length === 0) return under;
        return mergeLayers(under ? [under, ...over] : over);
      },
    };
  }

  /** The pieces in `[from, to)`, where there is no chunk in order. */
  *between(from: number, to: number): Generator<Piece, void, undefined> {
    let at = from;
    while (at < to) {
      this.#reach(at, at + 1);
      const next = this.#late[this.#next]?.timeMin ?? to;
      // As far as the first of those reached ends; with none, as far as the next one begins.
      let end = Math.min(to, this.#reached.length === 0 ? Math.max(next, at + 1) : to);
      for (const { chunk } of this.#reached) end = Math.min(end, chunk.timeMax + 1);
      this.#reach(at, end);
      const layers = this.#rowsIn(at, end);
      if (layers.length > 0) yield { from: at, to: end, chunk: null, rows: () => mergeLayers(layers) };
      at = end;
    }
  }

  /** Late chunks that begin before `to` are reached, those that end before `from` are passed. */
  #reach(from: number, to: number): void {
    while (this.#next < this.#late.length && this.#late[this.#next].timeMin < to) {
      this.#reached.push(new LateLayer(this.#chunks, this.#late[this.#next++]));
      // By number: the order of writing.
      this.#reached.sort((a, b) => a.chunk.id - b.chunk.id);
    }
    if (this.#reached.length > 0) this.#reached = this.#reached.filter(({ chunk }) => chunk.timeMax >= from);
  }

  /** In the order of writing; those that have readings in `[from, to)`. */
  #rowsIn(from: number, to: number): Rows[] {
    const found: Rows[] = [];
    for (const layer of this.#reached) {
      const rows = layer.rows(from, to);
      if (rows && rows.end > rows.begin) found.push(rows);
    }
    const unsealed = this.#head && rowsIn(this.#head, from, to);
    if (unsealed && unsealed.end > unsealed.begin) found.push(unsealed);
    return found;
  }
}

/** The rows of `columns` in `[from, to)`. */
export function rowsIn(columns: SampleColumns, from: number, to: number): Rows {
  const begin = firstAtOrAfter(columns.times, columns.count, from);
  return { columns, begin, end: Math.max(firstAtOrAfter(columns.times, columns.count, to), begin) };
}
