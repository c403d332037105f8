import { crc32 } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import type { Value } from '../../src/domain/reading.ts';
import { type SampleColumns, sampleValue } from '../../src/domain/sample-columns.ts';
import { CorruptChunkError } from '../../src/storage/sqlite/chunks/chunk-codec-bytes.ts';
import {
  decodeColumns,
  decodeNumbersInto,
  decodeTimeColumn,
  encodeColumns,
  encodeTimeColumn,
} from '../../src/storage/sqlite/chunks/chunk-codec-columns.ts';
import { chunkCodec, packChunk, packSharing, unpackChunk } from '../../src/storage/sqlite/chunks/chunk-rows.ts';
import { CorruptStoreError } from '../../src/storage/sqlite/database.ts';
import { Head } from '../../src/storage/sqlite/chunks/head.ts';

const start = 1_790_000_000_000;
const second = 1_000;

/** Columns as a head has them. */
function columnsOf(times: readonly number[], values: readonly Value[]): SampleColumns {
  const head = new Head();
  for (const [index, time] of times.entries()) {
    const value = values[index % values.length] ?? 0;
    if (typeof value === 'string') head.put(time, 0, 2, value);
    else head.put(time, Number(value), typeof value === 'boolean' ? 1 : 0, '');
  }
  return head.view();
}

function secondly(values: readonly Value[]): SampleColumns {
  return columnsOf(
    values.map((_, index) => start + index * second),
    values,
  );
}

function rowsOf(columns: SampleColumns): [number, Value][] {
  return Array.from({ length: columns.count }, (_, row) => [columns.times[row] ?? 0, sampleValue(columns, row)]);
}

function jittered(count: number, seed: number): number[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, (_, index) => start + index * second + Math.floor(random.next() * 41));
}

const text = fc.oneof(
  fc.constantFrom('', 'on', 'standby', 'größe', '\u{1f6f0}'),
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'grapheme', minLength: 20, maxLength: 60 }),
);
const number = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.constantFrom(-0, 0, 21.5),
);
const anyValues: fc.Arbitrary<Value[]> = fc.oneof(
  fc.array(fc.boolean(), { minLength: 1, maxLength: 400, size: 'max' }),
  fc.array(text, { minLength: 1, maxLength: 200, size: 'max' }),
  fc.array(number, { minLength: 1, maxLength: 400, size: 'max' }),
  fc.array(fc.oneof(text, number, fc.boolean()), { minLength: 1, maxLength: 300, size: 'max' }),
  // Runs, as a door or a mode has them.
  fc
    .array(fc.tuple(fc.oneof(fc.boolean(), text, number), fc.integer({ min: 1, max: 150 })), {
      minLength: 1,
      maxLength: 8,
    })
    .map((runs) => runs.flatMap(([value, length]) => Array.from({ length }, () => value))),
);
/** Which of the times of a column a series has: all, all but some, some only. */
const anyPresence = fc.oneof(
  fc.constant(() => true),
  fc.integer({ min: 2, max: 40 }).map((each) => (index: number) => index % each !== 0),
  fc.integer({ min: 2, max: 40 }).map((each) => (index: number) => index % each === 0),
  fc.integer({ min: 0, max: 200 }).map((first) => (index: number) => index >= first),
  fc.integer({ min: 1, max: 200 }).map((end) => (index: number) => index < end),
);

describe('columns of readings', () => {
  it('come back as they were, whatever their kinds, with times of their own', () => {
    fc.assert(
      fc.property(anyValues, (values) => {
        const columns = secondly(values);
        const bytes = encodeColumns(columns, 0, columns.count, null);
        expect(bytes && rowsOf(decodeColumns(bytes, null))).toEqual(rowsOf(columns));
      }),
      { numRuns: 400 },
    );
  });

  it('come back as they were with the times of a column of which they have all or some', () => {
    fc.assert(
      fc.property(anyValues, anyPresence, fc.integer({ min: 1, max: 700 }), (values, isPresent, length) => {
        const all = jittered(length, length);
        const times = all.filter((_, index) => isPresent(index));
        fc.pre(times.length > 0);
        const column = encodeTimeColumn(Float64Array.from(all));
        const columns = columnsOf(times, values);
        const bytes = encodeColumns(columns, 0, columns.count, column);
        expect(bytes && rowsOf(decodeColumns(bytes, column.bytes))).toEqual(rowsOf(columns));
      }),
      { numRuns: 400 },
    );
  });

  it('are cut out of longer ones', () => {
    const columns = secondly([true, 'a', 3, false, 'b', 4.5, 'a']);
    const bytes = encodeColumns(columns, 1, 6, null);
    expect(bytes && rowsOf(decodeColumns(bytes, null))).toEqual(rowsOf(columns).slice(1, 6));
  });

  it('do not fit a time column that lacks one of their times', () => {
    const column = encodeTimeColumn(Float64Array.of(start, start + 2, start + 4));
    for (const times of [[start + 1], [start, start + 4, start + 5], [start - 1, start]]) {
      expect(encodeColumns(columnsOf(times, [1]), 0, times.length, column)).toBeNull();
    }
  });

  it('of numbers go into columns of the caller, and not beyond them', () => {
    const column = encodeTimeColumn(Float64Array.of(start, start + 1, start + 2));
    const bytes = encodeColumns(columnsOf([start, start + 2], [-0, 7.25]), 0, 2, column) ?? new Uint8Array();
    const into = { times: new Float64Array(4), values: new Float64Array(4) };
    expect(decodeNumbersInto(bytes, column.bytes, into, 1)).toBe(2);
    expect([...into.times]).toEqual([0, start, start + 2, 0]);
    expect([...into.values]).toEqual([0, -0, 7.25, 0]);
    for (const at of [3, -1, Number.NaN]) {
      expect(() => decodeNumbersInto(bytes, column.bytes, into, at)).toThrow(RangeError);
    }
  });
});

describe('damage', () => {
  const all = Float64Array.from(jittered(60, 4));
  const column = encodeTimeColumn(all);
  const values: Value[] = [true, 'standby mode of the pump', 3.25, false, 'a text that is long enough to be deflated'];
  const whole = encodeColumns(columnsOf([...all], [1.5, 2.5, -3]), 0, 60, column) ?? new Uint8Array();
  const some = encodeColumns(
    columnsOf(
      [...all].filter((_, index) => index % 7 !== 0),
      values,
    ),
    0,
    51,
    column,
  );
  const runs = encodeColumns(columnsOf([...all].slice(5), [true, true, false]), 0, 55, column);
  const samples: readonly [Uint8Array, Uint8Array | null][] = [
    [whole, column.bytes],
    [some ?? whole, column.bytes],
    [runs ?? whole, column.bytes],
    [encodeColumns(secondly(values), 0, values.length, null) ?? whole, null],
    [encodeColumns(secondly([true, false, true, true]), 0, 4, null) ?? whole, null],
  ];

  it('of any bit of a chunk is noticed', () => {
    for (const [bytes, times] of samples) {
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const damaged = bytes.slice();
        damaged[bit >>> 3] = (damaged[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
        expect(() => decodeColumns(damaged, times)).toThrow(CorruptChunkError);
      }
    }
  });

  it('of any bit of a time column is noticed, by the column and by its chunks', () => {
    for (let bit = 0; bit < column.bytes.length * 8; bit++) {
      const damaged = column.bytes.slice();
      damaged[bit >>> 3] = (damaged[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => decodeTimeColumn(damaged)).toThrow(CorruptChunkError);
      expect(() => decodeColumns(whole, damaged)).toThrow(CorruptChunkError);
    }
  });

  it('by which a chunk refers to a time column that is not its own, or to none, is noticed', () => {
    const other = encodeTimeColumn(all.map((time) => time + 1));
    expect(() => decodeColumns(whole, other.bytes)).toThrow(CorruptChunkError);
    expect(() => decodeColumns(whole, null)).toThrow(CorruptChunkError);
    const own = encodeColumns(secondly([true]), 0, 1, null) ?? whole;
    expect(() => decodeColumns(own, column.bytes)).toThrow(CorruptChunkError);
  });

  it('made on purpose, with the checksum right, is refused or is a series', () => {
    const mutation = fc.record({
      at: fc.nat(),
      bytes: fc.uint8Array({ maxLength: 4 }),
      removed: fc.integer({ min: 0, max: 4 }),
    });
    fc.assert(
      fc.property(
        fc.constantFrom(...samples),
        fc.array(mutation, { minLength: 1, maxLength: 3 }),
        (sample, mutations) => {
          const times = sample[1];
          let bytes = sample[0];
          for (const { at, bytes: inserted, removed } of mutations) {
            const position = at % (bytes.length - 4);
            bytes = Uint8Array.of(...bytes.subarray(0, position), ...inserted, ...bytes.subarray(position + removed));
          }
          let columns: SampleColumns;
          try {
            columns = decodeColumns(resealed(bytes, times), times);
          } catch (thrown) {
            expect(thrown).toBeInstanceOf(CorruptChunkError);
            return;
          }
          const again = encodeColumns(columns, 0, columns.count, null) ?? whole;
          expect(rowsOf(decodeColumns(again, null))).toEqual(rowsOf(columns));
        },
      ),
      { numRuns: 4_000 },
    );
  });

  it('and versions and codecs of another program are named', () => {
    const newer = whole.slice();
    newer[0] = 2;
    expect(() => decodeColumns(resealed(newer, column.bytes), column.bytes)).toThrow('chunk version 2');
    const newerColumn = column.bytes.slice();
    newerColumn[0] = 3;
    expect(() => decodeTimeColumn(resealed(newerColumn, null))).toThrow('time column version 3');
    expect(() => unpackChunk(9, whole, null)).toThrow(CorruptStoreError);
    expect(() => unpackChunk(9, whole, null)).toThrow('unknown codec 9');
  });
});

/** The bytes with their checksum made right again. */
function resealed(bytes: Uint8Array, times: Uint8Array | null): Uint8Array {
  const copy = bytes.slice();
  const end = copy.length - 4;
  if (end < 0) return copy;
  const begun = times ? new DataView(times.buffer).getUint32(times.length - 4, true) : 0;
  new DataView(copy.buffer).setUint32(end, crc32(copy.subarray(0, end), begun), true);
  return copy;
}

describe('a chunk row', () => {
  it('sums booleans up as 0 and 1 and says that it holds booleans', () => {
    const chunk = packChunk(secondly([true, false, true, true]), 0, 4);
    expect(chunk).toMatchObject({ codec: chunkCodec.booleans, min: 0, max: 1, sum: 3, first: 1, last: 1, times: null });
  });

  it('of texts or of several kinds has no summary', () => {
    for (const values of [
      ['a', 'b'],
      [1, true],
      [false, 'a', 3],
    ]) {
      const chunk = packChunk(secondly(values), 0, values.length);
      expect(chunk).toMatchObject({
        codec: chunkCodec.mixed,
        min: null,
        max: null,
        sum: null,
        first: null,
        last: null,
      });
    }
  });

  it('of numbers is the same with shared times but for the bytes', () => {
    const columns = columnsOf(jittered(100, 3), [1, 2, 3.5]);
    const own = packChunk(columns, 0, 100);
    const shared = packSharing(columns, 0, 100, encodeTimeColumn(columns.times.subarray(0, 100)));
    expect(shared).toMatchObject({
      ...own,
      codec: chunkCodec.sharedNumbers,
      bytes: shared?.bytes,
      times: shared?.times,
    });
    expect(shared?.bytes.length).toBeLessThan(own.bytes.length / 2);
  });
});

describe('1,024 readings take at most, in bytes,', () => {
  const door = Array.from({ length: 1_024 }, (_, index) => index % 90 < 13);
  const random = seededRandom(8);
  const modes = ['auto', 'heat', 'cool', 'off'];
  const cases: readonly [number, string, readonly Value[]][] = [
    [90, 'a door that opens now and then', door],
    [210, 'a coin thrown', Array.from({ length: 1_024 }, () => random.next() < 0.5)],
    [66, 'a mode that changes four times', Array.from({ length: 1_024 }, (_, index) => modes[index >>> 8] ?? '')],
    [340, 'a mode at random', Array.from({ length: 1_024 }, () => modes[Math.floor(random.next() * 4)] ?? '')],
    [30, 'always true', Array.from({ length: 1_024 }, () => true)],
  ];
  it.each(cases)('%d for %s', (bound, _, values) => {
    expect(packChunk(secondly(values), 0, values.length).bytes.length).toBeLessThan(bound);
  });
});
