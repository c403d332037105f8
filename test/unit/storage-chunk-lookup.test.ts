import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ChunkLookup } from '../../src/storage/sqlite/chunks/chunk-lookup.ts';
import { packChunk, readChunk } from '../../src/storage/sqlite/chunks/chunk-rows.ts';
import type { Database } from '../../src/storage/sqlite/database.ts';
import { openForWriting } from '../../src/storage/sqlite/schema.ts';
import type { SampleColumns } from '../../src/domain/sample-columns.ts';
import { UnpackedParts } from '../../src/storage/sqlite/chunks/unpacked-parts.ts';
import { columnsOf, samplesOf } from '../support/history-columns.ts';
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

function insert(number: number, isLate: boolean, times: readonly number[], value = number, series = 7): void {
  const stretch = columnsOf(times.map((time) => ({ time, value })));
  const chunk = packChunk(stretch, 0, stretch.count);
  database
    .prepare(
      `INSERT INTO chunk (id, series, late, time_min, time_max, seq, count, codec, bytes) VALUES ((? << 31) | ?, ?, ?, ?, ?, 1, ?, ?, ?)`,
    )
    .run(series, number, series, isLate ? 1 : 0, chunk.timeMin, chunk.timeMax, chunk.count, chunk.codec, chunk.bytes);
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

  describe('of more series side by side than there is room for', () => {
    const [series, each] = [40, 64];
    /** Room for a quarter of each. */
    const readingsMax = (series * each) / 4;

    function counting(): { readonly chunks: ChunkLookup; readonly count: () => number } {
      let count = 0;
      const unpack: typeof readChunk = (...asked) => {
        count++;
        return readChunk(...asked);
      };
      const chunks = new ChunkLookup(database, () => expect.unreachable('no chunk is damaged'), {
        readingsMax,
        unpack,
      });
      return { chunks, count: () => count };
    }

    function fillSeries(): void {
      for (let of = 1; of <= series; of++) {
        const times = Array.from({ length: each }, (_, at) => at * 10);
        insert(0, false, times, of, of);
      }
    }

    it.each(['forwards', 'backwards'])('unpacks a chunk a few times, and not once for each reading, %s', (way) => {
      fillSeries();
      const { chunks, count } = counting();
      for (let step = 0; step < each; step++) {
        const at = way === 'forwards' ? step : each - 1 - step;
        for (let of = 1; of <= series; of++) {
          const found = chunks.find(of, at * 10);
          expect(found?.stretch.values[found.index]).toBe(of);
          expect(chunks.find(of, at * 10 + 5)).toBeNull();
        }
      }
      // Four parts of each, and some rounds until it is known how many there are and which way they go.
      expect(count()).toBeLessThanOrEqual(series * 12);
    });

    it('finds the same in any order of asking', () => {
      fillSeries();
      const { chunks } = counting();
      fc.assert(
        fc.property(fc.integer({ min: 1, max: series }), fc.integer({ min: -3, max: each * 10 + 3 }), (of, time) => {
          const found = chunks.find(of, time);
          const isThere = time >= 0 && time < each * 10 && time % 10 === 0;
          expect(found && found.stretch.values[found.index]).toBe(isThere ? of : null);
        }),
        { numRuns: 3_000 },
      );
    });
  });

  it('keeps of long texts as many as there is room for, and finds them all', () => {
    const [chunks, each, letters] = [12, 40, 200];
    const stretchOf = (number: number): SampleColumns =>
      columnsOf(
        Array.from({ length: each }, (_, at) => ({
          time: at * 10,
          // A few of each chunk are alike, and some are no texts.
          value: at % 7 === 3 ? at : `${number}/${at % 30}`.padEnd(letters, '.'),
        })),
      );
    const room = each * 30;
    const kept = new UnpackedParts(room);
    const held = new Set<SampleColumns>();
    for (let at = 0; at < each; at++) {
      for (let number = 0; number < chunks; number++) {
        const whole = stretchOf(number);
        const stretch = kept.get(`${number}`, at * 10) ?? kept.put(`${number}`, whole, at * 10, chunks);
        held.add(stretch);
        expect(samplesOf(stretch)).toContainEqual(samplesOf(whole)[at]);
        expect(kept.get(`${number}`, at * 10 + 5)).toSatisfy(
          (found: SampleColumns | null) => found === null || found.times.every((time) => time !== at * 10 + 5),
        );
      }
      const lettersKept = Array.from({ length: chunks }, (_, number) => kept.get(`${number}`, at * 10))
        .flatMap((stretch) => stretch?.texts ?? [])
        .reduce((sum, text) => sum + text.length, 0);
      expect(lettersKept).toBeLessThanOrEqual(room * 8);
    }
    // Of each chunk several parts, and of none each reading by itself.
    expect(held.size).toBeLessThan((chunks * each) / 2);
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
