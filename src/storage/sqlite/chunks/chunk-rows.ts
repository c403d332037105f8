import { inflateRawSync } from 'node:zlib';
import { messageOf } from '../../../base/errors.ts';
import { valueKind } from '../../../domain/reading.ts';
import { chunkCountMax } from './chunk-codec-bytes.ts';
import { decodeColumns, decodeNumbersInto, encodeColumns, type TimeColumn } from './chunk-codec-columns.ts';
import { decodeChunk, decodeChunkInto, encodeChunk } from './chunk-codec.ts';
import { decodeCommitRecord } from '../rows/commit-record.ts';
import type { Statements } from '../database.ts';
import { bytesIn, bytesOrNullIn, CorruptStoreError, numberIn } from '../database.ts';
import type { Stretch } from './head.ts';

/** How the bytes of a chunk row are packed, and what its summary means; stands in its `codec` column. */
export const chunkCodec = {
  /** Numbers with their own times: `chunk-codec.ts`. */
  numbers: 1,
  /** Anything, without a summary: a commit record of one series, deflated. Files from before version 3 hold such. */
  record: 2,
  /** Numbers whose times are in a time column: `chunk-codec-columns.ts`, as are the next two. */
  sharedNumbers: 3,
  /** Booleans only. The summary counts them as 0 and 1. */
  booleans: 4,
  /** Texts, or a mixture; without a summary. */
  mixed: 5,
} as const;

/** No record of `chunkCountMax` readings of the longest texts unpacks to more. */
const recordBytesMax = chunkCountMax * 300 + 1024;

/** The part of a chunk row that follows from its readings. Summaries are null where `chunkCodec` says so. */
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

/** Packs rows `begin` to `end` (excluded, 1 to `chunkCountMax` rows) of a stretch, with times of their own. */
export function packChunk(stretch: Stretch, begin: number, end: number): PackedChunk {
  const packed = pack(stretch, begin, end, null);
  if (!packed) throw new RangeError('times of their own are always all there');
  return packed;
}

/** The same with times that are taken from `shared`; null when they are not all in it. */
export function packSharing(stretch: Stretch, begin: number, end: number, shared: TimeColumn): PackedChunk | null {
  return pack(stretch, begin, end, shared);
}

function pack(stretch: Stretch, begin: number, end: number, shared: TimeColumn | null): PackedChunk | null {
  const { times } = stretch;
  const values = stretch.values.subarray(begin, end);
  const kind = kindOf(stretch, begin, end);
  const isOwnNumbers = kind === valueKind.number && !shared;
  const bytes = isOwnNumbers
    ? encodeChunk(times.subarray(begin, end), values, end - begin)
    : encodeColumns(stretch, begin, end, shared);
  if (!bytes) return null;
  const common = {
    timeMin: times[begin],
    timeMax: times[end - 1],
    count: end - begin,
    bytes,
    times: shared?.bytes ?? null,
  };
  if (kind === null || kind === valueKind.text) {
    return { ...common, codec: chunkCodec.mixed, min: null, max: null, sum: null, first: null, last: null };
  }
  const numbers = shared ? chunkCodec.sharedNumbers : chunkCodec.numbers;
  return {
    ...common,
    codec: kind === valueKind.boolean ? chunkCodec.booleans : numbers,
    ...summarize(values),
    first: values[0],
    last: values[values.length - 1],
  };
}

/** The kind of all of these rows; null when they are of several. */
function kindOf({ kinds }: Stretch, begin: number, end: number): number | null {
  if (!kinds) return valueKind.number;
  for (let row = begin + 1; row < end; row++) if (kinds[row] !== kinds[begin]) return null;
  return kinds[begin];
}

function summarize(values: Float64Array): { min: number; max: number; sum: number } {
  let min = values[0];
  let max = min;
  let sum = 0;
  const count = values.length;
  for (let row = 0; row < count; row++) {
    const value = values[row];
    if (value < min) min = value;
    if (value > max) max = value;
    sum += value;
  }
  return { min, max, sum };
}

/**
 * Unpacks a chunk: its `codec`, its `bytes`, and the bytes of the time column that its `times` refer to, null without.
 * Throws `CorruptStoreError` when they are damaged or of a version or codec that this program does not know.
 */
export function unpackChunk(codec: number, bytes: Uint8Array, times: Uint8Array | null): Stretch {
  return guarded(() => {
    switch (codec) {
      case chunkCodec.numbers: {
        const columns = decodeChunk(bytes);
        return {
          count: columns.times.length,
          times: owned(columns.times),
          values: owned(columns.values),
          kinds: null,
          texts: [],
        };
      }
      case chunkCodec.record: {
        const record = inflateRawSync(bytes, { maxOutputLength: recordBytesMax });
        return decodeCommitRecord(Uint8Array.from(record)).readings;
      }
      case chunkCodec.sharedNumbers:
      case chunkCodec.booleans:
      case chunkCodec.mixed:
        return decodeColumns(bytes, times);
      default:
        throw new CorruptStoreError(`it has the unknown codec ${codec}`);
    }
  });
}

/** Reads a chunk and unpacks it. Throws `CorruptStoreError` when it is damaged or not there. */
export function readChunk(statements: Statements, series: number, number: number): Stretch {
  const row = statements
    .get(
      `SELECT chunk.codec, chunk.bytes, time_column.bytes
       FROM chunk LEFT JOIN time_column ON time_column.id = chunk.times WHERE chunk.id = (? << 31) | ?`,
    )
    .get(series, number);
  if (!row) throw new CorruptStoreError(`chunk ${number} of series ${series} is not there`);
  return unpackChunk(numberIn(row, 0), bytesIn(row, 1), bytesOrNullIn(row, 2));
}

/** Whether `unpackNumbersInto` can unpack chunks of this codec. */
export function isOfNumbers(codec: number): boolean {
  return codec === chunkCodec.numbers || codec === chunkCodec.sharedNumbers;
}

/**
 * Unpacks a chunk of numbers (`isOfNumbers`) into `columns` from index `at` on, where `chunkCountMax` readings fit, and
 * returns how many that were. Throws as `unpackChunk`; what `columns` hold from `at` on is then undefined.
 */
export function unpackNumbersInto(
  codec: number,
  bytes: Uint8Array,
  times: Uint8Array | null,
  columns: { readonly times: Float64Array; readonly values: Float64Array },
  at: number,
): number {
  return guarded(() =>
    codec === chunkCodec.numbers ? decodeChunkInto(bytes, columns, at) : decodeNumbersInto(bytes, times, columns, at),
  );
}

function guarded<T>(unpack: () => T): T {
  try {
    return unpack();
  } catch (error) {
    throw new CorruptStoreError(`a chunk cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

function owned(column: Float64Array): Float64Array<ArrayBuffer> {
  return column.buffer instanceof ArrayBuffer
    ? new Float64Array(column.buffer, column.byteOffset, column.length)
    : column.slice();
}
