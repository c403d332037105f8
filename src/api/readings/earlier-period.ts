import { parseDuration } from '../../base/duration.ts';
import { RejectedError } from '../../base/errors.ts';
import type { TimeZone } from '../../base/time-zone.ts';
import type { BucketGrid } from '../../domain/bucket-grid.ts';
import type { Range } from './reading-question.ts';

/** How far back the period lies with which another is compared. */
export type Offset =
  | { readonly kind: 'span'; readonly ms: number }
  /** By the calendar of a time zone: the same time of day so many days or months before. */
  | { readonly kind: 'calendar'; readonly days: number; readonly months: number };

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

/**
 * The period with which a range is compared. By days and months it begins and ends at the same time of day, whether clocks
 * were set in between or not, and at the end of a month that has no such day.
 *
 * Readings are moved onto this period by as much as its begin lies back, so that they keep their order and what is between
 * them. Buckets of a calendar are moved by the calendar, so that days stay days: what comes twice where clocks are set back,
 * or at a time that they skip, may then stand at the same time, and never before what came earlier. A period that is longer
 * than the range reaches beyond its end.
 */
export class EarlierPeriod {
  readonly range: Range;
  /** By how much its begin lies back, ms. */
  readonly shift: number;
  readonly #offset: Offset;
  readonly #zone: TimeZone | null;
  /** The same on the wall clock: whole days, unless the offset is a span. */
  readonly #wallShift: number;

  constructor({ from, to }: Range, offset: Offset, zone: TimeZone | null) {
    this.#offset = offset;
    this.#zone = zone;
    const begin = this.#before(from);
    this.range = { from: begin, to: Math.max(begin, this.#before(to)) };
    this.shift = from - begin;
    const wall = this.#wall(from);
    this.#wallShift = wall - wallBefore(wall, offset);
  }

  /** The grid in which the buckets of the earlier period are moved onto those of `grid`. */
  grid(grid: BucketGrid): BucketGrid {
    return grid.kind === 'fixed' ? { ...grid, origin: (grid.origin - this.shift) % grid.width } : grid;
  }

  /** Where a bucket of the earlier period begins in this one. */
  later(time: number, grid: BucketGrid): number {
    return this.#moved(time, grid, 1);
  }

  /** Where a page of buckets that begins here begins in the earlier period. */
  earlier(time: number, grid: BucketGrid): number {
    return this.#moved(time, grid, -1);
  }

  #moved(time: number, grid: BucketGrid, sign: 1 | -1): number {
    const offset = this.#offset;
    if (grid.kind === 'fixed' || offset.kind === 'span') return time + sign * this.shift;
    const wall = this.#wall(time);
    // The first of a month is the first of another; days of the month have to stay in their order.
    const isOfMonths = grid.kind === 'calendar' && grid.unit !== 'day' && grid.unit !== 'week';
    const there =
      isOfMonths && offset.months > 0 ? inMonths(wall, sign * offset.months) : wall + sign * this.#wallShift;
    return this.#instant(there);
  }

  #before(time: number): number {
    return this.#offset.kind === 'span'
      ? time - this.#offset.ms
      : this.#instant(wallBefore(this.#wall(time), this.#offset));
  }

  #wall(time: number): number {
    return this.#zone?.wallReached(time) ?? time;
  }

  #instant(wall: number): number {
    return this.#zone?.firstReaching(wall) ?? wall;
  }
}

function wallBefore(wall: number, offset: Offset): number {
  if (offset.kind === 'span') return wall - offset.ms;
  return offset.months === 0 ? wall - offset.days * dayMs : inMonths(wall, -offset.months);
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
