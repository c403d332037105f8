import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { valueKind } from '../../../domain/reading.ts';
import type { SampleColumns } from '../../../domain/sample-columns.ts';
import { type ByteReader, type ByteWriter, CorruptChunkError, chunkCountMax } from './chunk-codec-bytes.ts';
import { readIntegers, writeIntegers } from './chunk-codec-integers.ts';
import { readValues, writeValues } from './chunk-codec-values.ts';

/**
 * Values of any kind, each kind by itself:
 *
 * ```
 *   kinds      byte     0 numbers, 1 booleans, 2 texts throughout · 3 they change: a column of kinds follows
 *   numbers    byte     0 decimal, 1 float bits; then the numbers, as in `chunk-codec.ts`
 *   booleans   byte     0 a column of 0 and 1 · 1, first value of a run, varint runs, column of their lengths
 *   texts      byte     0 plain, 1 deflated (RFC 1951)
 *              varint   bytes of the list that follows, as it stands here
 *              list     varint texts, each once; for each: varint bytes, UTF-8
 *              column   which text of the list, reading for reading
 * ```
 *
 * A kind that does not occur takes nothing. A door that opens now and then is a few runs; a mode is a short list and some
 * bits a reading.
 */
const kindsChange = 3;
const booleansAsRuns = 1;
const textsDeflated = 1;
/** Lists shorter than this are not worth deflating. */
const deflateMin = 96;
/** No list of `chunkCountMax` of the longest texts (256 bytes of UTF-8 and their lengths) is longer. */
const listBytesMax = chunkCountMax * 1_032 + 16;

const scratch = new Float64Array(chunkCountMax);
const lengths = new Float64Array(chunkCountMax);
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Writes the values of rows `begin` to `end` (excluded, at least one). */
export function writeMixed(writer: ByteWriter, columns: SampleColumns, begin: number, end: number): void {
  const kindAt = (row: number): number => columns.kinds?.[row] ?? valueKind.number;
  const first = kindAt(begin);
  let changes = false;
  for (let row = begin; row < end; row++) {
    scratch[row - begin] = kindAt(row);
    if (kindAt(row) !== first) changes = true;
  }
  writer.reserve(1);
  writer.byte(changes ? kindsChange : first);
  if (changes) writeIntegers(writer, scratch, end - begin);
  const pick = (kind: number): number => {
    let count = 0;
    for (let row = begin; row < end; row++) if (kindAt(row) === kind) scratch[count++] = columns.values[row];
    return count;
  };
  let count = pick(valueKind.number);
  if (count > 0) {
    const at = writer.position;
    writer.reserve(1);
    writer.byte(0);
    if (writeValues(writer, scratch, count) === 'bits') writer.bytes[at] = 1;
  }
  count = pick(valueKind.boolean);
  if (count > 0) writeBooleans(writer, count);
  count = pick(valueKind.text);
  if (count > 0) writeTexts(writer, columns.texts, count);
}

/** Writes the first `count` of `scratch`, 0 or 1. */
function writeBooleans(writer: ByteWriter, count: number): void {
  let runs = 0;
  let begin = 0;
  for (let index = 1; index <= count; index++) {
    if (index < count && scratch[index] === scratch[begin]) continue;
    lengths[runs++] = index - begin;
    begin = index;
  }
  const start = writer.position;
  writer.reserve(1);
  writer.byte(0);
  writeIntegers(writer, scratch, count);
  const middle = writer.position;
  writer.reserve(2);
  writer.byte(booleansAsRuns);
  writer.byte(scratch[0]);
  writer.varint(runs);
  writeIntegers(writer, lengths, runs);
  writer.keepShorter(start, middle);
}

/** Writes the texts that the first `count` of `scratch` point to. */
function writeTexts(writer: ByteWriter, texts: readonly string[], count: number): void {
  const places = new Map<string, number>();
  for (let index = 0; index < count; index++) {
    const text = texts[scratch[index]] ?? '';
    let place = places.get(text);
    if (place === undefined) {
      place = places.size;
      places.set(text, place);
    }
    scratch[index] = place;
  }
  const list = listOf([...places.keys()]);
  const deflated = list.length < deflateMin ? list : deflateRawSync(list, { level: constants.Z_BEST_SPEED });
  const isShorter = deflated.length < list.length;
  const bytes = isShorter ? deflated : list;
  writer.reserve(bytes.length + 16);
  writer.byte(isShorter ? textsDeflated : 0);
  writer.varint(bytes.length);
  writer.reserve(bytes.length);
  writer.bytes.set(bytes, writer.position);
  writer.position += bytes.length;
  writeIntegers(writer, scratch, count);
}

function listOf(texts: readonly string[]): Uint8Array {
  const encoded = texts.map((text) => encoder.encode(text));
  const list = new ListWriter(encoded.reduce((sum, text) => sum + text.length + 4, 8));
  list.varint(texts.length);
  for (const text of encoded) {
    list.varint(text.length);
    list.add(text);
  }
  return list.written();
}

/** A list of texts in the making; the writer of the chunk is in use at that time. */
class ListWriter {
  readonly #bytes: Uint8Array;
  #position = 0;

  constructor(length: number) {
    this.#bytes = new Uint8Array(length);
  }

  varint(value: number): void {
    let rest = value;
    for (; rest >= 0x80; rest >>>= 7) this.#bytes[this.#position++] = (rest & 0x7f) | 0x80;
    this.#bytes[this.#position++] = rest;
  }

  add(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#position);
    this.#position += bytes.length;
  }

  written(): Uint8Array {
    return this.#bytes.subarray(0, this.#position);
  }
}

/** Reads `count` values of any kind: the numbers, 0 or 1, or indices of texts into `values`, their kinds and the texts. */
export function readMixed(
  reader: ByteReader,
  values: Float64Array,
  count: number,
): { readonly kinds: Uint8Array<ArrayBuffer>; readonly texts: string[] } {
  const kinds = new Uint8Array(count);
  const kind = reader.byte();
  if (kind > kindsChange) throw new CorruptChunkError(`values of the unknown kind ${kind}`);
  if (kind < kindsChange) kinds.fill(kind);
  else {
    readIntegers(reader, scratch, count);
    for (let row = 0; row < count; row++) {
      const found = scratch[row];
      if (!(found >= 0 && found <= valueKind.text)) {
        throw new CorruptChunkError(`value ${row} is of the unknown kind ${found}`);
      }
      kinds[row] = found;
    }
  }
  const of = [0, 0, 0];
  for (const each of kinds) of[each]++;
  const put = (wanted: number): void => {
    let next = 0;
    for (let row = 0; row < count; row++) if (kinds[row] === wanted) values[row] = scratch[next++];
  };
  if (of[valueKind.number] > 0) {
    readValues(reader, reader.byte() === 0 ? 'decimal' : 'bits', scratch, of[valueKind.number]);
    put(valueKind.number);
  }
  if (of[valueKind.boolean] > 0) {
    readBooleans(reader, of[valueKind.boolean]);
    put(valueKind.boolean);
  }
  let texts: string[] = [];
  if (of[valueKind.text] > 0) {
    texts = readTexts(reader, of[valueKind.text]);
    put(valueKind.text);
  }
  return { kinds, texts };
}

function readBooleans(reader: ByteReader, count: number): void {
  const form = reader.byte();
  if (form > booleansAsRuns) throw new CorruptChunkError(`booleans in the unknown form ${form}`);
  if (form === booleansAsRuns) {
    let value = reader.byte();
    const runs = reader.varint();
    if (runs < 1 || runs > count) throw new CorruptChunkError(`${runs} runs of ${count} booleans`);
    readIntegers(reader, lengths, runs);
    let index = 0;
    for (let run = 0; run < runs; run++, value = 1 - value) {
      const length = lengths[run];
      if (!(length >= 1 && index + length <= count)) throw new CorruptChunkError(`a run of ${length} booleans`);
      scratch.fill(value, index, index + length);
      index += length;
    }
    if (index !== count) throw new CorruptChunkError(`runs of ${index} booleans instead of ${count}`);
  } else {
    readIntegers(reader, scratch, count);
  }
  for (let index = 0; index < count; index++) {
    if (scratch[index] !== 0 && scratch[index] !== 1) {
      throw new CorruptChunkError(`boolean ${index} is ${scratch[index]}`);
    }
  }
}

function readTexts(reader: ByteReader, count: number): string[] {
  const form = reader.byte();
  if (form > textsDeflated) throw new CorruptChunkError(`texts in the unknown form ${form}`);
  const length = reader.varint();
  const at = reader.take(length);
  const bytes = new Uint8Array(reader.view.buffer, reader.view.byteOffset + at, length);
  const texts = textsIn(form === textsDeflated ? inflated(bytes) : bytes, count);
  readIntegers(reader, scratch, count);
  for (let index = 0; index < count; index++) {
    if (!(scratch[index] >= 0 && scratch[index] < texts.length)) {
      throw new CorruptChunkError(`text ${scratch[index]} of ${texts.length}`);
    }
  }
  return texts;
}

function inflated(bytes: Uint8Array): Uint8Array {
  try {
    return inflateRawSync(bytes, { maxOutputLength: listBytesMax });
  } catch (error) {
    throw new CorruptChunkError('a list of texts that cannot be inflated', { cause: error });
  }
}

function textsIn(list: Uint8Array, countMax: number): string[] {
  const view = new DataView(list.buffer, list.byteOffset, list.length);
  let position = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      if (position >= list.length) break;
      const byte = view.getUint8(position++);
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new CorruptChunkError('a list of texts is cut off');
  };
  const count = varint();
  if (count < 1 || count > countMax) throw new CorruptChunkError(`a list of ${count} texts for ${countMax} readings`);
  const texts: string[] = [];
  for (let index = 0; index < count; index++) {
    const length = varint();
    if (length > list.length - position) throw new CorruptChunkError('a list of texts is cut off');
    texts.push(decoder.decode(list.subarray(position, position + length)));
    position += length;
  }
  if (position !== list.length) throw new CorruptChunkError('bytes follow the last text');
  return texts;
}
