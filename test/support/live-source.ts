import type { Alert, Transition } from '../../src/domain/alert.ts';
import type { CommittedBatch, LogPage } from '../../src/domain/commit.ts';
import type { Glob } from '../../src/domain/glob.ts';
import type { Value } from '../../src/domain/reading.ts';
import { ReadingBuilder } from '../../src/domain/reading-builder.ts';
import type { Series, SeriesDirectory } from '../../src/domain/series.ts';
import type { LatestValue, LatestValues } from '../../src/live/ports.ts';

export interface SourceReading {
  readonly device: string;
  readonly metric: string;
  readonly time: number;
  readonly value: Value;
}

interface Committed {
  readonly batch: CommittedBatch;
  readonly readings: readonly SourceReading[];
}

/**
 * What stands behind the live room, as plain arrays: the commit log, the series, current values and open alerts. As in
 * the gateway a commit is in the log before it is published, and everything else moves when it is published.
 */
export class LiveSource implements SeriesDirectory, LatestValues {
  epoch = 'e1';
  /** Every commit ever made, also those trimmed from the log. */
  readonly history: Committed[] = [];
  firstKept = 1;
  published = 0;
  logReads = 0;
  /** While set, reading the log waits for it. */
  gate: Promise<void> | null = null;
  /** While set, reading the log fails with it. */
  fault: Error | null = null;
  readonly #series: Series[] = [];
  readonly #ids = new Map<string, number>();
  readonly #latest = new Map<number, LatestValue>();
  readonly #open = new Map<string, Alert>();

  series(id: number): Series {
    const series = this.#series[id - 1];
    if (!series) throw new Error(`no series ${id}`);
    return series;
  }

  id(device: string, metric: string): number {
    const key = `${device} ${metric}`;
    let id = this.#ids.get(key);
    if (id === undefined) {
      id = this.#series.length + 1;
      this.#series.push({ id, device, metric });
      this.#ids.set(key, id);
    }
    return id;
  }

  /** The last commit in the log. */
  get last(): number {
    return this.history.length;
  }

  commit(readings: readonly SourceReading[], transitions: readonly Transition[] = []): CommittedBatch {
    const builder = new ReadingBuilder();
    for (const { device, metric, time, value } of readings) builder.add(this.id(device, metric), time, value);
    const batch = { seq: this.last + 1, at: 1_790_000_000_000 + this.last, readings: builder.build(), transitions };
    this.history.push({ batch, readings });
    return batch;
  }

  /** Moves current values and open alerts by the next commit and hands it to `publish`; false when there is none. */
  publishNext(publish: (batch: CommittedBatch) => void): boolean {
    const next = this.history[this.published];
    if (!next) return false;
    this.published++;
    for (const { device, metric, time, value } of next.readings) {
      const series = this.id(device, metric);
      if (time >= this.newestTime(series)) this.#latest.set(series, { series, device, metric, time, value });
    }
    for (const { alert } of next.batch.transitions) {
      if (alert.state === 'firing') this.#open.set(alert.id, alert);
      else this.#open.delete(alert.id);
    }
    publish(next.batch);
    return true;
  }

  trim(firstKept: number): void {
    this.firstKept = Math.min(Math.max(firstKept, this.firstKept), this.last + 1);
  }

  newestTime(series: number): number {
    return this.#latest.get(series)?.time ?? Number.NEGATIVE_INFINITY;
  }

  *select(device: Glob, metric: Glob): Iterable<LatestValue> {
    for (const value of this.#latest.values()) {
      if (device(value.device) && metric(value.metric)) yield value;
    }
  }

  readonly openAlerts = (): Iterable<Alert> => this.#open.values();

  readonly readLog = async (query: { after: number; readingsMax: number }): Promise<LogPage> => {
    this.logReads++;
    await new Promise((resolve) => setImmediate(resolve));
    if (this.gate) await this.gate;
    if (this.fault) throw this.fault;
    const batches: CommittedBatch[] = [];
    let readings = 0;
    let last = query.after;
    for (let seq = Math.max(query.after + 1, this.firstKept); seq <= this.last; seq++) {
      if (batches.length > 0 && readings >= query.readingsMax) break;
      const { batch } = this.history[seq - 1];
      // An engine may leave out commits in which nothing is to be told.
      if (batch.readings.count > 0 || batch.transitions.length > 0) batches.push(batch);
      readings += batch.readings.count;
      last = seq;
    }
    return { batches, last, firstKept: this.firstKept };
  };
}
