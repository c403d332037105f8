import type { AskedSeries } from './reading-series.ts';
import type { Table } from './reading-table.ts';

export interface TurnLimits {
  /** Series that are shown at most; null: no end. */
  readonly limit: number | null;
  /** Series in one question. */
  readonly atOnce: number;
  /** Series that are looked into for one page. */
  readonly seriesMax: number;
  /** Values after which a page ends although there is room for more series: it is in memory as a whole. */
  readonly valuesMax: number;
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/** What was shown of a turn, and the series with which it goes on; null: none is left. */
export interface Turn<T> {
  readonly shown: readonly T[];
  readonly next: AskedSeries | null;
}

/**
 * Asks for series a few at a time until so many were shown, or as much as a page holds. `ask` answers for each of its
 * series what to show, or null where there is nothing.
 */
export async function* seriesTurns<T extends { readonly table: Table }>(
  source: Iterator<AskedSeries> | AsyncIterator<AskedSeries>,
  { limit, atOnce, seriesMax, valuesMax, signal }: TurnLimits,
  ask: (series: readonly AskedSeries[]) => Promise<readonly (T | null)[]>,
): AsyncGenerator<Turn<T>> {
  let room = limit ?? Number.POSITIVE_INFINITY;
  let looked = 0;
  let values = 0;
  let ahead = await source.next();
  while (!ahead.done) {
    const series: AskedSeries[] = [];
    while (!ahead.done && series.length < Math.min(room, atOnce)) {
      series.push(ahead.value);
      ahead = await source.next();
    }
    signal.throwIfAborted();
    const shown = (await ask(series)).filter((one) => one !== null);
    room -= shown.length;
    looked += series.length;
    for (const { table } of shown) values += table.count * table.names.length;
    yield { shown, next: ahead.done ? null : ahead.value };
    if (room <= 0 || (limit !== null && (looked >= seriesMax || values >= valuesMax))) return;
  }
}
