import type { Clock, Timer } from '../../src/base/clock.ts';

interface Pending {
  readonly due: number;
  readonly order: number;
  readonly action: () => void;
}

/** A clock whose hands the test turns. Both hands start at `start` (epoch ms) and 0; timers fire only inside `advance`. */
export class FakeClock implements Clock {
  #wall: number;
  #monotonic = 0;
  #order = 0;
  readonly #pending = new Set<Pending>();

  constructor(start = Date.UTC(2026, 8, 21, 12)) {
    this.#wall = start;
  }

  now(): number {
    return this.#wall;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  after(delayMs: number, action: () => void): Timer {
    const pending = { due: this.#monotonic + Math.max(delayMs, 0), order: this.#order++, action };
    this.#pending.add(pending);
    return { cancel: () => void this.#pending.delete(pending) };
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(reasonOf(signal));
        return;
      }
      const onAbort = (): void => {
        timer.cancel();
        reject(reasonOf(signal));
      };
      const timer = this.after(delayMs, () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      });
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Timers that have neither fired nor been cancelled. */
  get timers(): number {
    return this.#pending.size;
  }

  /** Milliseconds until the next timer, or null when there is none. */
  get untilNext(): number | null {
    const next = this.#next(Number.POSITIVE_INFINITY);
    return next ? next.due - this.#monotonic : null;
  }

  /**
   * Moves both hands on, firing what falls due in order and each at its own time. What a timer sets off in promises runs
   * only once the caller awaits something.
   */
  advance(ms: number): void {
    const end = this.#monotonic + ms;
    for (let next = this.#next(end); next; next = this.#next(end)) {
      this.#moveTo(next.due);
      this.#pending.delete(next);
      next.action();
    }
    this.#moveTo(end);
  }

  /** Corrects the wall clock alone, forwards or (negative) backwards, as an operator or NTP would. */
  stepWall(ms: number): void {
    this.#wall += ms;
  }

  #next(end: number): Pending | undefined {
    let next: Pending | undefined;
    for (const pending of this.#pending) {
      if (pending.due > end) continue;
      if (!next || pending.due < next.due || (pending.due === next.due && pending.order < next.order)) next = pending;
    }
    return next;
  }

  #moveTo(monotonic: number): void {
    this.#wall += monotonic - this.#monotonic;
    this.#monotonic = monotonic;
  }
}

function reasonOf(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason;
  return reason instanceof Error ? reason : new Error('aborted');
}
