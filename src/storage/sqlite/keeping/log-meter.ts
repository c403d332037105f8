/** A mark each so many bytes of log: fine enough to decide by, coarse enough to cost nothing. */
const markBytes = 1 << 18;

/** Knows about how many bytes of commit log lie behind a position, without asking the database. */
export class LogMeter {
  /** Marks in ascending order: from commit `seq` on, `before` bytes had been written. */
  #marks: { readonly seq: number; readonly before: number }[] = [];
  #written = 0;

  add(seq: number, bytes: number): void {
    const last = this.#marks.at(-1);
    if (!last || this.#written - last.before >= markBytes) this.#marks.push({ seq, before: this.#written });
    this.#written += bytes;
  }

  /** Bytes from commit `seq` on, up to one mark too many. Forgets what lies before; later positions stay known. */
  bytesFrom(seq: number): number {
    let first = 0;
    while (first + 1 < this.#marks.length && this.#marks[first + 1].seq <= seq) first++;
    if (first > 0) this.#marks = this.#marks.slice(first);
    const mark = this.#marks[0];
    return mark ? this.#written - mark.before : 0;
  }

  /** The first commit that lies at most about `bytes` before the end. */
  positionBack(bytes: number): number {
    const mark = this.#marks.find(({ before }) => this.#written - before <= bytes);
    return mark?.seq ?? Number.POSITIVE_INFINITY;
  }
}
