import { valueKind } from '../../../domain/reading.ts';
import type { SampleColumns } from '../../../domain/sample-columns.ts';

/** A stretch of readings of one series, in order of time. */
export type Stretch = SampleColumns;

/** Room that a head has once it is no longer small. */
const capacityMin = 32;
/** Readings up to which capacity doubles, so that a full head has no room to spare; from there it grows by a quarter. */
const doublingMax = 1_024;
const empty = new Float64Array(0);

interface Columns {
  readonly times: Float64Array<ArrayBuffer>;
  readonly values: Float64Array<ArrayBuffer>;
}

/**
 * Columns of heads with a few readings, cut out of large buffers and used again: a buffer of its own costs a slow series
 * several times what it holds, and most series are slow.
 */
const smallCapacity = 12;
const smallsPerBuffer = 128;
const unused: Columns[] = [];

function takeSmall(): Columns {
  if (unused.length === 0) {
    const bytes = smallCapacity * Float64Array.BYTES_PER_ELEMENT;
    const buffer = new ArrayBuffer(smallsPerBuffer * bytes * 2);
    for (let at = 0; at < buffer.byteLength; at += bytes * 2) {
      unused.push({
        times: new Float64Array(buffer, at, smallCapacity),
        values: new Float64Array(buffer, at + bytes, smallCapacity),
      });
    }
  }
  return unused.pop() ?? columnsFor(smallCapacity);
}

/** Both columns in one buffer. */
function columnsFor(capacity: number): Columns {
  const buffer = new ArrayBuffer(capacity * 2 * Float64Array.BYTES_PER_ELEMENT);
  return {
    times: new Float64Array(buffer, 0, capacity),
    values: new Float64Array(buffer, capacity * Float64Array.BYTES_PER_ELEMENT, capacity),
  };
}

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
  times: Float64Array<ArrayBuffer> = empty;
  values: Float64Array<ArrayBuffer> = empty;
  /** Absent as long as all values are numbers. */
  kinds: Uint8Array<ArrayBuffer> | null = null;
  /** Columns that go back to `unused`; null when they are large or there are none. */
  #small: Columns | null = null;
  /** Text readings hold an index into this list; replaced ones leave theirs behind until the head is cleared. */
  texts: string[] = [];

  /** Puts a reading in its place; a reading of the same time is replaced. `text` is read for text readings only. */
  put(time: number, value: number, kind: number, text: string): void {
    let stored = value;
    if (kind === valueKind.text) stored = this.texts.push(text) - 1;
    if (kind !== valueKind.number) this.kinds ??= new Uint8Array(this.times.length);
    const last = this.count - 1;
    if (last < 0 || time > this.times[last]) {
      this.#write(this.#append(), time, stored, kind);
      return;
    }
    const place = this.firstAtOrAfter(time);
    if (this.times[place] !== time) this.#open(place);
    this.#write(place, time, stored, kind);
  }

  /** As `put` for a number newer than all others here, where there is room for it; else false, and nothing is changed. */
  append(time: number, value: number): boolean {
    const { count, times } = this;
    if (count === 0 || count === times.length || this.kinds !== null || !(time > times[count - 1])) return false;
    times[count] = time;
    this.values[count] = value;
    this.count = count + 1;
    return true;
  }

  /** Index of the first reading at or after `time`; `count` when there is none. */
  firstAtOrAfter(time: number): number {
    return firstAtOrAfter(this.times, this.count, time);
  }

  /** Index of the reading at exactly `time`, or -1. */
  indexOf(time: number): number {
    const place = this.firstAtOrAfter(time);
    return place < this.count && this.times[place] === time ? place : -1;
  }

  /** Takes the readings in `[from, to)` out. */
  remove(from: number, to: number): void {
    const begin = this.firstAtOrAfter(from);
    const end = this.firstAtOrAfter(to);
    if (begin >= end) return;
    this.times.copyWithin(begin, end, this.count);
    this.values.copyWithin(begin, end, this.count);
    this.kinds?.copyWithin(begin, end, this.count);
    this.count -= end - begin;
    if (this.count === 0) this.clear();
  }

  clear(): void {
    this.count = 0;
    this.firstSeq = 0;
    if (this.#small) unused.push(this.#small);
    this.#small = null;
    this.times = empty;
    this.values = empty;
    this.kinds = null;
    this.texts = [];
  }

  /** A copy of rows `begin` to `end` (excluded), with arrays of their own. */
  copy(begin: number, end: number): Stretch {
    return {
      count: Math.max(end - begin, 0),
      times: this.times.slice(begin, end),
      values: this.values.slice(begin, end),
      kinds: this.kinds?.slice(begin, end) ?? null,
      texts: this.kinds ? [...this.texts] : [],
    };
  }

  #append(): number {
    if (this.count === this.times.length) this.#grow();
    return this.count++;
  }

  /** Makes a gap at `place` for a late reading. */
  #open(place: number): void {
    const end = this.count;
    this.#append();
    this.times.copyWithin(place + 1, place, end);
    this.values.copyWithin(place + 1, place, end);
    this.kinds?.copyWithin(place + 1, place, end);
  }

  #write(place: number, time: number, value: number, kind: number): void {
    this.times[place] = time;
    this.values[place] = value;
    if (this.kinds) this.kinds[place] = kind;
  }

  #grow(): void {
    const { length } = this.times;
    // A head that is a little over full, because sealing is behind, shall not take twice the memory.
    const capacity = length < doublingMax ? Math.max(length * 2, capacityMin) : length + (length >> 2);
    const { times, values } = length === 0 ? takeSmall() : columnsFor(capacity);
    times.set(this.times);
    values.set(this.values);
    if (this.#small) unused.push(this.#small);
    this.#small = length === 0 ? { times, values } : null;
    this.times = times;
    this.values = values;
    if (this.kinds) {
      const kinds = new Uint8Array(times.length);
      kinds.set(this.kinds);
      this.kinds = kinds;
    }
  }
}

/** Binary search: index of the first of `count` ascending times at or after `time`. */
export function firstAtOrAfter(times: Float64Array, count: number, time: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (times[middle] < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
