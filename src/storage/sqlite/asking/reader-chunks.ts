import type { DamagedStretch, SeriesRange } from '../../../history/queries.ts';
import type { Summary } from '../../../history/summary.ts';
import { chunkCountMax } from '../chunks/chunk-codec-bytes.ts';
import { chunkCodec, isOfNumbers, unpackChunk, unpackNumbersInto } from '../chunks/chunk-rows.ts';
import type { Row, Statements } from '../database.ts';
import { bytesIn, bytesOrNullIn, CorruptStoreError, faultOf, numberIn, numberOrNullIn } from '../database.ts';
import { withoutRange } from '../erasing/erased-ranges.ts';
import type { Stretch } from '../chunks/head.ts';

/** A chunk as its row tells of it. */
export interface ChunkRow {
  readonly id: number;
  readonly series: number;
  readonly isLate: boolean;
  readonly timeMin: number;
  readonly timeMax: number;
  readonly count: number;
  /** The row itself: codec, min, max, sum, first, last from column `summaryAt` on, then the bytes when they were asked for. */
  readonly row: Row;
}

export interface SeriesFacts {
  readonly series: number;
  /** The chunks hold every logged reading up to this commit. */
  readonly sealedSeq: number;
  /** Readings before it are purged: of a chunk that reaches further back the rest is told. -Infinity when none are. */
  readonly rawFrom: number;
}

const columns = 'c.id, c.time_min, c.time_max, c.count, c.codec, c.min, c.max, c.sum, c.first, c.last';
const withBytes = `${columns}, c.bytes, t.bytes FROM kept_chunk c LEFT JOIN time_column t ON t.id = c.times`;
const codecAt = 4;
const bytesAt = 10;
const timesAt = 11;

/** Where most chunks are unpacked: each thread has its own, and nothing looks at it for longer than a moment. */
const brief: Stretch = {
  count: 0,
  times: new Float64Array(chunkCountMax),
  values: new Float64Array(chunkCountMax),
  kinds: null,
  texts: [],
};

/** Estimated cost of what the thread did for a question, µs: what it is bounded by, so that nothing measures time. */
const statementCost = 10;
const rowCost = 1;
const readingCost = 0.015;
const indexCost = 0.1;
/** Chunks of a series up to which each is looked at when readings are only estimated. */
const sampledMax = 256;

/**
 * The chunks of the snapshot that the reader holds, for one question: what cannot be unpacked is left out and noted, and
 * what is done is added up.
 */
export class SnapshotChunks {
  /** µs, roughly. */
  effort = 0;
  readonly #statements: Statements;
  readonly #damaged = new Map<number, DamagedStretch>();
  #facts: SeriesFacts | null = null;
  /** Where no late chunks were found last: who asks of many short stretches asks once for all of them. */
  #freeOfLate: SeriesRange | null = null;

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  /** Chunks that could not be unpacked. */
  get damaged(): readonly DamagedStretch[] {
    return [...this.#damaged.values()];
  }

  /** Their keys. */
  get damagedIds(): Iterable<number> {
    return this.#damaged.keys();
  }

  /** Of the series asked about last; most questions ask several times in a row. */
  facts(series: number): SeriesFacts {
    if (this.#facts?.series === series) return this.#facts;
    this.effort += statementCost;
    const row = this.#statements.get('SELECT sealed_seq, raw_from FROM series WHERE id = ?').get(series);
    const sealedSeq = row ? numberIn(row, 0) : 0;
    const rawFrom = (row && numberOrNullIn(row, 1)) ?? Number.NEGATIVE_INFINITY;
    this.#facts = { series, sealedSeq, rawFrom };
    return this.#facts;
  }

  /** Readings that were there at commit `seq`, less those that this snapshot knows to be deleted since. */
  withoutErased(series: number, seq: number, readings: Stretch): Stretch {
    const ranges = this.#statements
      .get('SELECT time_from, time_to FROM erasure WHERE series = ? AND seq > ?')
      .all(series, seq)
      .map((row) => ({ from: numberIn(row, 0), to: numberIn(row, 1) }));
    return ranges.reduce(withoutRange, readings);
  }

  /** Chunks in order that touch `[from, to)`, ascending; they do not overlap. `isUnpacked`: most will be unpacked. */
  *ascending(series: number, from: number, to: number, isUnpacked: boolean): Generator<ChunkRow, void, undefined> {
    this.effort += statementCost;
    const source = isUnpacked ? withBytes : `${columns} FROM kept_chunk c`;
    const rows = this.#statements
      .get(`SELECT ${source} WHERE c.series = ? AND c.late = 0 AND c.time_max >= ? ORDER BY c.time_max`)
      .each(series, from);
    for (const row of rows) {
      const chunk = this.#chunkIn(row, series, false);
      if (chunk.timeMin >= to) return;
      yield chunk;
      // The next one is not looked at: its bytes are the dearest part of a row.
      if (chunk.timeMax >= to - 1) return;
    }
  }

  /** The chunk in order that reaches over all of `[from, to)`, so that no other touches it; null where there is none. */
  covering(series: number, from: number, to: number): ChunkRow | null {
    this.effort += statementCost;
    const row = this.#statements
      .get(`SELECT ${withBytes} WHERE c.series = ? AND c.late = 0 AND c.time_max >= ? ORDER BY c.time_max`)
      .get(series, to - 1);
    const chunk = row && this.#chunkIn(row, series, false);
    return chunk && chunk.timeMin <= from ? chunk : null;
  }

  /** Late chunks that touch `[from, to)`, by the time at which they begin. */
  late(series: number, from: number, to: number): ChunkRow[] {
    const free = this.#freeOfLate;
    if (free && free.series === series && from >= free.from && to <= free.to) return [];
    this.effort += statementCost;
    const rows = this.#statements
      .get(
        `SELECT ${columns} FROM kept_chunk c WHERE c.series = ? AND c.late = 1 AND c.time_max >= ? AND c.time_min < ? ORDER BY c.time_min`,
      )
      .all(series, from, to);
    if (rows.length === 0) this.#freeOfLate = { series, from, to };
    return rows.map((row) => this.#chunkIn(row, series, true));
  }

  /**
   * A time from which on to `to` there surely are `count` readings in chunks, as far as chunks tell before it; `from` when
   * there are not. Less than `to` when there is any.
   */
  reachBack(series: number, from: number, to: number, count: number): number {
    return Math.max(this.#reachBackInOrder(series, from, to, count), this.#reachBackLate(series, from, to, count));
  }

  /** About how many readings in `[begin, to)` stand in chunks. */
  estimate(series: number, begin: number, to: number): number {
    const from = Math.max(begin, this.facts(series).rawFrom);
    if (from >= to) return 0;
    this.effort += statementCost;
    const rows = this.#statements
      .get(
        'SELECT time_min, time_max, count FROM kept_chunk WHERE series = ? AND late IN (0, 1) AND time_max >= ? AND time_min < ? LIMIT ?',
      )
      .all(series, from, to, sampledMax);
    let readings = 0;
    for (const row of rows) {
      this.effort += rowCost;
      const [timeMin, timeMax, count] = [numberIn(row, 0), numberIn(row, 1), numberIn(row, 2)];
      const share = (Math.min(timeMax + 1, to) - Math.max(timeMin, from)) / (timeMax + 1 - timeMin);
      readings += count * share;
    }
    if (rows.length < sampledMax) return readings;
    // So many that their number, which the index alone tells, and what one of them holds on average will do.
    const chunks = numberIn(
      this.#statements
        .get('SELECT count(*) FROM kept_chunk WHERE series = ? AND late IN (0, 1) AND time_max >= ? AND time_min < ?')
        .get(series, from, to),
      0,
    );
    this.effort += chunks * indexCost;
    return (readings / rows.length) * chunks;
  }

  /** How long the first chunk in order that touches `[from, to)` is, ms; 0 without one. */
  typicalSpan(series: number, from: number, to: number): number {
    this.effort += statementCost;
    const row = this.#statements
      .get(
        'SELECT time_max - time_min FROM kept_chunk WHERE series = ? AND late = 0 AND time_max >= ? AND time_min < ? ORDER BY time_max LIMIT 1',
      )
      .get(series, from, to);
    return row ? numberIn(row, 0) : 0;
  }

  /**
   * Unpacks a chunk; null, and noted as damaged, when it cannot be. `isBrief`: into memory that the next brief one uses
   * again.
   */
  unpack(chunk: ChunkRow, isBrief: boolean): Stretch | null {
    const hasBytes = chunk.row.length > bytesAt;
    this.effort += (hasBytes ? 0 : statementCost) + chunk.count * readingCost;
    try {
      const row = hasBytes ? chunk.row : this.#statements.get(`SELECT ${withBytes} WHERE c.id = ?`).get(chunk.id);
      if (!row) throw new CorruptStoreError('a chunk is gone');
      const codec = numberIn(row, codecAt);
      const bytes = bytesIn(row, bytesAt);
      const times = bytesOrNullIn(row, timesAt);
      if (!isBrief || !isOfNumbers(codec)) return unpackChunk(codec, bytes, times);
      return { ...brief, count: unpackNumbersInto(codec, bytes, times, brief, 0) };
    } catch (error) {
      if (faultOf(error) !== 'corrupt') throw error;
      this.noteDamage(chunk);
      return null;
    }
  }

  /**
   * Unpacks a chunk of numbers whose bytes were asked for into columns from index `at` on, where as many fit as its row says.
   * False for any other, and for one that cannot be unpacked, which is for `unpack` to note: what the columns hold is
   * then undefined.
   */
  unpackInto(
    chunk: ChunkRow,
    columns: { readonly times: Float64Array; readonly values: Float64Array },
    at: number,
  ): boolean {
    const { row } = chunk;
    if (row.length <= bytesAt) return false;
    const codec = numberIn(row, codecAt);
    if (!isOfNumbers(codec)) return false;
    this.effort += chunk.count * readingCost;
    try {
      return unpackNumbersInto(codec, bytesIn(row, bytesAt), bytesOrNullIn(row, timesAt), columns, at) === chunk.count;
    } catch (error) {
      if (faultOf(error) !== 'corrupt') throw error;
      return false;
    }
  }

  /** What the row of a chunk says of its readings; null when that is nothing. */
  summaryOf({ row, count, timeMin, timeMax }: ChunkRow): Summary | null {
    const min = numberOrNullIn(row, codecAt + 1);
    if (min === null) return null;
    const areBooleans = row[codecAt] === chunkCodec.booleans;
    const [first, last] = [numberIn(row, codecAt + 4), numberIn(row, codecAt + 5)];
    return {
      firstTime: timeMin,
      lastTime: timeMax,
      count,
      numbers: count,
      min,
      max: numberIn(row, codecAt + 2),
      sum: numberIn(row, codecAt + 3),
      first: areBooleans ? first !== 0 : first,
      last: areBooleans ? last !== 0 : last,
      more: null,
    };
  }

  noteDamage({ id, series, timeMin, timeMax, count }: Omit<ChunkRow, 'row' | 'isLate'>): void {
    this.#damaged.set(id, { series, firstTime: timeMin, lastTime: timeMax, readings: count });
  }

  #reachBackInOrder(series: number, from: number, to: number, count: number): number {
    this.effort += statementCost;
    const rows = this.#statements
      .get(
        'SELECT time_min, time_max, count FROM kept_chunk WHERE series = ? AND late = 0 AND time_max < ? ORDER BY time_max DESC',
      )
      .each(series, to);
    let surely = 0;
    for (const row of rows) {
      this.effort += rowCost;
      const begin = numberIn(row, 0);
      if (begin < from) return from;
      surely += numberIn(row, 2);
      if (surely >= count) return begin;
    }
    return from;
  }

  /** Late chunks may lie over each other, so that what they hold says little; the last of them is a step forward. */
  #reachBackLate(series: number, from: number, to: number, count: number): number {
    this.effort += statementCost;
    const rows = this.#statements
      .get(
        'SELECT time_min, count FROM kept_chunk WHERE series = ? AND late = 1 AND time_max >= ? AND time_max < ? ORDER BY time_max DESC',
      )
      .each(series, from, to);
    let surely = 0;
    let begin = from;
    for (const row of rows) {
      this.effort += rowCost;
      begin = Math.max(begin, numberIn(row, 0));
      surely += numberIn(row, 1);
      if (surely >= count) return begin;
    }
    return from;
  }

  #chunkIn(row: Row, series: number, isLate: boolean): ChunkRow {
    this.effort += rowCost;
    return {
      id: numberIn(row, 0),
      series,
      isLate,
      timeMin: numberIn(row, 1),
      timeMax: numberIn(row, 2),
      count: numberIn(row, 3),
      row,
    };
  }
}
