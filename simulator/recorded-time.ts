/** A number at or above this many ms is a date (1973 and later), below it is a time elapsed since a beginning. */
const earliestDateMs = 1e11;

export type TimeUnit = 's' | 'ms';

export interface TimeReading {
  /** Ms since 1970, or since the beginning of the recording when `isElapsed`. Finer than a millisecond is cut off. */
  readonly ms: number;
  readonly isElapsed: boolean;
  /** True for a date that names no zone and was read with the offset given. */
  readonly lacksZone: boolean;
}

export interface TimeFormat {
  /** Minutes east of UTC of dates that name no zone. */
  readonly zoneOffsetMinutes: number;
  /** Unit of bare numbers; undefined lets their size tell seconds from milliseconds. */
  readonly unit: TimeUnit | undefined;
}

const datePattern =
  /^(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d+))?)?)?\s*(Z|[+-]\d{2}:?\d{2})?$/i;

/** Reads RFC 3339, `2013-07-04 00:00:00` and its kin, epoch s or ms; undefined when `text` is none of these. */
export function readTime(text: string, format: TimeFormat): TimeReading | undefined {
  const trimmed = text.trim();
  if (/^[+-]?\d+(\.\d+)?$/.test(trimmed)) return readNumber(Number(trimmed), format.unit);
  const parts = datePattern.exec(trimmed);
  if (parts === null) return undefined;
  const [, year, month, dayOfMonth, hours = '0', minutes = '0', seconds = '0', fraction = '', zone] = parts;
  const fields = [year, month, dayOfMonth, hours, minutes, seconds].map(Number);
  const [y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0] = fields;
  const isCalendarTime = mo >= 1 && mo <= 12 && d >= 1 && d <= daysIn(y, mo) && h < 24 && mi < 60 && s < 60;
  if (!isCalendarTime) return undefined;
  const local = Date.UTC(y, mo - 1, d, h, mi, s, Number(fraction.slice(0, 3).padEnd(3, '0')));
  const offset = zone === undefined ? format.zoneOffsetMinutes : zoneMinutes(zone);
  return { ms: local - offset * 60_000, isElapsed: false, lacksZone: zone === undefined };
}

function readNumber(value: number, unit: TimeUnit | undefined): TimeReading | undefined {
  if (unit !== undefined) {
    const ms = unit === 's' ? value * 1_000 : value;
    return { ms: Math.floor(ms), isElapsed: ms < earliestDateMs, lacksZone: false };
  }
  if (value >= earliestDateMs) return { ms: Math.floor(value), isElapsed: false, lacksZone: false };
  if (value * 1_000 >= earliestDateMs) return { ms: Math.floor(value * 1_000), isElapsed: false, lacksZone: false };
  return undefined;
}

function zoneMinutes(zone: string): number {
  if (zone.toUpperCase() === 'Z') return 0;
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2));
  return zone.startsWith('-') ? -minutes : minutes;
}

function daysIn(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}
