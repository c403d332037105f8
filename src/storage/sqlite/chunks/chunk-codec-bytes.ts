/** Readings a chunk holds at most. */
export const chunkCountMax = 4096;

/** Bytes that `encodeChunk` did not write so: cut off, damaged, or of another version. Reading again will not help. */
export class CorruptChunkError extends Error {
  override readonly name = 'CorruptChunkError';
}

/** Longest varint: eight groups of seven bits hold the 53 bits of a whole number. */
const varintBytesMax = 8;

/** Bytes being written; grows as needed and is reused from chunk to chunk. */
export class ByteWriter {
  bytes = new Uint8Array(16_384);
  position = 0;
  #view = new DataView(this.bytes.buffer);

  /** Makes sure that `count` more bytes fit; the multi-byte writes below do so themselves, `byte` does not. */
  reserve(count: number): void {
    const needed = this.position + count;
    if (needed <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    larger.set(this.bytes);
    this.bytes = larger;
    this.#view = new DataView(larger.buffer);
  }

  byte(value: number): void {
    this.bytes[this.position++] = value;
  }

  uint32(value: number): void {
    this.reserve(4);
    this.#view.setUint32(this.position, value, true);
    this.position += 4;
  }

  float64(value: number): void {
    this.reserve(8);
    this.#view.setFloat64(this.position, value, true);
    this.position += 8;
  }

  /** LEB128 of a whole number from 0 to 2^53 - 1. */
  varint(value: number): void {
    this.reserve(varintBytesMax);
    let rest = value;
    while (rest >= 0x80) {
      this.byte((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.byte(rest);
  }

  /** Zigzag LEB128 of a whole number between -2^52 and 2^52, both excluded: 0, -1, 1, -2 … become 0, 1, 2, 3 … */
  signedVarint(value: number): void {
    this.varint(value < 0 ? -2 * value - 1 : 2 * value);
  }

  /** Of two pieces, `start` to `middle` and `middle` to here, keeps the shorter one, at `start`; the first when equal. */
  keepShorter(start: number, middle: number): 'first' | 'second' {
    if (this.position - middle >= middle - start) {
      this.position = middle;
      return 'first';
    }
    this.bytes.copyWithin(start, middle, this.position);
    this.position = start + this.position - middle;
    return 'second';
  }
}

/** Bytes being read, from `position` up to `end`. Whatever would pass `end` throws `CorruptChunkError`. */
export class ByteReader {
  readonly view: DataView;
  readonly end: number;
  position: number;

  constructor(bytes: Uint8Array, position: number, end: number) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.position = position;
    this.end = end;
  }

  /** Passes over `count` bytes and returns where they start. */
  take(count: number): number {
    const start = this.position;
    if (count > this.end - start) {
      throw new CorruptChunkError(`chunk ends at byte ${this.end}, ${count} more were expected from byte ${start} on`);
    }
    this.position = start + count;
    return start;
  }

  byte(): number {
    return this.view.getUint8(this.take(1));
  }

  float64(): number {
    return this.view.getFloat64(this.take(8), true);
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let group = 0; group < varintBytesMax; group++) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
      scale *= 0x80;
    }
    throw new CorruptChunkError(`the varint before byte ${this.position} is beyond 2^53`);
  }

  signedVarint(): number {
    const folded = this.varint();
    return folded % 2 === 0 ? folded / 2 : -(folded + 1) / 2;
  }
}
