import type { Value } from '../../domain/reading.ts';
import { valueKind } from '../../domain/reading.ts';

/** Series for which there is room at first. */
const capacityMin = 1_024;

/**
 * The newest reading of every series, in columns by series number. Every reading of every commit is held against them, so
 * they lie side by side: an object a series would have to be fetched from memory for each.
 */
export class NewestReadings {
  /** Greatest time of a committed reading, epoch ms; -Infinity when there is none. */
  times = new Float64Array(capacityMin).fill(Number.NEGATIVE_INFINITY);
  /** The value at that time, as it stands in columns; 0 for a text. */
  values = new Float64Array(capacityMin);
  kinds = new Uint8Array(capacityMin);
  /** When readings of it were last committed since the start, epoch ms; 0 for never. */
  heardAt = new Float64Array(capacityMin);
  /** Of the series whose newest reading is a text. */
  readonly #texts = new Map<number, string>();

  /** Makes room for `series`; the columns may be others afterwards. */
  add(series: number): void {
    if (series < this.times.length) {
      this.clear(series);
      this.heardAt[series] = 0;
      return;
    }
    const capacity = Math.max(this.times.length * 2, series + 1);
    const { times, values, kinds, heardAt } = this;
    this.times = new Float64Array(capacity).fill(Number.NEGATIVE_INFINITY);
    this.times.set(times);
    this.values = new Float64Array(capacity);
    this.values.set(values);
    this.kinds = new Uint8Array(capacity);
    this.kinds.set(kinds);
    this.heardAt = new Float64Array(capacity);
    this.heardAt.set(heardAt);
  }

  /** Sets what is newest. `text` counts for a text only. */
  set(series: number, time: number, value: number, kind: number, text: string): void {
    if (kind === valueKind.text || this.kinds[series] === valueKind.text) this.#setText(series, kind, text);
    this.times[series] = time;
    this.values[series] = kind === valueKind.text ? 0 : value;
    this.kinds[series] = kind;
  }

  /** The series has no reading, though it may have been heard: what was deleted was sent. */
  clear(series: number): void {
    this.set(series, Number.NEGATIVE_INFINITY, 0, valueKind.number, '');
  }

  #setText(series: number, kind: number, text: string): void {
    if (kind === valueKind.text) this.#texts.set(series, text);
    else this.#texts.delete(series);
  }

  textOf(series: number): string {
    return this.#texts.get(series) ?? '';
  }

  /** The newest value; null without a reading. */
  valueOf(series: number): Value | null {
    if (this.times[series] === Number.NEGATIVE_INFINITY) return null;
    const kind = this.kinds[series];
    if (kind === valueKind.text) return this.textOf(series);
    return kind === valueKind.boolean ? this.values[series] !== 0 : this.values[series];
  }
}
