/**
 * Bit packing: whole numbers of one width side by side, lowest bit first, in little-endian bytes. The last byte is
 * filled up with zero bits.
 */

/** Widest number packed, in bits: together with up to seven bits of its neighbour it still fits a 32-bit word. */
export const packedWidthMax = 24;

/** Bytes that `count` numbers of `width` bits take. */
export function packedLength(count: number, width: number): number {
  return Math.ceil((count * width) / 8);
}

/**
 * Packs the first `count` of `numbers` into `bytes` from position `at`. Each number is below 2^`width`, and `width` is
 * 1 to `packedWidthMax`; `bytes` has room for `packedLength(count, width)`.
 */
export function packBits(numbers: Uint32Array, count: number, width: number, bytes: Uint8Array, at: number): void {
  let position = at;
  let pending = 0;
  let pendingWidth = 0;
  // Two bytes at a time where a number and what is pending before it fit a word together; one test for each number.
  const isNarrow = width <= 16;
  for (let index = 0; index < count; index++) {
    pending |= numbers[index] << pendingWidth;
    pendingWidth += width;
    if (isNarrow) {
      if (pendingWidth < 16) continue;
      bytes[position] = pending;
      bytes[position + 1] = pending >>> 8;
      position += 2;
      pending >>>= 16;
      pendingWidth -= 16;
      continue;
    }
    while (pendingWidth >= 8) {
      bytes[position++] = pending;
      pending >>>= 8;
      pendingWidth -= 8;
    }
  }
  for (; pendingWidth > 0; pendingWidth -= 8) {
    bytes[position++] = pending;
    pending >>>= 8;
  }
}

/** A block of packed differences: where its numbers go, and how one follows from the other. */
export interface PackedBlock {
  /** Where the packed differences start; up to three bytes beyond them are read and must exist. */
  readonly at: number;
  readonly width: number;
  /** Added to each difference. */
  readonly frame: number;
  /** The number before the first difference. */
  readonly first: number;
  /** Each difference is to the number before it; otherwise it is to `first`. */
  readonly isChained: boolean;
  /** What is stored is the number divided by this. */
  readonly divisor: number;
}

/**
 * Unpacks a block into `numbers[from]` up to, not including, `numbers[to]`, in one pass, and returns its last number
 * before the division. A loop for each shape of a block, since this is where reading history spends its time; the
 * differences stay in 32 bits where they fit, because a chain of float additions takes four times as long.
 */
export function unpackBlock(
  view: DataView,
  block: PackedBlock,
  numbers: Float64Array,
  from: number,
  to: number,
): number {
  const { at, width, frame, first, isChained, divisor } = block;
  const mask = (1 << width) - 1;
  let bit = at * 8;
  if (!isChained) {
    const base = first + frame;
    let number = base;
    if (divisor === 1) {
      for (let index = from; index < to; index++) {
        number = base + ((view.getUint32(bit >>> 3, true) >>> (bit & 7)) & mask);
        numbers[index] = number;
        bit += width;
      }
      return number;
    }
    for (let index = from; index < to; index++) {
      number = base + ((view.getUint32(bit >>> 3, true) >>> (bit & 7)) & mask);
      numbers[index] = number / divisor;
      bit += width;
    }
    return number;
  }
  if ((Math.abs(frame) + mask) * (to - from) >= 2 ** 31) return unpackWideChain(view, block, numbers, from, to);
  const step = frame | 0;
  let sum = 0;
  if (divisor === 1) {
    for (let index = from; index < to; index++) {
      sum = (sum + step + ((view.getUint32(bit >>> 3, true) >>> (bit & 7)) & mask)) | 0;
      numbers[index] = first + sum;
      bit += width;
    }
    return first + sum;
  }
  for (let index = from; index < to; index++) {
    sum = (sum + step + ((view.getUint32(bit >>> 3, true) >>> (bit & 7)) & mask)) | 0;
    numbers[index] = (first + sum) / divisor;
    bit += width;
  }
  return first + sum;
}

function unpackWideChain(view: DataView, block: PackedBlock, numbers: Float64Array, from: number, to: number): number {
  const { at, width, frame, first, divisor } = block;
  const mask = (1 << width) - 1;
  let bit = at * 8;
  let sum = first;
  for (let index = from; index < to; index++) {
    sum += frame + ((view.getUint32(bit >>> 3, true) >>> (bit & 7)) & mask);
    numbers[index] = sum / divisor;
    bit += width;
  }
  return sum;
}

/**
 * Adds `scale` times each number at byte `at` of `view` to `sums[from]` up to, not including, `sums[to]`: one plane of
 * differences that are wider than a word. Reads as far as `unpackBlock`.
 */
export function addUnpackedBits(
  view: DataView,
  at: number,
  width: number,
  scale: number,
  sums: Float64Array,
  from: number,
  to: number,
): void {
  const mask = (1 << width) - 1;
  let bit = at * 8;
  for (let index = from; index < to; index++) {
    const word = view.getUint32(bit >>> 3, true) >>> (bit & 7);
    sums[index] = (sums[index] ?? 0) + (word & mask) * scale;
    bit += width;
  }
}
