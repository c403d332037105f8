import { FairTurns } from '../../base/fair-turns.ts';
import type { Asker, HistoryQueries, SeriesRange } from '../../history/queries.ts';
import { RequestRefused } from '../problem.ts';

/** Series in one question. */
const estimatedAtOnce = 1_000;

/** Answers without an end of their own. Each keeps a reader and a list of series busy, so there are only so many at once. */
export class Downloads {
  readonly #reader: Pick<HistoryQueries, 'estimate'>;
  readonly #places: FairTurns;

  constructor(reader: Pick<HistoryQueries, 'estimate'>, max: number) {
    this.#reader = reader;
    this.#places = new FairTurns(max);
  }

  /** Refuses one too many. */
  checkPlace({ name }: Asker): void {
    if (this.#places.isFree(name)) return;
    const detail =
      'as many downloads as there may be, or as one may have of them, are being written already; wait for one to end, or ask for pages with "limit"';
    throw new RequestRefused('rate_limited', detail, { headers: { 'retry-after': '5' } });
  }

  /** Writes what `make` gives; it has its place from the first step to its end, however that comes. Refuses one too many. */
  async *begin(asker: Asker, make: () => AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    this.checkPlace(asker);
    this.#places.take(asker.name);
    try {
      yield* make();
    } finally {
      this.#places.giveBack(asker.name);
    }
  }

  /** About how many readings there are. Rejects as soon as nobody waits for it any more. */
  async estimate(ranges: AsyncIterable<SeriesRange>, asker: Asker): Promise<number> {
    let readings = 0;
    let some: SeriesRange[] = [];
    for await (const range of ranges) {
      if (some.push(range) < estimatedAtOnce) continue;
      readings += (await this.#reader.estimate(some, asker)).readings;
      some = [];
    }
    return some.length === 0 ? readings : readings + (await this.#reader.estimate(some, asker)).readings;
  }
}
