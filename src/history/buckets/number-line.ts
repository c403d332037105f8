import type { BucketTable } from './bucket-table.ts';

/**
 * The line from number to number through the buckets of a fold: the increase and the area between two numbers, which may
 * lie in different buckets with empty ones between them. Increase counts where the later number is, area where it lies.
 */
export class NumberLine {
  readonly #table: BucketTable;
  readonly #area: 'none' | 'linear' | 'step';
  /** The last number so far, also one before the range. */
  #number = 0;
  #time = Number.NaN;
  #since = Number.NaN;
  /** The bucket in which it is: before that all areas are complete. */
  #row = 0;

  constructor(table: BucketTable, area: 'none' | 'linear' | 'step') {
    this.#table = table;
    this.#area = area;
  }

  /** Time of the first number of all, epoch ms; NaN without one. */
  get since(): number {
    return this.#since;
  }

  /** The last number before the range. */
  keep(time: number, number: number): void {
    this.#number = number;
    this.#time = time;
    this.#since = time;
  }

  /** The next number is this one, in bucket `row`. Before the bucket's numbers are counted. */
  reach(row: number, time: number, number: number): void {
    const table = this.#table;
    if (table.numbers[row] === 0) {
      table.firstNumbers[row] = number;
      table.firstNumberTimes[row] = time;
    }
    if (Number.isNaN(this.#time)) {
      this.#since = time;
      return;
    }
    table.increases[row] += number >= this.#number ? number - this.#number : number;
    if (this.#area !== 'none') this.#spread(time, number);
  }

  /** Numbers of bucket `row` were added up to this one. */
  leave(row: number, time: number, number: number): void {
    this.#table.lastNumbers[row] = number;
    this.#table.lastNumberTimes[row] = time;
    this.#number = number;
    this.#time = time;
    this.#row = row;
  }

  /** After the last number the line goes to this one; null: it holds until `time`. */
  close(time: number, number: number | null): void {
    if (this.#area !== 'none') this.#spread(time, number ?? this.#number);
  }

  /** Gives the area from the last number to this one to the buckets between them. */
  #spread(time: number, number: number): void {
    const { begins, ends, areas, count } = this.#table;
    const start = this.#time;
    const from = this.#number;
    if (!(time > start)) return;
    const slope = this.#area === 'linear' ? (number - from) / (time - start) : 0;
    for (let row = this.#row; row < count; row++) {
      const begin = Math.max(start, begins[row]);
      const end = Math.min(time, ends[row]);
      if (end > begin) areas[row] += (from + slope * ((begin + end) / 2 - start)) * (end - begin);
    }
  }
}
