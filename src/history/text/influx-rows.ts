import { valueKind } from '../../domain/reading.ts';
import { decimalBytesMax, writeDecimal, writeWhole } from './decimal.ts';
import { copy } from './row-loop.ts';
import type { RowWriter } from './row-writer.ts';
import { encoded, falseBytes, TextValues, trueBytes } from './value-text.ts';

const [blank, zero, minus, lineFeed] = [0x20, 0x30, 0x2d, 0x0a];
/** Milliseconds to nanoseconds. */
const zeros = 6;

/** Line protocol of InfluxDB 2: the metric is the measurement, the device a tag, the field is `value`, times in nanoseconds. */
export const influxWriter: RowWriter = {
  separated: null,
  write(columns, begin, end, { device, metric }, out) {
    const { times, values, kinds } = columns;
    const lead = encoded(`${escaped(metric, /[, ]/g)},device=${escaped(device, /[,= ]/g)} value=`);
    const texts = new TextValues(columns, quotedText);
    const rowMax = lead.length + texts.longest(columns, begin, end) + decimalBytesMax + zeros + 3;
    let { bytes } = out;
    let at = out.length;
    for (let row = begin; row < end; row++) {
      if (at + rowMax > bytes.length) {
        out.length = at;
        out.reserve(rowMax);
        bytes = out.bytes;
      }
      at = copy(lead, bytes, at);
      const kind = kinds === null ? valueKind.number : kinds[row];
      if (kind === valueKind.number) at = writeDecimal(bytes, at, values[row]);
      else if (kind === valueKind.boolean) at = copy(values[row] === 0 ? falseBytes : trueBytes, bytes, at);
      else at = copy(texts.at(values[row]), bytes, at);
      bytes[at++] = blank;
      at = writeNanoseconds(bytes, at, times[row]);
      bytes[at++] = lineFeed;
    }
    out.length = at;
  },
};

function writeNanoseconds(bytes: Uint8Array, at: number, time: number): number {
  let next = at;
  if (time < 0) bytes[next++] = minus;
  next = writeWhole(bytes, next, Math.abs(time));
  if (time === 0) return next;
  for (let index = 0; index < zeros; index++) bytes[next++] = zero;
  return next;
}

function escaped(name: string, special: RegExp): string {
  return name.replaceAll(special, '\\$&');
}

/** In quotes a line may end; only the quote and the backslash are escaped. */
function quotedText(text: string): string {
  return `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
}
