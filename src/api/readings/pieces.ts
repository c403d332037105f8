const encoder = new TextEncoder();
/** What is larger is passed on as it is instead of being copied together with its neighbours. */
const ownBytesMin = 65_536;

/** Text and bytes, one behind the other, as few chunks of bytes. */
export class Pieces {
  readonly #chunks: Uint8Array[] = [];
  #small: Uint8Array[] = [];
  #text = '';

  add(...pieces: readonly (string | Uint8Array)[]): void {
    for (const piece of pieces) {
      if (typeof piece === 'string') {
        this.#text += piece;
        // Encoded bit by bit: one string of a whole page would hold everybody else up at its end.
        if (this.#text.length >= ownBytesMin) this.#endText();
      } else {
        this.#endText();
        if (piece.length >= ownBytesMin) {
          this.#endSmall();
          this.#chunks.push(piece);
        } else this.#small.push(piece);
      }
    }
  }

  /** What came since the last time. */
  take(): readonly Uint8Array[] {
    this.#endSmall();
    return this.#chunks.splice(0);
  }

  /** The same in one. */
  whole(): Uint8Array {
    const chunks = this.take();
    return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
  }

  #endText(): void {
    if (this.#text === '') return;
    this.#small.push(encoder.encode(this.#text));
    this.#text = '';
  }

  #endSmall(): void {
    this.#endText();
    if (this.#small.length === 0) return;
    this.#chunks.push(this.#small.length === 1 ? this.#small[0] : Buffer.concat(this.#small));
    this.#small = [];
  }
}
