import type { HistoryQueries, SeriesRange } from '../history/queries.ts';
import { RequestRefused } from './problem.ts';
import type { Range } from './reading-question.ts';
import type { AskedSeries } from './reading-series.ts';

/** Series in one question. */
const estimatedAtOnce = 1_000;

/** Answers without an end of their own. Each keeps a reader and a list of series busy, so there are only so many at once. */
export class Downloads {
  readonly #reader: Pick<HistoryQueries, 'estimate'>;
  readonly #max: number;
  #open = 0;

  constructor(reader: Pick<HistoryQueries, 'estimate'>, max: number) {
    this.#reader = reader;
    this.#max = max;
  }

  /** How many are being written. */
  get open(): number {
    return this.#open;
  }

  /** Writes what `make` gives; it has its place from the first step to its end, however that comes. Refuses one too many. */
  async *begin(make: () => AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    if (this.#open >= this.#max) {
      const detail = `${this.#open} downloads are being written already; wait for one to end, or ask for pages with "limit"`;
      throw new RequestRefused('rate_limited', detail, { headers: { 'retry-after': '5' } });
    }
    this.#open++;
    try {
      yield* make();
    } finally {
      this.#open--;
    }
  }

  /** About how many readings there are. */
  async estimate(series: Iterable<AskedSeries>, range: Range): Promise<number> {
    let readings = 0;
    let ranges: SeriesRange[] = [];
    for (const { id } of series) {
      if (ranges.push({ series: id, ...range }) < estimatedAtOnce) continue;
      readings += (await this.#reader.estimate(ranges)).readings;
      ranges = [];
    }
    return ranges.length === 0 ? readings : readings + (await this.#reader.estimate(ranges)).readings;
  }
}
