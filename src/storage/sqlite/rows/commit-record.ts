import { crc32 } from 'node:zlib';
import type { SettledMessage } from '../../../domain/commit.ts';
import type { ReadingColumns } from '../../../domain/reading.ts';
import { valueKind } from '../../../domain/reading.ts';
import type { SettledColumns } from '../../../domain/settled-columns.ts';
import { CorruptStoreError } from '../database.ts';

/**
 * The blob of one commit in the commit log: its readings without the identical ones, and the messages it settled.
 *
 * ```
 *    0  version        byte    1
 *    1  kind           byte    0 all values are numbers · 1 a column of kinds and the texts follow
 *    2  series width   byte    1, 2 or 4
 *    3  time width     byte    1, 2, 4 or 8
 *    4  count          uint32  readings
 *    8  base time      float64 the smallest time, epoch ms; 0 without readings or when the time width is 8
 *   16  base series    uint32  the smallest series number; 0 without readings
 *   20  settled        uint32  messages
 *   24  values         count × float64
 *       times          count × unsigned of the time width (float64 when it is 8), minus base time
 *       series         count × unsigned of the series width, minus base series
 *       kinds          count × byte, only of kind 1
 *       texts          varint count, then each as varint length and UTF-8, only of kind 1
 *       clients        varint count, then each as varint length and UTF-8; absent without settled messages
 *       settled        each: varint index of the client, uint16 packet id, float64 hash
 *       check          uint32  CRC-32 of all bytes before it
 * ```
 *
 * Little-endian; each column begins at a multiple of four bytes (zeros between), the values at a multiple of eight, so
 * that columns are read and written as typed arrays. Typical: 12 bytes a reading.
 */
const version = 1;
const headerBytes = 24;

/** A settled message at its longest: four bytes for its client, two for the packet id, eight for the hash. */
const settledBytesMax = 14;

/** More than any commit holds; what claims more is damaged. */
const rowsMax = 1 << 24;

export interface CommitRecord {
  readonly readings: ReadingColumns;
  readonly settled: readonly SettledMessage[];
}

/**
 * Writes the rows of `readings` (those listed in `rows`, or all of them when it is null) and `settled` into a blob. Of
 * the texts only those that a row uses are kept.
 */
export function encodeCommitRecord(
  readings: ReadingColumns,
  rows: Uint32Array | null,
  settled: SettledColumns,
): Uint8Array<ArrayBuffer> {
  const picked = rows ? pickRows(readings, rows) : readings;
  const shape = shapeOf(picked);
  const texts = shape.mixed ? usedTexts(picked) : { values: picked.values, texts: [] };
  const tail = encodeTail(shape.mixed ? texts.texts : null, settled);
  const layout = layoutOf(picked.count, shape);
  const bytes = new Uint8Array(layout.end + tail.length + 4);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, version);
  view.setUint8(1, shape.mixed ? 1 : 0);
  view.setUint8(2, shape.seriesWidth);
  view.setUint8(3, shape.timeWidth);
  view.setUint32(4, picked.count, true);
  view.setFloat64(8, shape.baseTime, true);
  view.setUint32(16, shape.baseSeries, true);
  view.setUint32(20, settled.count, true);
  new Float64Array(bytes.buffer, layout.values, picked.count).set(texts.values.subarray(0, picked.count));
  subtractInto(column(bytes.buffer, layout.times, picked.count, shape.timeWidth), picked.times, shape.baseTime);
  subtractInto(column(bytes.buffer, layout.series, picked.count, shape.seriesWidth), picked.series, shape.baseSeries);
  if (shape.mixed) bytes.set(picked.kinds.subarray(0, picked.count), layout.kinds);
  bytes.set(tail, layout.end);
  view.setUint32(bytes.length - 4, crc32(bytes.subarray(0, bytes.length - 4)), true);
  return bytes;
}

/**
 * Reads a blob back. Throws `CorruptStoreError` for bytes that `encodeCommitRecord` did not write; memory is bounded by
 * the length of the blob. `bytes` begins at the start of its buffer.
 */
export function decodeCommitRecord(bytes: Uint8Array<ArrayBuffer>): CommitRecord {
  const { count, settledCount, shape } = openRecord(bytes);
  const layout = layoutOf(count, shape);
  if (layout.end + 4 > bytes.length) throw new CorruptStoreError('commit record is shorter than its columns');
  const reader = new TailReader(bytes, layout.end, bytes.length - 4);
  const readings = {
    count,
    series: new Uint32Array(count),
    times: new Float64Array(count),
    values: new Float64Array(bytes.buffer, layout.values, count).slice(),
    kinds: new Uint8Array(count),
    texts: shape.mixed ? reader.texts() : [],
  };
  addInto(readings.times, column(bytes.buffer, layout.times, count, shape.timeWidth), shape.baseTime);
  addInto(readings.series, column(bytes.buffer, layout.series, count, shape.seriesWidth), shape.baseSeries);
  if (shape.mixed) readings.kinds.set(bytes.subarray(layout.kinds, layout.kinds + count));
  checkRows(readings);
  const settled = readSettled(reader, settledCount);
  reader.expectEnd();
  return { readings, settled };
}

/** Only the settled messages of a blob, without unpacking its readings. */
export function decodeSettled(bytes: Uint8Array<ArrayBuffer>): readonly SettledMessage[] {
  const { count, settledCount, shape } = openRecord(bytes);
  if (settledCount === 0) return [];
  const layout = layoutOf(count, shape);
  if (layout.end + 4 > bytes.length) throw new CorruptStoreError('commit record is shorter than its columns');
  const reader = new TailReader(bytes, layout.end, bytes.length - 4);
  if (shape.mixed) reader.texts();
  return readSettled(reader, settledCount);
}

interface Shape {
  readonly mixed: boolean;
  readonly seriesWidth: number;
  readonly timeWidth: number;
  readonly baseTime: number;
  readonly baseSeries: number;
}

function shapeOf(readings: ReadingColumns): Shape {
  const { count, series, times, kinds } = readings;
  let timeMin = Number.POSITIVE_INFINITY;
  let timeMax = Number.NEGATIVE_INFINITY;
  let seriesMin = 0xffff_ffff;
  let seriesMax = 0;
  let kindsSeen = 0;
  for (let row = 0; row < count; row++) {
    const time = times[row];
    if (time < timeMin) timeMin = time;
    if (time > timeMax) timeMax = time;
    const number = series[row];
    if (number < seriesMin) seriesMin = number;
    if (number > seriesMax) seriesMax = number;
    kindsSeen |= kinds[row];
  }
  if (count === 0) return { mixed: false, seriesWidth: 1, timeWidth: 1, baseTime: 0, baseSeries: 0 };
  const timeWidth = widthOf(timeMax - timeMin);
  return {
    mixed: kindsSeen !== valueKind.number,
    seriesWidth: widthOf(seriesMax - seriesMin),
    timeWidth,
    // Differences beyond 2^53 would be rounded, so the widest form keeps the times as they are.
    baseTime: timeWidth === 8 ? 0 : timeMin,
    baseSeries: seriesMin,
  };
}

function widthOf(range: number): number {
  if (range <= 0xff) return 1;
  if (range <= 0xffff) return 2;
  return range <= 0xffff_ffff ? 4 : 8;
}

interface Layout {
  readonly values: number;
  readonly times: number;
  readonly series: number;
  readonly kinds: number;
  readonly end: number;
}

function layoutOf(count: number, shape: Shape): Layout {
  const values = headerBytes;
  const times = values + 8 * count;
  const series = times + aligned(count * shape.timeWidth);
  const kinds = series + aligned(count * shape.seriesWidth);
  const end = shape.mixed ? kinds + aligned(count) : kinds;
  return { values, times, series, kinds, end };
}

function aligned(length: number): number {
  return (length + 3) & ~3;
}

type Column = Uint8Array | Uint16Array | Uint32Array | Float64Array;

function column(buffer: ArrayBuffer, at: number, count: number, width: number): Column {
  switch (width) {
    case 1:
      return new Uint8Array(buffer, at, count);
    case 2:
      return new Uint16Array(buffer, at, count);
    case 4:
      return new Uint32Array(buffer, at, count);
    default:
      return new Float64Array(buffer, at, count);
  }
}

function subtractInto(target: Column, source: Float64Array | Uint32Array, base: number): void {
  // A bound that is read anew for each row, as `target.length` is, makes this loop take two and a half times as long.
  const count = target.length;
  for (let row = 0; row < count; row++) target[row] = source[row] - base;
}

function addInto(target: Float64Array | Uint32Array, source: Column, base: number): void {
  const count = target.length;
  for (let row = 0; row < count; row++) target[row] = source[row] + base;
}

/** The rows listed, in arrays of their own; `texts` stays as it is. */
export function pickRows(readings: ReadingColumns, rows: Uint32Array): ReadingColumns {
  const count = rows.length;
  const picked = {
    count,
    series: new Uint32Array(count),
    times: new Float64Array(count),
    values: new Float64Array(count),
    kinds: new Uint8Array(count),
    texts: readings.texts,
  };
  for (let at = 0; at < count; at++) {
    const row = rows[at];
    picked.series[at] = readings.series[row];
    picked.times[at] = readings.times[row];
    picked.values[at] = readings.values[row];
    picked.kinds[at] = readings.kinds[row];
  }
  return picked;
}

/** The texts that rows point at, each once, and the values pointing at their new places. */
function usedTexts(readings: ReadingColumns): { values: Float64Array; texts: string[] } {
  const values = readings.values.slice(0, readings.count);
  const places = new Map<string, number>();
  for (let row = 0; row < readings.count; row++) {
    if (readings.kinds[row] !== valueKind.text) continue;
    const text = readings.texts[values[row]] ?? '';
    const place = places.get(text) ?? places.size;
    if (place === places.size) places.set(text, place);
    values[row] = place;
  }
  return { values, texts: [...places.keys()] };
}

function encodeTail(texts: readonly string[] | null, settled: SettledColumns): Uint8Array {
  const parts: Uint8Array[] = [];
  if (texts) encodeTexts(texts, parts);
  if (settled.count > 0) {
    encodeTexts(settled.clients, parts);
    parts.push(encodeSettled(settled));
  }
  return Buffer.concat(parts);
}

function encodeSettled({ count, client, packetIds, hashes }: SettledColumns): Uint8Array {
  const bytes = Buffer.allocUnsafe(count * settledBytesMax);
  let at = 0;
  for (let row = 0; row < count; row++) {
    let place = client[row];
    while (place >= 0x80) {
      bytes[at++] = (place & 0x7f) | 0x80;
      place >>>= 7;
    }
    bytes[at++] = place;
    at = bytes.writeUInt16LE(packetIds[row], at);
    at = bytes.writeDoubleLE(hashes[row], at);
  }
  return bytes.subarray(0, at);
}

function encodeTexts(texts: readonly string[], parts: Uint8Array[]): void {
  parts.push(varint(texts.length));
  for (const text of texts) {
    const bytes = Buffer.from(text, 'utf8');
    parts.push(varint(bytes.length), bytes);
  }
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

function openRecord(bytes: Uint8Array<ArrayBuffer>): { count: number; settledCount: number; shape: Shape } {
  if (bytes.length < headerBytes + 4) throw new CorruptStoreError(`commit record of ${bytes.length} bytes is cut off`);
  const view = new DataView(bytes.buffer, 0, bytes.length);
  if (view.getUint8(0) !== version) throw new CorruptStoreError(`commit record of unknown version ${view.getUint8(0)}`);
  const check = view.getUint32(bytes.length - 4, true);
  if (crc32(bytes.subarray(0, bytes.length - 4)) !== check) {
    throw new CorruptStoreError(`commit record of ${bytes.length} bytes fails its checksum`);
  }
  const shape = {
    mixed: view.getUint8(1) === 1,
    seriesWidth: view.getUint8(2),
    timeWidth: view.getUint8(3),
    baseTime: view.getFloat64(8, true),
    baseSeries: view.getUint32(16, true),
  };
  const count = view.getUint32(4, true);
  const known =
    view.getUint8(1) <= 1 && [1, 2, 4].includes(shape.seriesWidth) && [1, 2, 4, 8].includes(shape.timeWidth);
  if (!known || count > rowsMax) throw new CorruptStoreError('commit record has an impossible header');
  return { count, settledCount: view.getUint32(20, true), shape };
}

function checkRows(readings: ReadingColumns): void {
  const { count, series, times, values, kinds, texts } = readings;
  for (let row = 0; row < count; row++) {
    const value = values[row];
    const kind = kinds[row];
    const possible =
      kind === valueKind.number
        ? Number.isFinite(value)
        : kind === valueKind.boolean
          ? value === 0 || value === 1
          : kind === valueKind.text && Number.isInteger(value) && value >= 0 && value < texts.length;
    if (!possible || series[row] === 0 || !Number.isSafeInteger(times[row])) {
      throw new CorruptStoreError(`commit record holds an impossible reading in row ${row}`);
    }
  }
}

function readSettled(reader: TailReader, count: number): SettledMessage[] {
  if (count === 0) return [];
  const clients = reader.texts();
  const settled: SettledMessage[] = [];
  for (let index = 0; index < count; index++) {
    const client = clients[reader.varint()];
    if (client === undefined) throw new CorruptStoreError('commit record names a client that it does not hold');
    settled.push({ client, packetId: reader.uint16(), hash: reader.float64() });
  }
  return settled;
}

/** Reads what follows the columns; every read checks that it stays in front of `end`. */
class TailReader {
  readonly #bytes: Buffer;
  readonly #end: number;
  #at: number;

  constructor(bytes: Uint8Array<ArrayBuffer>, at: number, end: number) {
    this.#bytes = Buffer.from(bytes.buffer, 0, bytes.length);
    this.#at = at;
    this.#end = end;
  }

  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#bytes[this.#take(1)];
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new CorruptStoreError('commit record holds a number that is too long');
  }

  uint16(): number {
    return this.#bytes.readUInt16LE(this.#take(2));
  }

  float64(): number {
    return this.#bytes.readDoubleLE(this.#take(8));
  }

  texts(): string[] {
    const count = this.varint();
    const texts: string[] = [];
    for (let index = 0; index < count; index++) {
      const length = this.varint();
      const at = this.#take(length);
      texts.push(this.#bytes.toString('utf8', at, at + length));
    }
    return texts;
  }

  expectEnd(): void {
    if (this.#at !== this.#end) throw new CorruptStoreError(`${this.#end - this.#at} bytes follow the commit record`);
  }

  #take(length: number): number {
    const at = this.#at;
    if (at + length > this.#end) throw new CorruptStoreError('commit record ends too soon');
    this.#at = at + length;
    return at;
  }
}
