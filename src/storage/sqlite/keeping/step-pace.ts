import type { Clock } from '../../../base/clock.ts';

/** A step shall take less than this with its COMMIT, ms: it is what a commit may have to wait for. */
const stepMs = 2.5;
/** How long a step writes before it commits, at least and at most, ms. */
const writingMsMin = 0.2;
const writingMsMax = 2;

/**
 * Tells steps that delete when they have written enough. What COMMIT takes depends on the pages that were touched, so a
 * step that took too long makes the next ones shorter, and quick ones make them longer again.
 */
export class StepPace {
  readonly #clock: Pick<Clock, 'monotonic'>;
  #writingMs = 0.5;
  #began = 0;

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock;
  }

  /** A step begins. */
  begin(): void {
    this.#began = this.#clock.monotonic();
  }

  /** Whether it is to commit what it has written. */
  get isOver(): boolean {
    return this.#clock.monotonic() - this.#began >= this.#writingMs;
  }

  /** It has committed. */
  end(): void {
    const took = this.#clock.monotonic() - this.#began;
    this.#writingMs =
      took > stepMs ? Math.max(writingMsMin, this.#writingMs / 2) : Math.min(writingMsMax, this.#writingMs * 1.25);
  }
}
