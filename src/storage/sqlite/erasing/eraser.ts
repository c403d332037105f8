import type { Commit, Deleted } from '../../../domain/commit.ts';
import { valueKind } from '../../../domain/reading.ts';
import type { ChunkEdit, ChunkStore } from '../chunks/chunk-store.ts';
import { RefusedCommitError } from '../classifier.ts';
import type { Database } from '../database.ts';
import { Statements } from '../database.ts';
import type { TimeRange } from './erased-ranges.ts';
import { ErasedRanges, holds } from './erased-ranges.ts';
import type { NewestSealed } from './eraser-chunks.ts';
import { EraserChunks } from './eraser-chunks.ts';
import type { SeriesState } from '../series-state.ts';
import type { WriterState } from '../writer-state.ts';

/**
 * Forgets what was summed up of a range, within the transaction that deletes its readings. True when nothing is left of
 * purged readings by that.
 */
export interface RollupEraser {
  erase(series: SeriesState, from: number, to: number): boolean;
}

/**
 * The part of a deletion that belongs to its commit. However much is deleted, the commit writes little: a row of
 * `erasure` for each range, the chunks cut by its ends, the newest reading of the series, and the rollups.
 *
 *   plan ─► classify the commit's own readings ─► write, in the transaction ─► COMMIT ─► apply to memory
 *
 * What the row hides is hidden at once, from every question (`kept_chunk`), from the stream and from a start; the bytes
 * are overwritten afterwards, a few at a time (`erasure-work.ts`).
 */
export class Eraser {
  readonly #statements: Statements;
  readonly #state: WriterState;
  readonly #store: ChunkStore;
  readonly #chunks: EraserChunks;
  readonly #rollups: RollupEraser;

  constructor(
    database: Database,
    state: WriterState,
    parts: { readonly store: ChunkStore; readonly rollups: RollupEraser },
  ) {
    this.#statements = new Statements(database);
    this.#state = state;
    this.#store = parts.store;
    this.#chunks = new EraserChunks(database);
    this.#rollups = parts.rollups;
  }

  /** What the commit deletes; null when nothing. Throws `RefusedCommitError` for a series that is not known. */
  plan({ deletions }: Commit): ErasedRanges | null {
    if (deletions.length === 0) return null;
    const ranges = new ErasedRanges(deletions);
    for (const series of ranges.bySeries.keys()) {
      if (!this.#state.series[series])
        throw new RefusedCommitError(`a deletion names series ${series}, which is not known`);
    }
    return ranges;
  }

  /** Within the transaction of commit `seq`, before anything that it brings; `finish` comes last. */
  write(ranges: ErasedRanges, seq: number): Erasing {
    const edit = this.#store.edit('deleted');
    const erased: ErasedSeries[] = [];
    for (const [id, ofSeries] of ranges.bySeries) {
      const series = this.#state.series[id];
      if (series) erased.push(this.#writeSeries(edit, series, ofSeries, seq));
    }
    return { edit, erased };
  }

  /** The transaction is on disk: memory follows. Says what was deleted. */
  apply({ edit, erased }: Erasing): Deleted {
    edit.apply();
    let readings = 0;
    const newest: Deleted['newest'][number][] = [];
    for (const one of erased) {
      applySeries(one);
      this.#applyRollups(one);
      readings += one.readings;
      const value = one.series.newest();
      newest.push({ series: one.series.id, time: value === null ? null : one.series.time, value });
    }
    return { readings, newest };
  }

  #writeSeries(edit: ChunkEdit, series: SeriesState, ranges: readonly TimeRange[], seq: number): ErasedSeries {
    let readings = 0;
    let isPurgedErased = false;
    for (const range of ranges) {
      const { head } = series;
      const [begin, end] = [head.firstAtOrAfter(range.from), head.firstAtOrAfter(range.to)];
      readings += this.#chunks.count(series, range, head.copy(begin, end));
      this.#chunks.cut(edit, series, range);
      isPurgedErased = this.#rollups.erase(series, range.from, range.to) || isPurgedErased;
      this.#statements
        .get('INSERT INTO erasure (seq, series, time_from, time_to, chunk_to) VALUES (?, ?, ?, ?, ?)')
        .run(seq, series.id, range.from, range.to, series.chunks);
    }
    if (isPurgedErased) this.#statements.get('UPDATE series SET raw_from = NULL WHERE id = ?').run(series.id);
    const isSealedGone = isHeld(ranges, series.sealedTime);
    if (!isSealedGone && !isHeld(ranges, series.time))
      return { series, ranges, readings, isPurgedErased, sealed: null };
    const newest = this.#chunks.newest(series, ranges);
    // Also when only the head's go: the row may tell one that was purged, and memory forgets that with them.
    this.#writeNewest(series, newest);
    const sealed = { time: this.#chunks.sealedTime(series, ranges), newest };
    return { series, ranges, readings, isPurgedErased, sealed };
  }

  #applyRollups({ series, ranges, isPurgedErased }: ErasedSeries): void {
    const { rollups } = this.#state;
    for (const range of ranges) rollups.erased(series.id, range);
    if (isPurgedErased) rollups.moveRawFrom(series.id, Number.NaN);
  }

  /** The row of a series tells its newest sealed reading. */
  #writeNewest(series: SeriesState, newest: NewestSealed | null): void {
    const value = newest === null ? null : newest.kind === valueKind.text ? newest.text : newest.value;
    this.#statements
      .get('UPDATE series SET time = ?, kind = ?, value = ? WHERE id = ?')
      .run(newest?.time ?? null, newest?.kind ?? null, value, series.id);
  }
}

/** A deletion that is written and not yet on disk. */
export interface Erasing {
  readonly edit: ChunkEdit;
  readonly erased: readonly ErasedSeries[];
}

interface ErasedSeries {
  readonly series: SeriesState;
  readonly ranges: readonly TimeRange[];
  readonly readings: number;
  /** Nothing says any more that readings were purged. */
  readonly isPurgedErased: boolean;
  /** How far the chunks reach now; null when the newest reading and the newest sealed one stayed. */
  readonly sealed: { readonly time: number; readonly newest: NewestSealed | null } | null;
}

function applySeries({ series, ranges, sealed }: ErasedSeries): void {
  const { head } = series;
  for (const { from, to } of ranges) head.remove(from, to);
  series.isErasing = true;
  if (sealed) series.sealedTime = sealed.time;
  if (!isHeld(ranges, series.time)) return;
  const kept = sealed?.newest ?? null;
  series.setNewest(head.count > 0 && (!kept || head.lastTime >= kept.time) ? newestOfHead(series) : kept);
}

function isHeld(ranges: readonly TimeRange[], time: number): boolean {
  return ranges.some((range) => holds(range, time));
}

function newestOfHead({ head }: SeriesState): NewestSealed {
  const last = head.count - 1;
  const kind = head.kindAt(last);
  const isText = kind === valueKind.text;
  const value = head.valueAt(last);
  return { time: head.lastTime, value: isText ? 0 : value, kind, text: isText ? (head.texts[value] ?? '') : '' };
}
