import type { SampleColumns } from '../../../domain/sample-columns.ts';
import { sampleValue } from '../../../domain/sample-columns.ts';
import type { SeriesRange } from '../../../history/queries.ts';
import type { Sample } from '../../../history/reader.ts';
import { lastBefore } from './reader-boundaries.ts';
import { readSeries } from './reader-page.ts';
import { rollupBefore, rollupNumberBefore } from './reader-rollups.ts';
import type { Sources } from './reader-task.ts';
import { runEffortMax } from './reader-task.ts';

/** Readings that are looked at together: one at first, since most often it is a number. */
const [windowMin, windowMax] = [1, 4_096];

/**
 * The last number before a page of a range. In the range texts are passed over; beyond it one reading is known, and when
 * that is a text no number is.
 */
export class NumberBefore {
  readonly #range: SeriesRange;
  /** There is none from here to the page. */
  #to: number;
  #window = windowMin;
  #found: Sample | null = null;

  /** `from`: where the page begins; where the range does, nothing is sought. */
  constructor(range: SeriesRange, from: number) {
    this.#range = range;
    this.#to = from;
  }

  /** Whether it is still to be looked for, in one more snapshot. */
  get isSought(): boolean {
    return this.#to > this.#range.from;
  }

  get found(): Sample | null {
    return this.#found;
  }

  /** `head`: all unsealed readings before the page. True when it is known whether there is one, false when that cost enough. */
  seek({ chunks, rollups }: Sources, head: SampleColumns | null): boolean {
    const { series, from } = this.#range;
    while (this.isSought) {
      if (chunks.effort >= runEffortMax) return false;
      const range = { series, from, to: this.#to };
      const { columns, next } = readSeries(chunks, range, { order: 'desc', limit: this.#window, head });
      this.#found = firstNumber(columns);
      this.#window = Math.min(this.#window * 64, windowMax);
      this.#to = this.#found || next === null ? from : next;
      if (this.#found || next !== null) continue;
      const { rawFrom } = chunks.facts(series);
      const purgedTo = Math.min(range.to, rawFrom);
      this.#found =
        (purgedTo > from ? rollupNumberBefore(rollups, range, purgedTo) : null) ??
        lastBefore(chunks, series, from, head) ??
        (rawFrom > Number.NEGATIVE_INFINITY ? rollupBefore(rollups, series, Math.min(from, rawFrom)) : null);
    }
    return true;
  }
}

function firstNumber(columns: SampleColumns): Sample | null {
  for (let row = 0; row < columns.count; row++) {
    const value = sampleValue(columns, row);
    if (typeof value !== 'string') return { time: columns.times[row], value };
  }
  return null;
}
