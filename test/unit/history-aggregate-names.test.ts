import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Aggregate,
  aggregateName,
  defaultAggregates,
  parseAggregate,
  plainAggregates,
  splitAggregates,
} from '../../src/domain/aggregate.ts';

const finite = fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0);
const aggregate: fc.Arbitrary<Aggregate> = fc.oneof(
  fc.constantFrom(...plainAggregates).map((kind) => ({ kind })),
  fc
    .integer({ min: 0, max: 100_000 })
    .map((thousandths) => ({ kind: 'percentile' as const, rank: thousandths / 1_000 })),
  fc
    .tuple(finite, finite)
    .map(([one, other]) => ({ kind: 'timeInRange' as const, low: Math.min(one, other), high: Math.max(one, other) })),
  fc
    .oneof(
      finite,
      fc.boolean(),
      fc.string(),
      fc.constantFrom('on', 'true', '1', '-1e3', 'a,b', ')', '"', ' x ', 'on, off'),
    )
    .map((state) => ({ kind: 'duration' as const, state })),
);

describe('the name of an aggregate', () => {
  test('reads back as the aggregate, also out of a list', () => {
    fc.assert(
      fc.property(fc.array(aggregate, { maxLength: 6 }), (aggregates) => {
        const names = splitAggregates(aggregates.map(aggregateName).join(','));
        expect(names.map(parseAggregate)).toEqual(aggregates);
      }),
      { numRuns: 1_000 },
    );
  });

  test.each<[string, Aggregate]>([
    ['avg', { kind: 'avg' }],
    ['p95', { kind: 'percentile', rank: 95 }],
    ['p99.9', { kind: 'percentile', rank: 99.9 }],
    ['timeInRange(18,24)', { kind: 'timeInRange', low: 18, high: 24 }],
    ['timeInRange( -1.5 , 2e3 )', { kind: 'timeInRange', low: -1.5, high: 2_000 }],
    ['duration(on)', { kind: 'duration', state: 'on' }],
    ['duration(true)', { kind: 'duration', state: true }],
    ['duration(2)', { kind: 'duration', state: 2 }],
    ['duration("2")', { kind: 'duration', state: '2' }],
  ])('%s is read', (name, expected) => {
    expect(parseAggregate(name)).toEqual(expected);
  });

  test.each([
    '',
    'Avg',
    'mean',
    'p',
    'p101',
    'p-1',
    'p1e1',
    'p95.',
    'timeInRange',
    'timeInRange(1)',
    'timeInRange(2,1)',
    'timeInRange(1,2,3)',
    'timeInRange(a,b)',
    'timeInRange(1,1e999)',
    'duration()',
    'duration(1e999)',
    'duration("a)',
    'duration(on',
    'toString',
    '__proto__',
  ])('%s is none', (name) => {
    expect(parseAggregate(name)).toBeNull();
  });

  test('a list is cut at commas only where they separate, and in one walk however many brackets it has', () => {
    expect(splitAggregates(' avg, p95 ,,timeInRange(18, 24),duration("a,\\"),b")')).toEqual([
      'avg',
      'p95',
      'timeInRange(18, 24)',
      'duration("a,\\"),b")',
    ]);
    expect(splitAggregates('('.repeat(100_000))).toHaveLength(1);
  });

  test('every kind of metric has a question that fits it', () => {
    expect(defaultAggregates('gauge').map(aggregateName)).toEqual(['avg', 'min', 'max', 'count']);
    expect(defaultAggregates('counter').map(aggregateName)).toEqual(['increase', 'last', 'count']);
    expect(defaultAggregates('state').map(aggregateName)).toEqual(['last', 'count']);
  });
});
