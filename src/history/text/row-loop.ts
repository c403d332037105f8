import { valueKind } from '../../domain/reading.ts';
import type { SampleColumns } from '../../domain/sample-columns.ts';
import type { ByteSink } from './byte-sink.ts';
import { writeDecimal } from './decimal.ts';
import { falseBytes, TextValues, trueBytes } from './value-text.ts';

/** A row in which the time stands before the value. */
export interface RowShape {
  /** What stands in front of every time, and the time. */
  readonly time: { write(bytes: Uint8Array, at: number, time: number): number; readonly bytesMax: number };
  /** What stands between time and value, by kind of value. */
  readonly number: Uint8Array;
  readonly boolean: Uint8Array;
  readonly text: Uint8Array;
  /** A text value as it is written, quotes and all. */
  readonly quote: (text: string) => string;
  readonly tail: Uint8Array;
}

/** Appends rows `begin` to `end` (excluded). */
export function writeRows(
  shape: RowShape,
  columns: SampleColumns,
  range: { readonly begin: number; readonly end: number },
  out: ByteSink,
): void {
  const { times, values, kinds } = columns;
  const { begin, end } = range;
  const { time, number, tail } = shape;
  const texts = new TextValues(columns, shape.quote);
  const betweenMax = Math.max(number.length, shape.boolean.length, shape.text.length);
  const rowMax = time.bytesMax + betweenMax + texts.longest(columns, begin, end) + tail.length;
  let { bytes } = out;
  let at = out.length;
  for (let row = begin; row < end; row++) {
    if (at + rowMax > bytes.length) {
      out.length = at;
      out.reserve(rowMax);
      bytes = out.bytes;
    }
    at = time.write(bytes, at, times[row]);
    const kind = kinds === null ? valueKind.number : kinds[row];
    if (kind === valueKind.number) {
      at = copy(number, bytes, at);
      at = writeDecimal(bytes, at, values[row]);
    } else if (kind === valueKind.boolean) {
      at = copy(shape.boolean, bytes, at);
      at = copy(values[row] === 0 ? falseBytes : trueBytes, bytes, at);
    } else {
      at = copy(shape.text, bytes, at);
      at = copy(texts.at(values[row]), bytes, at);
    }
    at = copy(tail, bytes, at);
  }
  out.length = at;
}

/** A few bytes: a loop is quicker than `set`, which leaves compiled code. */
export function copy(from: Uint8Array, to: Uint8Array, at: number): number {
  const { length } = from;
  for (let index = 0; index < length; index++) to[at + index] = from[index];
  return at + length;
}
