import { formatDuration, parseDuration } from '../base/duration.ts';
import { RejectedError } from '../base/errors.ts';

const yearMs = 365 * 86_400_000;

/** The longest that something is kept short of for ever, ms: beyond, dates could not say when it goes. */
export const keepMax = 1_000 * yearMs;

/**
 * How long something is kept, written `90d`, `1h30m`, `2y` (years of 365 days): whole milliseconds, or null for `forever`.
 * Throws `RejectedError` (`duration_invalid`) that says what is accepted.
 */
export function parseKeep(text: string): number | null {
  if (text === 'forever') return null;
  const years = /^(\d+)y$/.exec(text);
  const keep = years ? Number(years[1]) * yearMs : parsed(text);
  if (Number.isInteger(keep) && keep <= keepMax) return keep;
  const detail = `"${text}" must be whole milliseconds and at most ${keepMax / yearMs}y; beyond that, write forever`;
  throw new RejectedError('duration_invalid', detail);
}

/** The text that `parseKeep` reads back. */
export function formatKeep(keep: number | null): string {
  if (keep === null) return 'forever';
  return keep === 0 ? '0s' : formatDuration(keep);
}

function parsed(text: string): number {
  try {
    return parseDuration(text);
  } catch (error) {
    if (!(error instanceof RejectedError)) throw error;
    const detail = `"${text}" must be a duration, for example 30d or 1y, or forever`;
    throw new RejectedError('duration_invalid', detail, { cause: error });
  }
}
