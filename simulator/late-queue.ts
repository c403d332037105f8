/** Messages that are held back on purpose, released in order of their release time. */
export class LateQueue<Message> {
  readonly #held: { releaseMs: number; message: Message }[] = [];
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#held.length;
  }

  /** False when the queue is full: the message is then sent on time. */
  hold(message: Message, releaseMs: number): boolean {
    if (this.#held.length >= this.#max) return false;
    let low = 0;
    let high = this.#held.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#held[middle]?.releaseMs ?? 0) <= releaseMs) low = middle + 1;
      else high = middle;
    }
    this.#held.splice(low, 0, { releaseMs, message });
    return true;
  }

  /** Takes out what is to be sent at `nowMs`; `Infinity` takes everything. */
  release(nowMs: number): Message[] {
    let due = 0;
    while (due < this.#held.length && (this.#held[due]?.releaseMs ?? 0) <= nowMs) due++;
    return this.#held.splice(0, due).map((entry) => entry.message);
  }
}
