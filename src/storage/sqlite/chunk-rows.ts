import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { messageOf } from '../../base/errors.ts';
import { settledColumns } from '../../domain/settled-columns.ts';
import { chunkCountMax } from './chunk-codec-bytes.ts';
import { decodeChunk, encodeChunk } from './chunk-codec.ts';
import { decodeCommitRecord, encodeCommitRecord } from './commit-record.ts';
import { CorruptStoreError } from './database.ts';
import type { Stretch } from './head.ts';

/** How the bytes of a chunk row are packed; stands in its `codec` column. */
const codec = {
  /** Numbers only: `chunk-codec.ts`. */
  numbers: 1,
  /** Booleans, texts or a mixture: a commit record of one series, deflated. */
  mixed: 2,
} as const;

/** No chunk of `chunkCountMax` readings of the longest texts unpacks to more. */
const unpackedBytesMax = chunkCountMax * 300 + 1024;

/** The part of a chunk row that follows from its readings. Summaries are null for chunks that hold more than numbers. */
export interface PackedChunk {
  readonly timeMin: number;
  readonly timeMax: number;
  readonly count: number;
  readonly codec: number;
  readonly min: number | null;
  readonly max: number | null;
  readonly sum: number | null;
  readonly first: number | null;
  readonly last: number | null;
  readonly bytes: Uint8Array;
  /** The time column that it shares with other chunks; null when its times are in `bytes`. */
  readonly times: Uint8Array | null;
}

/** Packs rows `begin` to `end` (excluded, at most `chunkCountMax` rows) of a stretch. */
export function packChunk(stretch: Stretch, begin: number, end: number): PackedChunk {
  const times = stretch.times.subarray(begin, end);
  const values = stretch.values.subarray(begin, end);
  const common = { timeMin: times[0], timeMax: times[times.length - 1], count: end - begin, times: null };
  const kinds = stretch.kinds?.slice(begin, end);
  if (!kinds || kinds.every((kind) => kind === 0)) {
    return {
      ...common,
      codec: codec.numbers,
      ...summarize(values),
      first: values[0],
      last: values[values.length - 1],
      bytes: encodeChunk(times, values, common.count),
    };
  }
  const record = encodeCommitRecord(
    {
      count: common.count,
      series: new Uint32Array(common.count).fill(1),
      times: times.slice(),
      values: values.slice(),
      kinds,
      texts: stretch.texts,
    },
    null,
    settledColumns([]),
  );
  const none = { min: null, max: null, sum: null, first: null, last: null };
  return { ...common, codec: codec.mixed, ...none, bytes: deflateRawSync(record, { level: constants.Z_BEST_SPEED }) };
}

function summarize(values: Float64Array): { min: number; max: number; sum: number } {
  let min = values[0];
  let max = min;
  let sum = 0;
  for (const value of values) {
    if (value < min) min = value;
    if (value > max) max = value;
    sum += value;
  }
  return { min, max, sum };
}

/** Unpacks the bytes of a chunk row. Throws `CorruptStoreError` when they are damaged. */
export function unpackChunk(codecNumber: number, bytes: Uint8Array): Stretch {
  try {
    if (codecNumber === codec.numbers) {
      const columns = decodeChunk(bytes);
      return {
        count: columns.times.length,
        times: owned(columns.times),
        values: owned(columns.values),
        kinds: null,
        texts: [],
      };
    }
    if (codecNumber === codec.mixed) {
      const record = inflateRawSync(bytes, { maxOutputLength: unpackedBytesMax });
      const { readings } = decodeCommitRecord(Uint8Array.from(record));
      return readings;
    }
  } catch (error) {
    throw new CorruptStoreError(`a chunk cannot be read: ${messageOf(error)}`);
  }
  throw new CorruptStoreError(`a chunk has the unknown codec ${codecNumber}`);
}

function owned(column: Float64Array): Float64Array<ArrayBuffer> {
  return column.buffer instanceof ArrayBuffer
    ? new Float64Array(column.buffer, column.byteOffset, column.length)
    : column.slice();
}
