import { addUnpackedBits, packBits, packedLength, packedWidthMax, unpackBlock } from './bit-packing.ts';
import { type ByteReader, type ByteWriter, CorruptChunkError } from './chunk-codec-bytes.ts';

/**
 * A column of whole numbers, cut into blocks. A block is
 *
 * ```
 *   head     byte    bits 0–5 width w of a packed number (0–53) · bit 6 order · bit 7 a length follows
 *   length   varint  numbers in the block, at least 1; when absent: 128, or what is left of the column if less
 *   anchor   signed  first number of the block minus the last number of the block before (minus 0 in the first block)
 *   frame    signed  smallest of the differences below; absent when the block has one number only
 *   packed   bits    the differences of the second to the last number, minus the frame, w bits each; absent for w = 0
 * ```
 *
 * Order 0 takes the difference of each number to the block's first one (noise around a level), order 1 to the number
 * before it (trends, counters); the narrower one is chosen block by block. A width above 24 is packed in planes: the
 * lowest 24 bits of every number, then the next 24, then the rest, each plane starting at a byte of its own.
 *
 * The length makes two kinds of blocks cheap: a run (constant, or growing by a constant) of any length is one block of
 * width 0, and a block is cut short before a jump, so that a gap in time or a spike does not widen its neighbours.
 */
const blockCount = 128;

/** Numbers of a column lie between minus and plus this, both excluded; no packed difference then reaches 2^53. */
export const integerLimit = 2 ** 51;

const widthMax = 53;
const orderBit = 0x40;
const lengthBit = 0x80;
/** Shortest run that becomes a block of its own. */
const runMin = 64;
/** Bits a cut must save to be worth another block's head, length, anchor and frame. */
const cutBitsMin = 48;
/** head, length (at most 4096), anchor and frame */
const blockHeadBytesMax = 1 + 2 + 8 + 8;

const planeScale = 2 ** packedWidthMax;

/** Bits needed for a whole number from 0 to 2^53. */
function widthOf(range: number): number {
  if (range < 4_294_967_296) return 32 - Math.clz32(range);
  return 64 - Math.clz32(Math.floor(range / 4_294_967_296));
}

/** What `measureBlock` found; one object, reused, because it is filled for every block. */
const measured = { order: 0, width: 0, frame: 0, jumpAt: 0, hasJump: false };

/** Decides order, width and frame for `numbers[from]` up to `numbers[to]` (excluded), and finds its greatest jump. */
function measureBlock(numbers: Float64Array, from: number, to: number): void {
  const first = numbers[from] ?? 0;
  let least = Number.POSITIVE_INFINITY;
  let greatest = Number.NEGATIVE_INFINITY;
  let leastStep = Number.POSITIVE_INFINITY;
  let greatestStep = Number.NEGATIVE_INFINITY;
  let leastStepAt = from;
  let greatestStepAt = from;
  let travelled = 0;
  let previous = first;
  for (let index = from + 1; index < to; index++) {
    const number = numbers[index] ?? 0;
    if (number < least) least = number;
    if (number > greatest) greatest = number;
    const step = number - previous;
    if (step < leastStep) {
      leastStep = step;
      leastStepAt = index;
    }
    if (step > greatestStep) {
      greatestStep = step;
      greatestStepAt = index;
    }
    travelled += Math.abs(step);
    previous = number;
  }
  if (to - from < 2) {
    measured.order = 0;
    measured.width = 0;
    measured.frame = 0;
    measured.hasJump = false;
    return;
  }
  const width = widthOf(greatest - least);
  const stepWidth = widthOf(greatestStep - leastStep);
  measured.order = stepWidth < width ? 1 : 0;
  measured.width = Math.min(width, stepWidth);
  measured.frame = stepWidth < width ? leastStep : least - first;
  const meanStep = (previous - first) / (to - from - 1);
  measured.jumpAt = greatestStep - meanStep > meanStep - leastStep ? greatestStepAt : leastStepAt;
  // Even noise spreads its steps over about six times their mean; a jump stands out further.
  measured.hasJump = measured.width > 1 && (greatestStep - leastStep) * (to - from) > 8 * travelled;
}

/** Where the run that starts at `from` ends (excluded): the last number that continues the first step. */
function runEnd(numbers: Float64Array, from: number, count: number): number {
  const step = (numbers[from + 1] ?? 0) - (numbers[from] ?? 0);
  let end = from + 2;
  while (end < count && (numbers[end] ?? 0) - (numbers[end - 1] ?? 0) === step) end++;
  return end;
}

/** Where the block that starts at `from` best ends (excluded); a jump ends it when that pays. `measured` describes it. */
function chooseBlock(numbers: Float64Array, from: number, count: number): number {
  if (from + 1 < count) {
    const end = runEnd(numbers, from, count);
    if (end === count || end - from >= runMin) {
      measured.order = 1;
      measured.width = 0;
      measured.frame = (numbers[from + 1] ?? 0) - (numbers[from] ?? 0);
      return end;
    }
  }
  let end = Math.min(from + blockCount, count);
  measureBlock(numbers, from, end);
  while (measured.hasJump) {
    const { order, width, frame, jumpAt } = measured;
    measureBlock(numbers, jumpAt, end);
    let saved = (width - measured.width) * (end - jumpAt);
    measureBlock(numbers, from, jumpAt);
    saved += (width - measured.width) * (jumpAt - from);
    if (saved < cutBitsMin) {
      measured.order = order;
      measured.width = width;
      measured.frame = frame;
      break;
    }
    end = jumpAt;
  }
  return end;
}

const differences = new Float64Array(blockCount);
const plane = new Uint32Array(blockCount);

function writePacked(writer: ByteWriter, numbers: Float64Array, from: number, end: number): void {
  const { order, frame, width } = measured;
  const count = end - from - 1;
  let base = (numbers[from] ?? 0) + frame;
  if (width <= packedWidthMax) {
    for (let index = 0; index < count; index++) {
      const number = numbers[from + 1 + index];
      plane[index] = number - base;
      if (order === 1) base = number + frame;
    }
    writePlane(writer, count, width);
    return;
  }
  for (let index = 0; index < count; index++) {
    const number = numbers[from + 1 + index] ?? 0;
    differences[index] = number - base;
    if (order === 1) base = number + frame;
  }
  for (let rest = width; rest > packedWidthMax; rest -= packedWidthMax) {
    for (let index = 0; index < count; index++) {
      const difference = differences[index] ?? 0;
      const above = Math.floor(difference / planeScale);
      plane[index] = difference - above * planeScale;
      differences[index] = above;
    }
    writePlane(writer, count, packedWidthMax);
  }
  for (let index = 0; index < count; index++) plane[index] = differences[index] ?? 0;
  writePlane(writer, count, ((width - 1) % packedWidthMax) + 1);
}

function writePlane(writer: ByteWriter, count: number, width: number): void {
  const length = packedLength(count, width);
  writer.reserve(length);
  packBits(plane, count, width, writer.bytes, writer.position);
  writer.position += length;
}

/** Writes the first `count` (at least 1) of `numbers`, whole and within `integerLimit`, as one column. */
export function writeIntegers(writer: ByteWriter, numbers: Float64Array, count: number): void {
  let from = 0;
  let last = 0;
  while (from < count) {
    const end = chooseBlock(numbers, from, count);
    const length = end - from;
    const hasLength = length !== Math.min(blockCount, count - from);
    writer.reserve(blockHeadBytesMax);
    writer.byte(measured.width | (measured.order === 1 ? orderBit : 0) | (hasLength ? lengthBit : 0));
    if (hasLength) writer.varint(length);
    writer.signedVarint((numbers[from] ?? 0) - last);
    if (length > 1) writer.signedVarint(measured.frame);
    if (measured.width > 0) writePacked(writer, numbers, from, end);
    last = numbers[end - 1] ?? 0;
    from = end;
  }
}

/**
 * Reads a column of `count` numbers into the beginning of `numbers`, each divided by `divisor`. Whatever the bytes are, it
 * ends: every block takes at least one byte and yields at least one number. Numbers from damaged bytes are whole and
 * finite before the division, but may lie beyond `integerLimit`.
 */
export function readIntegers(reader: ByteReader, numbers: Float64Array, count: number, divisor = 1): void {
  let from = 0;
  let last = 0;
  while (from < count) {
    const head = reader.byte();
    const width = head & 0x3f;
    if (width > widthMax) throw new CorruptChunkError(`a block of ${width} bits a number; the widest has ${widthMax}`);
    const left = count - from;
    const length = head >= lengthBit ? reader.varint() : Math.min(blockCount, left);
    if (length < 1 || length > left) throw new CorruptChunkError(`a block of ${length} numbers where ${left} are left`);
    const first = last + reader.signedVarint();
    const end = from + length;
    const isChained = (head & orderBit) !== 0;
    numbers[from] = first / divisor;
    last = first;
    if (length > 1) {
      const frame = reader.signedVarint();
      if (width === 0) last = fillRun(numbers, from + 1, end, { first, frame, isChained, divisor });
      else if (width > packedWidthMax) {
        last = readPlanes(reader, width, numbers, from + 1, end, { first, frame, isChained, divisor });
      } else {
        const at = reader.take(packedLength(end - from - 1, width));
        last = unpackBlock(reader.view, { at, width, frame, first, isChained, divisor }, numbers, from + 1, end);
      }
    }
    from = end;
  }
}

interface Block {
  readonly first: number;
  readonly frame: number;
  readonly isChained: boolean;
  readonly divisor: number;
}

/** Numbers that are all the same, or each the same distance from the one before. */
function fillRun(numbers: Float64Array, from: number, end: number, block: Block): number {
  const { first, frame, isChained, divisor } = block;
  if (!isChained || frame === 0) {
    numbers.fill((first + frame) / divisor, from, end);
    return first + frame;
  }
  let sum = first;
  for (let index = from; index < end; index++) {
    sum += frame;
    numbers[index] = sum / divisor;
  }
  return sum;
}

function readPlanes(
  reader: ByteReader,
  width: number,
  numbers: Float64Array,
  from: number,
  end: number,
  block: Block,
): number {
  const { first, frame, isChained, divisor } = block;
  numbers.fill(isChained ? frame : first + frame, from, end);
  let scale = 1;
  for (let rest = width; rest > 0; rest -= packedWidthMax) {
    const planeWidth = Math.min(rest, packedWidthMax);
    const at = reader.take(packedLength(end - from, planeWidth));
    addUnpackedBits(reader.view, at, planeWidth, scale, numbers, from, end);
    scale *= planeScale;
  }
  let sum = isChained ? first : 0;
  for (let index = from; index < end; index++) {
    sum = (isChained ? sum : 0) + numbers[index];
    numbers[index] = sum / divisor;
  }
  return sum;
}
