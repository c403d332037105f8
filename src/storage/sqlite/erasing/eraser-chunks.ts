import type { Value } from '../../../domain/reading.ts';
import { valueKind } from '../../../domain/reading.ts';
import { sampleValue } from '../../../domain/sample-columns.ts';
import { packChunk, readChunk } from '../chunks/chunk-rows.ts';
import type { ChunkEdit } from '../chunks/chunk-store.ts';
import type { Database, Row } from '../database.ts';
import { CorruptStoreError, numberIn, Statements } from '../database.ts';
import type { TimeRange } from './erased-ranges.ts';
import { withoutRange } from './erased-ranges.ts';
import type { Stretch } from '../chunks/head.ts';
import { firstAtOrAfter } from '../chunks/head.ts';
import { mergeStretches } from '../chunks/merge.ts';
import type { SeriesState } from '../series-state.ts';

/** Up to so many chunks are unpacked to count readings that stand in several of them once. */
const countedChunksMax = 64;

const columns = 'id & 2147483647, time_min, time_max FROM kept_chunk WHERE series = ?1 AND';

/** The newest sealed reading of a series, as it stands in columns. */
export interface NewestSealed {
  readonly time: number;
  readonly value: number;
  readonly kind: number;
  readonly text: string;
}

/** Looks at, counts and cuts the chunks of a series from which a range is deleted. The caller holds the transaction. */
export class EraserChunks {
  readonly #statements: Statements;

  constructor(database: Database) {
    this.#statements = new Statements(database);
  }

  /**
   * How many readings the chunks and `head`, rows of the head, have in `range`. Where more than `countedChunksMax`
   * chunks have readings of the same time that were written late, such a reading counts for each of them.
   */
  count(series: SeriesState, range: TimeRange, head: Stretch): number {
    const whole = this.#statements
      .get(
        `SELECT count(*), coalesce(sum(count), 0) FROM kept_chunk
         WHERE series = ? AND late = 0 AND time_max >= ? AND time_max < ? AND time_min >= ?`,
      )
      .get(series.id, range.from, range.to, range.from);
    const chunks = numberIn(whole, 0);
    const late = this.#late(series, range);
    const cut = this.#cutInOrder(series, range);
    const isDisjoint = late.length === 0 && (head.count === 0 || head.times[0] > series.sealedTime);
    if (!isDisjoint && chunks + late.length + cut.length <= countedChunksMax) {
      const inOrder = this.#statements
        .get(`SELECT ${columns} late = 0 AND time_max >= ?2 AND time_min < ?3 ORDER BY time_max`)
        .all(series.id, range.from, range.to);
      const stretches = [...inOrder, ...late].flatMap((row) => this.#unpack(series, row) ?? []);
      return mergeStretches([...stretches, head], range.from, range.to).count;
    }
    let readings = numberIn(whole, 1) + head.count;
    for (const row of [...late, ...cut]) readings += rowsIn(this.#unpack(series, row), range);
    return readings;
  }

  /** Takes the readings of `range` out of the chunks that reach beyond it. One that is damaged stays as it is. */
  cut(edit: ChunkEdit, series: SeriesState, range: TimeRange): void {
    const late = this.#late(series, range).filter((row) => !isInside(row, range));
    for (const row of [...this.#cutInOrder(series, range), ...late]) {
      const stretch = this.#unpack(series, row);
      if (!stretch) continue;
      const left = withoutRange(stretch, range);
      if (left !== stretch) edit.replace(series, numberIn(row, 0), packChunk(left, 0, left.count));
    }
  }

  /** Greatest time of a chunk that is kept, be it damaged; -Infinity without one. `erased`: nothing kept lies in them. */
  sealedTime(series: SeriesState, erased: readonly TimeRange[]): number {
    return this.#greatest(series, Number.POSITIVE_INFINITY, erased);
  }

  /** The newest reading that the chunks tell; null without one. */
  newest(series: SeriesState, erased: readonly TimeRange[]): NewestSealed | null {
    let bound = Number.POSITIVE_INFINITY;
    for (;;) {
      const time = this.#greatest(series, bound, erased);
      if (time === Number.NEGATIVE_INFINITY) return null;
      const found = this.#readingAt(series, time);
      if (found) return found;
      // What should hold it is damaged: what was before it counts.
      bound = time;
    }
  }

  #greatest(series: SeriesState, below: number, erased: readonly TimeRange[]): number {
    const inOrder = this.#greatestOf(series, 0, below, erased);
    return Math.max(inOrder, this.#greatestOf(series, 1, below, erased));
  }

  /** Asks stretch by stretch between what was erased, since walking over thousands of hidden chunks takes its time. */
  #greatestOf(series: SeriesState, late: number, below: number, erased: readonly TimeRange[]): number {
    const statement = this.#statements.get(
      `SELECT time_max FROM kept_chunk
       WHERE series = ? AND late = ? AND time_max >= ? AND time_max < ? ORDER BY time_max DESC LIMIT 1`,
    );
    let to = below;
    for (const range of erased.toReversed()) {
      if (range.from >= to) continue;
      const row = range.to < to ? statement.get(series.id, late, range.to, to) : undefined;
      if (row) return numberIn(row, 0);
      to = Math.min(to, range.from);
    }
    const row = statement.get(series.id, late, Number.MIN_SAFE_INTEGER, to);
    return row ? numberIn(row, 0) : Number.NEGATIVE_INFINITY;
  }

  /** The last written reading at the end `time` of a chunk; null when every chunk that ends there is damaged. */
  #readingAt(series: SeriesState, time: number): NewestSealed | null {
    const rows = [
      ...this.#statements.get(`SELECT ${columns} late = 1 AND time_max = ?2 ORDER BY id DESC`).all(series.id, time),
      ...this.#statements.get(`SELECT ${columns} late = 0 AND time_max = ?2`).all(series.id, time),
    ];
    for (const row of rows) {
      const stretch = this.#unpack(series, row);
      if (stretch && stretch.count > 0) return newestIn(stretch);
    }
    return null;
  }

  #late(series: SeriesState, range: TimeRange): Row[] {
    return this.#statements
      .get(`SELECT ${columns} late = 1 AND time_max >= ?2 AND time_min < ?3 ORDER BY id`)
      .all(series.id, range.from, range.to);
  }

  /** The chunks in order that reach beyond `range`: at most one at either end, for they never overlap. */
  #cutInOrder(series: SeriesState, range: TimeRange): Row[] {
    const first = this.#statements.get(`SELECT ${columns} late = 0 AND time_max >= ?2 ORDER BY time_max LIMIT 1`);
    const rows = [first.get(series.id, range.from), first.get(series.id, range.to)];
    const cut = rows.filter((row) => row && numberIn(row, 1) < range.to && !isInside(row, range)) as Row[];
    return cut.length === 2 && cut[0][0] === cut[1][0] ? cut.slice(1) : cut;
  }

  #unpack(series: SeriesState, row: Row): Stretch | null {
    try {
      return readChunk(this.#statements, series.id, numberIn(row, 0));
    } catch (error) {
      if (error instanceof CorruptStoreError) return null;
      throw error;
    }
  }
}

function isInside(row: Row, range: TimeRange): boolean {
  return numberIn(row, 1) >= range.from && numberIn(row, 2) < range.to;
}

function rowsIn(stretch: Stretch | null, { from, to }: TimeRange): number {
  if (!stretch) return 0;
  return firstAtOrAfter(stretch.times, stretch.count, to) - firstAtOrAfter(stretch.times, stretch.count, from);
}

function newestIn(stretch: Stretch): NewestSealed {
  const row = stretch.count - 1;
  const kind = stretch.kinds?.[row] ?? valueKind.number;
  const value: Value = sampleValue(stretch, row);
  const isText = kind === valueKind.text;
  return { time: stretch.times[row], value: isText ? 0 : Number(value), kind, text: isText ? String(value) : '' };
}
