import { parseDuration } from '../../base/duration.ts';
import { RejectedError } from '../../base/errors.ts';
import type { BucketGrid, CalendarUnit } from '../../domain/bucket-grid.ts';

/** A width of buckets as a query wrote it, before it is known in whose time zone. */
export type BucketWidth =
  /** Whole milliseconds, at least one, no whole number of days. */
  | { readonly kind: 'span'; readonly ms: number }
  | { readonly kind: 'calendar'; readonly unit: CalendarUnit; readonly count: number };

const dayMs = 86_400_000;
const weekMs = 7 * dayMs;
/** Monday 29 December 1969: the week of the epoch. */
const weekOrigin = -3 * dayMs;
/** Most of a unit in one bucket: a century and more in all of them. */
const unitsMax = 100_000;

/**
 * Reads `30s`, `15m`, `1d`, `1w`, `1month`, `1quarter`, `1year`. Whole days and weeks are those of a calendar, also when
 * they are written in hours. Throws `RejectedError` (`duration_invalid`).
 */
export function parseBucketWidth(text: string): BucketWidth {
  const calendar = /^(\d{1,6})(day|week|month|quarter|year)s?$/.exec(text);
  if (calendar) return calendarWidth(text, unitOf(calendar[2]), Number(calendar[1]));
  if (/^\d+(mo|y|M|Q)$/.test(text)) throw refused(`"${text}": months and years are written 1month, 1quarter and 1year`);
  const ms = parseDuration(text);
  if (!Number.isSafeInteger(ms) || ms < 1) {
    throw refused(`"${text}" must be a whole number of milliseconds, at least 1ms`);
  }
  if (ms % weekMs === 0) return calendarWidth(text, 'week', ms / weekMs);
  if (ms % dayMs === 0) return calendarWidth(text, 'day', ms / dayMs);
  return { kind: 'span', ms };
}

/**
 * Where buckets of this width begin. Without a zone, or in UTC, at whole multiples since the epoch (weeks on Monday);
 * null where no wall clock has such buckets, because they do not divide a day.
 */
export function gridOf(width: BucketWidth, timeZone: string | null): BucketGrid | null {
  const isUtc = timeZone === null || /^(?:Etc\/)?(?:UTC|GMT|UCT|Zulu)$/i.test(timeZone);
  if (width.kind === 'span') {
    if (isUtc) return { kind: 'fixed', width: width.ms, origin: 0 };
    return dayMs % width.ms === 0 ? { kind: 'wall', width: width.ms, timeZone } : null;
  }
  const { unit, count } = width;
  if (isUtc && unit === 'day') return { kind: 'fixed', width: count * dayMs, origin: 0 };
  if (isUtc && unit === 'week') return { kind: 'fixed', width: count * weekMs, origin: weekOrigin };
  return { kind: 'calendar', unit, count, timeZone: timeZone ?? 'UTC' };
}

/** About how long a bucket is, ms: never longer than it. */
export function leastWidthMs(width: BucketWidth): number {
  if (width.kind === 'span') return width.ms;
  const days = { day: 1, week: 7, month: 28, quarter: 90, year: 365 }[width.unit];
  return Math.max(1, days * width.count * dayMs - 3_600_000);
}

function calendarWidth(text: string, unit: CalendarUnit, count: number): BucketWidth {
  if (count < 1 || count > unitsMax) throw refused(`"${text}" must be of 1 to ${unitsMax} ${unit}s`);
  return { kind: 'calendar', unit, count };
}

function unitOf(text: string): CalendarUnit {
  switch (text) {
    case 'day':
    case 'week':
    case 'month':
    case 'quarter':
      return text;
    default:
      return 'year';
  }
}

function refused(detail: string): RejectedError {
  return new RejectedError('duration_invalid', detail);
}
