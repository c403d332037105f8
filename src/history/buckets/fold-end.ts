import type { Sample } from '../reader.ts';

/** What stands behind the last bucket of a fold. */
export interface Neighbours {
  /** The next reading. */
  readonly reading: Sample | null;
  /** To where the line goes from the last number: the next reading, or behind a page the next number. */
  readonly line: Sample | null;
}

/**
 * The readings that no bucket of a fold holds any more. Of what lies beyond the range one reading is known, be it a text; of
 * what lies beyond a page of it all of the range is, so that the line goes on to the next number, past texts.
 */
export class FoldEnd {
  readonly #to: number;
  #reading: Sample | null = null;
  #number: Sample | null = null;
  #seeksNumber = false;

  /** `to`: the end of the range. */
  constructor(to: number) {
    this.#to = to;
  }

  /** Readings have still to be passed to it. */
  get seeksNumber(): boolean {
    return this.#seeksNumber;
  }

  /** The first reading that is in no bucket came; `seeksNumber`: the line shall go on to a number in the range. */
  reach(reading: Sample, seeksNumber: boolean): void {
    this.#reading = reading;
    this.#seeksNumber = seeksNumber && typeof reading.value === 'string';
  }

  /** Another one, while a number is sought. */
  pass(sample: Sample): void {
    if (typeof sample.value === 'string' && sample.time < this.#to) return;
    this.#number = sample;
    this.#seeksNumber = false;
  }

  /** `after`: the first reading beyond the range, if it is known. */
  neighbours(after: Sample | null): Neighbours {
    const reading = this.#reading ?? after;
    return { reading, line: this.#seeksNumber ? after : (this.#number ?? reading) };
  }
}
