import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Value } from '../../src/domain/reading.ts';
import { Decimation, type DecimationQuestion, lttbMax } from '../../src/history/shapes/decimation.ts';
import { lttb } from '../../src/history/shapes/lttb.ts';
import type { Sample } from '../../src/history/reader.ts';
import { summarize } from '../../src/history/summary.ts';
import { columnsOf, samplesOf } from '../support/history-columns.ts';

const start = Date.UTC(2026, 8, 21);

const number = fc.integer({ min: -20, max: 20 });
const values: fc.Arbitrary<Value>[] = [
  number,
  fc.boolean(),
  fc.oneof(number, fc.boolean(), fc.constantFrom('on', 'off')),
];
const samples = fc.constantFrom(...values).chain((value) =>
  fc
    .array(fc.record({ step: fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 900 })), value }), {
      maxLength: 120,
    })
    .map((steps) => {
      let time = start;
      return steps.map(({ step, value }) => ({ time: (time += step), value }));
    }),
);

interface Asked {
  readonly samples: readonly Sample[];
  readonly question: DecimationQuestion;
  /** Lengths of the parts. */
  readonly length: number;
}

const asked: fc.Arbitrary<Asked> = samples.chain((samples) =>
  fc
    .record({
      from: fc.integer({ min: 0, max: 400 }),
      span: fc.integer({ min: 1, max: 5_000 }),
      points: fc.integer({ min: 2, max: 40 }),
      method: fc.constantFrom('minmax', 'lttb'),
      isMany: fc.boolean(),
      length: fc.integer({ min: 1, max: 15 }),
    })
    .map(({ from, span, points, method, isMany, length }) => ({
      samples,
      length,
      question: {
        from: start + from,
        to: start + from + span,
        points,
        method,
        readings: isMany ? lttbMax + 1 : samples.length,
      },
    })),
);

function inRange({ samples, question }: Asked): Sample[] {
  const { from, to } = question;
  return samples.filter(({ time, value }) => time >= from && time < to && typeof value !== 'string');
}

function thinned({ samples, question, length }: Asked): Sample[] {
  const decimation = new Decimation(question);
  const columns = columnsOf(samples);
  for (let row = 0; row < columns.count; row += length) {
    decimation.add(columns, row, Math.min(columns.count, row + length));
  }
  return samplesOf(decimation.close());
}

describe('readings thinned out', () => {
  test('are some of them, in order, no more than asked for, without texts', () => {
    fc.assert(
      fc.property(asked, (asked) => {
        const chosen = thinned(asked);
        expect(chosen.length).toBeLessThanOrEqual(asked.question.points);
        const known = new Map(inRange(asked).map(({ time, value }) => [time, value]));
        let last = Number.NEGATIVE_INFINITY;
        for (const { time, value } of chosen) {
          expect(time).toBeGreaterThan(last);
          expect(known.get(time)).toBe(value);
          last = time;
        }
      }),
      { numRuns: 600 },
    );
  });

  test('are all of them where lttb may keep all', () => {
    fc.assert(
      fc.property(asked, (asked) => {
        const all = inRange(asked);
        const question = {
          ...asked.question,
          method: 'lttb',
          readings: all.length,
          points: Math.max(2, all.length),
        } as const;
        expect(thinned({ ...asked, question })).toEqual(all);
      }),
    );
  });

  test('have the first and the last when lttb chooses', () => {
    fc.assert(
      fc.property(asked, (asked) => {
        const all = inRange(asked);
        fc.pre(all.length > 0);
        const chosen = thinned({ ...asked, question: { ...asked.question, method: 'lttb' } });
        expect(chosen[0]).toEqual(all[0]);
        expect(chosen.at(-1)).toEqual(all.at(-1));
      }),
      { numRuns: 300 },
    );
  });

  test('have the least and the greatest of each stretch when minmax chooses', () => {
    fc.assert(
      fc.property(asked, (asked) => {
        const { from, to, points } = asked.question;
        const stretches = Math.floor(points / 2);
        const expected: Sample[] = [];
        for (let stretch = 0; stretch < stretches; stretch++) {
          const begin = from + ((to - from) * stretch) / stretches;
          const end = stretch === stretches - 1 ? to : from + ((to - from) * (stretch + 1)) / stretches;
          const some = inRange(asked).filter(({ time }) => time >= begin && time < end);
          if (some.length === 0) continue;
          const least = some.reduce((best, one) => (Number(one.value) < Number(best.value) ? one : best));
          const greatest = some.reduce((best, one) => (Number(one.value) > Number(best.value) ? one : best));
          expected.push(...new Set([least, greatest].toSorted((a, b) => a.time - b.time)));
        }
        expect(thinned({ ...asked, question: { ...asked.question, method: 'minmax' } })).toEqual(expected);
      }),
      { numRuns: 600 },
    );
  });

  test('are the same when summaries spare what does not show', () => {
    let spared = 0;
    fc.assert(
      fc.property(asked, fc.boolean(), (asked, isConsidered) => {
        const question = { ...asked.question, readings: lttbMax + 1 };
        const columns = columnsOf(asked.samples);
        const stretches: { readonly begin: number; readonly end: number }[] = [];
        for (let begin = 0; begin < columns.count; begin += asked.length) {
          stretches.push({ begin, end: Math.min(columns.count, begin + asked.length) });
        }
        const decimation = new Decimation(question);
        const summaryOf = ({ begin, end }: { readonly begin: number; readonly end: number }) => ({
          ...summarize(columns, begin, end),
          more: null,
        });
        if (isConsidered) for (const stretch of stretches) decimation.consider(summaryOf(stretch));
        for (const stretch of stretches) {
          if (decimation.addSummary(summaryOf(stretch))) spared++;
          else decimation.add(columns, stretch.begin, stretch.end);
        }
        expect(samplesOf(decimation.close())).toEqual(thinned({ ...asked, question }));
      }),
      { numRuns: 600 },
    );
    expect(spared).toBeGreaterThan(0);
  });

  test('that turn out to be too many to choose among all are chosen among extremes, without a break', () => {
    const count = lttbMax + 5_000;
    const times = Float64Array.from({ length: count }, (_, row) => start + row);
    const values = Float64Array.from({ length: count }, (_, row) => Math.sin(row / 900) + (row === 123_456 ? 50 : 0));
    const columns = { count, times, values, kinds: null, texts: [] };
    const answers = [0, count].map((readings) => {
      const decimation = new Decimation({ from: start, to: start + count, points: 300, method: 'lttb', readings });
      for (let row = 0; row < count; row += 1_024) decimation.add(columns, row, Math.min(count, row + 1_024));
      return samplesOf(decimation.close());
    });
    expect(answers[0]).toEqual(answers[1]);
    expect(answers[0]).toHaveLength(300);
    expect(answers[0].map(({ time }) => time)).toContain(start + 123_456);
  });
});

describe('where only summaries are left', () => {
  test('the first, the last and both extremes show, within the stretch of the summary', () => {
    const all = [5, 9, 1, 6].map((value, index) => ({ time: start + index * 20_000, value }));
    const decimation = new Decimation({ from: start, to: start + 3_600_000, points: 100, method: 'lttb', readings: 4 });
    decimation.addCoarse(summarize(columnsOf(all), 0, 4));
    const chosen = samplesOf(decimation.close());
    expect(chosen.map(({ value }) => value)).toEqual([5, 1, 9, 6]);
    expect(chosen.map(({ time }) => time - start)).toEqual([0, 20_000, 40_000, 60_000]);
  });

  test('booleans stay booleans, and texts are left out', () => {
    const mixed = [false, 'off', true, false].map((value, index) => ({ time: start + index * 20_000, value }));
    const decimation = new Decimation({
      from: start,
      to: start + 3_600_000,
      points: 100,
      method: 'minmax',
      readings: 4,
    });
    decimation.addCoarse(summarize(columnsOf(mixed), 0, 4));
    decimation.addCoarse(summarize(columnsOf([{ time: start + 90_000, value: 'on' }]), 0, 1));
    expect(samplesOf(decimation.close()).map(({ value }) => value)).toEqual([false, true]);
  });
});

/** Section 4.2 of the thesis, with buckets as lists. */
function plain(points: readonly Sample[], wanted: number): Sample[] {
  if (points.length <= wanted) return [...points];
  const size = (points.length - 2) / (wanted - 2);
  const edge = (bucket: number): number => Math.min(Math.floor(bucket * size) + 1, points.length - 1);
  const buckets = Array.from({ length: wanted - 2 }, (_, bucket) => points.slice(edge(bucket), edge(bucket + 1)));
  const chosen = [points[0]];
  for (const [index, bucket] of buckets.entries()) {
    const next = buckets[index + 1] ?? [points[points.length - 1]];
    const mean = (pick: (sample: Sample) => number): number =>
      next.reduce((sum, one) => sum + pick(one), 0) / next.length;
    const time = mean((one) => one.time - start);
    const value = mean((one) => Number(one.value));
    const from = chosen[chosen.length - 1];
    const area = (one: Sample): number =>
      Math.abs(
        (from.time - start - time) * (Number(one.value) - Number(from.value)) -
          (from.time - one.time) * (value - Number(from.value)),
      ) / 2;
    chosen.push(bucket.reduce((best, one) => (area(one) > area(best) + 1e-9 ? one : best)));
  }
  return [...chosen, points[points.length - 1]];
}

describe('lttb', () => {
  test('takes the points that the thesis takes', () => {
    const points = fc.array(
      fc.record({ step: fc.integer({ min: 1, max: 50 }), value: fc.integer({ min: -99, max: 99 }) }),
      {
        minLength: 1,
        maxLength: 200,
      },
    );
    fc.assert(
      fc.property(points, fc.integer({ min: 2, max: 60 }), (steps, wanted) => {
        let time = start;
        const all = steps.map(({ step, value }) => ({ time: (time += step), value }));
        const { times, values, count } = columnsOf(all);
        expect([...lttb(times, values, count, wanted)].map((row) => all[row])).toEqual(plain(all, wanted));
      }),
      { numRuns: 500 },
    );
  });
});
