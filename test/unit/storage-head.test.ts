import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Value } from '../../src/domain/reading.ts';
import { valueKind } from '../../src/domain/reading.ts';
import { sampleValue } from '../../src/domain/sample-columns.ts';
import { Head } from '../../src/storage/sqlite/chunks/head.ts';
import { mergeStretches } from '../../src/storage/sqlite/chunks/merge.ts';

function put(head: Head, time: number, value: Value): void {
  if (typeof value === 'string') head.put(time, 0, valueKind.text, value);
  else head.put(time, Number(value), typeof value === 'boolean' ? valueKind.boolean : valueKind.number, '');
}

const time = fc.integer({ min: 0, max: 60 });
const value: fc.Arbitrary<Value> = fc.oneof(fc.integer(), fc.boolean(), fc.string({ maxLength: 3 }));
const rows = fc.array(fc.tuple(time, value), { maxLength: 80 });

function headOf(list: readonly (readonly [number, Value])[]): Head {
  const head = new Head();
  for (const [at, what] of list) put(head, at, what);
  return head;
}

describe('a head', () => {
  it('holds each time once, in order, with the last value put there', () => {
    fc.assert(
      fc.property(rows, (list) => {
        const head = headOf(list);
        const expected = [...new Map(list)].sort(([a], [b]) => a - b);
        const view = head.view();
        const held = Array.from({ length: head.count }, (_, index) => [view.times[index], sampleValue(view, index)]);
        expect(held).toEqual(expected);
        for (let at = 0; at <= 60; at++) {
          expect(head.indexOf(at)).toBe(expected.findIndex(([known]) => known === at));
        }
      }),
    );
  });

  it('gives its memory back when it is cleared and begins again', () => {
    const head = headOf(Array.from({ length: 5_000 }, (_, index) => [index, index] as const));
    put(head, 7, 'text');
    head.clear();
    const { count, times, values, kinds, texts } = head.view();
    expect([count, times.buffer.byteLength, values.buffer.byteLength, kinds, texts]).toEqual([0, 0, 0, null, []]);
    put(head, 3, true);
    expect(sampleValue(head.view(), 0)).toBe(true);
  });

  it('never sees the readings of another, whatever is filled and cleared in whatever order', () => {
    const step = fc.record({ head: fc.nat(9), count: fc.integer({ min: 0, max: 40 }), clears: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        const heads = Array.from({ length: 10 }, () => new Head());
        const expected = heads.map((): number[] => []);
        for (const [at, { head, count, clears }] of steps.entries()) {
          if (clears) {
            heads[head]?.clear();
            expected[head] = [];
          }
          for (let index = 0; index < count; index++) {
            const next = at * 100 + index;
            heads[head]?.put(next, next + head / 16, valueKind.number, '');
            expected[head]?.push(next);
          }
        }
        for (const [index, head] of heads.entries()) {
          const { times, values } = head.copy(0, head.count);
          expect([...times]).toEqual(expected[index]);
          expect([...values]).toEqual(expected[index]?.map((time) => time + index / 16));
        }
      }),
    );
  });

  it('copies are untouched by what is put later', () => {
    const head = headOf([
      [1, 1],
      [2, 'two'],
      [3, 3],
    ]);
    const copy = head.copy(1, 3);
    put(head, 2, 'changed');
    put(head, 0, 0);
    expect([copy.count, ...copy.times]).toEqual([2, 2, 3]);
    expect(sampleValue(copy, 0)).toBe('two');
  });
});

describe('merging', () => {
  it('gives each time of the range once, with the value of the last stretch that has it', () => {
    fc.assert(
      fc.property(fc.array(rows, { maxLength: 7 }), time, time, (lists, from, to) => {
        const merged = mergeStretches(
          lists.map((list) => headOf(list).view()),
          from,
          to,
        );
        const expected = [...new Map(lists.flat())].filter(([at]) => at >= from && at < to).sort(([a], [b]) => a - b);
        const found = Array.from({ length: merged.count }, (_, row) => {
          const stretch = merged.stretches[merged.sources[row] ?? 0];
          return [merged.times[row], stretch && sampleValue(stretch, merged.rows[row] ?? 0)];
        });
        expect(found).toEqual(expected);
      }),
    );
  });
});
