import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvariantError, RejectedError } from '../../src/base/errors.ts';
import { clockCorrection, type CorrectionFacts } from '../../src/pipeline/clock-correction.ts';
import { Ledger } from '../../src/pipeline/ledger.ts';
import { ReceiptClock } from '../../src/pipeline/receipt-clock.ts';
import { SeriesRegistry } from '../../src/pipeline/series-registry.ts';
import { Window } from '../../src/pipeline/window.ts';
import { heapUsed } from '../fuzz/exercise.ts';
import { FakeClock } from '../support/fake-clock.ts';

const dayMs = 86_400_000;
const year2000 = Date.UTC(2000, 0, 1);

describe('clock correction', () => {
  const receivedAt = Date.UTC(2026, 8, 21, 12);
  const judge = (facts: Partial<CorrectionFacts>): number | string => {
    try {
      return clockCorrection({
        newest: receivedAt,
        oldest: receivedAt,
        receivedAt,
        futureMax: 60_000,
        clockTrusted: true,
        ...facts,
      });
    } catch (error) {
      if (error instanceof RejectedError) return error.code;
      throw error;
    }
  };

  it.each([
    ['now', receivedAt, 0],
    ['a year ago', receivedAt - 365 * dayMs, 0],
    ['as far ahead as is allowed', receivedAt + 60_000, 0],
    ['a millisecond more', receivedAt + 60_001, 60_001],
    ['a day ahead', receivedAt + dayMs, dayMs],
    ['more than a day ahead', receivedAt + dayMs + 1, 'time_implausible'],
    ['in 2099', Date.UTC(2099, 0, 1), 'time_implausible'],
    ['as the year 2000 began', year2000, 0],
    ['before', year2000 - 1, 'time_implausible'],
    ['beyond what a date can hold', 8.64e15 + 1, 'time_implausible'],
  ])('of a message from %s', (_, time, expected) => {
    expect(judge({ newest: time, oldest: time })).toBe(expected);
  });

  it('judges the newest time for the future and the oldest for the past', () => {
    expect(judge({ oldest: year2000 - 1 })).toBe('time_implausible');
    expect(judge({ oldest: receivedAt - dayMs, newest: receivedAt + 120_000 })).toBe(120_000);
  });

  it('makes the newest time the time of receipt whenever it acts, and acts on nothing that is allowed', () => {
    const ahead = fc.integer({ min: -10 * dayMs, max: dayMs });
    fc.assert(
      fc.property(ahead, fc.nat(dayMs), fc.nat(dayMs), (offset, span, futureMax) => {
        const newest = receivedAt + offset;
        const correction = judge({ newest, oldest: newest - span, futureMax });
        if (offset > futureMax) expect(newest - Number(correction)).toBe(receivedAt);
        else expect(correction).toBe(0);
      }),
    );
  });

  it('leaves every future alone while the clock of the gateway is no judge, but not the past', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 8e15 }), (offset) => {
        expect(judge({ newest: receivedAt + offset, clockTrusted: false })).toBe(0);
      }),
    );
    expect(judge({ oldest: year2000 - 1, clockTrusted: false })).toBe('time_implausible');
  });
});

describe('the receipt clock', () => {
  it('never runs backwards, however the wall clock is corrected', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -10_000, max: 10_000 })), (steps) => {
        const clock = new FakeClock();
        const receipt = new ReceiptClock(clock);
        let before = receipt.now();
        for (const step of steps) {
          clock.stepWall(step);
          const at = receipt.now();
          expect(at).toBe(Math.max(before, clock.now()));
          before = at;
        }
      }),
    );
  });
});

describe('the window', () => {
  it('closes at its bound and opens at half of it, in messages and in bytes, and says so each time once', () => {
    const step = fc.record({ enter: fc.boolean(), bytes: fc.nat(60) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const window = new Window({ messagesMax: 6, bytesMax: 200 });
        const turns: boolean[] = [];
        window.onChange((open) => turns.push(open));
        const inside: number[] = [];
        let open = true;
        let closings = 0;
        for (const { enter, bytes } of steps) {
          const leaving = enter ? undefined : inside.shift();
          if (enter) {
            inside.push(bytes);
            window.enter(bytes);
          } else if (leaving !== undefined) window.leave(1, leaving);
          const held = inside.reduce((sum, one) => sum + one, 0);
          if (open && (inside.length >= 6 || held >= 200)) {
            open = false;
            closings++;
          } else if (!open && inside.length <= 3 && held <= 100) open = true;
          expect([window.open, window.messages, window.bytes, window.closings]).toEqual([
            open,
            inside.length,
            held,
            closings,
          ]);
        }
        expect(turns).toEqual(turns.map((_, index) => index % 2 === 1));
        expect(turns.filter((turn) => !turn)).toHaveLength(closings);
      }),
    );
  });
});

describe('the series registry', () => {
  const limits = { seriesMax: 5, metricsMax: 3 };

  it('gives a series one number for ever, counting from 1', () => {
    const registry = new SeriesRegistry(limits);
    expect([registry.assign('a', 'x'), registry.assign('b', 'x'), registry.assign('a', 'x')]).toEqual([1, 2, 1]);
    expect([registry.find('b', 'x'), registry.find('b', 'y'), registry.find('c', 'x'), registry.size]).toEqual([
      2,
      undefined,
      undefined,
      2,
    ]);
    expect(registry.series(2)).toEqual({ id: 2, device: 'b', metric: 'x' });
  });

  it('goes on after what was recovered', () => {
    const registry = new SeriesRegistry(limits);
    registry.load([{ id: 1, device: 'a', metric: 'x' }]);
    expect([registry.assign('a', 'x'), registry.assign('a', 'y')]).toEqual([1, 2]);
    expect(registry.unpersisted()).toEqual([{ id: 2, device: 'a', metric: 'y' }]);
  });

  it('takes the same again from a store that was opened again, and nothing that contradicts it', () => {
    const registry = new SeriesRegistry(limits);
    registry.assign('a', 'x');
    registry.assign('a', 'y');
    registry.load([{ id: 1, device: 'a', metric: 'x' }]);
    expect(registry.unpersisted().map(({ id }) => id)).toEqual([2]);
    expect(() => registry.load([{ id: 2, device: 'b', metric: 'y' }])).toThrow(InvariantError);
  });

  it('hands each new series to the next commits until one is on disk', () => {
    const registry = new SeriesRegistry(limits);
    registry.assign('a', 'x');
    const carried = registry.unpersisted();
    registry.assign('a', 'y');
    expect(registry.unpersisted()).toHaveLength(2);
    registry.persisted(carried);
    expect(registry.unpersisted().map(({ metric }) => metric)).toEqual(['y']);
    registry.persisted([]);
    expect(registry.unpersisted()).toHaveLength(1);
  });

  it('forgets what was given out to a message that was then refused, and only that', () => {
    const registry = new SeriesRegistry(limits);
    registry.assign('a', 'x');
    const attempt = (): number[] => registry.whole(() => ['y', 'z', 'w'].map((metric) => registry.assign('a', metric)));
    expect(attempt).toThrow(expect.objectContaining({ code: 'series_limit' }));
    expect(registry.ofDevice('a').map(({ metric }) => metric)).toEqual(['x']);
    expect(() => registry.series(2)).toThrow(InvariantError);
    expect([registry.assign('b', 'x'), registry.hasDevice('b'), registry.hasDevice('c')]).toEqual([2, true, false]);
  });

  it('keeps no name of what was refused', () => {
    const registry = new SeriesRegistry({ seriesMax: 5, metricsMax: 1 });
    const long = 'x'.repeat(100);
    let refused = 0;
    const before = heapUsed();
    for (let message = 0; message < 10_000; message++) {
      try {
        registry.whole(() => [`${long}${message}`, 'one-too-many'].map((metric) => registry.assign('a', metric)));
      } catch (error) {
        if (error instanceof RejectedError) refused++;
      }
    }
    expect(heapUsed() - before).toBeLessThan(1 << 19);
    expect([refused, registry.size]).toEqual([10_000, 0]);
  });

  it('says which option raises the bound that was met', () => {
    const registry = new SeriesRegistry(limits);
    for (const metric of ['x', 'y', 'z']) registry.assign('a', metric);
    expect(() => registry.assign('a', 'w')).toThrow(/device\.metricsMax/);
    for (const metric of ['x', 'y']) registry.assign('b', metric);
    expect(() => registry.assign('b', 'z')).toThrow(/storage\.seriesMax/);
    expect(registry.assign('b', 'y')).toBe(5);
  });
});

describe('the ledger', () => {
  it('finds a message and a reading that nobody accounted for', () => {
    const ledger = new Ledger();
    ledger.messages.received = 3;
    ledger.messages.accepted = 1;
    ledger.refuse('payload_empty');
    ledger.readings.decoded = 2;
    ledger.readings.stored = 1;
    expect(ledger.imbalance()).toEqual({ messages: 1, readings: 1 });
    expect([...ledger.refusals]).toEqual([['payload_empty', 1]]);
  });
});
