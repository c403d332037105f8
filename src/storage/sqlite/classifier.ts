import type { ReadingColumns } from '../../domain/reading.ts';
import { disposition, valueKind } from '../../domain/reading.ts';
import type { ChunkLookup } from './chunks/chunk-lookup.ts';
import type { ErasedRanges } from './erasing/erased-ranges.ts';
import type { SeriesState } from './series-state.ts';

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
 * Nothing is changed but marks on the series that the next call ignores, so a commit that fails leaves no trace.
 */
export class Classifier {
  readonly #series: readonly (SeriesState | undefined)[];
  readonly #chunks: ChunkLookup;
  #stamp = 0;
  #erased: ErasedRanges | null = null;
  /** For each row: the row before it of the same series, or -1. */
  #previous = new Int32Array(1024);

  constructor(series: readonly (SeriesState | undefined)[], chunks: ChunkLookup) {
    this.#series = series;
    this.#chunks = chunks;
  }

  /**
   * `erased`: what the same commit deletes first, as if it were not kept. Throws `RefusedCommitError` for a row of an
   * unknown series or one that cannot be kept.
   */
  classify(readings: ReadingColumns, erased: ErasedRanges | null = null): Classified {
    const { count, series, times } = readings;
    this.#erased = erased;
    this.#stamp++;
    if (this.#previous.length < count) this.#previous = new Int32Array(count * 2);
    let dispositions: Uint8Array<ArrayBuffer> | null = null;
    let identical = 0;
    for (let row = 0; row < count; row++) {
      const state = this.#series[series[row]];
      if (!state) throw new RefusedCommitError(`row ${row} is of series ${series[row]}, which is not known`);
      checkRow(readings, row);
      const time = times[row];
      if (state.stamp !== this.#stamp) {
        state.stamp = this.#stamp;
        state.stagedTime = state.time;
        state.stagedRow = -1;
        state.stagedByTime = null;
      }
      let found: number = disposition.stored;
      if (time > state.stagedTime) state.stagedTime = time;
      else found = this.#lookUp(readings, row, state);
      if (found !== disposition.stored) {
        dispositions ??= new Uint8Array(count);
        dispositions[row] = found;
      }
      if (found === disposition.identical) {
        identical++;
        continue;
      }
      this.#previous[row] = state.stagedRow;
      state.stagedRow = row;
      state.stagedByTime?.set(time, row);
    }
    if (!dispositions || identical === 0) return { dispositions, rows: null };
    const rows = new Uint32Array(count - identical);
    let at = 0;
    for (let row = 0; row < count; row++) if (dispositions[row] !== disposition.identical) rows[at++] = row;
    return { dispositions, rows };
  }

  #lookUp(readings: ReadingColumns, row: number, state: SeriesState): number {
    const time = readings.times[row];
    const staged = this.#stagedByTime(readings, state).get(time);
    if (staged !== undefined) {
      return isSame(readings, row, readings.kinds[staged], readings.values[staged], readings.texts)
        ? disposition.identical
        : disposition.replaced;
    }
    if (this.#erased?.has(state.id, time)) return disposition.stored;
    if (time === state.time) {
      // The newest reading sent again, the usual duplicate, needs no search.
      const texts = [state.text];
      return isSame(readings, row, state.kind, state.kind === valueKind.text ? 0 : state.value, texts)
        ? disposition.identical
        : disposition.replaced;
    }
    const { head } = state;
    const place = head.indexOf(time);
    const kept =
      place >= 0
        ? { stretch: head, index: place }
        : time <= state.sealedTime
          ? this.#chunks.find(state.id, time)
          : null;
    if (!kept) return disposition.stored;
    const { stretch, index } = kept;
    return isSame(readings, row, stretch.kinds?.[index] ?? valueKind.number, stretch.values[index], stretch.texts)
      ? disposition.identical
      : disposition.replaced;
  }

  /** The rows of the series so far, by time; made only for series that need it, so that readings in order cost nothing. */
  #stagedByTime(readings: ReadingColumns, state: SeriesState): Map<number, number> {
    if (state.stagedByTime) return state.stagedByTime;
    const byTime = new Map<number, number>();
    for (let row = state.stagedRow; row >= 0; row = this.#previous[row]) {
      // From the newest row back: the first one found for a time is the one that counts.
      if (!byTime.has(readings.times[row])) byTime.set(readings.times[row], row);
    }
    state.stagedByTime = byTime;
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
