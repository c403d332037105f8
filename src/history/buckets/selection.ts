/** So many looks at each number are enough for any but a malicious order. */
const looksMax = 8;

/**
 * Moves the number of a place in order there, none greater before it and none less behind it (Hoare's quickselect), among
 * those from `first` to `last`, which hold it; in as many steps as it takes. Where the order of the numbers is against it,
 * what is left is sorted, so that nobody can make it slow.
 */
export class Selection {
  readonly #numbers: Float64Array;
  readonly #place: number;
  /** Where it is looked for. */
  #left: number;
  #right: number;
  /** Of a pass that goes on: what is before `low` is not greater than the pivot, what is behind `high` not less. */
  #pass: { readonly pivot: number; low: number; high: number } | null = null;
  #patience: number;
  /** Of the last place that was drawn, as a part of 2^32. */
  #drawn = 1;

  constructor(numbers: Float64Array, first: number, last: number, place: number) {
    this.#numbers = numbers;
    this.#place = place;
    this.#left = first;
    this.#right = last;
    this.#patience = looksMax * (last - first + 1);
  }

  /** Looks at about `looks` numbers at most. Returns how many are left of them, when it is done, or less than 0. */
  step(looks: number): number {
    let left = looks;
    while (this.#left < this.#right) {
      this.#pass ??= this.#begin();
      if (this.#pass === null) break;
      left -= this.#goOn(this.#pass, left);
      const { low, high } = this.#pass;
      if (low <= high) return -1;
      this.#pass = null;
      if (this.#place <= high) this.#right = high;
      else if (this.#place >= low) this.#left = low;
      else this.#left = this.#right;
    }
    return Math.max(0, left);
  }

  /** Null when there was no more patience, and all is sorted. */
  #begin(): { pivot: number; low: number; high: number } | null {
    const numbers = this.#numbers;
    const [left, right] = [this.#left, this.#right];
    this.#patience -= right - left;
    if (this.#patience < 0) {
      numbers.subarray(left, right + 1).sort();
      this.#left = right;
      return null;
    }
    return { pivot: median(this.#draw(), this.#draw(), this.#draw()), low: left, high: right };
  }

  /**
   * A number of those among which it is looked for, as if by chance (Knuth's generator with Numerical Recipes' constants): at
   * the ends and in the middle of what rises and then falls, as a battery or a day does, are its extremes.
   */
  #draw(): number {
    this.#drawn = (Math.imul(this.#drawn, 1_664_525) + 1_013_904_223) >>> 0;
    return this.#numbers[this.#left + Math.floor((this.#drawn / 2 ** 32) * (this.#right - this.#left + 1))];
  }

  /** Returns at how many numbers it looked. */
  #goOn(pass: { readonly pivot: number; low: number; high: number }, looks: number): number {
    const numbers = this.#numbers;
    const { pivot } = pass;
    let { low, high } = pass;
    const before = high - low;
    const enough = before - looks;
    while (low <= high && high - low >= enough) {
      while (numbers[low] < pivot) low++;
      while (numbers[high] > pivot) high--;
      if (low <= high) {
        const swapped = numbers[low];
        numbers[low++] = numbers[high];
        numbers[high--] = swapped;
      }
    }
    pass.low = low;
    pass.high = high;
    return before - (high - low);
  }
}

function median(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}
