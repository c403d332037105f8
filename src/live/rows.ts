import type { CommittedBatch } from '../domain/commit.ts';
import { type Value, valueAt } from '../domain/reading.ts';
import type { SeriesFilter } from './series-filter.ts';

/** Readings picked for a subscriber, column by column. */
export class Rows {
  readonly series: number[] = [];
  /** Epoch ms. */
  readonly times: number[] = [];
  readonly values: Value[] = [];

  get count(): number {
    return this.series.length;
  }

  add(series: number, time: number, value: Value): void {
    this.series.push(series);
    this.times.push(time);
    this.values.push(value);
  }
}

/** Every reading of the batches that the filter lets through, in order. */
export function pickAll(batches: readonly CommittedBatch[], filter: SeriesFilter): Rows {
  const rows = new Rows();
  for (const { readings } of batches) {
    for (let row = 0; row < readings.count; row++) {
      const series = readings.series[row];
      if (filter.matches(series)) rows.add(series, readings.times[row], valueAt(readings, row));
    }
  }
  return rows;
}

/**
 * The current value of every series that the filter lets through and the batches moved; `merged` counts the readings
 * whose place a newer one took. A late reading is no current value, so it is one of them.
 */
export function pickLatest(
  batches: readonly CommittedBatch[],
  filter: SeriesFilter,
  newestTime: (series: number) => number,
): { rows: Rows; merged: number } {
  const at = new Map<number, number>();
  const rows = new Rows();
  let merged = 0;
  for (const { readings } of batches) {
    for (let row = 0; row < readings.count; row++) {
      const series = readings.series[row];
      if (!filter.matches(series)) continue;
      const time = readings.times[row];
      if (time < newestTime(series)) {
        merged++;
        continue;
      }
      const known = at.get(series);
      if (known === undefined) {
        at.set(series, rows.count);
        rows.add(series, time, valueAt(readings, row));
      } else {
        merged++;
        rows.times[known] = time;
        rows.values[known] = valueAt(readings, row);
      }
    }
  }
  return { rows, merged };
}
