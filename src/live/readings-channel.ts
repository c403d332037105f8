import type { SubscribeCommand } from '../contract/live.ts';
import type { SeriesDirectory } from '../domain/series.ts';
import type { Stretch } from './commit-stream.ts';
import { Payload } from './payload.ts';
import type { LatestValues } from './ports.ts';
import type { ReadingText } from './reading-text.ts';
import { pickAll, pickLatest, Rows } from './rows.ts';
import { SeriesFilter } from './series-filter.ts';

/** What a stretch holds for the subscribers of a channel. */
export interface Picked {
  readonly rows: Rows;
  readonly merged: number;
  readonly payload: Payload;
}

/** What is shared by all subscriptions that ask for the same: the filter's answers and every serialisation. */
export class ReadingsChannel {
  readonly mode: 'all' | 'latest';
  readonly shape: 'rows' | 'columns';
  readonly #filter: SeriesFilter;
  readonly #latest: LatestValues;
  readonly #text: ReadingText;
  readonly #cursor: (seq: number) => string;
  readonly #picked = new WeakMap<Stretch, Picked | null>();

  constructor(
    request: Pick<SubscribeCommand, 'device' | 'metric' | 'mode' | 'shape'>,
    parts: {
      directory: SeriesDirectory;
      latest: LatestValues;
      text: ReadingText;
      cursor: (seq: number) => string;
    },
  ) {
    this.mode = request.mode;
    this.shape = request.shape;
    this.#filter = new SeriesFilter(parts.directory, request.device, request.metric);
    this.#latest = parts.latest;
    this.#text = parts.text;
    this.#cursor = parts.cursor;
  }

  /** What the stretch holds for this channel, worked out once however many ask; null for nothing. */
  pick(stretch: Stretch): Picked | null {
    const known = this.#picked.get(stretch);
    if (known !== undefined) return known;
    const { rows, merged } =
      this.mode === 'all'
        ? { rows: pickAll(stretch.batches, this.#filter), merged: 0 }
        : pickLatest(stretch.batches, this.#filter, (series) => this.#latest.newestTime(series));
    const picked = rows.count + merged === 0 ? null : { rows, merged, payload: this.readings(rows, stretch.last) };
    this.#picked.set(stretch, picked);
    return picked;
  }

  /** A frame of readings up to the commit `seq`. */
  readings(rows: Rows, seq: number): Payload {
    const { shape } = this;
    return new Payload({ op: 'readings', shape, text: this.#text, rows, members: `"cursor":"${this.#cursor(seq)}"` });
  }

  /** The current values, taken now. */
  current(): Rows {
    const rows = new Rows();
    for (const { series, time, value } of this.#latest.select(this.#filter.device, this.#filter.metric)) {
      rows.add(series, time, value);
    }
    return rows;
  }

  /** One frame of a snapshot: the rows `from` … `to`, the end not included. */
  snapshot(rows: Rows, from: number, to: number): Payload {
    const { shape } = this;
    const members = `"done":${to >= rows.count}`;
    return new Payload({ op: 'snapshot', shape, text: this.#text, rows, from, to: Math.min(to, rows.count), members });
  }
}
