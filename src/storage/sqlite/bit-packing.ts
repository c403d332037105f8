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
  for (let index = 0; index < count; index++) {
    pending |= (numbers[index] ?? 0) << pendingWidth;
    pendingWidth += width;
    while (pendingWidth >= 8) {
      bytes[position++] = pending;
      pending >>>= 8;
      pendingWidth -= 8;
    }
  }
  if (pendingWidth > 0) bytes[position] = pending;
}

/**
 * Unpacks the numbers at byte `at` of `view` and adds `scale` times each to `sums[from]` up to, not including,
 * `sums[to]`: sums prepared with a frame of reference need no second pass. Reads up to three bytes beyond the packed
 * ones, which must exist; their content does not matter.
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
