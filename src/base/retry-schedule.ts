import type { Duration } from './duration.ts';
import type { Random } from './random.ts';

/**
 * When to try again, and when to give up. `delays[n]` is the pause before attempt `n + 1`, counted from the failure of
 * the attempt before; there are as many attempts as delays.
 */
export interface RetrySchedule {
  readonly delays: readonly Duration[];
  /** 0.2 spreads every delay evenly over ±20 %, so that what failed together does not return together. */
  readonly jitter: number;
  /** What the far side may ask us to wait at most (`Retry-After`). */
  readonly retryAfterMax: Duration;
}

/** Ten attempts over about 28 hours. */
export const patientSchedule: RetrySchedule = {
  delays: [0, 5_000, 30_000, 120_000, 600_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000, 36_000_000],
  jitter: 0.2,
  retryAfterMax: 86_400_000,
};

/**
 * The pause after the failure of attempt `attempt` (from 1), in whole milliseconds, or null when that was the last.
 * `retryAfter` is a lower bound that the far side asked for; the schedule clamps it.
 */
export function delayAfter(
  schedule: RetrySchedule,
  attempt: number,
  options: { readonly random: Random; readonly retryAfter?: Duration | null },
): Duration | null {
  if (attempt >= schedule.delays.length) return null;
  const delay = schedule.delays[attempt] ?? 0;
  const spread = delay * (1 + schedule.jitter * (2 * options.random.next() - 1));
  const asked = Math.min(options.retryAfter ?? 0, schedule.retryAfterMax);
  return Math.round(Math.max(spread, asked));
}

/**
 * Reads a `Retry-After` header (RFC 9110 §10.2.3): seconds, or an HTTP date in any of the three forms of §5.6.7.
 * Returns the wait from `now` (epoch ms), never negative; null when there is no header or it cannot be read.
 */
export function parseRetryAfter(header: string | null | undefined, now: number): Duration | null {
  const text = header?.trim() ?? '';
  if (/^\d{1,10}$/.test(text)) return Number(text) * 1_000;
  const at = parseHttpDate(text);
  return at === null ? null : Math.max(at - now, 0);
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const clockTime = String.raw`(?<time>\d{2}:\d{2}:\d{2})`;
const httpDates = [
  // Sun, 06 Nov 1994 08:49:37 GMT
  new RegExp(String.raw`^[A-Z][a-z]{2}, (?<day>\d{2}) (?<month>[A-Z][a-z]{2}) (?<year>\d{4}) ${clockTime} GMT$`),
  // Sunday, 06-Nov-94 08:49:37 GMT
  new RegExp(String.raw`^[A-Z][a-z]{5,8}, (?<day>\d{2})-(?<month>[A-Z][a-z]{2})-(?<year>\d{2}) ${clockTime} GMT$`),
  // Sun Nov  6 08:49:37 1994
  new RegExp(String.raw`^[A-Z][a-z]{2} (?<month>[A-Z][a-z]{2}) (?<day>[ \d]\d) ${clockTime} (?<year>\d{4})$`),
];

function parseHttpDate(text: string): number | null {
  for (const form of httpDates) {
    const parts = form.exec(text)?.groups;
    if (!parts) continue;
    const { day = '', month = '', year = '', time = '' } = parts;
    const [hours = 0, minutes = 0, seconds = 0] = time.split(':').map(Number);
    const monthIndex = months.indexOf(month);
    if (monthIndex < 0 || hours > 23 || minutes > 59 || seconds > 60) return null;
    // Nothing is due in the last century, so two digits are years of this one.
    const fullYear = year.length === 2 ? 2000 + Number(year) : Number(year);
    return Date.UTC(fullYear, monthIndex, Number(day), hours, minutes, seconds);
  }
  return null;
}
