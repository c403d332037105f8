import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SettledMessage } from '../../src/domain/commit.ts';
import type { ReadingColumns, Value } from '../../src/domain/reading.ts';
import { valueAt } from '../../src/domain/reading.ts';
import { ReadingBuilder } from '../../src/domain/reading-builder.ts';
import { settledColumns } from '../../src/domain/settled-columns.ts';
import { decodeCommitRecord, decodeSettled, encodeCommitRecord } from '../../src/storage/sqlite/rows/commit-record.ts';
import { CorruptStoreError } from '../../src/storage/sqlite/database.ts';

type Row = readonly [series: number, time: number, value: Value];

const now = 1_790_000_000_000;

function columnsOf(rows: readonly Row[]): ReadingColumns {
  const builder = new ReadingBuilder();
  for (const [series, time, value] of rows) builder.add(series, time, value);
  return builder.build();
}

function rowsOf(readings: ReadingColumns): Row[] {
  return Array.from({ length: readings.count }, (_, row) => [
    readings.series[row] ?? 0,
    readings.times[row] ?? 0,
    valueAt(readings, row),
  ]);
}

const series = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 0xffff_ffff }));
const time = fc.oneof(
  fc.integer({ min: now, max: now + 255 }),
  fc.integer({ min: now, max: now + 0xffff_ffff }),
  fc.maxSafeInteger(),
);
const number = fc.double({ noDefaultInfinity: true, noNaN: true });
const value: fc.Arbitrary<Value> = fc.oneof(number, fc.boolean(), fc.string({ unit: 'grapheme', maxLength: 20 }));
const settled: fc.Arbitrary<SettledMessage[]> = fc.array(
  fc.record({
    client: fc.string({ unit: 'grapheme', maxLength: 8 }),
    packetId: fc.integer({ min: 1, max: 65_535 }),
    hash: fc.maxSafeNat(),
  }),
);
const rowList = fc.oneof(fc.array(fc.tuple(series, time, number)), fc.array(fc.tuple(series, time, value)));

describe('a commit record', () => {
  it('comes back as it was, to the bit, whatever the readings and messages', () => {
    fc.assert(
      fc.property(rowList, settled, (rows, messages) => {
        const record = decodeCommitRecord(encodeCommitRecord(columnsOf(rows), null, settledColumns(messages)));
        expect(rowsOf(record.readings)).toEqual(rows);
        expect(record.settled).toEqual(messages);
      }),
      { numRuns: 500 },
    );
  });

  it('holds only the rows it is told to, and only their texts', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(series, time, value, fc.boolean())), (rows) => {
        const kept = rows.flatMap(([, , , isKept], row) => (isKept ? [row] : []));
        const all = columnsOf(rows.map(([of, at, what]) => [of, at, what]));
        const { readings } = decodeCommitRecord(encodeCommitRecord(all, Uint32Array.from(kept), settledColumns([])));
        const expected = rows.filter(([, , , isKept]) => isKept).map(([of, at, what]) => [of, at, what]);
        expect(rowsOf(readings)).toEqual(expected);
        expect(readings.texts).toHaveLength(
          new Set(expected.map(([, , what]) => what).filter((what) => typeof what === 'string')).size,
        );
      }),
    );
  });

  it('gives its settled messages without its readings being unpacked', () => {
    fc.assert(
      fc.property(rowList, settled, (rows, messages) => {
        expect(decodeSettled(encodeCommitRecord(columnsOf(rows), null, settledColumns(messages)))).toEqual(messages);
      }),
    );
  });

  it('takes 12 bytes a reading when thousands of series report within a minute', () => {
    const rows = Array.from({ length: 5_000 }, (_, row): Row => [row + 1, now + (row % 40_000), row / 10]);
    expect(encodeCommitRecord(columnsOf(rows), null, settledColumns([])).length / rows.length).toBeLessThan(12.01);
  });

  it('has the layout of version 1', () => {
    const rows: Row[] = [
      [3, now + 5, 1.5],
      [2, now, true],
      [2, now + 300, 'on'],
    ];
    const bytes = encodeCommitRecord(columnsOf(rows), null, settledColumns([{ client: 'c', packetId: 258, hash: 3 }]));
    expect(Buffer.from(bytes).toString('hex')).toBe(golden);
    expect(rowsOf(decodeCommitRecord(bytes).readings)).toEqual(rows);
  });

  it('is refused when a byte is changed or the end is missing', () => {
    const rows: Row[] = [
      [1, now, 1],
      [1, now + 1, 'two'],
    ];
    const bytes = encodeCommitRecord(
      columnsOf(rows),
      null,
      settledColumns([{ client: 'client', packetId: 1, hash: 2 }]),
    );
    for (let at = 0; at < bytes.length; at++) {
      const changed = bytes.slice();
      changed[at] = (changed[at] ?? 0) ^ 0x10;
      expect(() => decodeCommitRecord(changed)).toThrow(CorruptStoreError);
      expect(() => decodeCommitRecord(bytes.slice(0, at))).toThrow(CorruptStoreError);
    }
  });

  it('is refused when its checksum is right but what it claims is impossible', async () => {
    const { crc32 } = await import('node:zlib');
    const bytes = encodeCommitRecord(
      columnsOf([[1, now, 1]]),
      null,
      settledColumns([{ client: 'c', packetId: 1, hash: 2 }]),
    );
    const forge = (change: (view: DataView) => void): Uint8Array<ArrayBuffer> => {
      const forged = bytes.slice();
      const view = new DataView(forged.buffer);
      change(view);
      view.setUint32(forged.length - 4, crc32(forged.subarray(0, forged.length - 4)), true);
      return forged;
    };
    const forgeries = [
      forge((view) => view.setUint8(0, 2)),
      forge((view) => view.setUint8(1, 2)),
      forge((view) => view.setUint8(2, 3)),
      forge((view) => view.setUint8(3, 0)),
      forge((view) => view.setUint32(4, 0xffff_ffff, true)),
      forge((view) => view.setUint32(4, 2, true)),
      forge((view) => view.setUint32(4, 0, true)),
      forge((view) => view.setFloat64(8, 0.5, true)),
      forge((view) => view.setUint32(16, 0, true)),
      forge((view) => view.setUint32(20, 0xffff_ffff, true)),
      forge((view) => view.setFloat64(24, Number.NaN, true)),
    ];
    for (const forged of forgeries) expect(() => decodeCommitRecord(forged)).toThrow(CorruptStoreError);
  });
});

/** Written by hand from the layout in `commit-record.ts`, column by column; the last four bytes are the checksum. */
const golden = [
  '01010102',
  '03000000',
  '0000c006450c7a42',
  '02000000',
  '01000000',
  '000000000000f83f000000000000f03f0000000000000000',
  '050000002c010000',
  '01000000',
  '00010200',
  '01026f6e',
  '010163',
  '0002010000000000000840',
  '0506c788',
].join('');
