import type { ReadingColumns } from '../../../domain/reading.ts';
import type { Statements } from '../database.ts';
import { numberIn } from '../database.ts';

/** Readings that were deleted and that the file still holds: a row of the table `erasure`. */
export interface Erasure {
  readonly id: number;
  /** The commit that deleted them. What it brought itself, and what came later, is not meant. */
  readonly seq: number;
  readonly series: number;
  /** Epoch ms, inclusive. */
  readonly from: number;
  /** Epoch ms, exclusive. */
  readonly to: number;
  /** Chunks of a lower number that lie wholly in the range are still to be removed; 0: they are. */
  readonly chunkTo: number;
}

/** All that are pending, in the order in which they were made. */
export function readErasures(statements: Statements): Erasure[] {
  return statements
    .get('SELECT id, seq, series, time_from, time_to, chunk_to FROM erasure ORDER BY id')
    .all()
    .map((row) => ({
      id: numberIn(row, 0),
      seq: numberIn(row, 1),
      series: numberIn(row, 2),
      from: numberIn(row, 3),
      to: numberIn(row, 4),
      chunkTo: numberIn(row, 5),
    }));
}

/** Tells which readings of the log were deleted after they were logged. */
export class ErasureFilter {
  readonly #bySeries = new Map<number, Erasure[]>();
  #lastSeq = 0;

  constructor(erasures: readonly Erasure[]) {
    for (const erasure of erasures) {
      this.#lastSeq = Math.max(this.#lastSeq, erasure.seq);
      const known = this.#bySeries.get(erasure.series);
      if (known) known.push(erasure);
      else this.#bySeries.set(erasure.series, [erasure]);
    }
  }

  /** Whether a reading that commit `seq` brought was deleted by a later one. */
  hides(seq: number, series: number, time: number): boolean {
    const erasures = this.#bySeries.get(series);
    if (!erasures) return false;
    return erasures.some((erasure) => seq < erasure.seq && time >= erasure.from && time < erasure.to);
  }

  /** The rows of commit `seq` that were not deleted; null when that is all of them. */
  rowsKept(seq: number, readings: ReadingColumns): Uint32Array | null {
    if (seq >= this.#lastSeq) return null;
    const { count, series, times } = readings;
    let row = 0;
    while (row < count && !this.hides(seq, series[row], times[row])) row++;
    if (row === count) return null;
    const kept: number[] = [];
    for (let at = 0; at < row; at++) kept.push(at);
    for (; row < count; row++) if (!this.hides(seq, series[row], times[row])) kept.push(row);
    return Uint32Array.from(kept);
  }
}
