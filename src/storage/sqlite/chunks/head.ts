import { valueKind } from '../../../domain/reading.ts';
import type { SampleColumns } from '../../../domain/sample-columns.ts';

/** A stretch of readings of one series, in order of time. */
export type Stretch = SampleColumns;

/** Room that a head has once it is no longer small. */
const capacityMin = 34;
/**
 * Readings up to which capacity doubles; from there it grows by a quarter. A full head (1,024) has room for the commits
 * that come until its turn to be sealed, when the heads of a fleet become full together: see `stepsMax` of the sealer.
 */
const doublingMax = capacityMin * 32;
const empty = new Float64Array(0);

/**
 * Heads with a few readings have slots of large columns, which are used again: most series are slow, and an array of
 * its own costs such a head several times what it holds, even one that is only a view.
 */
const smallCapacity = 12;
const slotLength = smallCapacity * 2;
const slotsPerSlab = 128;
const slabs: Float64Array<ArrayBuffer>[] = [];
const unusedSlots: number[] = [];

function takeSlot(): number {
  if (unusedSlots.length === 0) {
    const first = slabs.push(new Float64Array(slotsPerSlab * slotLength)) * slotsPerSlab - slotsPerSlab;
    for (let slot = first + slotsPerSlab - 1; slot > first; slot--) unusedSlots.push(slot);
    return first;
  }
  return unusedSlots.pop() ?? 0;
}

/** What a head that holds more than numbers has beside its columns. */
interface Mixed {
  kinds: Uint8Array<ArrayBuffer>;
  /** Text readings hold an index into this list; replaced ones leave theirs behind until the head is cleared. */
  readonly texts: string[];
}

const noTexts: readonly string[] = [];

/**
 * The newest readings of one series, not yet sealed: columns in memory, each time once, in order of time. What is here
 * is in the commit log as well; the head grows with what it holds and gives its memory back when it is cleared.
 */
export class Head {
  count = 0;
  /** Commit that brought the oldest reading here; replay begins there. */
  firstSeq = 0;
  /** Monotonic time (ms) at which the first reading came. */
  openedAt = 0;
  /** The times, and behind them the values: a slab with a slot for this head, or an array of its own. */
  #columns: Float64Array<ArrayBuffer> = empty;
  /** Where in it the times begin. */
  #begin = 0;
  /** How many rows there is room for. */
  #capacity = 0;
  /** Its slot; -1 with an array of its own, or without any. */
  #slot = -1;
  #mixed: Mixed | null = null;

  /** Puts a reading in its place; a reading of the same time is replaced. `text` is read for text readings only. */
  put(time: number, value: number, kind: number, text: string): void {
    let stored = value;
    if (kind !== valueKind.number) {
      this.#mixed ??= { kinds: new Uint8Array(this.#capacity), texts: [] };
      if (kind === valueKind.text) stored = this.#mixed.texts.push(text) - 1;
    }
    const { count } = this;
    if (count === 0 || time > this.#columns[this.#begin + count - 1]) {
      this.#write(this.#append(), time, stored, kind);
      return;
    }
    const place = this.firstAtOrAfter(time);
    if (this.#columns[this.#begin + place] !== time) this.#open(place);
    this.#write(place, time, stored, kind);
  }

  /** As `put` for a number newer than all others here, where there is room for it; else false, and nothing is changed. */
  append(time: number, value: number): boolean {
    const { count } = this;
    const columns = this.#columns;
    const capacity = this.#capacity;
    if (count === 0 || count === capacity || this.#mixed !== null) return false;
    const at = this.#begin + count;
    if (!(time > columns[at - 1])) return false;
    columns[at] = time;
    columns[at + capacity] = value;
    this.count = count + 1;
    return true;
  }

  /** Time of the oldest reading; there must be one. */
  get firstTime(): number {
    return this.#columns[this.#begin];
  }

  /** Time of the newest reading; there must be one. */
  get lastTime(): number {
    return this.#columns[this.#begin + this.count - 1];
  }

  /** What text readings hold an index into. */
  get texts(): readonly string[] {
    return this.#mixed?.texts ?? noTexts;
  }

  /** The value of row `place` as it stands in columns. */
  valueAt(place: number): number {
    return this.#columns[this.#begin + this.#capacity + place];
  }

  kindAt(place: number): number {
    return this.#mixed?.kinds[place] ?? valueKind.number;
  }

  /** Index of the first reading at or after `time`; `count` when there is none. */
  firstAtOrAfter(time: number): number {
    return firstAtOrAfter(this.#columns, this.count, time, this.#begin);
  }

  /** Index of the reading at exactly `time`, or -1. */
  indexOf(time: number): number {
    const place = this.firstAtOrAfter(time);
    return place < this.count && this.#columns[this.#begin + place] === time ? place : -1;
  }

  /** Takes the readings in `[from, to)` out. */
  remove(from: number, to: number): void {
    const first = this.firstAtOrAfter(from);
    const end = this.firstAtOrAfter(to);
    if (first >= end) return;
    this.#move(end, first);
    this.count -= end - first;
    if (this.count === 0) this.clear();
  }

  clear(): void {
    this.count = 0;
    this.firstSeq = 0;
    if (this.#slot >= 0) unusedSlots.push(this.#slot);
    this.#slot = -1;
    this.#columns = empty;
    this.#begin = 0;
    this.#capacity = 0;
    this.#mixed = null;
  }

  /** Its readings where they are: good until the next one is put or taken out. */
  view(): Stretch {
    const begin = this.#begin;
    const values = begin + this.#capacity;
    return {
      count: this.count,
      times: this.#columns.subarray(begin, begin + this.count),
      values: this.#columns.subarray(values, values + this.count),
      kinds: this.#mixed?.kinds ?? null,
      texts: this.texts,
    };
  }

  /** A copy of rows `begin` to `end` (excluded), with arrays of their own. */
  copy(begin: number, end: number): Stretch {
    const { times, values, kinds, texts } = this.view();
    return {
      count: Math.max(end - begin, 0),
      times: times.slice(begin, end),
      values: values.slice(begin, end),
      kinds: kinds?.slice(begin, end) ?? null,
      texts: [...texts],
    };
  }

  #append(): number {
    if (this.count === this.#capacity) this.#grow();
    return this.count++;
  }

  /** Makes a gap at `place` for a late reading. */
  #open(place: number): void {
    if (this.count === this.#capacity) this.#grow();
    this.#move(place, place + 1);
    this.count++;
  }

  /** Moves the rows from `from` on to `to`. */
  #move(from: number, to: number): void {
    const times = this.#begin;
    const values = times + this.#capacity;
    const { count } = this;
    this.#columns.copyWithin(times + to, times + from, times + count);
    this.#columns.copyWithin(values + to, values + from, values + count);
    this.#mixed?.kinds.copyWithin(to, from, count);
  }

  #write(place: number, time: number, value: number, kind: number): void {
    const at = this.#begin + place;
    this.#columns[at] = time;
    this.#columns[at + this.#capacity] = value;
    if (this.#mixed) this.#mixed.kinds[place] = kind;
  }

  #grow(): void {
    const length = this.#capacity;
    if (length === 0) {
      this.#slot = takeSlot();
      this.#columns = slabs[Math.floor(this.#slot / slotsPerSlab)];
      this.#begin = (this.#slot % slotsPerSlab) * slotLength;
      this.#capacity = smallCapacity;
    } else {
      // A head that is a little over full, because sealing is behind, shall not take twice the memory.
      const capacity = length < doublingMax ? Math.max(length * 2, capacityMin) : length + (length >> 2);
      const { times, values } = this.view();
      const columns = new Float64Array(capacity * 2);
      columns.set(times);
      columns.set(values, capacity);
      if (this.#slot >= 0) unusedSlots.push(this.#slot);
      this.#slot = -1;
      this.#columns = columns;
      this.#begin = 0;
      this.#capacity = capacity;
    }
    if (!this.#mixed) return;
    const kinds = new Uint8Array(this.#capacity);
    kinds.set(this.#mixed.kinds);
    this.#mixed.kinds = kinds;
  }
}

/** Binary search: index of the first of `count` ascending times at or after `time`. They begin at `begin`. */
export function firstAtOrAfter(times: Float64Array, count: number, time: number, begin = 0): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (times[begin + middle] < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
