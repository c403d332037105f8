import { parseDuration } from '../base/duration.ts';
import { RejectedError } from '../base/errors.ts';

/** A point in time as a query wrote it, resolved when the request's "now" is known. */
export type Moment = (now: number) => number;

/** Largest time a `Date` can hold, ECMA-262 21.4.1.1. */
export const timeMax = 8.64e15;
/** Below this an epoch time is far more likely meant in seconds (1e11 ms is March 1973). */
const secondsBelow = 1e11;

/**
 * Reads RFC 3339 (`2026-11-20T09:30:00Z`, any offset, or a date alone meaning its UTC midnight), epoch milliseconds,
 * `now`, or a span from now (`-1h`, `now-90m`, `+5m`, `-1y` of 365 days). Throws `RejectedError` (`time_invalid`) that says so.
 */
export function parseMoment(text: string): Moment {
  if (text === 'now') return (now) => now;
  // A "+" that was not percent-encoded arrives as a space.
  const relative = /^(?:now)?([-+ ])([\d.a-z]+)$/.exec(text);
  if (relative && /[a-z]/.test(relative[2])) {
    const span = spanOf(relative[2]);
    const offset = relative[1] === '-' ? -span : span;
    return (now) => bounded(now + offset, text);
  }
  const time = /^\d{1,17}$/.test(text) ? epochTime(text) : rfc3339Time(text);
  return () => time;
}

/** RFC 3339 in UTC with milliseconds. */
export function formatTime(time: number): string {
  return new Date(time).toISOString();
}

const twoDigits = Array.from({ length: 60 }, (_, number) => String(number).padStart(2, '0'));
const dayMs = 86_400_000;

/** As `formatTime`, for many times of which most lie in the day of the one before. */
export class TimeText {
  #day = Number.NaN;
  #prefix = '';

  of(time: number): string {
    const day = Math.floor(time / dayMs);
    if (day !== this.#day) {
      this.#day = day;
      this.#prefix = formatTime(day * dayMs).slice(0, -13);
    }
    const rest = time - day * dayMs;
    const ms = rest % 1_000;
    const seconds = (rest - ms) / 1_000;
    const second = seconds % 60;
    const minutes = (seconds - second) / 60;
    const minute = minutes % 60;
    const hour = (minutes - minute) / 60;
    const clock = `${twoDigits[hour]}:${twoDigits[minute]}:${twoDigits[second]}`;
    return `${this.#prefix}${clock}.${ms < 10 ? '00' : ms < 100 ? '0' : ''}${ms}Z`;
  }
}

/** ms. */
function spanOf(text: string): number {
  const years = /^(\d+)y$/.exec(text);
  return years ? Number(years[1]) * 365 * dayMs : Math.trunc(parseDuration(text));
}

function epochTime(text: string): number {
  const time = bounded(Number(text), text);
  if (time > 0 && time < secondsBelow) {
    throw new RejectedError('time_invalid', `${text} looks like seconds; write epoch milliseconds, ${text}000`);
  }
  return time;
}

// RFC 3339 section 5.6; the separator may be a space (5.6, note), and so may a "+" that was not percent-encoded.
const dateTime = /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:([Zz])|([-+ ])(\d\d):(\d\d)))?$/;

function rfc3339Time(text: string): number {
  const match = dateTime.exec(text);
  if (!match) throw invalid(text);
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '', , sign, offsetHour, offsetMinute] =
    match;
  const date = new Date(0);
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  const isRealDay = date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day);
  // A leap second (":60") is the last millisecond that a clock without leap seconds has.
  const isLeap = second === '60';
  const isRealTime = Number(hour) < 24 && Number(minute) < 60 && (Number(second) < 60 || isLeap);
  const isRealOffset = sign === undefined || (Number(offsetHour) < 24 && Number(offsetMinute) < 60);
  if (!isRealDay || !isRealTime || !isRealOffset) throw invalid(text);
  const ms = isLeap ? 59_999 : Number(second) * 1000 + Number(fraction.slice(0, 3).padEnd(3, '0'));
  const offset = sign === undefined ? 0 : (Number(offsetHour) * 60 + Number(offsetMinute)) * (sign === '-' ? -1 : 1);
  return date.getTime() + (Number(hour) * 60 + Number(minute) - offset) * 60_000 + ms;
}

function bounded(time: number, text: string): number {
  if (Math.abs(time) > timeMax) throw invalid(text);
  return time;
}

function invalid(text: string): RejectedError {
  return new RejectedError(
    'time_invalid',
    `"${text.slice(0, 64)}" is not a time; write 2026-11-20T09:30:00Z, epoch milliseconds, now or -1h`,
  );
}
