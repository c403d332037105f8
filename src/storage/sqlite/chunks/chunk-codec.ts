import { crc32 } from 'node:zlib';
import { ByteReader, ByteWriter, CorruptChunkError, chunkCountMax } from './chunk-codec-bytes.ts';
import { readTimes, writeTimes } from './chunk-codec-times.ts';
import { readValues, writeValues } from './chunk-codec-values.ts';

/**
 * A chunk: some thousand readings of one numeric series, packed; lossless for every finite double, to the bit.
 *
 * ```
 *   version   byte    1
 *   kinds     byte    bit 0 times: 0 grid, 1 float bits · bit 1 values: 0 decimal, 1 float bits · other bits 0
 *   count     varint  readings, 1–4096
 *   times             grid: `chunk-codec-times.ts` · float bits: `chunk-codec-float-bits.ts`
 *   values            decimal: `chunk-codec-values.ts` · float bits: `chunk-codec-float-bits.ts`
 *   check     uint32  CRC-32 (the one of zlib) of all bytes before it
 * ```
 *
 * Numbers of several bytes are little-endian. *Varint* is LEB128 of at most 2^53 - 1, *signed* its zigzag form,
 * *column* the blocks of `chunk-codec-integers.ts`. The check stands last on purpose: bits are unpacked in words that
 * may reach three bytes beyond them. SQLite does not checksum its pages, so the check is what tells a damaged reading
 * from a measured one.
 *
 * Scratch memory is kept between calls: each thread has its own, and no call yields, so none sees another's.
 */
const version = 1;

const timesAreBits = 1;
const valuesAreBits = 2;
const checkBytes = 4;

/** Readings of one series as two columns of equal length: epoch milliseconds, strictly ascending, and values. */
export interface ReadingColumns {
  readonly times: Float64Array;
  readonly values: Float64Array;
}

const writer = new ByteWriter();

/**
 * Packs the first `count` (1 to `chunkCountMax`) of `times` and `values`. Throws `RangeError`, having changed nothing,
 * when a time is not a whole number of milliseconds within ±(2^53 - 1), is not later than the one before, or a value is
 * not finite. A value of -0 stays -0; a time of -0 may come back as 0.
 */
export function encodeChunk(times: Float64Array, values: Float64Array, count: number): Uint8Array {
  checkReadings(times, values, count);
  writer.position = 0;
  writer.byte(version);
  writer.byte(0);
  writer.varint(count);
  let kinds = 0;
  if (writeTimes(writer, times, count) === 'bits') kinds |= timesAreBits;
  if (writeValues(writer, values, count) === 'bits') kinds |= valuesAreBits;
  writer.bytes[1] = kinds;
  writer.uint32(crc32(writer.bytes.subarray(0, writer.position)));
  return writer.bytes.slice(0, writer.position);
}

function checkReadings(times: Float64Array, values: Float64Array, count: number): void {
  if (!Number.isInteger(count) || count < 1 || count > chunkCountMax) {
    throw new RangeError(`a chunk holds 1 to ${chunkCountMax} readings, not ${count}`);
  }
  if (count > times.length || count > values.length) {
    throw new RangeError(`${count} readings are not in columns of ${times.length} times and ${values.length} values`);
  }
  let previous = Number.NEGATIVE_INFINITY;
  for (let index = 0; index < count; index++) {
    const time = times[index] ?? Number.NaN;
    if (!Number.isSafeInteger(time)) throw new RangeError(`time ${index} is ${time}, not whole milliseconds`);
    if (time <= previous) throw new RangeError(`time ${index} is ${time}, not later than ${previous} before it`);
    if (!Number.isFinite(values[index])) throw new RangeError(`value ${index} is ${values[index]}, not finite`);
    previous = time;
  }
}

/**
 * Unpacks a chunk. Throws `CorruptChunkError` for bytes that are no undamaged chunk of a known version; nothing is
 * allocated before the count has been checked, and the work is bounded by it.
 */
export function decodeChunk(bytes: Uint8Array): ReadingColumns {
  const { count, kinds, reader } = openChunk(bytes);
  const columns = { times: new Float64Array(count), values: new Float64Array(count) };
  readColumns(reader, kinds, columns, count);
  return columns;
}

/**
 * Unpacks a chunk into `columns` from index `at` on and returns how many readings that were, so that many chunks make
 * one pair of columns. Throws `RangeError`, having changed nothing, when they do not fit, and `CorruptChunkError` as
 * `decodeChunk`; what `columns` hold from `at` on is then undefined.
 */
export function decodeChunkInto(bytes: Uint8Array, columns: ReadingColumns, at: number): number {
  const { count, kinds, reader } = openChunk(bytes);
  const end = at + count;
  if (!(at >= 0 && end <= columns.times.length && end <= columns.values.length)) {
    throw new RangeError(`${count} readings do not fit from index ${at} on`);
  }
  const part = { times: columns.times.subarray(at, end), values: columns.values.subarray(at, end) };
  readColumns(reader, kinds, part, count);
  return count;
}

function openChunk(bytes: Uint8Array): { count: number; kinds: number; reader: ByteReader } {
  const end = bytes.length - checkBytes;
  const reader = new ByteReader(bytes, 0, end);
  const foundVersion = reader.byte();
  if (foundVersion !== version)
    throw new CorruptChunkError(`chunk version ${foundVersion}; this gateway reads ${version}`);
  if (crc32(bytes.subarray(0, end)) !== reader.view.getUint32(end, true)) {
    throw new CorruptChunkError(`chunk of ${bytes.length} bytes fails its checksum`);
  }
  const kinds = reader.byte();
  if (kinds > (timesAreBits | valuesAreBits)) throw new CorruptChunkError(`chunk has unknown kinds ${kinds}`);
  const count = reader.varint();
  if (count < 1 || count > chunkCountMax) throw new CorruptChunkError(`chunk claims ${count} readings`);
  return { count, kinds, reader };
}

function readColumns(reader: ByteReader, kinds: number, columns: ReadingColumns, count: number): void {
  readTimes(reader, (kinds & timesAreBits) === 0 ? 'grid' : 'bits', columns.times, count);
  readValues(reader, (kinds & valuesAreBits) === 0 ? 'decimal' : 'bits', columns.values, count);
  if (reader.position !== reader.end) {
    throw new CorruptChunkError(`${reader.end - reader.position} bytes follow the last value`);
  }
}
