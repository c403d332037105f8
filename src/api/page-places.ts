import { RequestRefused } from './problem.ts';

/**
 * Pages that are in memory at the same time: so many are made at once, the others wait in the order in which they were
 * asked for, and of these, too, there are only so many.
 */
export class PagePlaces {
  readonly #max: number;
  readonly #waitingMax: number;
  #taken = 0;
  readonly #waiting = new Set<() => void>();

  constructor(max: number, waitingMax: number) {
    this.#max = max;
    this.#waitingMax = waitingMax;
  }

  /** Makes a page once there is a place. Refuses where too many wait already; rejects as soon as nobody waits any more. */
  async use<T>(signal: AbortSignal, make: () => Promise<T>): Promise<T> {
    await this.#take(signal);
    try {
      return await make();
    } finally {
      this.#giveBack();
    }
  }

  async #take(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#taken < this.#max) {
      this.#taken++;
      return;
    }
    if (this.#waiting.size >= this.#waitingMax) {
      throw new RequestRefused(
        'overloaded',
        `${this.#waiting.size} pages of readings are waited for already; ask again later`,
      );
    }
    await new Promise<void>((resolve, reject) => {
      const go = (): void => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const leave = (): void => {
        this.#waiting.delete(go);
        reject(signal.reason);
      };
      this.#waiting.add(go);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  /** The first in line has the place. */
  #giveBack(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#taken--;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
