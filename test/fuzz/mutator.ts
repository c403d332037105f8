import { isUtf8 } from 'node:buffer';
import type { Random } from '../../src/base/random.ts';

/** Most bytes of an input, unless the caller says otherwise. */
const lengthMax = 4_096;

/** Where the grammars of text turn, the ends of ranges, what is no UTF-8, and names that mean something to JavaScript. */
const tokens: readonly Buffer[] = [
  ...'{}[]",:\\=/#+$* \n\r\t\0-.0123456789eEitTfn_'.split(''),
  '1e400',
  '-1e400',
  '5e-324',
  '-0',
  '9007199254740993',
  '-9223372036854775809',
  '18446744073709551616',
  '1'.repeat(400),
  `0.${'0'.repeat(400)}1`,
  'NaN',
  'Infinity',
  'null',
  'true',
  '"__proto__"',
  'constructor',
  'hasOwnProperty',
  '\\u0000',
  '\\ud800',
  '\\udfff\\ud800',
  '"ts":1e13',
  '"ts":8640000000000001',
  '"time":"+275760-09-13T00:00:00.001Z"',
  '\u{1f321}',
  '\ufeff',
  '\u2028',
].map((text) => Buffer.from(text));
const bytes: readonly Buffer[] = [
  [0xc0, 0x80],
  [0xed, 0xa0, 0x80],
  [0xf4, 0x90, 0x80, 0x80],
  [0xff, 0xfe],
  [0x80],
  [0x7f, 0xff, 0xff, 0xff],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
  [0xff, 0xff, 0xff, 0x7f],
  // CBOR: an array, a byte string and a text of 2^32 - 1, of 2^64 - 1, and of no end; a bignum; a tag without end.
  [0x9a, 0xff, 0xff, 0xff, 0xff],
  [0x5a, 0xff, 0xff, 0xff, 0xff],
  [0x7b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0x9f],
  [0xbf],
  [0xc2, 0x49, 0x01, 0, 0, 0, 0, 0, 0, 0, 0],
  [0xdb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0xfb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0],
].map((row) => Buffer.from(row));
const dictionary = { text: tokens, binary: [...tokens, ...bytes] };

/** What opens one more level: JSON arrays and objects, a CBOR array and map of one, a CBOR tag, a Protobuf message. */
const openingTexts = ['[', '{"a":', '[{"v":', '{"values":'].map((text) => Buffer.from(text));
const openingBytes = [[0x81], [0xa1, 0x61, 0x61], [0xc1], [0x9f], [0x0b], [0x12, 0x7f]].map((row) => Buffer.from(row));
const openings = { text: openingTexts, binary: [...openingTexts, ...openingBytes] };

/** Text stays UTF-8 most of the time, or little would be found out but that it is none. */
type Looks = 'text' | 'binary';

/** Makes inputs that are nearly right out of inputs that are right. */
export class Mutator {
  readonly #random: Random;
  readonly #lengthMax: number;
  #looks: Looks = 'binary';

  constructor(random: Random, bytesMax = lengthMax) {
    this.#random = random;
    this.#lengthMax = bytesMax;
  }

  /** Whether something that happens once in `times` happens. */
  once(times: number): boolean {
    return this.below(times) === 0;
  }

  /** 0 … count − 1. */
  below(count: number): number {
    return Math.floor(this.#random.next() * count);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)];
  }

  /** One of the seeds, as it is once in ten times; else changed once or several times. */
  mutated(seeds: readonly Uint8Array[]): Buffer {
    let input: Buffer = Buffer.from(this.pick(seeds));
    if (this.once(10)) return input;
    this.#looks = isUtf8(input) && !this.once(4) ? 'text' : 'binary';
    do input = this.#change(input, seeds).subarray(0, this.#lengthMax);
    while (!this.once(3));
    return input;
  }

  /** The same in pieces cut anywhere. */
  pieces(input: Buffer): readonly Buffer[] {
    const pieces: Buffer[] = [];
    let from = 0;
    while (from < input.length && !this.once(4)) {
      const to = from + 1 + this.below(input.length - from);
      pieces.push(input.subarray(from, to));
      from = to;
    }
    if (from < input.length) pieces.push(input.subarray(from));
    return pieces;
  }

  #change(input: Buffer, seeds: readonly Uint8Array[]): Buffer {
    const at = this.below(input.length + 1);
    const end = Math.min(input.length, at + 1 + this.below(this.once(4) ? input.length + 1 : 8));
    switch (this.below(12)) {
      case 0:
        return input.subarray(0, at);
      case 1:
        return joined(input.subarray(0, at), input.subarray(end));
      case 2: {
        const other = this.pick(seeds);
        return joined(input.subarray(0, at), other.subarray(this.below(other.length + 1)));
      }
      case 3:
        return this.#repeated(input, at, end);
      case 4:
        return this.#nested(input, at);
      case 5:
      case 6:
      case 7:
        return joined(input.subarray(0, at), this.pick(dictionary[this.#looks]), input.subarray(at));
      case 8:
        return joined(input.subarray(0, at), this.pick(dictionary[this.#looks]), input.subarray(end));
      case 9:
        // A digit more or less, a bit of a length or a type.
        return this.#withByte(input, at, (value) => value ^ (1 << this.below(this.#looks === 'text' ? 7 : 8)));
      default:
        return this.#withByte(input, at, () => this.below(this.#looks === 'text' ? 128 : 256));
    }
  }

  #withByte(input: Buffer, at: number, next: (value: number) => number): Buffer {
    if (at < input.length) input[at] = next(input[at]);
    return input;
  }

  #repeated(input: Buffer, at: number, end: number): Buffer {
    const piece = input.subarray(at, end);
    if (piece.length === 0) return input;
    const times = this.once(20) ? Math.floor(this.#lengthMax / piece.length) : 1 + this.below(8);
    return joined(input.subarray(0, at), ...Array.from({ length: times }, () => piece), input.subarray(at));
  }

  #nested(input: Buffer, at: number): Buffer {
    const opening = this.pick(openings[this.#looks]);
    const times = this.once(20) ? Math.floor(this.#lengthMax / opening.length) : 1 + this.below(64);
    return joined(input.subarray(0, at), Buffer.alloc(times * opening.length, opening), input.subarray(at));
  }
}

/** A copy always, so that a change never reaches what it was made of. */
function joined(...parts: readonly Uint8Array[]): Buffer {
  return Buffer.concat(parts);
}
