import { RejectedError } from './errors.ts';

/** A span of time in milliseconds; the name says that a plain number is not a point in time. */
export type Duration = number;

const unitMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/**
 * Reads `250ms`, `30s`, `5m`, `1h`, `7d`, `2w` or several in a row (`1h30m`). Throws `RejectedError` (`duration_invalid`)
 * that says what is accepted.
 */
export function parseDuration(text: string): Duration {
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d|w))+$/.test(text)) {
    throw new RejectedError(
      'duration_invalid',
      `"${text}" is not a duration; write for example 250ms, 30s, 5m, 1h or 7d`,
    );
  }
  let total = 0;
  for (const [, amount, , unit] of text.matchAll(/(\d+(\.\d+)?)(ms|s|m|h|d|w)/g)) {
    total += Number(amount) * (unitMs[unit ?? ''] ?? Number.NaN);
  }
  if (!Number.isFinite(total)) throw new RejectedError('duration_invalid', 'the duration is beyond all bounds');
  return total;
}

/** The shortest text that `parseDuration` reads back: 90,000 is `90s`, 3,600,000 is `1h`. */
export function formatDuration(duration: Duration): string {
  for (const unit of ['w', 'd', 'h', 'm', 's']) {
    const size = unitMs[unit] ?? 1;
    if (duration >= size && duration % size === 0) return `${duration / size}${unit}`;
  }
  return `${duration}ms`;
}
