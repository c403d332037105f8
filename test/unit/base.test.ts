import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { formatDuration, parseDuration } from '../../src/base/duration.ts';
import { messageOf, RejectedError, TransientError } from '../../src/base/errors.ts';
import { StopStack } from '../../src/base/lifecycle.ts';
import { type Random, randomId, seededRandom, systemRandom } from '../../src/base/random.ts';
import { FakeClock } from '../support/fake-clock.ts';

/** Lets everything that is already resolved run on. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** The first 20 numbers of a seed. */
function draw(seed: number): number[] {
  const random = seededRandom(seed);
  return Array.from({ length: 20 }, () => random.next());
}

describe('a duration', () => {
  it.each([
    ['250ms', 250],
    ['30s', 30_000],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['7d', 604_800_000],
    ['2w', 1_209_600_000],
    ['1h30m', 5_400_000],
    ['1.5h', 5_400_000],
    ['0s', 0],
    ['0.5ms', 0.5],
    ['1m1m', 120_000],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each([
    '',
    '5',
    's',
    '5 s',
    '-5s',
    '5S',
    '5s ',
    '5sec',
    '1e3s',
    '.5s',
    '5.s',
    '5m,3s',
    '5µs',
    `${'9'.repeat(400)}s`,
  ])('is not "%s"', (text) => {
    expect(() => parseDuration(text)).toThrow(expect.objectContaining({ code: 'duration_invalid' }));
  });

  it('says what can be written', () => {
    expect(() => parseDuration('soon')).toThrow(/"soon" is not a duration; write for example 250ms, 30s/);
  });

  it('is read back as it was written, for every whole number of milliseconds', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.maxSafeNat(),
          fc.nat(10_000).map((n) => n * 60_000),
        ),
        (ms) => {
          expect(parseDuration(formatDuration(ms))).toBe(ms);
        },
      ),
    );
  });

  it('is written with one unit, the largest that divides it', () => {
    expect([0, 999, 90_000, 3_600_000, 5_400_000, 604_800_000, 86_400_000].map(formatDuration)).toEqual([
      '0ms',
      '999ms',
      '90s',
      '1h',
      '90m',
      '1w',
      '1d',
    ]);
  });
});

describe('the stop stack', () => {
  interface Line {
    readonly step: string;
    readonly error?: string;
  }

  function stack(): { clock: FakeClock; stops: StopStack; errors: Line[]; order: string[] } {
    const clock = new FakeClock();
    const errors: Line[] = [];
    const log = {
      info: () => {},
      warn: () => {},
      debug: () => {},
      error: (fields: object) => void errors.push(fields as Line),
    };
    return { clock, stops: new StopStack(clock, log), errors, order: [] };
  }

  it('stops what was started last first, each after the one above it has ended', async () => {
    const { stops, order, errors } = stack();
    stops.push('storage', () => void order.push('storage'));
    stops.push('pipeline', async () => {
      order.push('pipeline begins');
      await turn();
      order.push('pipeline ends');
    });
    stops.push('broker', () => void order.push('broker'));
    await stops.unwind(1_000);
    expect(order).toEqual(['broker', 'pipeline begins', 'pipeline ends', 'storage']);
    expect(errors).toEqual([]);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('no socket');
      },
    ],
    ['rejects', () => Promise.reject(new Error('no socket'))],
  ])('names a step that %s and stops the ones below it', async (_, failing) => {
    const { stops, order, errors } = stack();
    stops.push('storage', () => void order.push('storage'));
    stops.push('broker', failing);
    await stops.unwind(1_000);
    expect(order).toEqual(['storage']);
    expect(errors).toEqual([{ step: 'broker', error: 'no socket' }]);
  });

  it('names a step that hangs, gives it what is left of the deadline, and the ones below still a moment', async () => {
    const { clock, stops, order, errors } = stack();
    stops.push('storage', () => void order.push('storage'));
    stops.push('slow', () => new Promise(() => {}));
    stops.push('hanging', () => new Promise(() => {}));
    const unwound = stops.unwind(1_000);
    await turn();
    clock.advance(999);
    await turn();
    expect(errors).toEqual([]);
    clock.advance(1);
    await turn();
    expect(errors).toEqual([{ step: 'hanging', budgetMs: 1_000 }]);
    clock.advance(49);
    await turn();
    expect(order).toEqual([]);
    clock.advance(1);
    await unwound;
    expect(errors).toEqual([
      { step: 'hanging', budgetMs: 1_000 },
      { step: 'slow', budgetMs: 50 },
    ]);
    expect(order).toEqual(['storage']);
    expect(clock.timers).toBe(0);
  });

  it('a step that fails after it was abandoned disturbs nobody', async () => {
    const { clock, stops, errors } = stack();
    const late = Promise.withResolvers<void>();
    stops.push('late', () => late.promise);
    const unwound = stops.unwind(100);
    await turn();
    clock.advance(100);
    await unwound;
    late.reject(new Error('too late'));
    await turn();
    expect(errors).toHaveLength(1);
  });

  it('may be asked twice: the second waits for the first and stops nothing again', async () => {
    const { stops, order } = stack();
    const broker = Promise.withResolvers<void>();
    stops.push('broker', () => {
      order.push('broker');
      return broker.promise;
    });
    const first = stops.unwind(1_000);
    let secondDone = false;
    const second = stops.unwind(1_000).then(() => {
      secondDone = true;
    });
    await turn();
    expect(secondDone).toBe(false);
    broker.resolve();
    await Promise.all([first, second]);
    expect(order).toEqual(['broker']);
  });
});

describe('randomness', () => {
  it('repeats itself for the same seed and not for another', () => {
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
    // Pinned, because recorded seeds must mean the same tomorrow.
    expect(draw(7).slice(0, 2)).toEqual([0.011704753153026104, 0.06195825757458806]);
  });

  it('stays in [0, 1) and fills it evenly', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = seededRandom(seed);
        const tenths = Array.from({ length: 10 }, () => 0);
        for (let draw = 0; draw < 5_000; draw++) {
          const value = random.next();
          expect(value >= 0 && value < 1).toBe(true);
          tenths[Math.floor(value * 10)]++;
        }
        // 500 expected; six standard deviations are about 127.
        expect(tenths.filter((count) => Math.abs(count - 500) > 130)).toEqual([]);
      }),
      { numRuns: 50 },
    );
  });

  it('makes ids of a prefix and 20 characters that a double click selects', () => {
    const ids = Array.from({ length: 1_000 }, () => randomId('rule'));
    for (const id of ids) expect(id).toMatch(/^rule_[0-9A-Za-z]{20}$/);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('takes every character equally often: bytes that would favour some are dropped', () => {
    const all: Random = { next: () => 0, bytes: (count) => Uint8Array.from({ length: count }, () => next++ & 255) };
    let next = 0;
    const counts = new Map<string, number>();
    for (let id = 0; id < 62; id++) {
      for (const character of randomId('x', all).slice(2)) counts.set(character, (counts.get(character) ?? 0) + 1);
    }
    expect(counts.size).toBe(62);
    // Whole rounds over the 248 kept bytes give each character four; 62 ids of 20 characters are five rounds.
    expect(Math.max(...counts.values()) - Math.min(...counts.values())).toBeLessThanOrEqual(6);
  });

  it('of the system differs from call to call', () => {
    expect(systemRandom.bytes(16)).not.toEqual(systemRandom.bytes(16));
    expect(systemRandom.bytes(16)).toHaveLength(16);
    expect(systemRandom.next()).toBeLessThan(1);
  });
});

describe('the system clock', () => {
  it('rejects a sleep with the reason of its signal, whether it comes first or later', async () => {
    const early = AbortSignal.abort(new Error('stopping'));
    await expect(systemClock.sleep(60_000, early)).rejects.toThrow('stopping');
    const later = new AbortController();
    const sleeping = systemClock.sleep(60_000, later.signal);
    later.abort(new Error('stopped'));
    await expect(sleeping).rejects.toThrow('stopped');
  });

  it('takes a delay beyond what a platform timer holds without firing at once', async () => {
    let fired = false;
    const timer = systemClock.after(Number.MAX_SAFE_INTEGER, () => {
      fired = true;
    });
    await systemClock.sleep(5);
    expect(fired).toBe(false);
    timer.cancel();
    timer.cancel();
  });

  it('fires what is due in the past, and only once', async () => {
    let fired = 0;
    await new Promise<void>((resolve) => {
      systemClock.after(-1_000, () => {
        fired++;
        resolve();
      });
    });
    await systemClock.sleep(1);
    expect(fired).toBe(1);
  });

  it('measures with a hand that never goes back', () => {
    const hands = Array.from({ length: 100 }, () => systemClock.monotonic());
    expect(hands.toSorted((a, b) => a - b)).toEqual(hands);
  });
});

describe('an error', () => {
  it('says whose fault it is by its class, and where by its pointer', () => {
    const cause = new Error('below');
    const rejected = new RejectedError('value_invalid', 'no', { pointer: '/a', cause });
    expect([rejected.name, rejected.code, rejected.pointer, rejected.errors, rejected.cause]).toEqual([
      'RejectedError',
      'value_invalid',
      '/a',
      [],
      cause,
    ]);
    expect(new TransientError('later').name).toBe('TransientError');
  });

  it('has a message whatever was thrown', () => {
    expect([new Error('a'), 'b', 7, undefined].map(messageOf)).toEqual(['a', 'b', '7', 'undefined']);
  });
});
