import { type Clock, systemClock } from '../../src/base/clock.ts';

/**
 * Timers of five seconds and more never fire on it. What is looked through every so often is not, so what happens was
 * caused by something; and nobody's patience ends, however long a busy machine takes.
 */
export const patientClock: Clock = {
  ...systemClock,
  after: (delayMs, action) => (delayMs < 5_000 ? systemClock.after(delayMs, action) : { cancel: () => {} }),
};
