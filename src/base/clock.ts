/**
 * Time is handed in. Nothing outside this file reads the wall clock or sets a timer, so tests can turn the hands.
 */
export interface Clock {
  /** Wall time, epoch milliseconds. May step when the system clock is corrected. */
  now(): number;
  /** Monotonic time in milliseconds from an arbitrary origin; for measuring and for deadlines. */
  monotonic(): number;
  /** Calls `action` once after `delayMs` of monotonic time; the timer never keeps the process alive. */
  after(delayMs: number, action: () => void): Timer;
  /** Resolves after `delayMs`, or rejects with the signal's reason when aborted first. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

/** A pending `Clock.after`; cancelling twice, or after it fired, is fine. */
export interface Timer {
  cancel(): void;
}

/** Longest delay a platform timer takes without overflowing (2^31 - 1 ms, about 24.8 days). */
const delayMax = 2_147_483_647;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, action) {
    const timer = setTimeout(action, Math.min(Math.max(delayMs, 0), delayMax));
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
  sleep(delayMs, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(abortReason(signal));
        return;
      }
      const onAbort = (): void => {
        clearTimeout(timer);
        reject(abortReason(signal));
      };
      const timer = setTimeout(
        () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
        Math.min(Math.max(delayMs, 0), delayMax),
      );
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  },
};

function abortReason(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason;
  return reason instanceof Error ? reason : new Error('aborted');
}
