import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Aggregate,
  type BucketFill,
  type MetricKind,
  bucketFills,
  plainAggregates,
} from '../../src/domain/aggregate.ts';
import type { Value } from '../../src/domain/reading.ts';
import { BucketFold } from '../../src/history/buckets/bucket-fold.ts';
import { gridOf } from '../../src/history/buckets/bucket-grid.ts';
import { boundariesNeeded, sourceNeeded } from '../../src/history/buckets/bucket-needs.ts';
import type { Sample } from '../../src/history/reader.ts';
import { type SummaryColumns, joinSummaries, summarize } from '../../src/history/summary.ts';
import { type OracleQuestion, oracleBuckets } from '../support/history-oracle.ts';
import { columnsOf } from '../support/history-columns.ts';

const start = Date.UTC(2026, 8, 21, 14, 53, 20);

const everything: readonly Aggregate[] = [
  ...plainAggregates.map((kind) => ({ kind })),
  { kind: 'percentile', rank: 0 },
  { kind: 'percentile', rank: 95 },
  { kind: 'percentile', rank: 100 },
  { kind: 'timeInRange', low: 0, high: 20 },
  { kind: 'duration', state: 'on' },
  { kind: 'duration', state: true },
  { kind: 'duration', state: 1 },
];
const fromRollups = everything.filter((aggregate) => sourceNeeded([aggregate], 'gauge', 'none') !== 'readings');

/** How a stretch of readings is handed over. */
type Form = 'readings' | 'summary' | 'rollup';

interface Part {
  readonly length: number;
  readonly form: Form;
}

interface Asked extends Omit<OracleQuestion, 'grid'> {
  readonly width: number;
  readonly aggregates: readonly Aggregate[];
  readonly parts: readonly Part[];
}

const numbers = fc.oneof(
  fc.integer({ min: -50, max: 50 }),
  fc.integer({ min: 1_000_000, max: 1_000_040 }).map((number) => number / 10),
);
const valueOf: Readonly<Record<string, fc.Arbitrary<Value>>> = {
  numbers,
  booleans: fc.boolean(),
  texts: fc.constantFrom('on', 'off', 'open'),
  mixed: fc.oneof(numbers, fc.boolean(), fc.constantFrom('on', 'off')),
};

/** Readings before, in and after a range, with gaps much longer than a bucket. */
function samplesOfKind(values: fc.Arbitrary<Value>): fc.Arbitrary<Sample[]> {
  const step = fc.oneof(
    { arbitrary: fc.integer({ min: 1, max: 900 }), weight: 6 },
    { arbitrary: fc.integer({ min: 1_000, max: 9_000 }), weight: 1 },
  );
  return fc.array(fc.record({ step, value: values }), { maxLength: 60 }).map((steps) => {
    let time = start;
    return steps.map(({ step, value }) => {
      time += step;
      return { time, value };
    });
  });
}

const asked: fc.Arbitrary<Asked> = fc
  .constantFrom(...Object.values(valueOf))
  .chain((values) => samplesOfKind(values))
  .chain((samples) => {
    const end = (samples.at(-1)?.time ?? start) - start;
    const position = fc.integer({ min: 0, max: end + 3_000 });
    return fc.record({
      samples: fc.constant(samples),
      from: position.map((ms) => start + ms),
      to: position.map((ms) => start + ms + 1),
      holdsUntil: fc.option(
        position.map((ms) => start + ms),
        { nil: undefined },
      ),
      width: fc.constantFrom(1, 250, 1_000, 3_600, 60_000),
      kind: fc.constantFrom<MetricKind>('gauge', 'counter', 'state'),
      fill: fc.constantFrom<BucketFill>(...bucketFills),
      aggregates: fc.oneof(
        fc.constant(everything),
        fc.subarray([...fromRollups], { minLength: 1 }),
        fc.subarray([...everything], { minLength: 1, maxLength: 3 }),
      ),
      parts: fc.array(
        fc.record({
          length: fc.integer({ min: 1, max: 9 }),
          form: fc.constantFrom<Form>('readings', 'summary', 'rollup'),
        }),
        { maxLength: 40 },
      ),
    });
  })
  .filter(({ from, to, width }) => from < to && (to - from) / width < 2_000)
  // What is known beyond the range is one reading on either side.
  .map((question) => {
    const before = question.samples.filter(({ time }) => time < question.from).slice(-1);
    const after = question.samples.filter(({ time }) => time >= question.to).slice(0, 1);
    const inside = question.samples.filter(({ time }) => time >= question.from && time < question.to);
    return { ...question, samples: [...before, ...inside, ...after] };
  });

/** Hands the readings over in parts, each in its form, and as readings where the fold does not take that. */
function fill(fold: BucketFold, inside: readonly Sample[], parts: readonly Part[]): void {
  const columns = columnsOf(inside);
  let row = 0;
  let turn = 0;
  while (row < inside.length) {
    const { length, form } = parts[turn++] ?? { length: inside.length, form: 'readings' };
    const end = Math.min(inside.length, row + length);
    const summary = summarize(columns, row, end);
    const isTaken = form !== 'readings' && fold.addSummary(form === 'rollup' ? summary : { ...summary, more: null });
    if (!isTaken) fold.addReadings(columns, row, end);
    row = end;
  }
}

function foldOf(question: Asked, limit = 10_000, numberBefore: Sample | null = null): BucketFold {
  const { from, to, kind, fill, aggregates, width, samples, holdsUntil } = question;
  const before = samples.findLast(({ time }) => time < from) ?? null;
  return new BucketFold({
    grid: gridOf({ kind: 'fixed', width: width, origin: 0 }),
    from,
    to,
    kind,
    fill,
    aggregates,
    limit,
    before,
    numberBefore,
    holdsUntil,
  });
}

/** The last number that is known of a range before a page of it. */
function numberBefore({ samples }: Asked, from: number): Sample | null {
  return samples.findLast(({ time, value }) => time < from && typeof value !== 'string') ?? null;
}

function insideOf({ samples, from, to }: Asked): Sample[] {
  return samples.filter(({ time }) => time >= from && time < to);
}

function afterOf({ samples, to }: Asked): Sample | null {
  return samples.find(({ time }) => time >= to) ?? null;
}

function expectSame(actual: Value | null, expected: Value | null, name: string): void {
  if (typeof actual !== 'number' || typeof expected !== 'number') expect(actual, name).toBe(expected);
  else {
    const apart = Math.abs(actual - expected) / Math.max(1, Math.abs(expected));
    expect(apart, `${name}: ${actual}, not ${expected}`).toBeLessThan(1e-9);
  }
}

function expectOracle(question: Asked, answer: ReturnType<BucketFold['close']>): void {
  const grid = gridOf({ kind: 'fixed', width: question.width, origin: 0 });
  for (const [index, aggregate] of question.aggregates.entries()) {
    const expected = oracleBuckets({ ...question, grid }, aggregate);
    expect([...answer.buckets.times]).toEqual(expected.map(({ time }) => time));
    for (const [row, bucket] of expected.entries()) {
      expectSame(answer.buckets.columns[index][row], bucket.answer, `${JSON.stringify(aggregate)} of ${row}`);
    }
  }
}

describe('whatever readings come as', () => {
  test('parts, summaries of chunks and rollups say what the definitions say', () => {
    fc.assert(
      fc.property(asked, (question) => {
        const fold = foldOf(question);
        fill(fold, insideOf(question), question.parts);
        const answer = fold.close(afterOf(question));
        expect(answer.next).toBeNull();
        expectOracle(question, answer);
      }),
      { numRuns: 600 },
    );
  });

  test('readings before and after the range that come along are neighbours and no more', () => {
    fc.assert(
      fc.property(asked, fc.integer({ min: 1, max: 20 }), (question, length) => {
        const fold = foldOf({ ...question, samples: insideOf(question) });
        const columns = columnsOf(question.samples);
        for (let row = 0; row < columns.count; row += length) {
          fold.addReadings(columns, row, Math.min(columns.count, row + length));
        }
        expectOracle(question, fold.close(null));
      }),
      { numRuns: 300 },
    );
  });

  test('columns of summaries say the same', () => {
    fc.assert(
      fc.property(asked, fc.constantFrom(50, 250, 500), (question, width) => {
        const aggregates = question.aggregates.filter((one) => fromRollups.includes(one));
        fc.pre(aggregates.length > 0);
        // Summaries stand for whole stretches of time, so the range begins and ends with one.
        const from = Math.floor(question.from / width) * width;
        const to = Math.ceil(question.to / width) * width;
        // A stretch of texts does not say when the last of them came: readings ahead of now are told by themselves.
        const holdsUntil = question.holdsUntil && Math.max(question.holdsUntil, question.samples.at(-1)?.time ?? from);
        const within = { ...question, from, to, aggregates, holdsUntil };
        const fold = foldOf(within);
        const stretches = Map.groupBy(insideOf(within), ({ time }) => Math.floor(time / width) * width);
        const columns = summaryColumns(stretches);
        let row = 0;
        while (row < columns.begins.length) {
          row = fold.addSummaries(columns, row, columns.begins.length, width);
          if (row === columns.begins.length) break;
          const samples = columnsOf(stretches.get(columns.begins[row]) ?? []);
          fold.addReadings(samples, 0, samples.count);
          row++;
        }
        expectOracle(within, fold.close(afterOf(within)));
      }),
      { numRuns: 300 },
    );
  });

  test('two summaries join into the summary of both', () => {
    fc.assert(
      fc.property(asked, fc.nat(60), ({ samples }, at) => {
        const columns = columnsOf(samples);
        fc.pre(samples.length >= 2);
        const middle = 1 + (at % (samples.length - 1));
        const joined = joinSummaries(summarize(columns, 0, middle), summarize(columns, middle, samples.length));
        const whole = summarize(columns, 0, samples.length);
        for (const [name, value] of Object.entries({ ...whole, ...whole.more, more: 0 })) {
          expectSame(
            Object.entries({ ...joined, ...joined.more, more: 0 }).find(([key]) => key === name)?.[1] ?? null,
            value,
            name,
          );
        }
      }),
    );
  });
});

function summaryColumns(stretches: ReadonlyMap<number, readonly Sample[]>): SummaryColumns {
  const begins = [...stretches.keys()];
  const summaries = [...stretches.values()].map((samples) => summarize(columnsOf(samples), 0, samples.length));
  const column = (pick: (summary: ReturnType<typeof summarize>) => number | undefined): Float64Array =>
    Float64Array.from(summaries, (summary) => pick(summary) ?? Number.NaN);
  return {
    begins: Float64Array.from(begins),
    counts: column(({ count }) => count),
    numbers: column(({ numbers }) => numbers),
    mins: column(({ min }) => min),
    maxs: column(({ max }) => max),
    sums: column(({ sum }) => sum),
    deviations: column(({ more }) => more?.deviations),
    increases: column(({ more }) => more?.increase),
    linearAreas: column(({ more }) => more?.linearArea),
    stepAreas: column(({ more }) => more?.stepArea),
    firstNumbers: column(({ more }) => more?.firstNumber),
    firstNumberTimes: column(({ more }) => more?.firstNumberTime),
    lastNumbers: column(({ more }) => more?.lastNumber),
    lastNumberTimes: column(({ more }) => more?.lastNumberTime),
    firstValue: (row) => summaries[row].first,
    lastValue: (row) => summaries[row].last,
  };
}

describe('pages', () => {
  test('of few buckets, one after the other, say what one answer says', () => {
    fc.assert(
      fc.property(asked, fc.integer({ min: 1, max: 7 }), (question, limit) => {
        const { to, width } = question;
        fc.pre(question.fill === 'none' || (to - question.from) / width < 60);
        const whole = foldOf(question);
        fillAll(whole, question.samples);
        const expected = whole.close(null).buckets;
        const times: number[] = [];
        const answers: (Value | null)[][] = question.aggregates.map(() => []);
        let from: number | null = question.from;
        while (from !== null) {
          const page: Asked = { ...question, from };
          const fold = foldOf(page, limit, numberBefore(question, from));
          fill(fold, insideOf(page), question.parts);
          const { buckets, next } = fold.close(afterOf(page));
          expect(buckets.count).toBeLessThanOrEqual(limit);
          times.push(...buckets.times);
          for (const [index, column] of buckets.columns.entries()) answers[index].push(...column);
          if (next !== null) expect(next).toBeGreaterThan(from);
          from = next;
        }
        expect(times).toEqual([...expected.times]);
        for (const [index, column] of expected.columns.entries()) {
          for (const [row, answer] of column.entries()) expectSame(answers[index][row], answer, `${index}, ${row}`);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  test('a page that ends before texts goes on to the number behind them, however it comes', () => {
    const samples = [0, 4_000, 4_500, 8_000].map((ms) => ({ time: start + ms, value: ms % 4_000 === 0 ? ms : 'open' }));
    samples.splice(1, 1, { time: start + 4_000, value: 'shut' });
    const columns = columnsOf(samples);
    const grid = gridOf({ kind: 'fixed', width: 1_000, origin: start });
    const question = { grid, from: start, to: start + 10_000, kind: 'gauge', before: null, limit: 2 } as const;
    const aggregates: readonly Aggregate[] = [{ kind: 'avg' }, { kind: 'integral' }];
    for (const isSummed of [false, true]) {
      const fold = new BucketFold({ ...question, aggregates, fill: 'linear' });
      for (let row = 0; row < samples.length; row++) {
        expect(fold.isFull).toBe(false);
        if (!isSummed || !fold.addSummary(summarize(columns, row, row + 1))) fold.addReadings(columns, row, row + 1);
      }
      expect(fold.isFull).toBe(true);
      expect(fold.close(null).buckets.columns).toEqual([
        [0, 1_500],
        [500, 1_500],
      ]);
    }
  });

  test('a page ends where it is told to, and the next one begins there', () => {
    const grid = gridOf({ kind: 'fixed', width: 1_000, origin: start });
    const question = { grid, from: start, to: start + 10_000, kind: 'gauge', before: null, limit: 100 } as const;
    const aggregates: readonly Aggregate[] = [{ kind: 'count' }];
    for (const fill of bucketFills) {
      const fold = new BucketFold({ ...question, aggregates, fill, until: start + 3_000 });
      fillAll(
        fold,
        [0, 2_500, 3_000].map((ms) => ({ time: start + ms, value: ms })),
      );
      const { buckets, next } = fold.close(null);
      expect(next).toBe(start + 3_000);
      expect(buckets.times.at(-1)).toBe(start + 2_000);
    }
  });

  test('a fold is full with the first reading that is too late, and not before', () => {
    const grid = gridOf({ kind: 'fixed', width: 1_000, origin: 0 });
    const question = {
      grid,
      from: start,
      to: start + 10_000,
      aggregates: everything,
      kind: 'gauge',
      limit: 2,
      before: null,
    } as const;
    const columns = columnsOf([0, 10, 1_500, 4_000].map((ms) => ({ time: start + ms, value: ms })));
    const fold = new BucketFold({ ...question, fill: 'none' });
    fold.addReadings(columns, 0, 3);
    expect(fold.isFull).toBe(false);
    fold.addReadings(columns, 3, 4);
    expect(fold.isFull).toBe(true);
    expect(fold.close(null).next).toBe(start + 4_000);
  });
});

function fillAll(fold: BucketFold, samples: readonly Sample[]): void {
  fold.addReadings(columnsOf(samples), 0, samples.length);
}

describe('what adds up', () => {
  const additive: readonly Aggregate[] = [
    { kind: 'count' },
    { kind: 'delta' },
    { kind: 'increase' },
    { kind: 'integral' },
    { kind: 'timeInRange', low: 0, high: 20 },
    { kind: 'duration', state: 'on' },
    { kind: 'duration', state: true },
  ];

  test('over all buckets is that of one big bucket, also across empty ones', () => {
    fc.assert(
      fc.property(asked, (asked) => {
        const question: Asked = { ...asked, aggregates: additive, fill: 'null' };
        const small = foldOf(question);
        fillAll(small, question.samples);
        const parts = small.close(null).buckets;
        const { from, to, kind, holdsUntil } = question;
        const grid = gridOf({ kind: 'fixed', width: to - from, origin: from });
        const before = question.samples.findLast(({ time }) => time < from) ?? null;
        const rest = { kind, fill: 'null', aggregates: additive, limit: 1, before, holdsUntil } as const;
        const big = new BucketFold({ grid, from, to, ...rest });
        fillAll(big, question.samples);
        const whole = big.close(null).buckets;
        for (const [index, aggregate] of additive.entries()) {
          const sum = parts.columns[index].reduce<number>((total, answer) => total + Number(answer ?? 0), 0);
          expectSame(sum, Number(whole.columns[index][0] ?? 0), aggregate.kind);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('by example', () => {
  const second = gridOf({ kind: 'fixed', width: 1_000, origin: 0 });

  function ask(
    samples: readonly Sample[],
    aggregates: readonly Aggregate[],
    kind: MetricKind,
    to = 3_000,
  ): unknown[][] {
    const fold = new BucketFold({
      grid: second,
      from: start,
      to: start + to,
      aggregates,
      kind,
      fill: 'null',
      limit: 10,
      before: null,
    });
    fillAll(fold, samples);
    return fold.close(null).buckets.columns.map((column) => [...column]);
  }

  test('a door opened in one bucket and closed two later was open in the one between', () => {
    const samples = [
      { time: start + 600, value: true },
      { time: start + 2_100, value: false },
    ];
    expect(ask(samples, [{ kind: 'duration', state: true }], 'state')).toEqual([[400, 1_000, 100]]);
  });

  test('a counter that starts again has counted from zero', () => {
    const samples = [90, 100, 3, 10].map((value, index) => ({ time: start + index * 500, value }));
    expect(ask(samples, [{ kind: 'increase' }, { kind: 'rate' }], 'counter')).toEqual([
      [10, 10, 0],
      [20, 10, null],
    ]);
  });

  test('a gauge runs straight from one reading to the next, a state stays', () => {
    const samples = [
      { time: start, value: 0 },
      { time: start + 2_000, value: 20 },
    ];
    expect(ask(samples, [{ kind: 'timeWeightedAvg' }], 'gauge')).toEqual([[5, 15, 20]]);
    expect(ask(samples, [{ kind: 'timeWeightedAvg' }], 'state')).toEqual([[0, 0, 20]]);
  });

  test('before the first reading ever nothing is known', () => {
    const samples = [{ time: start + 1_500, value: 4 }];
    const aggregates: readonly Aggregate[] = [
      { kind: 'integral' },
      { kind: 'timeInRange', low: 0, high: 9 },
      { kind: 'increase' },
    ];
    expect(ask(samples, aggregates, 'gauge')).toEqual([
      [null, 2, 4],
      [null, 500, 1_000],
      [null, 0, 0],
    ]);
  });

  test('the last reading holds up to now and no longer', () => {
    const fold = new BucketFold({
      grid: second,
      from: start,
      to: start + 3_000,
      aggregates: [{ kind: 'duration', state: true }, { kind: 'integral' }],
      kind: 'state',
      fill: 'null',
      limit: 10,
      before: { time: start - 5, value: true },
      holdsUntil: start + 1_200,
    });
    expect(fold.close(null).buckets.columns).toEqual([
      [1_000, 200, null],
      [1, 0.2, null],
    ]);
  });

  test('what is to come is not foretold by the value in force', () => {
    const fold = new BucketFold({
      grid: second,
      from: start,
      to: start + 3_000,
      aggregates: [{ kind: 'last' }, { kind: 'avg' }, { kind: 'delta' }, { kind: 'increase' }, { kind: 'count' }],
      kind: 'counter',
      fill: 'previous',
      limit: 10,
      before: { time: start - 5, value: 7 },
      holdsUntil: start + 1_200,
    });
    expect(fold.close(null).buckets.columns).toEqual([
      [7, 7, null],
      [7, 7, null],
      [0, 0, null],
      [0, 0, null],
      [0, 0, 0],
    ]);
  });

  test('a reading ahead of now is known, and what lies before it', () => {
    const fold = new BucketFold({
      grid: second,
      from: start,
      to: start + 3_000,
      aggregates: [{ kind: 'timeWeightedAvg' }],
      kind: 'gauge',
      fill: 'null',
      limit: 10,
      before: { time: start - 500, value: -5 },
      holdsUntil: start + 200,
    });
    fillAll(fold, [{ time: start + 1_500, value: 15 }]);
    expect(fold.close(null).buckets.columns).toEqual([[5, 12.5, null]]);
  });

  test.each(bucketFills)('an empty range has no buckets, filled with %s or not', (fill) => {
    const rest = { aggregates: everything, kind: 'gauge', fill, limit: 10, before: null } as const;
    const fold = new BucketFold({ grid: second, from: start + 500, to: start + 500, ...rest });
    expect(fold.close(null)).toMatchObject({ buckets: { count: 0 }, next: null });
  });

  test('the spread of large values that differ little is exact', () => {
    const samples = [101_325.1, 101_325.2, 101_325.3].map((value, index) => ({
      time: start + index,
      value: value * 1e6,
    }));
    const [[stddev]] = ask(samples, [{ kind: 'stddev' }], 'gauge', 1_000);
    expect(stddev).toBeCloseTo(81_649.658, 2);
  });

  test('a sum beyond all doubles is null', () => {
    const samples = [1e308, 1e308].map((value, index) => ({ time: start + index, value }));
    expect(ask(samples, [{ kind: 'sum' }, { kind: 'max' }], 'gauge', 1_000)).toEqual([[null], [1e308]]);
  });

  test('neighbours are asked for only when they have a say', () => {
    expect(boundariesNeeded([{ kind: 'avg' }], 'gauge', 'none')).toEqual({ before: false, after: false });
    expect(boundariesNeeded([{ kind: 'increase' }], 'counter', 'none')).toEqual({ before: true, after: false });
    expect(boundariesNeeded([{ kind: 'integral' }], 'gauge', 'none')).toEqual({ before: true, after: true });
    expect(boundariesNeeded([{ kind: 'integral' }], 'counter', 'none')).toEqual({ before: true, after: false });
    expect(boundariesNeeded([{ kind: 'avg' }], 'gauge', 'linear')).toEqual({ before: true, after: true });
    expect(boundariesNeeded([{ kind: 'integral' }], 'counter', 'none', true)).toEqual({ before: true, after: true });
    expect(boundariesNeeded([{ kind: 'avg' }], 'gauge', 'previous', true)).toEqual({ before: true, after: true });
    expect(boundariesNeeded([{ kind: 'avg' }], 'gauge', 'none', true)).toEqual({ before: false, after: false });
    expect(boundariesNeeded([{ kind: 'duration', state: 'on' }], 'state', 'none')).toEqual({
      before: true,
      after: false,
    });
  });
});
