import { parseDuration } from '../../base/duration.ts';
import { RejectedError } from '../../base/errors.ts';

/** How far back the period lies with which another is compared. */
export type Offset =
  | { readonly kind: 'span'; readonly ms: number }
  /** By the calendar of a time zone: the same time of day so many days or months before. */
  | { readonly kind: 'calendar'; readonly days: number; readonly months: number };

/** Ms by which the clocks of a zone are ahead of UTC at a time. */
export type ZoneOffset = (time: number) => number;

const dayMs = 86_400_000;
/** 400 years in months: more than a period can lie back. */
const monthsMax = 4_800;

/** Reads `1d`, `2w`, `1month`, `1quarter`, `1year`, or any duration. Throws `RejectedError` (`duration_invalid`). */
export function parseOffset(text: string): Offset {
  const months = /^(\d{1,4})(month|quarter|year)s?$/.exec(text);
  if (months) {
    const count = Number(months[1]) * (months[2] === 'year' ? 12 : months[2] === 'quarter' ? 3 : 1);
    if (count < 1 || count > monthsMax)
      throw new RejectedError('duration_invalid', `"${text}" is no span to look back`);
    return { kind: 'calendar', days: 0, months: count };
  }
  const ms = parseDuration(text);
  if (!Number.isSafeInteger(ms) || ms < 1) {
    throw new RejectedError('duration_invalid', `"${text}" must be a whole number of milliseconds, at least 1ms`);
  }
  return ms % dayMs === 0 ? { kind: 'calendar', days: ms / dayMs, months: 0 } : { kind: 'span', ms };
}

/** A time of this period in the earlier one. */
export function earlier(time: number, offset: Offset, zone: ZoneOffset): number {
  return moved(time, offset, zone, -1);
}

/** A time of the earlier period in this one. */
export function later(time: number, offset: Offset, zone: ZoneOffset): number {
  return moved(time, offset, zone, 1);
}

/** Days and months are moved on the wall clock, so that noon stays noon when clocks were set in between. */
function moved(time: number, offset: Offset, zone: ZoneOffset, sign: 1 | -1): number {
  if (offset.kind === 'span') return time + sign * offset.ms;
  const wall = time + zone(time);
  const there = offset.months === 0 ? wall + sign * offset.days * dayMs : inMonths(wall, sign * offset.months);
  // The zone's offset there depends on the time that is sought; asked twice it is right on either side of a change.
  return there - zone(there - zone(there - zone(time)));
}

/** The same day and time of day so many months on, or the last day of a month that has no such day. */
function inMonths(wall: number, months: number): number {
  const date = new Date(wall);
  const day = date.getUTCDate();
  date.setUTCDate(1);
  date.setUTCMonth(date.getUTCMonth() + months);
  const last = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
  return date.setUTCDate(Math.min(day, last));
}
