/**
 * The rate of a counter that is looked at now and then. A counter that went back belongs to a restarted gateway and
 * begins anew instead of showing a negative rate.
 */
export class RateMeter {
  readonly #keep: number;
  #before: { readonly count: number; readonly at: number } | null = null;
  #rates: readonly number[] = [];

  /** `keep` is how many rates are remembered. */
  constructor(keep: number) {
    this.#keep = keep;
  }

  /** The remembered rates a second, oldest first. */
  get rates(): readonly number[] {
    return this.#rates;
  }

  /** Looks at the counter at a time in ms. */
  read(count: number, at: number): void {
    const before = this.#before;
    this.#before = { count, at };
    if (before === null || count < before.count || at <= before.at) return;
    this.#rates = [...this.#rates, ((count - before.count) / (at - before.at)) * 1_000].slice(-this.#keep);
  }
}
