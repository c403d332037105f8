import type { CommittedBatch, Deleted } from '../domain/commit.ts';
import type { Glob } from '../domain/glob.ts';
import { type Value, valueAt } from '../domain/reading.ts';
import type { Series, SeriesDirectory } from '../domain/series.ts';

/** The current value of a series: the reading with the greatest time, never the last arrival. */
export interface LatestValue {
  readonly series: number;
  readonly device: string;
  readonly metric: string;
  /** Epoch ms. */
  readonly time: number;
  readonly value: Value;
}

/** What this room needs of the series: numbers to names, and which a device has. */
export interface SeriesNames extends SeriesDirectory {
  readonly size: number;
  find(device: string, metric: string): number | undefined;
  ofDevice(device: string): readonly Series[];
}

/** Current values in memory, made anew from the engine at start and moved by every commit. */
export class LatestValues {
  readonly #names: SeriesNames;
  /** By series id; NaN where there is no reading. */
  #times = new Float64Array(1024).fill(Number.NaN);
  readonly #values: (Value | undefined)[] = [];

  constructor(names: SeriesNames) {
    this.#names = names;
  }

  /** What the engine knows, and nothing else: what was there before goes. */
  load(heads: readonly { readonly id: number; readonly time: number | null; readonly value: Value | null }[]): void {
    this.#times.fill(Number.NaN);
    this.#values.length = 0;
    for (const { id, time, value } of heads) {
      if (time !== null && value !== null) this.#put(id, time, value);
    }
  }

  /** `deleted`: what went before the readings of the batch were written. */
  apply(batch: CommittedBatch, deleted: Deleted | null = null): void {
    for (const { series, time, value } of deleted?.newest ?? []) {
      if (time === null || value === null) this.#remove(series);
      else this.#put(series, time, value);
    }
    const { readings } = batch;
    for (let row = 0; row < readings.count; row++) {
      const series = readings.series[row];
      // The same time again is a replacement, and that is the current value too.
      if (!(readings.times[row] < this.newestTime(series)))
        this.#put(series, readings.times[row], valueAt(readings, row));
    }
  }

  /** Epoch ms; -Infinity for a series without readings. */
  newestTime(series: number): number {
    const time = series < this.#times.length ? this.#times[series] : Number.NaN;
    return Number.isNaN(time) ? Number.NEGATIVE_INFINITY : time;
  }

  find(device: string, metric: string): LatestValue | undefined {
    const id = this.#names.find(device, metric);
    return id === undefined ? undefined : this.#read(this.#names.series(id));
  }

  /** The current values of one device; empty for a device without readings. */
  device(device: string): readonly LatestValue[] {
    return this.#names.ofDevice(device).flatMap((series) => this.#read(series) ?? []);
  }

  /** Current values by series number, oldest series first. */
  select(device: Glob, metric: Glob): readonly LatestValue[] {
    const found: LatestValue[] = [];
    const size = this.#names.size;
    for (let id = 1; id <= size; id++) {
      const series = this.#names.series(id);
      if (!device(series.device) || !metric(series.metric)) continue;
      const value = this.#read(series);
      if (value) found.push(value);
    }
    return found;
  }

  #read(series: Series): LatestValue | undefined {
    const value = this.#values[series.id];
    if (value === undefined) return undefined;
    return { series: series.id, device: series.device, metric: series.metric, time: this.#times[series.id], value };
  }

  #remove(series: number): void {
    if (series < this.#times.length) this.#times[series] = Number.NaN;
    this.#values[series] = undefined;
  }

  #put(series: number, time: number, value: Value): void {
    if (series >= this.#times.length) {
      const grown = new Float64Array(Math.max(this.#times.length * 2, series + 1)).fill(Number.NaN);
      grown.set(this.#times);
      this.#times = grown;
    }
    this.#times[series] = time;
    this.#values[series] = value;
  }
}
