import { InvariantError, RejectedError } from '../base/errors.ts';
import { ownText } from '../base/own-text.ts';
import type { Series, SeriesDirectory } from '../domain/series.ts';

export interface SeriesLimits {
  /** Series in all. */
  readonly seriesMax: number;
  /** Metrics of one device. */
  readonly metricsMax: number;
}

/**
 * Gives every (device, metric) its number. A number is given out when its first reading arrives and travels to disk in
 * the commit of that reading; if that commit fails, it goes with the next one, so a number in memory never changes.
 */
export class SeriesRegistry implements SeriesDirectory {
  readonly #limits: SeriesLimits;
  readonly #byDevice = new Map<string, Map<string, number>>();
  /** Index 0 stays empty: ids begin at 1. */
  readonly #series: (Series | undefined)[] = [undefined];
  #persisted = 0;
  /** The first series that has a metric: its name is kept once, however many others have it, and goes with that one. */
  readonly #firstOf = new Map<string, number>();

  constructor(limits: SeriesLimits) {
    this.#limits = limits;
  }

  /** Takes over what the engine recovered; ids given out since the failed commit keep their numbers. */
  load(series: readonly Series[]): void {
    for (const { id, device, metric } of series) {
      const known = this.#series[id];
      if (known && (known.device !== device || known.metric !== metric)) {
        throw new InvariantError(
          `series ${id} is ${device}/${metric} on disk and ${known.device}/${known.metric} in memory`,
        );
      }
      this.#put({ id, device, metric });
      this.#persisted = Math.max(this.#persisted, id);
    }
  }

  get size(): number {
    return this.#series.length - 1;
  }

  series(id: number): Series {
    const series = this.#series[id];
    if (!series) throw new InvariantError(`there is no series ${id}`);
    return series;
  }

  find(device: string, metric: string): number | undefined {
    return this.#byDevice.get(device)?.get(metric);
  }

  /** The series of one device, in order of their first reading. */
  ofDevice(device: string): readonly Series[] {
    return [...(this.#byDevice.get(device)?.values() ?? [])].map((id) => this.series(id));
  }

  hasDevice(device: string): boolean {
    return this.#byDevice.has(device);
  }

  /** The number of a series, given out now if it is new. Throws `series_limit`; nothing is given out then. */
  assign(device: string, metric: string): number {
    const known = this.#byDevice.get(device)?.get(metric);
    if (known !== undefined) return known;
    const metrics = this.#byDevice.get(device)?.size ?? 0;
    if (metrics >= this.#limits.metricsMax) {
      throw new RejectedError(
        'series_limit',
        `device ${device} has ${metrics} metrics already; raise device.metricsMax if that is meant`,
      );
    }
    if (this.size >= this.#limits.seriesMax) {
      throw new RejectedError(
        'series_limit',
        `there are ${this.size} series already; raise storage.seriesMax if that is meant`,
      );
    }
    const id = this.#series.length;
    this.#put({ id, device, metric });
    return id;
  }

  /** Runs `assign` for one message: should it throw, the numbers that were given out meanwhile never were. */
  whole<T>(assign: () => T): T {
    const before = this.#series.length;
    try {
      return assign();
    } catch (error) {
      for (const series of this.#series.splice(before)) if (series) this.#forget(series);
      throw error;
    }
  }

  /** What the next commit must carry. */
  unpersisted(): readonly Series[] {
    const series: Series[] = [];
    for (let id = this.#persisted + 1; id < this.#series.length; id++) series.push(this.series(id));
    return series;
  }

  /** The commit that carried `series` is on disk. */
  persisted(series: readonly Series[]): void {
    this.#persisted = Math.max(this.#persisted, series.at(-1)?.id ?? 0);
  }

  #forget({ id, device, metric }: Series): void {
    if (this.#firstOf.get(metric) === id) this.#firstOf.delete(metric);
    const metrics = this.#byDevice.get(device);
    metrics?.delete(metric);
    if (metrics?.size === 0) this.#byDevice.delete(device);
  }

  #put({ id, device, metric }: Series): void {
    const siblings = this.#byDevice.get(device);
    const [sibling] = siblings?.values() ?? [];
    const named = sibling === undefined ? ownText(device) : this.series(sibling).device;
    const series = { id, device: named, metric: this.#ownMetric(metric, id) };
    this.#series[id] = series;
    if (siblings) siblings.set(series.metric, id);
    else this.#byDevice.set(series.device, new Map([[series.metric, id]]));
  }

  #ownMetric(metric: string, id: number): string {
    const first = this.#firstOf.get(metric);
    if (first !== undefined) return this.series(first).metric;
    const own = ownText(metric);
    this.#firstOf.set(own, id);
    return own;
  }
}
