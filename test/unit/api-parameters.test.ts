import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { gridOf, parseBucketWidth } from '../../src/api/readings/bucket-width.ts';
import { EarlierPeriod, parseOffset } from '../../src/api/readings/earlier-period.ts';
import { compareSeries, indexOfFirst, SeriesOrder } from '../../src/api/readings/series-order.ts';
import { timeZone } from '../../src/base/time-zone.ts';
import type { BucketGrid } from '../../src/domain/bucket-grid.ts';
import { gridOf as historyGrid } from '../../src/history/buckets/bucket-grid.ts';
import { formatTime, parseMoment, TimeText } from '../../src/api/moment.ts';
import { nearest } from '../../src/base/nearest.ts';
import { readPage, writePage } from '../../src/api/page-token.ts';
import { compareText, firstOf } from '../../src/api/page.ts';
import { parseTarget } from '../../src/api/request-target.ts';
import { pointerOf } from '../../src/api/validation.ts';
import { RejectedError } from '../../src/base/errors.ts';

const now = Date.UTC(2026, 10, 20, 9, 30);
const [hourMs, dayMs] = [3_600_000, 86_400_000];
const grid = (text: string, zone: string | null) => gridOf(parseBucketWidth(text), zone);
const at = (text: string): number => parseMoment(text)(now);

describe('a moment', () => {
  test('of any date reads back from how it is written, with every offset that RFC 3339 allows', () => {
    const time = fc.integer({ min: 1e11, max: Date.UTC(9999, 11, 30) });
    const offset = fc.integer({ min: -1439, max: 1439 });
    fc.assert(
      fc.property(time, offset, (time, minutes) => {
        expect(at(formatTime(time))).toBe(time);
        expect(at(String(time))).toBe(time);
        const local = formatTime(time + minutes * 60_000).slice(0, -1);
        const hours = String(Math.trunc(Math.abs(minutes) / 60)).padStart(2, '0');
        const rest = String(Math.abs(minutes) % 60).padStart(2, '0');
        expect(at(`${local}${minutes < 0 ? '-' : '+'}${hours}:${rest}`)).toBe(time);
      }),
    );
  });

  test('relative to now is a span away from it', () => {
    const unit = fc.constantFrom<[string, number]>(
      ['ms', 1],
      ['s', 1e3],
      ['m', 6e4],
      ['h', 36e5],
      ['d', 864e5],
      ['w', 6048e5],
      ['y', 365 * 864e5],
    );
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 5_000 }), unit, (amount, [unit, ms]) => {
        expect(at(`-${amount}${unit}`)).toBe(now - amount * ms);
        expect(at(`now-${amount}${unit}`)).toBe(now - amount * ms);
        expect(at(`+${amount}${unit}`)).toBe(now + amount * ms);
      }),
    );
    expect(at('-1h30m')).toBe(now - 5_400_000);
    expect(at('now')).toBe(now);
  });

  test.each([
    ['2026-11-20', Date.UTC(2026, 10, 20)],
    ['2026-11-20t09:30:00z', now],
    ['2026-11-20 09:30:00Z', now],
    ['2026-11-20T09:30:00.1239999Z', now + 123],
    ['2026-11-20T10:30:00 01:00', now],
    ['2016-12-31T23:59:60Z', Date.UTC(2016, 11, 31, 23, 59, 59, 999)],
    ['2024-02-29', Date.UTC(2024, 1, 29)],
    ['0', 0],
  ])('%s is read', (text, time) => {
    expect(at(text)).toBe(time);
  });

  test.each([
    '',
    'yesterday',
    '2026-02-30',
    '2026-13-01',
    '2026-11-20T24:00:00Z',
    '2026-11-20T09:60:00Z',
    '2026-11-20T09:30:00',
    '2026-11-20T09:30:00+24:00',
    '26-11-20',
    '1790000000',
    '99999999999999999',
    'NaN',
    '-',
    'now-',
    '-1',
    '1h',
    '1e12',
    '0x10',
    '2026-11-20T09:30:00Zjunk',
    '-99999999w',
  ])('"%s" is refused', (text) => {
    expect(() => at(text)).toThrow(RejectedError);
  });

  test('whatever the text, is either a whole number of milliseconds that a Date holds, or refused', () => {
    const alphabet = fc.constantFrom(...'0123456789-+:.TZ nowshd'.split(''));
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: alphabet, maxLength: 30 }), fc.string()), (text) => {
        let time: number;
        try {
          time = at(text);
        } catch (error) {
          expect(error).toBeInstanceOf(RejectedError);
          return;
        }
        expect(Number.isSafeInteger(time)).toBe(true);
        expect(() => formatTime(time)).not.toThrow();
      }),
      { numRuns: 2_000 },
    );
  });
});

test('times that come one behind the other are written as each by itself', () => {
  const time = fc.oneof(fc.integer({ min: -8.64e15, max: 8.64e15 }), fc.integer({ min: now, max: now + 180_000 }));
  fc.assert(
    fc.property(fc.array(time), (times) => {
      const text = new TimeText();
      expect(times.map((time) => text.of(time))).toEqual(times.map(formatTime));
    }),
  );
});

describe('a width of buckets', () => {
  test('is a whole number of milliseconds, at least one; whole days and weeks are those of a calendar', () => {
    expect(['1m', '1ms', '0.5s', '1h30m', '36h'].map(parseBucketWidth)).toEqual(
      [60_000, 1, 500, 5_400_000, 129_600_000].map((ms) => ({ kind: 'span', ms })),
    );
    expect(['1d', '24h', '3d', '1w', '7d', '2w', '1month', '3quarters', '1year'].map(parseBucketWidth)).toEqual(
      [
        ['day', 1],
        ['day', 1],
        ['day', 3],
        ['week', 1],
        ['week', 1],
        ['week', 2],
        ['month', 1],
        ['quarter', 3],
        ['year', 1],
      ].map(([unit, count]) => ({ kind: 'calendar', unit, count })),
    );
    for (const text of ['', '0s', '0.5ms', '1', '-1m', 'm', '0month', '1mo', '1y', '1M', '100001days', 'month']) {
      expect(() => parseBucketWidth(text), text).toThrow(RejectedError);
    }
    expect(() => parseBucketWidth('1y')).toThrow(/1year/);
  });

  test('that does not divide a day has no place on a wall clock', () => {
    expect(grid('7m', null)).toEqual({ kind: 'fixed', width: 420_000, origin: 0 });
    expect(grid('7m', 'Etc/UTC')).toEqual({ kind: 'fixed', width: 420_000, origin: 0 });
    expect(grid('7m', 'Europe/Berlin')).toBeNull();
    expect(grid('15m', 'Asia/Kathmandu')).toEqual({ kind: 'wall', width: 900_000, timeZone: 'Asia/Kathmandu' });
    expect(grid('1d', 'Europe/Berlin')).toEqual({ kind: 'calendar', unit: 'day', count: 1, timeZone: 'Europe/Berlin' });
    expect(grid('1month', null)).toEqual({ kind: 'calendar', unit: 'month', count: 1, timeZone: 'UTC' });
  });

  test('in UTC begins where the calendar of UTC does', () => {
    const time = fc.integer({ min: Date.UTC(1971, 0), max: Date.UTC(2100, 0) });
    const text = fc.constantFrom('1d', '2d', '5d', '1w', '2w', '3w');
    fc.assert(
      fc.property(time, text, (time, text) => {
        const width = parseBucketWidth(text);
        if (width.kind !== 'calendar') throw new Error('days and weeks are of a calendar');
        const fixed = gridOf(width, 'UTC');
        if (fixed === null) throw new Error('UTC has buckets of any width');
        const calendar = historyGrid({ ...width, timeZone: 'UTC' });
        expect(historyGrid(fixed).begin(time)).toBe(calendar.begin(time));
      }),
    );
  });
});

function period(range: readonly [number, number], text: string, zone: string): EarlierPeriod {
  return new EarlierPeriod({ from: range[0], to: range[1] }, parseOffset(text), timeZone(zone));
}

function beginOf(from: number, text: string, zone: string): number {
  return period([from, from], text, zone).range.from;
}

describe('an earlier period', () => {
  const hours: BucketGrid = { kind: 'wall', width: hourMs, timeZone: 'Europe/Berlin' };

  test('a day before a clock was set is the same time of day', () => {
    // Clocks went forward on 29 March 2026 at 01:00 UTC.
    const noon = Date.UTC(2026, 2, 29, 10);
    expect(beginOf(noon, '1d', 'Europe/Berlin')).toBe(Date.UTC(2026, 2, 28, 11));
    expect(beginOf(noon, '24h', 'Europe/Berlin')).toBe(Date.UTC(2026, 2, 28, 11));
    expect(beginOf(noon, '25h', 'Europe/Berlin')).toBe(Date.UTC(2026, 2, 28, 9));
    expect(beginOf(noon, '1d', 'UTC')).toBe(Date.UTC(2026, 2, 28, 10));
  });

  test('so many months before keeps to the end of a shorter month', () => {
    expect(beginOf(Date.UTC(2026, 2, 31, 6), '1month', 'UTC')).toBe(Date.UTC(2026, 1, 28, 6));
    expect(beginOf(Date.UTC(2024, 1, 29), '1year', 'UTC')).toBe(Date.UTC(2023, 1, 28));
    expect(period([Date.UTC(2026, 2, 28, 12), Date.UTC(2026, 2, 31, 6)], '1month', 'UTC').range).toEqual({
      from: Date.UTC(2026, 1, 28, 12),
      to: Date.UTC(2026, 1, 28, 12),
    });
  });

  test('a skipped time is that at which the clock was set, a repeated one its first', () => {
    // 02:30 does not exist on 29 March, and is there twice on 25 October.
    expect(beginOf(Date.UTC(2026, 2, 30, 0, 30), '1d', 'Europe/Berlin')).toBe(Date.UTC(2026, 2, 29, 1));
    expect(beginOf(Date.UTC(2026, 9, 26, 1, 30), '1d', 'Europe/Berlin')).toBe(Date.UTC(2026, 9, 25, 0, 30));
  });

  test('hours of the day before stand at their hour, and in order where one is skipped or repeated', () => {
    const spring = period([Date.UTC(2026, 2, 28, 23), Date.UTC(2026, 2, 29, 22)], '1d', 'Europe/Berlin');
    const begins = Array.from({ length: 24 }, (_, hour) => spring.range.from + hour * hourMs);
    expect(begins.map((begin) => (spring.later(begin, hours) - begins[0] - dayMs) / hourMs)).toEqual([
      0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22,
    ]);
    const autumn = period([Date.UTC(2026, 9, 25, 23), Date.UTC(2026, 9, 26, 23)], '1d', 'Europe/Berlin');
    const twice = [0, 1, 2, 3, 4, 5].map((hour) => autumn.range.from + hour * hourMs);
    const midnight = Date.UTC(2026, 9, 25, 23);
    expect(twice.map((begin) => (autumn.later(begin, hours) - midnight) / hourMs)).toEqual([0, 1, 2, 3, 3, 4]);
  });

  test('months are moved onto months, and the days of a longer one reach beyond the end', () => {
    const zone = 'Europe/Berlin';
    const february = period([Date.UTC(2026, 0, 31, 23), Date.UTC(2026, 1, 28, 23)], '1month', zone);
    expect(february.range).toEqual({ from: Date.UTC(2025, 11, 31, 23), to: Date.UTC(2026, 0, 31, 23) });
    const ofMonths: BucketGrid = { kind: 'calendar', unit: 'month', count: 1, timeZone: zone };
    const ofDays: BucketGrid = { kind: 'calendar', unit: 'day', count: 1, timeZone: zone };
    expect(february.later(february.range.from, ofMonths)).toBe(Date.UTC(2026, 0, 31, 23));
    expect(february.later(Date.UTC(2026, 0, 30, 23), ofDays)).toBe(Date.UTC(2026, 2, 2, 23));
    const year = period([Date.UTC(2025, 0), Date.UTC(2026, 0)], '1year', 'UTC');
    expect(year.later(Date.UTC(2024, 2), { ...ofMonths, timeZone: 'UTC' })).toBe(Date.UTC(2025, 2));
  });

  test('keeps the order of times, forth and back, and comes back to where it was', () => {
    const time = fc.integer({ min: Date.UTC(2000, 0), max: Date.UTC(2038, 0) });
    const offset = fc.constantFrom('1ms', '90m', '1d', '3d', '1w', '52w', '1month', '1year');
    const zone = fc.constantFrom('UTC', 'Asia/Kathmandu', 'Europe/Berlin', 'America/St_Johns', 'Pacific/Apia');
    const gaps = fc.array(fc.integer({ min: 0, max: 3 * hourMs }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(time, offset, zone, gaps, fc.boolean(), (from, text, name, gaps, isFixed) => {
        // Begins near a change, where there is one in a year.
        const begin = (timeZone(name).firstChange(from, from + 366 * dayMs)?.time ?? from) - dayMs;
        const grid: BucketGrid = isFixed
          ? { kind: 'fixed', width: 60_000, origin: 0 }
          : { kind: 'wall', width: 60_000, timeZone: name };
        const compared = period([begin, begin + 3 * dayMs], text, name);
        let at = begin;
        let last = Number.NEGATIVE_INFINITY;
        for (const gap of gaps) {
          at += gap;
          const there = compared.earlier(at, grid);
          expect(there).toBeGreaterThanOrEqual(last);
          last = there;
          const back = compared.later(there, grid);
          const isStill = (of: number): boolean => timeZone(name).firstChange(of - 2 * dayMs, of + 2 * dayMs) === null;
          if (isFixed || (isStill(at) && isStill(there))) expect(back).toBe(at);
        }
      }),
      { numRuns: 500 },
    );
  });

  test.each(['', '0s', '-1d', '1y', '0month', '99999years'])('"%s" back is refused', (text) => {
    expect(() => parseOffset(text)).toThrow(RejectedError);
  });
});

test('series stand by device and metric, whenever they came', () => {
  const name = fc.record({ device: fc.constantFrom('a', 'b', 'c', 'd'), metric: fc.constantFrom('x', 'y', 'z') });
  fc.assert(
    fc.property(
      fc.uniqueArray(name, { selector: ({ device, metric }) => `${device}/${metric}` }),
      name,
      (rows, sought) => {
        const names = rows.map((row, index) => ({ id: index + 1, ...row }));
        let size = 0;
        const order = new SeriesOrder({
          get size() {
            return size;
          },
          series: (id) => names[id - 1],
        });
        for (size = 0; size < names.length; size += 2) {
          const sorted = order.all();
          expect(sorted).toEqual(names.slice(0, size).sort(compareSeries));
          expect(indexOfFirst(sorted, sought)).toBe(sorted.filter((one) => compareSeries(one, sought) < 0).length);
        }
      },
    ),
  );
});

describe('a page token', () => {
  const key = z.tuple([z.number(), z.string()]);

  test('gives its key back for the same filters, and is safe in an address', () => {
    fc.assert(
      fc.property(fc.string(), fc.integer(), fc.string({ unit: 'grapheme' }), (filters, number, text) => {
        const token = writePage(filters, [number, text]);
        expect(token).toMatch(/^[\w-]+$/);
        expect(readPage(filters, token, key)).toEqual([number, text]);
      }),
    );
  });

  test('of other filters is refused', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (filters, others) => {
        fc.pre(filters !== others);
        expect(() => readPage(others, writePage(filters, [1, 'a']), key)).toThrow(/other filters/);
      }),
    );
  });

  test('that is anything else is refused, never an error of ours', () => {
    const tampered = fc.oneof(
      fc.string(),
      fc.base64String(),
      fc.json().map((json) => Buffer.from(json).toString('base64url')),
    );
    fc.assert(
      fc.property(tampered, (token) => {
        expect(() => readPage('f', token, key)).toThrow(expect.objectContaining({ code: 'page_invalid' }));
      }),
    );
  });
});

test('the first of many are those that sorting everything would give', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 3 })), fc.integer({ min: 1, max: 20 }), (names, limit) => {
      const { rows, more } = firstOf(names, limit, compareText);
      expect(rows).toEqual(names.toSorted(compareText).slice(0, limit));
      expect(more).toBe(names.length > limit);
    }),
  );
});

test('the nearest word is the one that was meant, and none when nothing is close', () => {
  const words = ['device', 'metric', 'limit', 'page'];
  expect([nearest('devcie', words), nearest('Metrics', words), nearest('pag', words)]).toEqual([
    'device',
    'metric',
    'page',
  ]);
  expect([nearest('surprise', words), nearest('x', words), nearest('', words)]).toEqual([null, null, null]);
});

test('a pointer escapes as RFC 6901 says', () => {
  expect(pointerOf(['a/b', 'm~n', 0, ''])).toBe('/a~1b/m~0n/0/');
  expect(pointerOf([])).toBe('');
});

test('a target keeps its encoding and loses the base path', () => {
  const { path, query } = parseTarget('/base/a%20b?x=1%2B2&y=a+b#part', '/base');
  expect([path, query.get('x'), query.get('y')]).toEqual(['/a%20b', '1+2', 'a b']);
  expect(parseTarget('http://host:1/base', '/base')).toMatchObject({ path: null, isBareBase: true });
  expect(parseTarget('http://host', '')).toMatchObject({ path: '/' });
});
