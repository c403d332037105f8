import { type ByteReader, type ByteWriter, CorruptChunkError, chunkCountMax } from './chunk-codec-bytes.ts';
import { readFloatBits, writeFloatBits } from './chunk-codec-float-bits.ts';
import { integerLimit, readIntegers, writeIntegers } from './chunk-codec-integers.ts';

/**
 * Values, finite doubles. Sensors send short decimals, so a value is kept as the whole number that, divided by a power
 * of ten, gives back the very same double:
 *
 * ```
 *   digits   byte     decimal places of the chunk, 0–15
 *   strays   varint   how many values are no such decimal
 *   stray    varint   …position minus that of the stray before, times 2, plus 1 when the value is -0
 *            float64  …value; absent when it is -0
 *   scaled   column   value × 10^digits; at a stray's position, the number before it (0 for the first)
 * ```
 *
 * Division of two exact doubles is correctly rounded (IEEE 754), so a double that is nearest to a decimal of few places
 * is also nearest to the same decimal written with more: one power of ten can serve the whole chunk. -0 has a short
 * form because a thermometer that rounds -0.04 sends it, and often. Values with too many other strays are kept as float
 * bits, and so are those for which that is shorter.
 */
export type ValueKind = 'decimal' | 'bits';

const digitsMax = 15;
const powersOfTen = Float64Array.from({ length: digitsMax + 1 }, (_, digits) => Number(`1e${digits}`));
/** One stray other than -0 in so many values is bearable; more, and the values are not decimals. */
const strayShare = 16;
/** Decimals that take more bytes than this a value, or have many strays, are compared with float bits. */
const doubtfulBytes = 3;

const scaled = new Float64Array(chunkCountMax);
const strays = new Uint16Array(chunkCountMax);

function powerOfTen(digits: number): number {
  return powersOfTen[digits] ?? Number.NaN;
}

/** `value` times `power` if that is whole, in range, and divided by `power` gives the very bits of `value`; else NaN. */
function scaledExactly(value: number, power: number): number {
  const whole = Math.round(value * power);
  const isExact = whole / power === value && whole < integerLimit && whole > -integerLimit && !Object.is(whole, -0);
  return isExact ? whole : Number.NaN;
}

/** Scales values from `from` on into `scaled`, as `scaledExactly`; returns where the first is that cannot be, or `count`. */
function scaleRun(values: Float64Array, from: number, count: number, power: number): number {
  for (let index = from; index < count; index++) {
    const value = values[index];
    const whole = Math.round(value * power);
    const isExact = whole / power === value && whole < integerLimit && whole > -integerLimit;
    if (!isExact || (whole === 0 && Object.is(whole, -0))) return index;
    scaled[index] = whole;
  }
  return count;
}

/** The fewest decimal places, more than `known`, that `value` has; undefined when it is no short decimal. */
function moreDigits(value: number, known: number): number | undefined {
  for (let digits = known + 1; digits <= digitsMax; digits++) {
    if (!Number.isNaN(scaledExactly(value, powerOfTen(digits)))) return digits;
  }
  return undefined;
}

/** Fills `scaled` and `strays`; undefined when the values are not decimals. */
function scaleDecimals(values: Float64Array, count: number): { digits: number; strayCount: number } | undefined {
  const strayMax = Math.floor(count / strayShare);
  let digits = 0;
  let power = 1;
  let strayCount = 0;
  let negativeZeroCount = 0;
  let index = 0;
  while (index < count) {
    index = scaleRun(values, index, count, power);
    if (index === count) break;
    const value = values[index] ?? 0;
    if (Object.is(value, -0)) {
      negativeZeroCount++;
    } else {
      const needed = moreDigits(value, digits);
      if (needed !== undefined) {
        // Those before were scaled with too few digits: begin again.
        digits = needed;
        power = powerOfTen(digits);
        strayCount = 0;
        negativeZeroCount = 0;
        index = 0;
        continue;
      }
      if (strayCount - negativeZeroCount >= strayMax) return undefined;
    }
    strays[strayCount++] = index;
    scaled[index] = index === 0 ? 0 : (scaled[index - 1] ?? 0);
    index++;
  }
  return { digits, strayCount };
}

/** Writes the first `count` of `values`, all finite, and says how. */
export function writeValues(writer: ByteWriter, values: Float64Array, count: number): ValueKind {
  const start = writer.position;
  const decimals = scaleDecimals(values, count);
  if (decimals === undefined) {
    writeFloatBits(writer, values, count);
    return 'bits';
  }
  writer.reserve(1);
  writer.byte(decimals.digits);
  writer.varint(decimals.strayCount);
  let previous = 0;
  for (const position of strays.subarray(0, decimals.strayCount)) {
    const value = values[position] ?? 0;
    const isNegativeZero = Object.is(value, -0);
    writer.varint((position - previous) * 2 + (isNegativeZero ? 1 : 0));
    if (!isNegativeZero) writer.float64(value);
    previous = position;
  }
  writeIntegers(writer, scaled, count);
  const middle = writer.position;
  const isDoubtful = middle - start > doubtfulBytes * count || decimals.strayCount * strayShare > count;
  if (!isDoubtful) return 'decimal';
  writeFloatBits(writer, values, count);
  return writer.keepShorter(start, middle) === 'first' ? 'decimal' : 'bits';
}

/** Reads `count` values, all finite, into the beginning of `values`. */
export function readValues(reader: ByteReader, kind: ValueKind, values: Float64Array, count: number): void {
  if (kind === 'bits') readFloatBits(reader, values, count);
  else readDecimals(reader, values, count);
}

function readDecimals(reader: ByteReader, values: Float64Array, count: number): void {
  const digits = reader.byte();
  if (digits > digitsMax) throw new CorruptChunkError(`decimals of ${digits} places; the longest have ${digitsMax}`);
  const strayCount = reader.varint();
  if (strayCount > count) throw new CorruptChunkError(`${strayCount} strays among ${count} values`);
  const straysAt = reader.position;
  for (let stray = 0; stray < strayCount; stray++) {
    if (reader.varint() % 2 === 0) reader.float64();
  }
  readIntegers(reader, values, count, powerOfTen(digits));
  const end = reader.position;
  reader.position = straysAt;
  let position = 0;
  for (let stray = 0; stray < strayCount; stray++) {
    const entry = reader.varint();
    position += Math.floor(entry / 2);
    if (position >= count) throw new CorruptChunkError(`a stray at ${position} among ${count} values`);
    const value = entry % 2 === 0 ? reader.float64() : -0;
    if (!Number.isFinite(value)) throw new CorruptChunkError(`value ${position} is not a finite number`);
    values[position] = value;
  }
  reader.position = end;
}
