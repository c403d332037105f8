import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isTimeZone, offsetAt, timeZone } from '../../src/base/time-zone.ts';
import { type BucketGrid, calendarUnits } from '../../src/domain/bucket-grid.ts';
import { gridOf } from '../../src/history/buckets/bucket-grid.ts';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

/** Zones with clocks that are moved by an hour, by half an hour, at midnight, a minute past it, for two weeks, by a day, never. */
const zones = [
  'UTC',
  'Europe/Vienna',
  'America/New_York',
  'America/St_Johns',
  'America/Havana',
  'America/Sao_Paulo',
  'America/Fortaleza',
  'Australia/Lord_Howe',
  'Asia/Kathmandu',
  'Asia/Beirut',
  'Africa/Casablanca',
  'Antarctica/Troll',
  'Pacific/Apia',
  'Pacific/Chatham',
] as const;

const zone = fc.constantFrom(...zones);
const time = fc.integer({ min: Date.UTC(2000, 0), max: Date.UTC(2037, 0) });
/** Times around moved clocks come up more often than they would by chance. */
const movedTime = fc
  .record({ zone, time, near: fc.integer({ min: -2 * day, max: 2 * day }) })
  .map(({ zone, time, near }) => {
    const moved = wholeMinutesUntilMoved(zone, time);
    return { zone, time: moved === null ? time : moved + near };
  });
const zoned = fc.oneof(fc.record({ zone, time }), movedTime);

const wallWidths = [1_000, minute, 15 * minute, 30 * minute, 40 * minute, hour, 2 * hour, 6 * hour, 12 * hour, day];

/** The first time within 300 days at which the offset is another, found by day and then by minute; null without one. */
function wholeMinutesUntilMoved(zone: string, from: number): number | null {
  const offset = offsetAt(zone, from);
  for (let time = from; time < from + 300 * day; time += day) {
    if (offsetAt(zone, time + day) === offset) continue;
    let at = Math.floor(time / minute) * minute;
    while (offsetAt(zone, at) === offset) at += minute;
    return at;
  }
  return null;
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** What a clock on the wall shows, as if it were UTC. */
function wallTime(zone: string, time: number): number {
  let format = formats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    formats.set(zone, format);
  }
  const parts = new Map(format.formatToParts(time).map(({ type, value }) => [type, Number(value)]));
  const part = (type: Intl.DateTimeFormatPartTypes): number => parts.get(type) ?? Number.NaN;
  const whole = Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'));
  return whole + (((time % 1_000) + 1_000) % 1_000);
}

function bucketAt(grid: BucketGrid, text: string): { readonly begin: string; readonly hours: number } {
  const working = gridOf(grid);
  const begin = working.begin(Date.parse(text));
  return { begin: new Date(begin).toISOString(), hours: (working.next(begin) - begin) / hour };
}

/** Times of day, UTC, at which the first buckets begin. */
function begins(width: number, timeZone: string, from: string, count: number): string[] {
  const grid = gridOf({ kind: 'wall', width, timeZone });
  const times: number[] = [grid.begin(Date.parse(from))];
  while (times.length < count) times.push(grid.next(times[times.length - 1]));
  return times.map((time) => new Date(time).toISOString().slice(11, 16));
}

describe('a zone', () => {
  test('is known by a name of the database, in any case, and by nothing else', () => {
    for (const name of ['UTC', 'Europe/Vienna', 'europe/vienna', 'America/Argentina/Ushuaia']) {
      expect(isTimeZone(name), name).toBe(true);
    }
    for (const name of ['', 'Europe', 'Mars/Base', '+05:30', 'Europe/Vienna ', '../etc']) {
      expect(isTimeZone(name), name).toBe(false);
    }
    expect(() => offsetAt('Mars/Base', 0)).toThrow(RangeError);
  });

  test('is learnt once, however its name is written', () => {
    const vienna = timeZone('Europe/Vienna');
    for (const name of ['europe/vienna', 'EUROPE/VIENNA', 'eUROPE/vIENNA']) expect(timeZone(name)).toBe(vienna);
    expect(timeZone('Europe/Rome')).not.toBe(vienna);
  });

  test('is as far ahead of UTC as its wall clock shows', () => {
    fc.assert(
      fc.property(zoned, ({ zone, time }) => {
        expect(time + offsetAt(zone, time)).toBe(wallTime(zone, time));
      }),
      { numRuns: 500 },
    );
  });

  test('that had summer time for two weeks had it', () => {
    const offsets = [1, 8, 21, 22].map((date) => offsetAt('America/Fortaleza', Date.UTC(2000, 9, date, 12)) / hour);
    expect(offsets).toEqual([-3, -2, -2, -3]);
  });

  test('answers for times beyond all calendars', () => {
    for (const time of [-8.64e15, -1e13, 0, 1e13, 8.64e15]) {
      expect(Math.abs(offsetAt('Europe/Vienna', time))).toBeLessThanOrEqual(2 * hour);
    }
  });
});

describe('every grid', () => {
  const grid: fc.Arbitrary<(zone: string) => BucketGrid> = fc.oneof(
    fc.constantFrom(...wallWidths).map((width) => (timeZone: string) => ({ kind: 'wall' as const, width, timeZone })),
    fc
      .record({ unit: fc.constantFrom(...calendarUnits), count: fc.integer({ min: 1, max: 5 }) })
      .map((calendar) => (timeZone: string) => ({ kind: 'calendar' as const, ...calendar, timeZone })),
    fc
      .record({ width: fc.integer({ min: 1, max: 40 * day }), origin: fc.integer({ min: -day, max: day }) })
      .map((fixed) => () => ({ kind: 'fixed' as const, ...fixed })),
  );

  test('puts each time into one bucket, and buckets end where the next begin', () => {
    fc.assert(
      fc.property(zoned, grid, ({ zone, time }, make) => {
        const grid = make(zone);
        const begin = gridOf(grid).begin(time);
        const end = gridOf(grid).next(begin);
        expect(begin).toBeLessThanOrEqual(time);
        expect(end).toBeGreaterThan(time);
        expect(gridOf(grid).begin(begin)).toBe(begin);
        expect(gridOf(grid).begin(end - 1)).toBe(begin);
        expect(gridOf(grid).begin(end)).toBe(end);
      }),
      { numRuns: 1_000 },
    );
  });

  test('begins no earlier than a date can say, and goes on to the last that one can', () => {
    fc.assert(
      fc.property(zone, grid, fc.nat(9_000), (zone, make, later) => {
        const grid = gridOf(make(zone));
        const begin = grid.begin(-8.64e15 + later);
        expect(new Date(begin).getTime()).toBe(begin);
        expect(begin).toBeLessThanOrEqual(-8.64e15 + later);
        expect(grid.next(begin)).toBeGreaterThan(-8.64e15 + later);
        expect(grid.begin(grid.next(begin))).toBe(grid.next(begin));
        expect(grid.begin(8.64e15)).toBeLessThanOrEqual(8.64e15);
        expect(grid.next(grid.begin(8.64e15))).toBeGreaterThan(8.64e15);
      }),
    );
  });

  test('says the same whatever was asked before', () => {
    fc.assert(
      fc.property(zoned, grid, fc.array(fc.integer({ min: -3 * day, max: 3 * day })), ({ zone, time }, make, steps) => {
        const used = gridOf(make(zone));
        for (const step of steps) {
          const fresh = gridOf(make(zone));
          const begin = used.begin(time + step);
          expect(begin).toBe(fresh.begin(time + step));
          expect(used.next(begin)).toBe(fresh.next(begin));
          const next = used.next(begin);
          expect(used.next(next)).toBe(gridOf(make(zone)).next(next));
        }
      }),
    );
  });
});

describe('days', () => {
  test('begin with the first minute at which the wall shows their date', () => {
    fc.assert(
      fc.property(zoned, ({ zone, time }) => {
        const begin = gridOf({ kind: 'calendar', unit: 'day', count: 1, timeZone: zone }).begin(time);
        const dateOf = (at: number): number => Math.floor(wallTime(zone, at) / day);
        // A date that was shown is not left again, even if the clock is set back into the day before.
        let date = dateOf(begin);
        expect(dateOf(begin - 1)).toBeLessThan(date);
        for (let at = begin; at <= time; at += 5 * minute) {
          expect(dateOf(at)).toBeLessThanOrEqual(date);
          date = Math.max(date, dateOf(at));
        }
      }),
      { numRuns: 300 },
    );
  });

  test('are as many as there are dates, but for the one that Apia left out', () => {
    for (const zone of zones) {
      const grid = gridOf({ kind: 'calendar', unit: 'day', count: 1, timeZone: zone });
      const first = grid.begin(Date.UTC(2009, 0, 1, 12));
      const last = grid.begin(Date.UTC(2013, 0, 1, 12));
      let days = 0;
      for (let begin = first; begin < last; begin = grid.next(begin)) {
        const hours = (grid.next(begin) - begin) / hour;
        expect(hours, zone).toBeGreaterThanOrEqual(22);
        expect(hours, zone).toBeLessThanOrEqual(26);
        days++;
      }
      const dates = Math.floor(wallTime(zone, last) / day) - Math.floor(wallTime(zone, first) / day);
      expect(days, zone).toBe(zone === 'Pacific/Apia' ? dates - 1 : dates);
    }
  });

  test.each([
    ['Europe/Vienna', '2026-03-29T12:00:00Z', '2026-03-28T23:00:00.000Z', 23],
    ['Europe/Vienna', '2026-10-25T12:00:00Z', '2026-10-24T22:00:00.000Z', 25],
    ['Asia/Kathmandu', '2026-10-25T12:00:00Z', '2026-10-24T18:15:00.000Z', 24],
    ['Australia/Lord_Howe', '2026-04-05T00:00:00Z', '2026-04-04T13:00:00.000Z', 24.5],
    ['America/Sao_Paulo', '2018-11-04T12:00:00Z', '2018-11-04T03:00:00.000Z', 23],
    ['America/Havana', '2026-11-01T12:00:00Z', '2026-11-01T04:00:00.000Z', 25],
    ['America/St_Johns', '2010-11-07T12:00:00Z', '2010-11-07T02:30:00.000Z', 25],
  ])('in %s at %s began at %s and lasted %d hours', (timeZone, time, begin, hours) => {
    expect(bucketAt({ kind: 'calendar', unit: 'day', count: 1, timeZone }, time)).toEqual({ begin, hours });
  });

  test('in Apia go from 29 to 31 December 2011', () => {
    const grid = gridOf({ kind: 'calendar', unit: 'day', count: 1, timeZone: 'Pacific/Apia' });
    const thursday = grid.begin(Date.parse('2011-12-29T12:00:00-10:00'));
    expect(new Date(grid.next(thursday)).toISOString()).toBe('2011-12-30T10:00:00.000Z');
    expect(grid.begin(Date.parse('2011-12-31T00:00:00+14:00'))).toBe(grid.next(thursday));
  });
});

describe('weeks, months, quarters and years', () => {
  test.each([
    ['week', 1, '2026-11-20T12:00:00Z', '2026-11-15T23:00:00.000Z'],
    ['month', 1, '2026-03-31T22:30:00Z', '2026-03-31T22:00:00.000Z'],
    ['month', 1, '2028-02-29T12:00:00Z', '2028-01-31T23:00:00.000Z'],
    ['month', 6, '2026-11-20T12:00:00Z', '2026-06-30T22:00:00.000Z'],
    ['quarter', 1, '2026-11-20T12:00:00Z', '2026-09-30T22:00:00.000Z'],
    ['year', 1, '2026-11-20T12:00:00Z', '2025-12-31T23:00:00.000Z'],
    ['year', 10, '2026-11-20T12:00:00Z', '2019-12-31T23:00:00.000Z'],
    ['day', 7, '2026-11-20T12:00:00Z', '2026-11-18T23:00:00.000Z'],
  ] as const)('a %s of %d in Vienna around %s began at %s', (unit, count, time, begin) => {
    expect(bucketAt({ kind: 'calendar', unit, count, timeZone: 'Europe/Vienna' }, time).begin).toBe(begin);
  });

  test('are those of the calendar for four thousand years', () => {
    fc.assert(
      fc.property(fc.integer({ min: Date.UTC(-999, 0), max: Date.UTC(3000, 0) }), (time) => {
        const date = new Date(time);
        const month = gridOf({ kind: 'calendar', unit: 'month', count: 1, timeZone: 'UTC' });
        expect(month.begin(time)).toBe(new Date(time).setUTCDate(1) - (time - Math.floor(time / day) * day));
        const year = gridOf({ kind: 'calendar', unit: 'year', count: 1, timeZone: 'UTC' });
        expect(new Date(year.begin(time)).getUTCFullYear()).toBe(date.getUTCFullYear());
        const week = gridOf({ kind: 'calendar', unit: 'week', count: 1, timeZone: 'UTC' });
        expect(new Date(week.begin(time)).getUTCDay()).toBe(1);
      }),
      { numRuns: 500 },
    );
  });
});

describe('buckets on the wall clock', () => {
  test('come twice in the hour that comes twice', () => {
    // 02:00 in summer time, 02:00 in winter time, 03:00.
    expect(begins(hour, 'Europe/Vienna', '2026-10-25T00:00:00Z', 3)).toEqual(['00:00', '01:00', '02:00']);
    expect(begins(30 * minute, 'Europe/Vienna', '2026-10-25T00:30:00Z', 3)).toEqual(['00:30', '01:00', '01:30']);
  });

  test('that are longer than what repeats have it twice', () => {
    // Midnight to six in Vienna has seven hours; the second midnight in Havana begins nothing.
    expect(begins(6 * hour, 'Europe/Vienna', '2026-10-24T22:00:00Z', 2)).toEqual(['22:00', '05:00']);
    expect(begins(6 * hour, 'America/Havana', '2026-11-01T04:00:00Z', 2)).toEqual(['04:00', '11:00']);
    // An hour in Lord Howe, when the clock goes back by half of one.
    expect(begins(hour, 'Australia/Lord_Howe', '2026-04-04T14:00:00Z', 3)).toEqual(['14:00', '15:30', '16:30']);
  });

  test('are not there in the hour that is skipped', () => {
    // 01:00, 03:00.
    expect(begins(hour, 'Europe/Vienna', '2026-03-29T00:00:00Z', 3)).toEqual(['00:00', '01:00', '02:00']);
    expect(begins(6 * hour, 'Europe/Vienna', '2026-03-28T23:00:00Z', 2)).toEqual(['23:00', '04:00']);
  });

  test('begin on round wall times wherever no clock is moved', () => {
    fc.assert(
      fc.property(zoned, fc.constantFrom(...wallWidths), ({ zone, time }, width) => {
        const begin = gridOf({ kind: 'wall', width, timeZone: zone }).begin(time);
        const isMoved = offsetAt(zone, begin) !== offsetAt(zone, begin - 1);
        if (!isMoved) expect(wallTime(zone, begin) % width).toBe(0);
      }),
      { numRuns: 500 },
    );
  });

  test('divide a day, or are refused', () => {
    expect(() => gridOf({ kind: 'wall', width: 7 * minute, timeZone: 'UTC' })).toThrow(RangeError);
    expect(() => gridOf({ kind: 'wall', width: hour, timeZone: 'Mars/Base' })).toThrow(RangeError);
    expect(() => gridOf({ kind: 'fixed', width: 0, origin: 0 })).toThrow(RangeError);
    expect(() => gridOf({ kind: 'fixed', width: 1.5, origin: 0 })).toThrow(RangeError);
  });
});

describe('edges on whole minutes or hours', () => {
  test('are promised only where they are', () => {
    const on = (grid: BucketGrid): readonly boolean[] => [gridOf(grid).isOn(minute), gridOf(grid).isOn(hour)];
    expect(on({ kind: 'fixed', width: hour, origin: 0 })).toEqual([true, true]);
    expect(on({ kind: 'fixed', width: 90 * minute, origin: 0 })).toEqual([true, false]);
    expect(on({ kind: 'fixed', width: 2_500, origin: 0 })).toEqual([false, false]);
    expect(on({ kind: 'fixed', width: hour, origin: minute })).toEqual([true, false]);
    expect(on({ kind: 'calendar', unit: 'day', count: 1, timeZone: 'Europe/Vienna' })).toEqual([true, true]);
    expect(on({ kind: 'calendar', unit: 'month', count: 1, timeZone: 'Asia/Kathmandu' })).toEqual([true, false]);
    expect(on({ kind: 'wall', width: hour, timeZone: 'Australia/Lord_Howe' })).toEqual([true, false]);
    expect(on({ kind: 'wall', width: 30 * minute, timeZone: 'Europe/Vienna' })).toEqual([true, false]);
    expect(on({ kind: 'wall', width: 1_000, timeZone: 'UTC' })).toEqual([false, false]);
  });

  test('where they are promised, they are', () => {
    fc.assert(
      fc.property(zoned, fc.constantFrom(...wallWidths), ({ zone, time }, width) => {
        const grid = gridOf({ kind: 'wall', width, timeZone: zone });
        for (const ms of [minute, hour]) if (grid.isOn(ms)) expect(grid.begin(time) % ms).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});
