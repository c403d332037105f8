/**
 * Questions that take long go on only so many at once, the others wait in order of arrival: each holds what it has added up
 * so far, up to 32 MB where percentiles are asked for, and a short one comes in between only so many runs.
 */
export class QuestionTurns {
  readonly #max: number;
  #taken = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  /** Resolves when there is a turn, which is to be given back. */
  async take(): Promise<void> {
    if (this.#taken === this.#max) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#taken++;
  }

  /** The next in line has the turn. */
  giveBack(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#taken--;
  }
}
