import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ChunkLookup } from '../../src/storage/sqlite/chunks/chunk-lookup.ts';
import { packChunk } from '../../src/storage/sqlite/chunks/chunk-rows.ts';
import type { Database } from '../../src/storage/sqlite/database.ts';
import { openForWriting } from '../../src/storage/sqlite/schema.ts';
import { columnsOf } from '../support/history-columns.ts';
import { tempFolder } from '../support/temp-folder.ts';

// What a lookup remembers of a series must never say otherwise than the chunks that are there: a reading taken for one that
// is stored already would be acknowledged and lost.

let folder: ReturnType<typeof tempFolder>;
let database: Database;

beforeEach(() => {
  folder = tempFolder();
  database = openForWriting(`${folder.path}/lookup.db`, { busyTimeoutMs: 0, pagesMax: null });
  database.exec('PRAGMA synchronous = OFF');
});

afterEach(() => {
  database.close();
  folder.remove();
});

function insert(number: number, isLate: boolean, times: readonly number[], value = number): void {
  const stretch = columnsOf(times.map((time) => ({ time, value })));
  const chunk = packChunk(stretch, 0, stretch.count);
  database
    .prepare(
      `INSERT INTO chunk (id, series, late, time_min, time_max, seq, count, codec, bytes) VALUES ((7 << 31) | ?, 7, ?, ?, ?, 1, ?, ?, ?)`,
    )
    .run(number, isLate ? 1 : 0, chunk.timeMin, chunk.timeMax, chunk.count, chunk.codec, chunk.bytes);
}

function lookup(): ChunkLookup {
  return new ChunkLookup(database, () => expect.unreachable('no chunk is damaged'));
}

function valueAt(chunks: ChunkLookup, time: number): number | null {
  const found = chunks.find(7, time);
  return found && found.stretch.values[found.index];
}

describe('looking up sealed readings', () => {
  it('finds the last written in any order of asking, however chunks lie over and between each other', () => {
    const span = fc.tuple(
      fc.integer({ min: 0, max: 120 }),
      fc.integer({ min: 1, max: 25 }),
      fc.integer({ min: 1, max: 3 }),
    );
    fc.assert(
      fc.property(
        fc.array(span, { maxLength: 60 }),
        fc.array(fc.integer({ min: -3, max: 160 }), { minLength: 50, maxLength: 200 }),
        (spans, asked) => {
          database.exec('DELETE FROM chunk');
          const kept = new Map<number, number>();
          let end = Number.NEGATIVE_INFINITY;
          const late: number[][] = [];
          const put = (number: number, isLate: boolean, times: number[]): void => {
            insert(number, isLate, times);
            for (const time of times) kept.set(time, number);
          };
          let number = 0;
          for (const [begin, count, step] of spans.toSorted(([a], [b]) => a - b)) {
            const times = Array.from({ length: count }, (_, at) => begin + at * step);
            if (begin <= end) late.push(times);
            else {
              put(number++, false, times);
              end = times[times.length - 1];
            }
          }
          for (const times of late) put(number++, true, times);
          const chunks = lookup();
          for (const time of asked) expect(valueAt(chunks, time)).toBe(kept.get(time) ?? null);
        },
      ),
    );
  });

  it('sees a chunk that came into a gap, or over another, once it was told that the series changed', () => {
    insert(0, false, [10, 20]);
    insert(1, false, [50, 60]);
    const chunks = lookup();
    expect([valueAt(chunks, 30), valueAt(chunks, 20)]).toEqual([null, 0]);
    expect(valueAt(chunks, 30)).toBeNull();
    insert(2, true, [20, 30]);
    chunks.changed(7);
    expect([valueAt(chunks, 30), valueAt(chunks, 20)]).toEqual([2, 2]);
  });

  it('looks again when chunks were hidden', () => {
    insert(0, false, [10, 20]);
    const chunks = lookup();
    expect(valueAt(chunks, 10)).toBe(0);
    database.exec('INSERT INTO erasure (seq, series, time_from, time_to, chunk_to) VALUES (5, 7, 0, 100, 1)');
    chunks.hidden();
    expect(valueAt(chunks, 10)).toBeNull();
  });

  it('asks the table once for what lies in one chunk, and for what is new in one gap', () => {
    insert(0, false, [10, 20, 30]);
    insert(1, false, [90]);
    const [sentAgain, late] = [lookup(), lookup()];
    expect([valueAt(sentAgain, 10), valueAt(late, 40)]).toEqual([0, null]);
    // Of which nobody tells them.
    insert(2, true, [20, 50]);
    expect([valueAt(sentAgain, 20), valueAt(late, 50)]).toEqual([0, null]);
  });
});
