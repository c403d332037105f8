import type { Clock } from '../../base/clock.ts';

const windowMs = 60_000;
const banMs = 60_000;
const connectsMax = 15;
/** Client ids that are counted at once; beyond it a new window begins early. */
const idsMax = 100_000;

/**
 * Clients that come and go all the time: more than fifteen connects a minute of one client id, and it waits for a
 * minute. Only connects with the right credentials count, or a stranger could keep a device out by its name.
 */
export class Flapping {
  readonly #clock: Clock;
  #connects = new Map<string, number>();
  #windowEnd = 0;
  /** Until when, monotonic ms. */
  readonly #banned = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  isBanned(clientId: string): boolean {
    const until = this.#banned.get(clientId);
    if (until === undefined) return false;
    if (this.#clock.monotonic() < until) return true;
    this.#banned.delete(clientId);
    return false;
  }

  connected(clientId: string): void {
    const now = this.#clock.monotonic();
    if (now >= this.#windowEnd || this.#connects.size >= idsMax) {
      this.#connects = new Map();
      this.#windowEnd = now + windowMs;
      for (const [id, until] of this.#banned) if (now >= until) this.#banned.delete(id);
    }
    const connects = (this.#connects.get(clientId) ?? 0) + 1;
    this.#connects.set(clientId, connects);
    if (connects > connectsMax) {
      this.#banned.set(clientId, now + banMs);
      this.#connects.delete(clientId);
    }
  }
}
