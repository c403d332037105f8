import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { formatTime, parseMoment, parseWidth } from '../../src/api/moment.ts';
import { nearest } from '../../src/base/nearest.ts';
import { readPage, writePage } from '../../src/api/page-token.ts';
import { compareText, firstOf } from '../../src/api/page.ts';
import { parseTarget } from '../../src/api/request-target.ts';
import { pointerOf } from '../../src/api/validation.ts';
import { RejectedError } from '../../src/base/errors.ts';

const now = Date.UTC(2026, 10, 20, 9, 30);
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

test('a width is a whole number of milliseconds, at least one', () => {
  expect([parseWidth('1m'), parseWidth('1ms'), parseWidth('0.5s'), parseWidth('1h30m')]).toEqual([
    60_000, 1, 500, 5_400_000,
  ]);
  for (const text of ['', '0s', '0.5ms', '1', '-1m', '1month', '2year', 'm']) {
    expect(() => parseWidth(text)).toThrow(RejectedError);
  }
  expect(() => parseWidth('1month')).toThrow(/calendar/);
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
