import { crc32 } from 'node:zlib';
import { messageOf } from '../../../base/errors.ts';
import { type RollupTier, rollupTiers } from '../../../domain/retention.ts';
import { ByteReader, ByteWriter, CorruptChunkError } from '../chunks/chunk-codec-bytes.ts';
import { readFloatBits } from '../chunks/chunk-codec-float-bits.ts';
import { integerLimit, readIntegers, writeIntegers } from '../chunks/chunk-codec-integers.ts';
import { readValues, writeValues } from '../chunks/chunk-codec-values.ts';
import { CorruptStoreError } from '../database.ts';
import type { RollupColumns } from './rollup-columns.ts';
import { rollupPart, windowBuckets } from './rollup-columns.ts';

/**
 * A window of a rollup: its buckets with readings, column by column.
 *
 * ```
 *   version  byte    1
 *   flags    byte    bit 0: not plain · other bits 0
 *   digits   byte    decimal places of the values, 255 when they are no short decimals
 *   count    varint  buckets, 1–360
 *   lengths  varint  …of each column: its bytes × 4 + how it is written (0 integers or decimals, 1 float bits, 2 doubles)
 *   columns
 *   check    uint32  CRC-32 of all bytes before it
 * ```
 *
 * Columns, in this order: number of the bucket in its window, count, time of the first reading less the begin of the
 * bucket, first number; then of the buckets with more than one reading only: time of the last reading less that of the
 * first, min, max, sum, deviations × numbers, increase, linear area, step area, last number. In a window that is not plain these
 * are of all buckets, and there follow: how many readings are numbers, times of the first and last of them less that of
 * the first reading, kinds of the first and last reading (× 4 +), these readings, and the texts (JSON).
 *
 * A bucket with one reading so takes what the reading takes. A reader passes over the columns it does not need. Sums of
 * short decimals are short decimals (so are deviations × numbers, being numbers × sum of squares - sum²): they are rounded
 * to what they are, which frees them of the rounding of sums of doubles and makes them small.
 */
const version = 1;
const notPlain = 1;
const noDigits = 255;
const checkBytes = 4;
const plainColumns = 13;
const allColumns = 20;

const written = { packed: 0, bits: 1, doubles: 2 } as const;

const body = new ByteWriter();
const head = new ByteWriter();
const cells = new Float64Array(windowBuckets);
/** Rows that the columns of the second part hold. */
const wide = new Uint16Array(windowBuckets);
const lengths: number[] = [];
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Packs the rows of a window, at least one; `from` is 0. */
export function encodeRollup(tier: RollupTier, begin: number, columns: RollupColumns): Uint8Array {
  const { to: count, isPlain, begins, counts, firstTimes } = columns;
  const { bucketMs } = rollupTiers[tier];
  if (count < 1) throw new RangeError('a window without readings has no row');
  body.position = 0;
  lengths.length = 0;
  let wideCount = 0;
  for (let row = 0; row < count; row++) if (!isPlain || counts[row] > 1) wide[wideCount++] = row;

  for (let row = 0; row < count; row++) cells[row] = (begins[row] - begin) / bucketMs;
  putIntegers(count);
  cells.set(counts.subarray(0, count));
  putIntegers(count);
  for (let row = 0; row < count; row++) cells[row] = firstTimes[row] - begins[row];
  putIntegers(count);
  cells.set(columns.firstNumbers.subarray(0, count));
  putValues(count);

  for (let at = 0; at < wideCount; at++) cells[at] = columns.lastTimes[wide[at]] - firstTimes[wide[at]];
  putIntegers(wideCount);
  for (const [column, digitsMore] of wideValuesOf(columns)) {
    for (let at = 0; at < wideCount; at++) cells[at] = column[wide[at]];
    if (column === columns.deviations) for (let at = 0; at < wideCount; at++) cells[at] *= columns.numbers[wide[at]];
    if (columns.digits !== null && digitsMore !== null)
      roundCells(wideCount, columns.digits + digitsMore(columns.digits));
    putValues(wideCount);
  }
  if (!isPlain) putUnplain(columns, count);
  return assemble(columns, count);
}

/** In the order in which they are written, with the decimal places that each has more than the values; null: as it is. */
function wideValuesOf(
  columns: RollupColumns,
): readonly (readonly [Float64Array, ((digits: number) => number) | null])[] {
  return [
    [columns.mins, null],
    [columns.maxs, null],
    [columns.sums, () => 0],
    [columns.deviations, (digits) => digits],
    [columns.increases, () => 0],
    [columns.linearAreas, () => 1],
    [columns.stepAreas, () => 0],
    [columns.lastNumbers, null],
  ];
}

function roundCells(count: number, digits: number): void {
  const power = 10 ** digits;
  for (let at = 0; at < count; at++) {
    const whole = Math.round(cells[at] * power);
    if (Math.abs(whole) < integerLimit) cells[at] = whole / power + 0;
  }
}

function putUnplain(columns: RollupColumns, count: number): void {
  const { firstTimes, numbers } = columns;
  cells.set(numbers.subarray(0, count));
  putIntegers(count);
  for (const times of [columns.firstNumberTimes, columns.lastNumberTimes]) {
    for (let row = 0; row < count; row++) cells[row] = numbers[row] === 0 ? 0 : times[row] - firstTimes[row];
    putIntegers(count);
  }
  for (let row = 0; row < count; row++) cells[row] = columns.firstKinds[row] * 4 + columns.lastKinds[row];
  putIntegers(count);
  for (const values of [columns.firsts, columns.lasts]) {
    cells.set(values.subarray(0, count));
    putValues(count);
  }
  const start = body.position;
  const texts = new TextEncoder().encode(JSON.stringify(columns.texts));
  body.reserve(texts.length);
  body.bytes.set(texts, start);
  body.position += texts.length;
  noteLength(start, written.packed);
}

function putIntegers(count: number): void {
  const start = body.position;
  if (count > 0) writeIntegers(body, cells, count);
  noteLength(start, written.packed);
}

function putValues(count: number): void {
  const start = body.position;
  let how: number = written.packed;
  if (count > 0) {
    // Sums of enormous values leave the range of numbers, which the packed forms do not know.
    if (isFinite(cells, count)) how = writeValues(body, cells, count) === 'decimal' ? written.packed : written.bits;
    else {
      how = written.doubles;
      for (let at = 0; at < count; at++) body.float64(cells[at]);
    }
  }
  noteLength(start, how);
}

function isFinite(values: Float64Array, count: number): boolean {
  for (let at = 0; at < count; at++) if (!Number.isFinite(values[at])) return false;
  return true;
}

function noteLength(start: number, how: number): void {
  lengths.push((body.position - start) * 4 + how);
}

function assemble(columns: RollupColumns, count: number): Uint8Array {
  head.position = 0;
  head.reserve(3);
  head.byte(version);
  head.byte(columns.isPlain ? 0 : notPlain);
  head.byte(columns.digits ?? noDigits);
  head.varint(count);
  for (const length of lengths) head.varint(length);
  const bytes = new Uint8Array(head.position + body.position + checkBytes);
  bytes.set(head.bytes.subarray(0, head.position));
  bytes.set(body.bytes.subarray(0, body.position), head.position);
  const end = bytes.length - checkBytes;
  new DataView(bytes.buffer).setUint32(end, crc32(bytes.subarray(0, end)), true);
  return bytes;
}

/**
 * Unpacks the window that begins at `begin` into `columns`, all of its rows, only the parts asked for (`rollupPart`, one
 * bit each). Throws `CorruptStoreError` for bytes that are damaged or of an unknown version.
 */
export function decodeRollup(
  bytes: Uint8Array,
  window: { readonly tier: RollupTier; readonly begin: number },
  parts: number,
  columns: RollupColumns,
): void {
  try {
    decode(bytes, window, parts, columns);
  } catch (error) {
    if (error instanceof CorruptChunkError) {
      throw new CorruptStoreError(`a window of a rollup cannot be read: ${error.message}`);
    }
    throw error;
  }
}

function decode(
  bytes: Uint8Array,
  { tier, begin }: { readonly tier: RollupTier; readonly begin: number },
  parts: number,
  columns: RollupColumns,
): void {
  const window = open(bytes);
  const { count, isPlain } = window;
  const { bucketMs } = rollupTiers[tier];
  columns.clear();
  columns.to = count;
  columns.isPlain = isPlain;
  columns.digits = window.digits;
  const { begins, counts, numbers, firstTimes, lastTimes } = columns;
  getIntegers(window, 0, begins, count);
  for (let row = 0; row < count; row++) begins[row] = begin + begins[row] * bucketMs;
  getIntegers(window, 1, counts, count);
  if (isPlain) numbers.set(counts.subarray(0, count));
  else getIntegers(window, 13, numbers, count);
  let wideCount = 0;
  for (let row = 0; row < count; row++) if (!isPlain || counts[row] > 1) wide[wideCount++] = row;

  if ((parts & (rollupPart.times | rollupPart.edges)) !== 0) {
    getIntegers(window, 2, firstTimes, count);
    for (let row = 0; row < count; row++) firstTimes[row] += begins[row];
    getIntegers(window, 4, cells, wideCount);
    lastTimes.set(firstTimes.subarray(0, count));
    for (let at = 0; at < wideCount; at++) lastTimes[wide[at]] += cells[at];
  }
  if (parts & ~rollupPart.times) getValues(window, 3, columns.firstNumbers, count);
  getWide(window, parts, columns, wideCount);
  if (parts & rollupPart.edges) getEdgeTimes(window, columns);
  if (!isPlain && parts & rollupPart.ends) getEnds(window, columns);
}

function getWide(window: Window, parts: number, columns: RollupColumns, wideCount: number): void {
  const { count } = window;
  const { firstNumbers } = columns;
  const get = (part: number, column: number, values: Float64Array, ofOne: 'same' | 'zero'): void => {
    if ((parts & part) === 0) return;
    if (wideCount === count) {
      getValues(window, column, values, count);
      return;
    }
    if (ofOne === 'zero') values.fill(0, 0, count);
    else values.set(firstNumbers.subarray(0, count));
    getValues(window, column, cells, wideCount);
    for (let at = 0; at < wideCount; at++) values[wide[at]] = cells[at];
  };
  get(rollupPart.extremes, 5, columns.mins, 'same');
  get(rollupPart.extremes, 6, columns.maxs, 'same');
  get(rollupPart.sums, 7, columns.sums, 'same');
  get(rollupPart.deviations, 8, columns.deviations, 'zero');
  if (parts & rollupPart.deviations) {
    for (let at = 0; at < wideCount; at++) columns.deviations[wide[at]] /= columns.numbers[wide[at]] || 1;
  }
  get(rollupPart.increases, 9, columns.increases, 'zero');
  get(rollupPart.areas, 10, columns.linearAreas, 'zero');
  get(rollupPart.areas, 11, columns.stepAreas, 'zero');
  get(rollupPart.edges | rollupPart.ends, 12, columns.lastNumbers, 'same');
}

function getEdgeTimes(window: Window, columns: RollupColumns): void {
  const { count } = window;
  const { firstTimes, firstNumberTimes, lastNumberTimes, numbers } = columns;
  if (window.isPlain) {
    firstNumberTimes.set(firstTimes.subarray(0, count));
    lastNumberTimes.set(columns.lastTimes.subarray(0, count));
    return;
  }
  getIntegers(window, 14, firstNumberTimes, count);
  getIntegers(window, 15, lastNumberTimes, count);
  for (let row = 0; row < count; row++) {
    const hasNumber = numbers[row] > 0;
    firstNumberTimes[row] = hasNumber ? firstTimes[row] + firstNumberTimes[row] : 0;
    lastNumberTimes[row] = hasNumber ? firstTimes[row] + lastNumberTimes[row] : 0;
  }
}

function getEnds(window: Window, columns: RollupColumns): void {
  const { count } = window;
  getIntegers(window, 16, cells, count);
  for (let row = 0; row < count; row++) {
    columns.firstKinds[row] = Math.floor(cells[row] / 4);
    columns.lastKinds[row] = cells[row] % 4;
  }
  getValues(window, 17, columns.firsts, count);
  getValues(window, 18, columns.lasts, count);
  const { start, end } = placeOf(window, 19);
  columns.texts = textsIn(window.bytes.subarray(start, end));
}

function textsIn(bytes: Uint8Array): string[] {
  try {
    const texts: unknown = JSON.parse(utf8.decode(bytes));
    if (Array.isArray(texts)) return texts.map(String);
  } catch (error) {
    throw new CorruptChunkError(`the texts of a rollup: ${messageOf(error)}`);
  }
  throw new CorruptChunkError('the texts of a rollup are no list');
}

interface Window {
  readonly bytes: Uint8Array;
  readonly count: number;
  readonly isPlain: boolean;
  readonly digits: number | null;
  /** Where the columns begin; each takes `lengths[i] >> 2` bytes. */
  readonly columnsAt: number;
  readonly lengths: readonly number[];
}

function open(bytes: Uint8Array): Window {
  const end = bytes.length - checkBytes;
  const reader = new ByteReader(bytes, 0, end);
  const found = reader.byte();
  if (found !== version) throw new CorruptChunkError(`version ${found}; this gateway reads ${version}`);
  if (crc32(bytes.subarray(0, end)) !== reader.view.getUint32(end, true)) {
    throw new CorruptChunkError(`${bytes.length} bytes fail their checksum`);
  }
  const flags = reader.byte();
  if (flags > notPlain) throw new CorruptChunkError(`unknown flags ${flags}`);
  const digits = reader.byte();
  const count = reader.varint();
  if (count < 1 || count > windowBuckets) throw new CorruptChunkError(`${count} buckets`);
  const isPlain = flags === 0;
  const lengths: number[] = [];
  for (let column = 0; column < (isPlain ? plainColumns : allColumns); column++) lengths.push(reader.varint());
  return { bytes, count, isPlain, digits: digits === noDigits ? null : digits, columnsAt: reader.position, lengths };
}

function placeOf({ lengths, columnsAt }: Window, column: number): { start: number; end: number; how: number } {
  let start = columnsAt;
  for (let before = 0; before < column; before++) start += Math.floor(lengths[before] / 4);
  return { start, end: start + Math.floor(lengths[column] / 4), how: lengths[column] % 4 };
}

function getIntegers(window: Window, column: number, numbers: Float64Array, count: number): void {
  if (count === 0) return;
  const { reader } = readerOf(window, column);
  readIntegers(reader, numbers, count);
}

function getValues(window: Window, column: number, values: Float64Array, count: number): void {
  if (count === 0) return;
  const { reader, how } = readerOf(window, column);
  if (how === written.packed) readValues(reader, 'decimal', values, count);
  else if (how === written.bits) readFloatBits(reader, values, count);
  else for (let at = 0; at < count; at++) values[at] = reader.float64();
}

function readerOf(window: Window, column: number): { reader: ByteReader; how: number } {
  const { start, end, how } = placeOf(window, column);
  if (end > window.bytes.length - checkBytes) throw new CorruptChunkError(`column ${column} ends at byte ${end}`);
  return { reader: new ByteReader(window.bytes, start, end), how };
}
