import { RejectedError } from '../base/errors.ts';

export interface DecodedTime {
  /** Epoch ms, a whole number; null where none was given. */
  readonly time: number | null;
  /** Whether digits below a millisecond were cut off. */
  readonly truncated: boolean;
}

const none: DecodedTime = { time: null, truncated: false };

// RFC 3339 section 5.6, with the lower-case letters and the blank that its notes allow.
const rfc3339 = /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;

/**
 * Epoch milliseconds (a number) or RFC 3339 (a text); null or nothing means no time. Throws `time_invalid`, and
 * `time_looks_like_seconds` below 1e11 (which as milliseconds would be before March 1973).
 */
export function decodeTime(value: unknown, pointer: string): DecodedTime {
  if (value === null || value === undefined) return none;
  if (typeof value === 'number') return decodeEpoch(value, pointer);
  if (typeof value === 'string') return decodeRfc3339(value, pointer);
  throw new RejectedError(
    'time_invalid',
    'a time is epoch milliseconds (1790000000000) or RFC 3339 ("2026-09-21T14:13:20Z")',
    { pointer },
  );
}

function decodeEpoch(value: number, pointer: string): DecodedTime {
  if (!Number.isFinite(value) || Math.abs(value) > 8.64e15)
    throw new RejectedError('time_invalid', 'the time is out of range', { pointer });
  if (value < 1e11) {
    throw new RejectedError(
      'time_looks_like_seconds',
      `${value} looks like seconds since 1970; send milliseconds (multiply by 1,000)`,
      { pointer },
    );
  }
  const time = Math.trunc(value);
  return { time, truncated: time !== value };
}

function decodeRfc3339(text: string, pointer: string): DecodedTime {
  const match = rfc3339.exec(text);
  if (!match) {
    throw new RejectedError(
      'time_invalid',
      `"${text.slice(0, 40)}" is not RFC 3339; write "2026-09-21T14:13:20Z", with Z or an offset such as +02:00`,
      { pointer },
    );
  }
  const [, year, month, day, hour, minute, second, fraction = '', zone = 'Z'] = match;
  // A leap second (23:59:60) has no place in epoch time; it is the instant the next second begins.
  const leap = second === '60' ? 1_000 : 0;
  const whole = Date.parse(
    `${year}-${month}-${day}T${hour}:${minute}:${leap === 0 ? second : '59'}${zone.toUpperCase()}`,
  );
  if (Number.isNaN(whole) || Number(day) > daysIn(Number(year), Number(month))) {
    throw new RejectedError('time_invalid', `"${text}" is not a time of the calendar`, { pointer });
  }
  const milliseconds = Number(fraction.slice(1, 4).padEnd(3, '0'));
  return { time: whole + leap + milliseconds, truncated: /[1-9]/.test(fraction.slice(4)) };
}

function daysIn(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}
