/**
 * The browser's hands of time and dice. Nothing else in the dashboard reads a clock or sets a timer, so that whatever
 * waits (the live client, the polls) can be tested by turning the hands.
 */
export interface Clock {
  /** Wall time, epoch milliseconds. */
  now(): number;
  /** Calls `action` once after `delayMs`; the returned function cancels it, also when it has already fired. */
  after(delayMs: number, action: () => void): () => void;
}

export const browserClock: Clock = {
  now: () => Date.now(),
  after(delayMs, action) {
    const timer = setTimeout(action, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Uniform in [0, 1). */
export type Dice = () => number;

export const browserDice: Dice = () => Math.random();
