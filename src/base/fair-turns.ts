interface Taker {
  held: number;
  /** In order of arrival; called with the turn that they wait for. */
  readonly waiting: Set<() => void>;
}

/**
 * So many turns at a time, for many who want them again and again. Whoever waits stands behind one turn of each other at
 * most, however many they want. And nobody is given more while he holds more than are free: of eight, one alone has five
 * at most, and three are left to whoever comes.
 */
export class FairTurns {
  #free: number;
  #waiting = 0;
  /** Those who hold turns or wait for one; whose turn is next stands first. */
  readonly #takers = new Map<string, Taker>();

  /** `max`: turns at a time, at least 1. */
  constructor(max: number) {
    this.#free = max;
  }

  /** How many wait for a turn, of all. */
  get waiting(): number {
    return this.#waiting;
  }

  waitingOf(name: string): number {
    return this.#takers.get(name)?.waiting.size ?? 0;
  }

  /** Whether `name` could have a turn now. */
  isFree(name: string): boolean {
    return this.#free > 0 && (this.#takers.get(name)?.held ?? 0) <= this.#free;
  }

  /** Does `work` in a turn of `name`. Rejects with the signal's reason where it aborts before the turn has come. */
  async use<T>(name: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    if (this.isFree(name)) this.take(name);
    else await this.#turnOf(name, signal);
    try {
      return await work();
    } finally {
      this.giveBack(name);
    }
  }

  /** Takes a turn that is free, to be given back. Whoever had one stands last. */
  take(name: string): void {
    const taker = this.#taker(name);
    this.#free--;
    taker.held++;
    this.#takers.delete(name);
    this.#takers.set(name, taker);
  }

  giveBack(name: string): void {
    this.#free++;
    this.#taker(name).held--;
    this.#forgetIdle(name);
    while (this.#letNext());
  }

  /** Lets the first in line who may have a turn have it; false when there is nobody. */
  #letNext(): boolean {
    if (this.#free === 0) return false;
    for (const [name, { waiting }] of this.#takers) {
      const [go] = waiting;
      if (go === undefined || !this.isFree(name)) continue;
      waiting.delete(go);
      this.take(name);
      go();
      return true;
    }
    return false;
  }

  #turnOf(name: string, signal: AbortSignal | undefined): Promise<void> {
    const { waiting } = this.#taker(name);
    return new Promise((resolve, reject) => {
      const go = (): void => {
        signal?.removeEventListener('abort', leave);
        this.#waiting--;
        resolve();
      };
      const leave = (): void => {
        waiting.delete(go);
        this.#waiting--;
        this.#forgetIdle(name);
        reject(signal?.reason);
      };
      waiting.add(go);
      this.#waiting++;
      signal?.addEventListener('abort', leave, { once: true });
    });
  }

  #taker(name: string): Taker {
    const known = this.#takers.get(name);
    if (known) return known;
    const taker: Taker = { held: 0, waiting: new Set() };
    this.#takers.set(name, taker);
    return taker;
  }

  #forgetIdle(name: string): void {
    const { held, waiting } = this.#taker(name);
    if (held === 0 && waiting.size === 0) this.#takers.delete(name);
  }
}
