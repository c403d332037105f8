import { writeAscii, writePair, writeTriple } from './decimal.ts';

const dayMs = 86_400_000;
/** What four digits of a year can hold: 0000-01-01 and 10000-01-01, epoch ms. */
const [yearZero, yearTenThousand] = [-62_167_219_200_000, 253_402_300_800_000];
const [hyphen, letterT, colon, point, letterZ] = [0x2d, 0x54, 0x3a, 0x2e, 0x5a];

/** Most bytes that a time takes. */
const timeBytesMax = 27;

/**
 * Times in RFC 3339 with milliseconds, in UTC, as `Date.toISOString` writes them. What stands in front of the time in every row is
 * kept together with the minute, so that most rows copy one run of bytes and write the seconds.
 */
export class TimeWriter {
  /** Most bytes that lead and time take. */
  readonly bytesMax: number;
  readonly #lead: number;
  readonly #head: Uint8Array;
  #headLength: number;
  #minute = Number.NaN;
  #day = Number.NaN;

  constructor(lead: Uint8Array) {
    this.#lead = lead.length;
    this.bytesMax = lead.length + timeBytesMax;
    this.#head = new Uint8Array(lead.length + timeBytesMax);
    this.#head.set(lead);
    this.#headLength = lead.length;
  }

  /** The lead and `time` (epoch ms, whole). Returns where the next byte goes. */
  write(bytes: Uint8Array, at: number, time: number): number {
    let past = time - this.#minute;
    if (!(past >= 0 && past < 60_000)) {
      this.#toMinute(Math.floor(time / 60_000) * 60_000);
      past = time - this.#minute;
    }
    const head = this.#head;
    const length = this.#headLength;
    for (let index = 0; index < length; index++) bytes[at + index] = head[index];
    const seconds = (past / 1_000) | 0;
    let next = writePair(bytes, at + length, seconds);
    bytes[next] = point;
    next = writeTriple(bytes, next + 1, past - seconds * 1_000);
    bytes[next] = letterZ;
    return next + 1;
  }

  #toMinute(minute: number): void {
    const head = this.#head;
    this.#minute = minute;
    if (minute < yearZero || minute >= yearTenThousand) {
      this.#day = Number.NaN;
      this.#headLength = writeAscii(head, this.#lead, new Date(minute).toISOString().slice(0, -'00.000Z'.length));
      return;
    }
    const day = Math.floor(minute / dayMs);
    let at = this.#lead + 'yyyy-mm-ddT'.length;
    if (day !== this.#day) {
      this.#day = day;
      writeDay(head, this.#lead, day);
    }
    const minutes = (minute - day * dayMs) / 60_000;
    const hours = (minutes / 60) | 0;
    at = writePair(head, at, hours);
    head[at] = colon;
    at = writePair(head, at + 1, minutes - hours * 60);
    head[at] = colon;
    this.#headLength = at + 1;
  }
}

/** `2026-11-21T` of a day since the epoch, years 0 to 9999: the civil calendar from a count of days, in eras of 400 years that begin in March. */
function writeDay(bytes: Uint8Array, at: number, day: number): void {
  const shifted = day + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1_460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const dayOfMonth = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1;
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  let next = writePair(bytes, at, Math.floor(year / 100));
  next = writePair(bytes, next, year % 100);
  bytes[next] = hyphen;
  next = writePair(bytes, next + 1, month);
  bytes[next] = hyphen;
  next = writePair(bytes, next + 1, dayOfMonth);
  bytes[next] = letterT;
}
