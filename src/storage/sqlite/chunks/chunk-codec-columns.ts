import { crc32 } from 'node:zlib';
import { valueKind } from '../../../domain/reading.ts';
import type { SampleColumns } from '../../../domain/sample-columns.ts';
import { ByteReader, ByteWriter, CorruptChunkError, chunkCountMax } from './chunk-codec-bytes.ts';
import { readMixed, writeMixed } from './chunk-codec-mixed.ts';
import { readTimes, type TimeKind, writeTimes } from './chunk-codec-times.ts';
import { readValues, writeValues } from './chunk-codec-values.ts';

/**
 * Metrics that come in one message have their times in common: these are kept once, as a time column, and the chunks of
 * the metrics refer to it. A time column is
 *
 * ```
 *   version   byte    1
 *   kinds     byte    bit 0 times: 0 grid, 1 float bits · other bits 0
 *   count     varint  times, 1–4096
 *   times             as in `chunk-codec.ts`
 *   check     uint32  CRC-32 of all bytes before it
 * ```
 *
 * and a chunk that refers to one, or that holds more than numbers, or both
 *
 * ```
 *   version   byte    1
 *   kinds     byte    bit 0 own times: 0 grid, 1 float bits · bit 1 values: 0 decimal, 1 float bits
 *                     bits 2–3 times: 0 its own, 1 those of the time column, 2 some of them, by runs, 3 some, by bits
 *                     bit 4 values: 1 mixed, see `chunk-codec-mixed.ts` · other bits 0
 *   count     varint  readings, 1–4096
 *   times             its own: as in `chunk-codec.ts` · all of the column: nothing
 *                     by runs: varint times taken, varint times left out, taken … up to the end of the column
 *                     by bits: a bit for each time of the column, lowest first, 1 for taken
 *   values
 *   check     uint32  CRC-32 of all bytes before it, begun with the check of the time column if there is one
 * ```
 *
 * so that a chunk is never read with times that are not its own.
 */
const version = 1;
const ownTimesAreBits = 1;
const valuesAreBits = 2;
const timesShift = 2;
const timesOf = { own: 0, all: 1, runs: 2, bits: 3 } as const;
const valuesAreMixed = 16;
const checkBytes = 4;

const writer = new ByteWriter();
const columnTimes = new Float64Array(chunkCountMax);
const places = new Uint16Array(chunkCountMax);

/** A time column with what it says. */
export interface TimeColumn {
  readonly bytes: Uint8Array;
  readonly times: Float64Array;
}

/** Packs ascending times, 1 to `chunkCountMax` of them. They are kept by reference. */
export function encodeTimeColumn(times: Float64Array): TimeColumn {
  writer.position = 0;
  writer.byte(version);
  writer.byte(0);
  writer.varint(times.length);
  if (writeTimes(writer, times, times.length) === 'bits') writer.bytes[1] = ownTimesAreBits;
  return { bytes: sealed(0), times };
}

/** Unpacks a time column into the beginning of `times` and returns how many there are. Throws `CorruptChunkError`. */
function readTimeColumn(bytes: Uint8Array, times: Float64Array): number {
  const { kinds, count, reader } = opened(bytes, 0, 'time column');
  if (kinds > ownTimesAreBits) throw new CorruptChunkError(`time column has unknown kinds ${kinds}`);
  if (count > times.length) throw new CorruptChunkError(`${count} times where ${times.length} fit`);
  readTimes(reader, timeKind(kinds), times, count);
  mustBeRead(reader);
  return count;
}

/** Unpacks a time column. Throws `CorruptChunkError`. */
export function decodeTimeColumn(bytes: Uint8Array): Float64Array<ArrayBuffer> {
  return columnTimes.slice(0, readTimeColumn(bytes, columnTimes));
}

/**
 * Packs rows `begin` to `end` (excluded, at most `chunkCountMax`) of readings of any kind. With `shared` their times are
 * taken from there; null when they are not all in it.
 */
export function encodeColumns(
  columns: SampleColumns,
  begin: number,
  end: number,
  shared: TimeColumn | null,
): Uint8Array | null {
  const count = end - begin;
  const times = columns.times.subarray(begin, end);
  const values = columns.values.subarray(begin, end);
  writer.position = 0;
  writer.byte(version);
  writer.byte(0);
  writer.varint(count);
  let kinds = 0;
  if (!shared) {
    if (writeTimes(writer, times, count) === 'bits') kinds |= ownTimesAreBits;
  } else {
    const form = writePlaces(times, shared.times);
    if (form === null) return null;
    kinds |= form << timesShift;
  }
  if (isOnlyNumbers(columns, begin, end)) {
    if (writeValues(writer, values, count) === 'bits') kinds |= valuesAreBits;
  } else {
    writeMixed(writer, columns, begin, end);
    kinds |= valuesAreMixed;
  }
  writer.bytes[1] = kinds;
  return sealed(shared ? checkOf(shared.bytes) : 0);
}

/**
 * Unpacks what `encodeColumns` packed; `timeColumn` are the bytes of the time column that it refers to, null when it
 * refers to none. Throws `CorruptChunkError` for damage in either.
 */
export function decodeColumns(bytes: Uint8Array, timeColumn: Uint8Array | null): SampleColumns {
  const { kinds, count, reader } = openChunk(bytes, timeColumn);
  const times = new Float64Array(count);
  const values = new Float64Array(count);
  readChunkTimes(reader, kinds, timeColumn, times);
  const mixed = (kinds & valuesAreMixed) !== 0;
  if (!mixed) readValues(reader, (kinds & valuesAreBits) === 0 ? 'decimal' : 'bits', values, count);
  const rest = mixed ? readMixed(reader, values, count) : { kinds: null, texts: [] };
  mustBeRead(reader);
  return { count, times, values, ...rest };
}

/**
 * The same for a chunk of numbers, into `columns` from index `at` on; returns how many readings that were. Throws
 * `RangeError` when they do not fit; what `columns` hold from `at` on is undefined after any error.
 */
export function decodeNumbersInto(
  bytes: Uint8Array,
  timeColumn: Uint8Array | null,
  columns: { readonly times: Float64Array; readonly values: Float64Array },
  at: number,
): number {
  const { kinds, count, reader } = openChunk(bytes, timeColumn);
  const end = at + count;
  if (!(at >= 0 && end <= columns.times.length && end <= columns.values.length)) {
    throw new RangeError(`${count} readings do not fit from index ${at} on`);
  }
  if ((kinds & valuesAreMixed) !== 0) throw new CorruptChunkError('a chunk of numbers holds others');
  readChunkTimes(reader, kinds, timeColumn, columns.times.subarray(at, end));
  readValues(reader, (kinds & valuesAreBits) === 0 ? 'decimal' : 'bits', columns.values.subarray(at, end), count);
  mustBeRead(reader);
  return count;
}

function openChunk(bytes: Uint8Array, timeColumn: Uint8Array | null): Opened {
  const chunk = opened(bytes, timeColumn === null ? 0 : checkOf(timeColumn), 'chunk');
  const { kinds } = chunk;
  if (kinds >= 2 * valuesAreMixed) throw new CorruptChunkError(`chunk has unknown kinds ${kinds}`);
  if ((timeColumn === null) !== (timesForm(kinds) === timesOf.own)) {
    throw new CorruptChunkError(
      timeColumn === null
        ? 'the time column of a chunk is missing'
        : 'a time column for a chunk that has its own times',
    );
  }
  return chunk;
}

/** Fills `times`, which is as long as the chunk has readings. */
function readChunkTimes(reader: ByteReader, kinds: number, timeColumn: Uint8Array | null, times: Float64Array): void {
  const form = timesForm(kinds);
  if (timeColumn === null) {
    readTimes(reader, timeKind(kinds), times, times.length);
    return;
  }
  if (form === timesOf.all) {
    const count = readTimeColumn(timeColumn, times);
    if (count !== times.length) throw new CorruptChunkError(`${count} times for ${times.length} readings`);
    return;
  }
  const count = readTimeColumn(timeColumn, columnTimes);
  const taken = form === timesOf.runs ? readRuns(reader, count) : readBits(reader, count);
  if (taken !== times.length) throw new CorruptChunkError(`${taken} times taken for ${times.length} readings`);
  for (let index = 0; index < taken; index++) times[index] = columnTimes[places[index]];
}

/** Fills `places` and returns how many. */
function readRuns(reader: ByteReader, count: number): number {
  let taken = 0;
  let isTaken = true;
  for (let place = 0; place < count; isTaken = !isTaken) {
    const end = place + reader.varint();
    if (end > count) throw new CorruptChunkError(`a run up to time ${end} of ${count}`);
    // An empty run is possible at the beginning only; elsewhere it would keep the loop from ending.
    if (end === place && place > 0) throw new CorruptChunkError('an empty run of times');
    if (isTaken) for (; place < end; place++) places[taken++] = place;
    else place = end;
    if (end === 0 && !isTaken) throw new CorruptChunkError('an empty run of times');
  }
  return taken;
}

function readBits(reader: ByteReader, count: number): number {
  const at = reader.take(Math.ceil(count / 8));
  let taken = 0;
  for (let place = 0; place < count; place++) {
    if ((reader.view.getUint8(at + (place >>> 3)) >>> (place & 7)) & 1) places[taken++] = place;
  }
  return taken;
}

/** Whether both hold the very same times: compared as bytes, which takes next to nothing. */
export function isSameTimes(one: Float64Array, other: Float64Array): boolean {
  return one.length === other.length && Buffer.compare(bytesOf(one), bytesOf(other)) === 0;
}

function bytesOf({ buffer, byteOffset, byteLength }: Float64Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Writes which of `all` the times are; null, having written nothing that counts, when one of them is not there. */
function writePlaces(times: Float64Array, all: Float64Array): number | null {
  if (isSameTimes(times, all)) return timesOf.all;
  let runs = 0;
  let place = 0;
  for (let index = 0; index < times.length; index++, place++) {
    const time = times[index];
    const begin = place;
    while (place < all.length && all[place] < time) place++;
    if (place === all.length || all[place] !== time) return null;
    if (place !== begin) runs += 2;
    places[index] = place;
  }
  if (times.length === all.length) return timesOf.all;
  const bitmapBytes = Math.ceil(all.length / 8);
  // A run takes one byte or two.
  if (runs * 2 + 4 > bitmapBytes) {
    writer.reserve(bitmapBytes);
    writer.bytes.fill(0, writer.position, writer.position + bitmapBytes);
    for (const taken of places.subarray(0, times.length)) {
      writer.bytes[writer.position + (taken >>> 3)] |= 1 << (taken & 7);
    }
    writer.position += bitmapBytes;
    return timesOf.bits;
  }
  let runBegin = 0;
  let end = 0;
  for (const taken of places.subarray(0, times.length)) {
    if (taken !== end) {
      writer.varint(end - runBegin);
      writer.varint(taken - end);
      runBegin = taken;
    }
    end = taken + 1;
  }
  writer.varint(end - runBegin);
  if (end < all.length) writer.varint(all.length - end);
  return timesOf.runs;
}

function isOnlyNumbers(columns: SampleColumns, begin: number, end: number): boolean {
  const { kinds } = columns;
  if (!kinds) return true;
  for (let row = begin; row < end; row++) if (kinds[row] !== valueKind.number) return false;
  return true;
}

/** The bytes written, with their check behind them. */
function sealed(start: number): Uint8Array {
  writer.uint32(crc32(writer.bytes.subarray(0, writer.position), start));
  return writer.bytes.slice(0, writer.position);
}

interface Opened {
  readonly kinds: number;
  readonly count: number;
  readonly reader: ByteReader;
}

function opened(bytes: Uint8Array, start: number, what: string): Opened {
  const end = bytes.length - checkBytes;
  const reader = new ByteReader(bytes, 0, end);
  const foundVersion = reader.byte();
  if (foundVersion !== version) {
    throw new CorruptChunkError(`${what} version ${foundVersion}; this gateway reads ${version}`);
  }
  if (crc32(bytes.subarray(0, end), start) !== reader.view.getUint32(end, true)) {
    throw new CorruptChunkError(`${what} of ${bytes.length} bytes fails its checksum`);
  }
  const kinds = reader.byte();
  const count = reader.varint();
  if (count < 1 || count > chunkCountMax) throw new CorruptChunkError(`${what} claims ${count} readings`);
  return { kinds, count, reader };
}

function checkOf(bytes: Uint8Array): number {
  if (bytes.length < checkBytes) throw new CorruptChunkError(`a time column of ${bytes.length} bytes`);
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(bytes.length - checkBytes, true);
}

function timesForm(kinds: number): number {
  return (kinds >>> timesShift) & 3;
}

function timeKind(kinds: number): TimeKind {
  return (kinds & ownTimesAreBits) === 0 ? 'grid' : 'bits';
}

function mustBeRead(reader: ByteReader): void {
  if (reader.position !== reader.end) {
    throw new CorruptChunkError(`${reader.end - reader.position} bytes follow the last value`);
  }
}
