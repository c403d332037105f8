import { Buffer } from 'node:buffer';
import type { ReadingText } from './reading-text.ts';
import type { Rows } from './rows.ts';
import type { SeriesSet } from './series-set.ts';

/**
 * One frame's worth of readings, serialised once for all subscribers of a channel. What differs between them — the
 * id they chose, and in columns the series they have not been told yet — stands at the front; the rest is shared, and
 * subscribers whose front is the same get the very same buffer.
 */
export class Payload {
  readonly count: number;
  readonly #text: ReadingText;
  readonly #op: 'readings' | 'snapshot';
  readonly #tail: Buffer;
  /** The distinct series in it, in columns; null in rows. */
  readonly #series: readonly number[] | null;
  readonly #frames = new Map<string, Buffer>();

  constructor(options: {
    op: 'readings' | 'snapshot';
    shape: 'rows' | 'columns';
    text: ReadingText;
    rows: Rows;
    from?: number;
    to?: number;
    /** JSON members that every subscriber gets, `"cursor":"…"` or `"done":true`. */
    members: string;
  }) {
    const { rows, text, shape, members, from = 0, to = rows.count } = options;
    this.count = to - from;
    this.#text = text;
    this.#op = options.op;
    if (shape === 'rows') {
      this.#series = null;
      this.#tail = Buffer.from(`${members},"readings":${text.rows(rows, from, to)}}`);
    } else {
      this.#series = [...new Set(rows.series.slice(from, to))];
      this.#tail = Buffer.from(`${members},"points":${text.points(rows, from, to)}}`);
    }
  }

  /** The frame for one subscriber, whose id comes as JSON. In columns the series that are new to it are told and noted in `told`. */
  frameFor(quotedId: string, told: SeriesSet): Buffer {
    let front = `{"op":"${this.#op}","id":${quotedId},`;
    if (this.#series) {
      const names: string[] = [];
      for (const series of this.#series) {
        if (told.add(series)) names.push(this.#text.seriesName(series));
      }
      front += `"series":[${names.join()}],`;
    }
    let frame = this.#frames.get(front);
    if (!frame) {
      frame = Buffer.concat([Buffer.from(front), this.#tail]);
      this.#frames.set(front, frame);
    }
    return frame;
  }
}
