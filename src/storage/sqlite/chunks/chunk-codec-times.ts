import { type ByteReader, type ByteWriter, CorruptChunkError, chunkCountMax } from './chunk-codec-bytes.ts';
import { readFloatBits, writeFloatBits } from './chunk-codec-float-bits.ts';
import { integerLimit, readIntegers, writeIntegers } from './chunk-codec-integers.ts';

/**
 * Times, epoch milliseconds, strictly ascending. Readings come at a nearly regular pace, so what is kept is each time's
 * distance from a regular grid that starts at 0:
 *
 * ```
 *   step       varint  step of the grid in 1/256 ms, at most 2^41
 *   distances  column  time i minus floor(i × step / 256)
 * ```
 *
 * The fraction of the step is for device clocks that run fast or slow. Where there is no regular pace, the column keeps
 * differences between neighbours, which are as narrow whatever the step is. Times too large for the column (71,000
 * years away) are kept as float bits instead.
 */
export type TimeKind = 'grid' | 'bits';

const stepUnit = 256;
/** With 4,096 readings a chunk, the grid then stays exact: 2^53. */
const stepMax = 2 ** 41;
const sampleCount = 63;
/** A step this near (in 1/256 ms) to whole milliseconds moves the grid by 4 ms a block at most: taken as whole. */
const fractionMin = 8;

const slopes = new Float64Array(sampleCount);
const distances = new Float64Array(chunkCountMax);

/**
 * Milliseconds a reading: the median of the paces over a quarter of the chunk. A median, because a device that was away
 * spoils a mean; over a distance, because jitter spoils the paces of neighbours.
 */
function medianPace(times: Float64Array, count: number): number {
  if (count < 2) return 0;
  const reach = Math.max(1, count >>> 2);
  const starts = count - reach;
  const samples = Math.min(sampleCount, starts);
  for (let sample = 0; sample < samples; sample++) {
    const start = Math.floor((sample * starts) / samples);
    slopes[sample] = ((times[start + reach] ?? 0) - (times[start] ?? 0)) / reach;
  }
  return slopes.subarray(0, samples).sort()[samples >>> 1] ?? 0;
}

/** Fills `distances`; false when one of them does not fit a column. */
function measureDistances(times: Float64Array, count: number, step: number): boolean {
  let least = 0;
  let greatest = 0;
  for (let index = 0; index < count; index++) {
    const distance = (times[index] ?? 0) - Math.floor((index * step) / stepUnit);
    distances[index] = distance;
    if (distance < least) least = distance;
    if (distance > greatest) greatest = distance;
  }
  return least > -integerLimit && greatest < integerLimit;
}

function writeGrid(writer: ByteWriter, times: Float64Array, count: number, step: number): boolean {
  if (step > stepMax || !measureDistances(times, count, step)) return false;
  writer.varint(step);
  writeIntegers(writer, distances, count);
  return true;
}

/** Writes the first `count` of `times`, which are whole, safe and strictly ascending, and says how. */
export function writeTimes(writer: ByteWriter, times: Float64Array, count: number): TimeKind {
  const pace = medianPace(times, count);
  const whole = Math.round(pace) * stepUnit;
  const fractional = Math.round(pace * stepUnit);
  const start = writer.position;
  if (!writeGrid(writer, times, count, whole) && !writeGrid(writer, times, count, 0)) {
    writeFloatBits(writer, times, count);
    return 'bits';
  }
  const middle = writer.position;
  if (Math.abs(fractional - whole) >= fractionMin && writeGrid(writer, times, count, fractional)) {
    writer.keepShorter(start, middle);
  }
  return 'grid';
}

/** Reads `count` times into the beginning of `times`; what comes out is whole, safe and strictly ascending. */
export function readTimes(reader: ByteReader, kind: TimeKind, times: Float64Array, count: number): void {
  let pace = 0;
  if (kind === 'bits') {
    readFloatBits(reader, times, count);
    for (let index = 0; index < count; index++) {
      if (!Number.isInteger(times[index])) throw notWhole(index);
    }
  } else {
    const step = reader.varint();
    if (step > stepMax) throw new CorruptChunkError(`a grid of ${step}/${stepUnit} ms; the widest has 2^41`);
    readIntegers(reader, times, count);
    // Whole milliseconds, as nearly always: a sum stays exact, and no fraction has to be cut off.
    if (step % stepUnit === 0) pace = step / stepUnit;
    else addGrid(times, count, step);
  }
  let previous = Number.NEGATIVE_INFINITY;
  let grid = 0;
  for (let index = 0; index < count; index++) {
    const time = times[index] + grid;
    grid += pace;
    if (!(time > previous)) throw new CorruptChunkError(`time ${index} is not later than the one before`);
    times[index] = time;
    previous = time;
  }
  // They ascend and are whole, so the ends tell of all between them.
  if (!Number.isSafeInteger(times[0])) throw notWhole(0);
  if (!Number.isSafeInteger(times[count - 1])) throw notWhole(count - 1);
}

function notWhole(index: number): CorruptChunkError {
  return new CorruptChunkError(`time ${index} is not a whole number of milliseconds`);
}

function addGrid(times: Float64Array, count: number, step: number): void {
  for (let index = 0; index < count; index++) times[index] += Math.floor((index * step) / stepUnit);
}
