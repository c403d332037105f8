import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import type { SampleColumns } from '../../src/domain/sample-columns.ts';
import { chunkCountMax } from '../../src/storage/sqlite/chunks/chunk-codec-bytes.ts';
import { type ChunkPiece, cutEvenly, packTogether } from '../../src/storage/sqlite/chunks/chunk-packing.ts';
import { unpackChunk } from '../../src/storage/sqlite/chunks/chunk-rows.ts';

const start = 1_790_000_000_000;
const random = seededRandom(17);
/** Times of messages, a little early or late. */
const messages = Array.from({ length: 200 }, (_, index) => start + index * 1_000 + Math.floor(random.next() * 500));

function metric(times: readonly number[], salt: number): SampleColumns {
  return {
    count: times.length,
    times: Float64Array.from(times),
    values: Float64Array.from(times, (_, index) => ((index * salt) % 19) / 10),
    kinds: null,
    texts: [],
  };
}

function piece(times: readonly number[], salt = 7): ChunkPiece {
  return { stretch: metric(times, salt), begin: 0, end: times.length };
}

function columnsSharedBy(pieces: readonly ChunkPiece[]): number[] {
  const columns = packTogether(pieces).map(({ times }) => times);
  return columns.map((times) => (times === null ? -1 : columns.indexOf(times)));
}

describe('pieces of one device', () => {
  it('whose times are the same share them', () => {
    expect(columnsSharedBy([piece(messages, 3), piece(messages, 5), piece(messages, 8)])).toEqual([0, 0, 0]);
  });

  it('share the times of the longest when they have most of them, and have their own otherwise', () => {
    const most = messages.filter((_, index) => index % 5 !== 0);
    const few = messages.filter((_, index) => index % 5 === 0);
    const other = messages.map((time) => time + 1);
    const pieces = [piece(most), piece(few), piece(messages), piece(other), piece(messages.slice(60))];
    expect(columnsSharedBy(pieces)).toEqual([0, -1, 0, -1, 0]);
  });

  it('have their times to themselves where these take next to nothing', () => {
    const regular = Array.from({ length: 200 }, (_, index) => start + index * 1_000);
    expect(columnsSharedBy([piece(regular), piece(regular, 4)])).toEqual([-1, -1]);
  });

  it('come back in the order in which they were given, with every reading', () => {
    const present = fc.integer({ min: 1, max: 12 });
    fc.assert(
      fc.property(fc.array(fc.tuple(present, fc.nat(199)), { minLength: 1, maxLength: 9 }), (metrics) => {
        const pieces = metrics.map(([each, begin], index) => {
          const times = messages.slice(begin).filter((_, at) => each < 3 || at % each !== 1);
          return piece(times, index + 2);
        });
        for (const [index, chunk] of packTogether(pieces).entries()) {
          const stretch = unpackChunk(chunk.codec, chunk.bytes, chunk.times);
          expect([...stretch.times]).toEqual([...(pieces[index]?.stretch.times ?? [])]);
          expect([...stretch.values]).toEqual([...(pieces[index]?.stretch.values ?? [])]);
          expect(chunk).toMatchObject({
            count: stretch.count,
            timeMin: stretch.times[0],
            timeMax: stretch.times.at(-1),
          });
        }
      }),
    );
  });
});

describe('a stretch that is cut', () => {
  it('is cut into pieces that follow each other, none too large and none empty', () => {
    fc.assert(
      fc.property(fc.nat(20_000), fc.integer({ min: 1, max: chunkCountMax }), (count, sealCount) => {
        const stretch = metric([start], 1);
        let next = 0;
        for (const { begin, end } of cutEvenly(stretch, 0, count, sealCount)) {
          expect(begin).toBe(next);
          expect(end - begin).toBeGreaterThan(0);
          expect(end - begin).toBeLessThanOrEqual(chunkCountMax);
          next = end;
        }
        expect(next).toBe(count);
      }),
    );
  });
});
