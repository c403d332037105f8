import type { Random } from '../base/random.ts';
import { delayAfter, type RetrySchedule } from '../base/retry-schedule.ts';
import { GatewayAnswerError } from './gateway-client.ts';

/** Eight attempts over about three minutes. */
const schedule: RetrySchedule = {
  delays: [0, 200, 1_000, 3_000, 10_000, 30_000, 60_000, 60_000],
  jitter: 0.2,
  retryAfterMax: 600_000,
};

/** A connection over which nothing comes for so long is dead, ms. */
export const silenceMax = 120_000;

/**
 * How long to wait after the failure of attempt `attempt` (from 1) before the next, ms; null when it is not worth one. A gateway
 * that never answered is not waited for: it is more likely not there, or somewhere else.
 */
export function delayBefore(
  attempt: number,
  error: unknown,
  { random, hasAnswered }: { readonly random: Random; readonly hasAnswered: boolean },
): number | null {
  if (!(error instanceof GatewayAnswerError) || !error.isTransient) return null;
  if (error.status === null && !hasAnswered) return null;
  return delayAfter(schedule, attempt, { random, retryAfter: error.retryAfter });
}
