import { isIPv6 } from 'node:net';
import { RateLimiterMemory } from 'rate-limiter-flexible';
import type { Clock } from '../base/clock.ts';

const windowMs = 60_000;
/** Addresses that are remembered as barred; beyond it the one that was barred first is forgotten. */
const barredMax = 10_000;

/**
 * Counts wrong credentials by address, over MQTT and HTTP together. The `perMinute`th within a minute bars the address
 * for the rest of that minute; what it presents then is not looked at, right or wrong, so that a guesser learns nothing.
 * An IPv6 address counts as its /64, which one subscriber has for itself.
 */
export class FailedAttempts {
  readonly #clock: Clock;
  readonly #limiter: RateLimiterMemory | null;
  readonly #perMinute: number;
  /** Address → monotonic ms at which it is let in again. */
  readonly #barred = new Map<string, number>();
  #turn: Promise<unknown> = Promise.resolve();

  /** `perMinute` of 0 bars nobody. */
  constructor(options: { readonly clock: Clock; readonly perMinute: number }) {
    this.#clock = options.clock;
    this.#perMinute = options.perMinute;
    this.#limiter =
      options.perMinute > 0 ? new RateLimiterMemory({ points: options.perMinute, duration: windowMs / 1_000 }) : null;
  }

  /**
   * Judges what came from there, one attempt after the other, so that guesses that come all at once are counted before
   * the next is looked at. null: the address is barred, and nothing was looked at.
   */
  attempt<T>(
    address: string | undefined,
    judge: () => { readonly verdict: T; readonly isWrong: boolean },
  ): Promise<T | null> {
    const turn = this.#turn.then(async () => {
      if (this.barredFor(address) > 0) return null;
      const { verdict, isWrong } = judge();
      if (isWrong) await this.#count(address);
      return verdict;
    });
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** How long the address stays barred, ms; 0 when it is not. */
  barredFor(address: string | undefined): number {
    if (this.#barred.size === 0 || address === undefined) return 0;
    const key = addressKey(address);
    const left = (this.#barred.get(key) ?? 0) - this.#clock.monotonic();
    if (left > 0) return left;
    this.#barred.delete(key);
    return 0;
  }

  async #count(address: string | undefined): Promise<void> {
    if (!this.#limiter || address === undefined) return;
    const key = addressKey(address);
    const { consumedPoints, msBeforeNext } = await this.#limiter.penalty(key);
    if (consumedPoints < this.#perMinute) return;
    // Moved to the end, behind those that were barred before.
    this.#barred.delete(key);
    this.#barred.set(key, this.#clock.monotonic() + msBeforeNext);
    if (this.#barred.size > barredMax) this.#barred.delete(this.#barred.keys().next().value ?? '');
  }
}

/** The address as it is counted: IPv4 (also when mapped into IPv6) whole, IPv6 its first 64 bits. */
export function addressKey(address: string): string {
  const plain = address.replace(/%.*$/, '').toLowerCase();
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(plain) ?? [];
  if (mapped !== undefined) return mapped;
  if (!isIPv6(plain)) return plain;
  const [before = '', after] = plain.split('::');
  const head = before === '' ? [] : before.split(':');
  const tail = after === undefined || after === '' ? [] : after.split(':');
  // A dotted end stands for two groups.
  const count = head.length + tail.length + (plain.includes('.') ? 1 : 0);
  const zeros = after === undefined ? [] : Array<string>(8 - count).fill('0');
  const groups = [...head, ...zeros, ...tail].slice(0, 4).map((group) => group.replace(/^0+(?=.)/, ''));
  return `${groups.join(':')}::/64`;
}
