import { type ByteReader, type ByteWriter, CorruptChunkError, chunkCountMax } from './chunk-codec-bytes.ts';
import { readIntegers, writeIntegers } from './chunk-codec-integers.ts';

/**
 * Float64 values as they are, bit for bit: the IEEE 754 word of a value is cut into two 32-bit halves, each a column of
 * integers.
 *
 * ```
 *   shift  byte     zero bits at the low end of every low half (0–31); 29 when the values were float32 once
 *   high   column   sign, exponent and 20 bits of mantissa, as a signed integer that grows with the value
 *   low    column   the other 32 bits of mantissa, shifted right by `shift`
 * ```
 *
 * Neighbouring readings share most of their high half, which is where all that compresses in noise is found.
 */
const cell = new DataView(new ArrayBuffer(8));
const highs = new Float64Array(chunkCountMax);
const lows = new Float64Array(chunkCountMax);

/** Of a negative value, all bits but the sign are turned over, so that the greater value has the greater integer. */
function turned(high: number): number {
  return high < 0 ? high ^ 0x7fff_ffff : high;
}

/** Writes the first `count` of `values`. */
export function writeFloatBits(writer: ByteWriter, values: Float64Array, count: number): void {
  let usedBits = 0;
  for (let index = 0; index < count; index++) {
    cell.setFloat64(0, values[index] ?? 0);
    const low = cell.getUint32(4);
    highs[index] = turned(cell.getInt32(0));
    lows[index] = low;
    usedBits |= low;
  }
  const shift = usedBits === 0 ? 0 : 31 - Math.clz32(usedBits & -usedBits);
  const divisor = 2 ** shift;
  for (let index = 0; index < count; index++) lows[index] = (lows[index] ?? 0) / divisor;
  writer.reserve(1);
  writer.byte(shift);
  writeIntegers(writer, highs, count);
  writeIntegers(writer, lows, count);
}

/** Reads `count` values, all finite, into the beginning of `values`. */
export function readFloatBits(reader: ByteReader, values: Float64Array, count: number): void {
  const shift = reader.byte();
  if (shift > 31) throw new CorruptChunkError(`low halves shifted by ${shift} bits; they have 32`);
  const divisor = 2 ** shift;
  readIntegers(reader, highs, count);
  readIntegers(reader, lows, count);
  for (let index = 0; index < count; index++) {
    const high = highs[index] ?? 0;
    const low = (lows[index] ?? 0) * divisor;
    if (high !== (high | 0) || low !== low >>> 0)
      throw new CorruptChunkError(`half of value ${index} is beyond 32 bits`);
    cell.setInt32(0, turned(high));
    cell.setUint32(4, low);
    const value = cell.getFloat64(0);
    if (!Number.isFinite(value)) throw new CorruptChunkError(`value ${index} is not a finite number`);
    values[index] = value;
  }
}
