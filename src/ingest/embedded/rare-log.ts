import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';

const quietMs = 10_000;

/** Warnings that anybody on the network can cause: one of a kind in ten seconds, which says how many were left out. */
export class RareLog {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #kinds = new Map<string, { last: number; leftOut: number }>();

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** `message` is the kind; a fixed sentence, so that there are few. */
  warn(fields: object, message: string): void {
    const now = this.#clock.monotonic();
    const known = this.#kinds.get(message);
    if (known && now - known.last < quietMs) {
      known.leftOut++;
      return;
    }
    const leftOut = known?.leftOut ?? 0;
    this.#kinds.set(message, { last: now, leftOut: 0 });
    this.#log.warn(leftOut > 0 ? { ...fields, leftOut } : fields, message);
  }
}
