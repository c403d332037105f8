import type { CalendarUnit } from '../../domain/bucket-grid.ts';

const dayMs = 86_400_000;

/** Equal steps on a clock that never is moved: ms of wall time since 1970-01-01 00:00. */
export interface WallSteps {
  /** Begin of the step that holds this wall time. */
  begin(wall: number): number;
  /** Begin of the step after the one that begins here. */
  next(begin: number): number;
  /** Length of the shortest step, ms. */
  readonly shortest: number;
  /** True when every step begins on a whole multiple of so many ms. */
  isOn(ms: number): boolean;
}

/** Every `width` ms since midnight; a day shall be a whole multiple of it. */
export function wallSteps(width: number): WallSteps {
  if (dayMs % width !== 0) throw new RangeError(`a day is no whole multiple of ${width} ms`);
  return {
    begin: (wall) => Math.floor(wall / width) * width,
    next: (begin) => begin + width,
    shortest: width,
    isOn: (ms) => width % ms === 0,
  };
}

/** Every `count` units of the calendar, counted from the day, week (Monday), month … of 1970-01-01. */
export function calendarSteps(unit: CalendarUnit, count: number): WallSteps {
  switch (unit) {
    case 'day':
      return daySteps(count, 0);
    case 'week':
      // 1970-01-01 was a Thursday.
      return daySteps(7 * count, -3);
    default:
      return monthSteps(unitMonths[unit] * count);
  }
}

const unitMonths = { month: 1, quarter: 3, year: 12 } as const;

function daySteps(days: number, firstDay: number): WallSteps {
  const width = days * dayMs;
  const origin = firstDay * dayMs;
  return {
    begin: (wall) => Math.floor((wall - origin) / width) * width + origin,
    next: (begin) => begin + width,
    shortest: width,
    isOn: (ms) => dayMs % ms === 0,
  };
}

function monthSteps(months: number): WallSteps {
  return {
    begin: (wall) => monthBegin(Math.floor(monthOf(Math.floor(wall / dayMs)) / months) * months),
    next: (begin) => monthBegin(monthOf(begin / dayMs) + months),
    shortest: months * 28 * dayMs,
    isOn: (ms) => dayMs % ms === 0,
  };
}

/*
 * The proleptic Gregorian calendar in integers, counted from a March so that the leap day comes last, in eras of 400 years
 * (after Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"). Dates of the language end in the year 275760.
 */
const eraDays = 146_097;
/** Days from 0000-03-01 to 1970-01-01. */
const epochDay = 719_468;

/** Months from January 1970 to the month of a day, both counted from 1970-01-01. */
function monthOf(day: number): number {
  const shifted = day + epochDay;
  const era = Math.floor(shifted / eraDays);
  const dayOfEra = shifted - era * eraDays;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1_460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  return (era * 400 + yearOfEra - 1970) * 12 + monthFromMarch + 2;
}

/** Wall time of the begin of a month counted from January 1970, ms. */
function monthBegin(month: number): number {
  const fromMarch = month + 1970 * 12 - 2;
  const year = Math.floor(fromMarch / 12);
  const era = Math.floor(year / 400);
  const yearOfEra = year - era * 400;
  const dayOfYear = Math.floor((153 * (fromMarch - year * 12) + 2) / 5);
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return (era * eraDays + dayOfEra - epochDay) * dayMs;
}
