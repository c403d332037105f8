import { valueKind } from '../../../domain/reading.ts';
import type { SampleColumns } from '../../../domain/sample-columns.ts';
import type { ChunkRow, SnapshotChunks } from './reader-chunks.ts';

/** Rows `begin` to `end` (excluded) of columns that may be used again for others: to be looked at, or copied, at once. */
export interface Rows {
  readonly columns: SampleColumns;
  readonly begin: number;
  readonly end: number;
}

const capacityMin = 256;

/** Columns that grow as rows are copied to their end. */
export class GrowingColumns {
  readonly #capacityMax: number;
  #count = 0;
  #times = new Float64Array(capacityMin);
  #values = new Float64Array(capacityMin);
  #kinds: Uint8Array<ArrayBuffer> | null = null;
  #texts: string[] = [];

  /** `capacityMax`: more rows than this will not come. */
  constructor(capacityMax: number) {
    this.#capacityMax = capacityMax;
  }

  get count(): number {
    return this.#count;
  }

  add(columns: SampleColumns, begin: number, end: number): void {
    const at = this.#reserve(end - begin, columns.kinds !== null);
    this.#times.set(columns.times.subarray(begin, end), at);
    this.#values.set(columns.values.subarray(begin, end), at);
    if (!columns.kinds) return;
    for (let row = begin; row < end; row++) this.#setKind(at + row - begin, columns, row);
  }

  /** Unpacks a chunk to where it belongs; false, and nothing was added, when that is for `add`: not of numbers, or damaged. */
  addChunk(chunks: SnapshotChunks, chunk: ChunkRow): boolean {
    if (this.#kinds) return false;
    const at = this.#reserve(chunk.count, false);
    if (chunks.unpackInto(chunk, { times: this.#times, values: this.#values }, at)) return true;
    this.#count = at;
    return false;
  }

  /** The same, the last row first. */
  addReversed(columns: SampleColumns, begin: number, end: number): void {
    const at = this.#reserve(end - begin, columns.kinds !== null);
    const [times, values] = [this.#times, this.#values];
    for (let row = begin, place = at + end - begin - 1; row < end; row++, place--) {
      times[place] = columns.times[row];
      values[place] = columns.values[row];
      if (columns.kinds) this.#setKind(place, columns, row);
    }
  }

  /** What was added; the buffers may be longer. Nothing may be added afterwards. */
  finish(): SampleColumns {
    return { count: this.#count, times: this.#times, values: this.#values, kinds: this.#kinds, texts: this.#texts };
  }

  #setKind(place: number, columns: SampleColumns, row: number): void {
    const kind = columns.kinds?.[row] ?? valueKind.number;
    if (this.#kinds) this.#kinds[place] = kind;
    if (kind !== valueKind.text) return;
    this.#values[place] = this.#texts.push(columns.texts[columns.values[row]]) - 1;
  }

  #reserve(count: number, hasKinds: boolean): number {
    const at = this.#count;
    this.#count += count;
    if (this.#count > this.#times.length) this.#grow(this.#count);
    if (hasKinds) this.#kinds ??= new Uint8Array(this.#times.length);
    return at;
  }

  /** Large steps: memory that is not written to costs nothing, copying does. */
  #grow(needed: number): void {
    const capacity = Math.max(needed, Math.min(this.#times.length * 8, this.#capacityMax));
    const times = new Float64Array(capacity);
    const values = new Float64Array(capacity);
    times.set(this.#times);
    values.set(this.#values);
    this.#times = times;
    this.#values = values;
    if (!this.#kinds) return;
    const kinds = new Uint8Array(capacity);
    kinds.set(this.#kinds);
    this.#kinds = kinds;
  }
}

/** Letters in the texts of rows `begin` to `end` (excluded). */
export function lettersIn({ values, kinds, texts }: SampleColumns, begin: number, end: number): number {
  if (kinds === null) return 0;
  let letters = 0;
  for (let row = begin; row < end; row++) if (kinds[row] === valueKind.text) letters += texts[values[row]].length;
  return letters;
}

/**
 * Rows of one series, given in the order in which they were written, merged by time: of several at one time the last
 * written. At least one of `layers`; the answer is one of them, or has arrays of its own.
 */
export function mergeLayers(layers: readonly Rows[]): Rows {
  let merged = layers;
  // Neighbours first, so that n layers cost log n passes over the rows; the order of writing is kept.
  while (merged.length > 1) {
    const next: Rows[] = [];
    for (let at = 0; at < merged.length; at += 2) {
      const later = merged[at + 1];
      next.push(later ? mergePair(merged[at], later) : merged[at]);
    }
    merged = next;
  }
  return merged[0];
}

function mergePair(earlier: Rows, later: Rows): Rows {
  const [a, b] = [earlier.columns, later.columns];
  const countMax = earlier.end - earlier.begin + later.end - later.begin;
  const times = new Float64Array(countMax);
  const values = new Float64Array(countMax);
  const kinds = a.kinds || b.kinds ? new Uint8Array(countMax) : null;
  const texts = kinds ? [...a.texts, ...b.texts] : [];
  let count = 0;
  let left = earlier.begin;
  let right = later.begin;
  while (left < earlier.end || right < later.end) {
    const isLeft = right === later.end || (left < earlier.end && a.times[left] < b.times[right]);
    if (!isLeft && left < earlier.end && a.times[left] === b.times[right]) left++;
    const columns = isLeft ? a : b;
    const row = isLeft ? left++ : right++;
    times[count] = columns.times[row];
    values[count] = columns.values[row];
    if (kinds && columns.kinds) {
      kinds[count] = columns.kinds[row];
      if (!isLeft && kinds[count] === valueKind.text) values[count] += a.texts.length;
    }
    count++;
  }
  return { columns: { count, times, values, kinds, texts }, begin: 0, end: count };
}
