/**
 * Whose turn it is, in turns of one width: each name has one turn, and planning it again moves it. Names are few when
 * their turn comes and many in between, so nothing is sorted.
 */
export class TurnWheel {
  readonly #width: number;
  readonly #turnOf = new Map<string, number>();
  readonly #names = new Map<number, Set<string>>();
  #next = 0;

  /** `width`: ms a turn. */
  constructor(width: number) {
    this.#width = width;
  }

  get size(): number {
    return this.#turnOf.size;
  }

  /** Plans the turn of a name for the first whole turn at or after `time` (monotonic, ms); one that is past comes next. */
  plan(name: string, time: number): void {
    this.remove(name);
    const turn = Math.max(Math.ceil(time / this.#width), this.#next);
    this.#turnOf.set(name, turn);
    const names = this.#names.get(turn);
    if (names) names.add(name);
    else this.#names.set(turn, new Set([name]));
  }

  remove(name: string): void {
    const turn = this.#turnOf.get(name);
    if (turn === undefined) return;
    this.#turnOf.delete(name);
    const names = this.#names.get(turn);
    names?.delete(name);
    if (names?.size === 0) this.#names.delete(turn);
  }

  /** Takes out and returns the names whose turn has come at `now`, the earliest first. */
  due(now: number): string[] {
    const last = Math.floor(now / this.#width);
    const due: string[] = [];
    // After a long pause there are more turns than planned ones.
    const turns =
      last - this.#next > this.#names.size
        ? [...this.#names.keys()].filter((turn) => turn <= last).sort((a, b) => a - b)
        : Array.from({ length: Math.max(last - this.#next + 1, 0) }, (_, index) => this.#next + index);
    for (const turn of turns) {
      for (const name of this.#names.get(turn) ?? []) {
        this.#turnOf.delete(name);
        due.push(name);
      }
      this.#names.delete(turn);
    }
    this.#next = Math.max(this.#next, last + 1);
    return due;
  }
}
