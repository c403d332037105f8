import type { Duration } from '../base/duration.ts';
import type { Random } from '../base/random.ts';
import { delayAfter, parseRetryAfter, type RetrySchedule } from '../base/retry-schedule.ts';
import type { Answer } from './sender.ts';

/** What an attempt means for its delivery. */
export type Verdict =
  | { readonly outcome: 'succeeded' }
  /** `delay` counts from the failure. */
  | { readonly outcome: 'retry'; readonly delay: Duration }
  /** Given up; `gone` when the endpoint said that it will never take anything again. */
  | { readonly outcome: 'failed'; readonly gone: boolean };

/**
 * Judges attempt `number` (from 1). 2xx succeeds; 410 says gone, at once; everything else, a redirect included, is tried
 * again until the schedule ends, because what looks like a lasting refusal is mostly a receiver half deployed.
 * `Retry-After` can only lengthen the pause. `now` is the epoch ms of the answer.
 */
export function judgeAnswer(
  answer: Exclude<Answer, { kind: 'aborted' }>,
  options: { readonly number: number; readonly schedule: RetrySchedule; readonly random: Random; readonly now: number },
): Verdict {
  if (answer.kind === 'answered') {
    if (answer.status >= 200 && answer.status < 300) return { outcome: 'succeeded' };
    if (answer.status === 410) return { outcome: 'failed', gone: true };
  }
  const retryAfter = answer.kind === 'answered' ? parseRetryAfter(answer.retryAfter, options.now) : null;
  const delay = delayAfter(options.schedule, options.number, { random: options.random, retryAfter });
  return delay === null ? { outcome: 'failed', gone: false } : { outcome: 'retry', delay };
}
