import { valueKind } from '../../domain/reading.ts';
import { decimalBytesMax, writeDecimal, writeWhole } from './decimal.ts';
import { copy } from './row-loop.ts';
import type { RowWriter } from './row-writer.ts';
import { falseBytes, TextValues, trueBytes } from './value-text.ts';

const [comma, minus] = [0x2c, 0x2d];

/** The values as JSON with commas between, and in a place of their own the times, epoch ms. */
export const columnWriter: RowWriter = {
  separated: 'part',
  write(columns, begin, end, _label, out, timesOut) {
    const { times, values, kinds } = columns;
    const texts = new TextValues(columns, JSON.stringify);
    const valueMax = texts.longest(columns, begin, end) + 1;
    let { bytes } = out;
    let at = out.length;
    for (let row = begin; row < end; row++) {
      if (at + valueMax > bytes.length) {
        out.length = at;
        out.reserve(valueMax);
        bytes = out.bytes;
      }
      const kind = kinds === null ? valueKind.number : kinds[row];
      if (kind === valueKind.number) at = writeDecimal(bytes, at, values[row]);
      else if (kind === valueKind.boolean) at = copy(values[row] === 0 ? falseBytes : trueBytes, bytes, at);
      else at = copy(texts.at(values[row]), bytes, at);
      bytes[at++] = comma;
    }
    out.length = at;

    timesOut.reserve((end - begin) * decimalBytesMax);
    bytes = timesOut.bytes;
    at = timesOut.length;
    for (let row = begin; row < end; row++) {
      const time = times[row];
      if (time < 0) bytes[at++] = minus;
      at = writeWhole(bytes, at, Math.abs(time));
      bytes[at++] = comma;
    }
    timesOut.length = at;
  },
};
