import { assert, integer, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Random, seededRandom } from '../../src/base/random.ts';
import { delayAfter, parseRetryAfter, patientSchedule } from '../../src/base/retry-schedule.ts';

/** The middle of the jitter: every delay comes out as it is written. */
const centred: Random = { next: () => 0.5, bytes: () => new Uint8Array() };
const atEdge = (next: number): number | null =>
  delayAfter(patientSchedule, 1, { random: { ...centred, next: () => next } });
const after = (attempt: number, retryAfter: number | null): number | null =>
  delayAfter(patientSchedule, attempt, { random: centred, retryAfter });
const seconds = 1_000;
const minutes = 60 * seconds;
const hours = 60 * minutes;

describe('the retry schedule', () => {
  it('waits 5 s, 30 s, 2 m, 10 m, 30 m, 2 h, 5 h, 10 h, 10 h and gives up after the tenth attempt', () => {
    const delays = Array.from({ length: 11 }, (_, index) =>
      delayAfter(patientSchedule, index + 1, { random: centred }),
    );
    expect(delays).toEqual([
      5 * seconds,
      30 * seconds,
      2 * minutes,
      10 * minutes,
      30 * minutes,
      2 * hours,
      5 * hours,
      10 * hours,
      10 * hours,
      null,
      null,
    ]);
  });

  it('spreads every delay over the whole of ±20 % and never beyond', () => {
    assert(
      property(integer({ min: 1, max: 9 }), integer(), (attempt, seed) => {
        const plain = patientSchedule.delays[attempt] ?? 0;
        const delay = delayAfter(patientSchedule, attempt, { random: seededRandom(seed) }) ?? -1;
        expect(delay).toBeGreaterThanOrEqual(plain * 0.8);
        expect(delay).toBeLessThanOrEqual(plain * 1.2);
      }),
    );
    expect([atEdge(0), atEdge(1)]).toEqual([4_000, 6_000]);
  });

  it('takes what the far side asks for as a lower bound and clamps it to 24 h', () => {
    expect(after(1, 60 * seconds)).toBe(60 * seconds);
    expect(after(1, 1 * seconds)).toBe(5 * seconds);
    expect(after(1, 400 * hours)).toBe(24 * hours);
    expect(after(1, null)).toBe(5 * seconds);
    expect(after(10, 60 * seconds)).toBeNull();
  });
});

describe('Retry-After', () => {
  const now = Date.UTC(1994, 10, 6, 8, 49, 7);

  it('is read as seconds and as any of the three HTTP dates', () => {
    expect(parseRetryAfter('120', now)).toBe(120_000);
    expect(parseRetryAfter(' 0 ', now)).toBe(0);
    expect(parseRetryAfter('Sun, 06 Nov 1994 08:49:37 GMT', now)).toBe(30_000);
    expect(parseRetryAfter('Sun Nov  6 08:49:37 1994', now)).toBe(30_000);
    expect(parseRetryAfter('Monday, 21-Sep-26 12:00:30 GMT', Date.UTC(2026, 8, 21, 12))).toBe(30_000);
  });

  it('that lies in the past means at once', () => {
    expect(parseRetryAfter('Sun, 06 Nov 1994 08:00:00 GMT', now)).toBe(0);
  });

  it.each([
    null,
    undefined,
    '',
    '-5',
    '1.5',
    '1e3',
    'soon',
    'tomorrow',
    '99999999999',
    'Sun, 06 Foo 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 25:49:37 GMT',
  ])('%j is no wish at all', (header) => {
    expect(parseRetryAfter(header, now)).toBeNull();
  });
});
