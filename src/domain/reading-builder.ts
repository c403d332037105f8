import type { ReadingColumns, Value } from './reading.ts';
import { valueKind } from './reading.ts';

/** Grows `ReadingColumns` row by row. `build` hands the arrays over; the builder is empty afterwards. */
export class ReadingBuilder {
  #count = 0;
  #series: Uint32Array<ArrayBuffer>;
  #times: Float64Array<ArrayBuffer>;
  #values: Float64Array<ArrayBuffer>;
  #kinds: Uint8Array<ArrayBuffer>;
  #texts: string[] = [];

  constructor(capacity = 64) {
    this.#series = new Uint32Array(capacity);
    this.#times = new Float64Array(capacity);
    this.#values = new Float64Array(capacity);
    this.#kinds = new Uint8Array(capacity);
  }

  get count(): number {
    return this.#count;
  }

  add(series: number, time: number, value: Value): void {
    if (this.#count === this.#series.length) this.#grow();
    const row = this.#count++;
    this.#series[row] = series;
    this.#times[row] = time;
    if (typeof value === 'number') {
      this.#values[row] = value;
      this.#kinds[row] = valueKind.number;
    } else if (typeof value === 'boolean') {
      this.#values[row] = value ? 1 : 0;
      this.#kinds[row] = valueKind.boolean;
    } else {
      this.#values[row] = this.#texts.push(value) - 1;
      this.#kinds[row] = valueKind.text;
    }
  }

  build(): ReadingColumns {
    const columns = {
      count: this.#count,
      series: this.#series,
      times: this.#times,
      values: this.#values,
      kinds: this.#kinds,
      texts: this.#texts,
    };
    this.#count = 0;
    this.#series = new Uint32Array(64);
    this.#times = new Float64Array(64);
    this.#values = new Float64Array(64);
    this.#kinds = new Uint8Array(64);
    this.#texts = [];
    return columns;
  }

  #grow(): void {
    const capacity = Math.max(this.#series.length * 2, 64);
    this.#series = grown(this.#series, new Uint32Array(capacity));
    this.#times = grown(this.#times, new Float64Array(capacity));
    this.#values = grown(this.#values, new Float64Array(capacity));
    this.#kinds = grown(this.#kinds, new Uint8Array(capacity));
  }
}

function grown<T extends Uint8Array | Uint32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
