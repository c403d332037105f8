import type { ReadingColumns } from '../../domain/reading.ts';
import { disposition, valueKind } from '../../domain/reading.ts';
import type { ChunkLookup } from './chunks/chunk-lookup.ts';
import type { ErasedRanges } from './erasing/erased-ranges.ts';
import type { SeriesState } from './series-state.ts';
import type { WriterState } from './writer-state.ts';

/** What a commit's readings are, before any of them is written. */
export interface Classified {
  /** One of `disposition` a row; null when every row is stored. */
  readonly dispositions: Uint8Array<ArrayBuffer> | null;
  /** The rows to log and apply, in order; null when it is all of them. */
  readonly rows: Uint32Array | null;
}

/** A commit whose readings this engine cannot keep: the same commit fails again. */
export class RefusedCommitError extends Error {
  override readonly name = 'RefusedCommitError';
}

/**
 * Compares the readings of a commit, in order, with what is kept: newer than the newest of its series is new without a
 * look; anything else is looked up among the rows before it in the same commit, then in the head, then in the chunks.
 * Nothing is changed but notes that the next call does not read, so a commit that fails leaves no trace.
 */
export class Classifier {
  readonly #state: WriterState;
  readonly #chunks: ChunkLookup;
  #erased: ErasedRanges | null = null;
  /** By series: the newest time so far, counting the rows of this commit. Set for series of this commit. */
  #staged = new Float64Array(1_024);
  /** Up to the first row that is not newer, nobody asks for rows of the commit, and they are not kept track of. */
  #isTracking = false;
  /** By series: its last row in this commit, or -1. Set for series of this commit while tracking. */
  #last = new Int32Array(0);
  /** For each row: the row before it of the same series, or -1. */
  #previous = new Int32Array(0);
  /** The rows of a series so far, by time; made for series that need it. */
  readonly #byTime = new Map<number, Map<number, number>>();

  constructor(state: WriterState, chunks: ChunkLookup) {
    this.#state = state;
    this.#chunks = chunks;
  }

  /**
   * `erased`: what the same commit deletes first, as if it were not kept. Throws `RefusedCommitError` for a row of an
   * unknown series or one that cannot be kept.
   */
  classify(readings: ReadingColumns, erased: ErasedRanges | null = null): Classified {
    const { count, series, times } = readings;
    this.#erased = erased;
    this.#isTracking = false;
    this.#byTime.clear();
    this.#stage(readings);
    const staged = this.#staged;
    let dispositions: Uint8Array<ArrayBuffer> | null = null;
    let identical = 0;
    for (let row = 0; row < count; row++) {
      checkRow(readings, row);
      const id = series[row];
      const time = times[row];
      let found: number = disposition.stored;
      if (time > staged[id]) staged[id] = time;
      else {
        if (!this.#isTracking) this.#track(readings, row);
        found = this.#lookUp(readings, row, id);
      }
      if (found !== disposition.stored) {
        dispositions ??= new Uint8Array(count);
        dispositions[row] = found;
      }
      if (found === disposition.identical) identical++;
      else if (this.#isTracking) this.#note(id, time, row);
    }
    if (!dispositions || identical === 0) return { dispositions, rows: null };
    const rows = new Uint32Array(count - identical);
    let at = 0;
    for (let row = 0; row < count; row++) if (dispositions[row] !== disposition.identical) rows[at++] = row;
    return { dispositions, rows };
  }

  /** Fills `#staged` for the series of the commit, each of which must be known. */
  #stage({ count, series }: ReadingColumns): void {
    const known = this.#state.series.length;
    if (this.#staged.length < known) this.#staged = new Float64Array(known * 2);
    const staged = this.#staged;
    const newest = this.#state.newest.times;
    for (let row = 0; row < count; row++) {
      const id = series[row];
      if (id === 0 || id >= known) {
        throw new RefusedCommitError(`row ${row} is of series ${id}, which is not known`);
      }
      staged[id] = newest[id];
    }
  }

  /** Row `end` is the first that is not newer, so all rows before it are stored. */
  #track({ count, series }: ReadingColumns, end: number): void {
    this.#isTracking = true;
    if (this.#last.length < this.#staged.length) this.#last = new Int32Array(this.#staged.length);
    if (this.#previous.length < count) this.#previous = new Int32Array(count * 2);
    const last = this.#last;
    for (let row = 0; row < count; row++) last[series[row]] = -1;
    for (let row = 0; row < end; row++) {
      this.#previous[row] = last[series[row]];
      last[series[row]] = row;
    }
  }

  /** The row will be written, and is what the next one of its series is held against. */
  #note(id: number, time: number, row: number): void {
    this.#previous[row] = this.#last[id];
    this.#last[id] = row;
    if (this.#byTime.size > 0) this.#byTime.get(id)?.set(time, row);
  }

  #lookUp(readings: ReadingColumns, row: number, id: number): number {
    const time = readings.times[row];
    const staged = this.#stagedByTime(readings, id)?.get(time);
    if (staged !== undefined) {
      return isSame(readings, row, readings.kinds[staged], readings.values[staged], readings.texts)
        ? disposition.identical
        : disposition.replaced;
    }
    if (this.#erased?.has(id, time)) return disposition.stored;
    const state = this.#state.series[id];
    return state ? this.#lookUpKept(readings, row, state) : disposition.stored;
  }

  #lookUpKept(readings: ReadingColumns, row: number, state: SeriesState): number {
    const time = readings.times[row];
    if (time === state.time) {
      // The newest reading sent again, the usual duplicate, needs no search.
      const { kind } = state;
      const isText = kind === valueKind.text;
      return isSame(readings, row, kind, isText ? 0 : state.value, isText ? [state.text] : [])
        ? disposition.identical
        : disposition.replaced;
    }
    const { head } = state;
    const place = head.indexOf(time);
    if (place >= 0) {
      return isSame(readings, row, head.kindAt(place), head.valueAt(place), head.texts)
        ? disposition.identical
        : disposition.replaced;
    }
    const kept = time <= state.sealedTime ? this.#chunks.find(state.id, time) : null;
    if (!kept) return disposition.stored;
    const { stretch, index } = kept;
    return isSame(readings, row, stretch.kinds?.[index] ?? valueKind.number, stretch.values[index], stretch.texts)
      ? disposition.identical
      : disposition.replaced;
  }

  /** The rows of the series so far, by time; null without any. */
  #stagedByTime(readings: ReadingColumns, id: number): Map<number, number> | null {
    const known = this.#byTime.get(id);
    if (known) return known;
    if (this.#last[id] < 0) return null;
    const byTime = new Map<number, number>();
    for (let row = this.#last[id]; row >= 0; row = this.#previous[row]) {
      // From the newest row back: the first one found for a time is the one that counts.
      if (!byTime.has(readings.times[row])) byTime.set(readings.times[row], row);
    }
    this.#byTime.set(id, byTime);
    return byTime;
  }
}

function checkRow(readings: ReadingColumns, row: number): void {
  const value = readings.values[row];
  const kind = readings.kinds[row];
  if (!Number.isSafeInteger(readings.times[row])) {
    throw new RefusedCommitError(`row ${row} has the time ${readings.times[row]}, not whole milliseconds`);
  }
  if (
    kind === valueKind.number ? !Number.isFinite(value) : kind === valueKind.text && readings.texts[value] === undefined
  ) {
    throw new RefusedCommitError(`row ${row} has the value ${value}, which cannot be kept`);
  }
  if (kind > valueKind.text || (kind === valueKind.boolean && value !== 0 && value !== 1)) {
    throw new RefusedCommitError(`row ${row} has the value ${value} of kind ${kind}, which cannot be kept`);
  }
}

function isSame(readings: ReadingColumns, row: number, kind: number, value: number, texts: readonly string[]): boolean {
  if (readings.kinds[row] !== kind) return false;
  if (kind === valueKind.text) return readings.texts[readings.values[row]] === texts[value];
  return Object.is(readings.values[row], value);
}
