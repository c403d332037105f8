/** Slots of a ring that has just begun. */
const firstSlots = 256;

/**
 * The newest points of one series in ascending time, each time once, in two typed arrays that grow to a fixed capacity.
 * When it is full the oldest point makes room, so a tab that stays open for a month holds what it holds after an hour.
 */
export class PointRing {
  readonly #capacity: number;
  #times: Float64Array;
  #values: Float64Array;
  #first = 0;
  #size = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#times = new Float64Array(Math.min(capacity, firstSlots));
    this.#values = new Float64Array(this.#times.length);
  }

  get size(): number {
    return this.#size;
  }

  /** Time of point `index` (0 is the oldest), epoch ms. */
  time(index: number): number {
    return this.#times[this.#slot(index)] ?? Number.NaN;
  }

  value(index: number): number {
    return this.#values[this.#slot(index)] ?? Number.NaN;
  }

  /**
   * Puts a point in its place. Appending costs O(1); a late point moves the newer ones; a known time takes the new
   * value. A point older than everything in a full ring is dropped.
   */
  add(time: number, value: number): void {
    const at = this.indexFrom(time);
    if (at < this.#size && this.time(at) === time) {
      this.#values[this.#slot(at)] = value;
      return;
    }
    if (this.#size < this.#capacity) {
      if (this.#size === this.#times.length) this.#grow();
      this.#size++;
      this.#insert(at, time, value);
    } else if (at > 0) {
      this.#first = this.#slot(1);
      this.#insert(at - 1, time, value);
    }
  }

  /** Index of the first point at or after `time`; `size` when all are older. */
  indexFrom(time: number): number {
    if (this.#size === 0 || this.time(this.#size - 1) < time) return this.#size;
    let low = 0;
    let high = this.#size - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.time(middle) < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Forgets the points before `time`. */
  dropBefore(time: number): void {
    const count = this.indexFrom(time);
    this.#first = this.#slot(count);
    this.#size -= count;
  }

  clear(): void {
    this.#size = 0;
  }

  #slot(index: number): number {
    return (this.#first + index) % this.#times.length;
  }

  #grow(): void {
    const slots = Math.min(this.#capacity, this.#times.length * 2);
    const times = new Float64Array(slots);
    const values = new Float64Array(slots);
    for (let index = 0; index < this.#size; index++) {
      times[index] = this.time(index);
      values[index] = this.value(index);
    }
    this.#times = times;
    this.#values = values;
    this.#first = 0;
  }

  /** Moves what is at `at` and after (up to the last slot in use) one on, then writes there. */
  #insert(at: number, time: number, value: number): void {
    for (let index = this.#size - 1; index > at; index--) {
      this.#times[this.#slot(index)] = this.time(index - 1);
      this.#values[this.#slot(index)] = this.value(index - 1);
    }
    this.#times[this.#slot(at)] = time;
    this.#values[this.#slot(at)] = value;
  }
}
