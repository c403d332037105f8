/** A set of series ids, one bit each. */
export class SeriesSet {
  #bits = new Uint8Array(0);

  /** Puts the series in; true when it was not in yet. */
  add(series: number): boolean {
    const index = series >>> 3;
    const bit = 1 << (series & 7);
    if (index >= this.#bits.length) {
      const grown = new Uint8Array(Math.max(this.#bits.length * 2, index + 1));
      grown.set(this.#bits);
      this.#bits = grown;
    }
    if ((this.#bits[index] & bit) !== 0) return false;
    this.#bits[index] |= bit;
    return true;
  }
}
