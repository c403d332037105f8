import type { LatestValue } from './latest-values.ts';
import { SeriesBuffer } from './series-buffer.ts';

/** The buffer of one chart and who wants to know when it changes. */
export class MetricFeed {
  readonly buffer = new SeriesBuffer();
  readonly #listeners = new Set<() => void>();

  subscribe(onChange: () => void): () => void {
    this.#listeners.add(onChange);
    return () => this.#listeners.delete(onChange);
  }

  add(time: number, value: LatestValue['value']): void {
    if (typeof value === 'string') return;
    this.buffer.add(time, Number(value));
    this.changed();
  }

  changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** All metrics of one device as its page follows them, whether or not a chart of them is in sight. */
export class DeviceFeed {
  readonly #metrics = new Map<string, MetricFeed>();

  metric(name: string): MetricFeed {
    let feed = this.#metrics.get(name);
    if (feed === undefined) {
      feed = new MetricFeed();
      this.#metrics.set(name, feed);
    }
    return feed;
  }
}
