import { valueKind } from '../../domain/reading.ts';
import type { SampleColumns } from '../../domain/sample-columns.ts';
import type { ByteSink } from './byte-sink.ts';
import { decimalBytesMax, writeDecimal, writeWhole } from './decimal.ts';
import { fractionLengths, fractionWords, headLengths, headWords, tripleWords } from './digit-words.ts';
import { copy } from './row-loop.ts';
import type { RowWriter } from './row-writer.ts';
import { falseBytes, TextValues, trueBytes } from './value-text.ts';

const [comma, minus] = [0x2c, 0x2d];

/** The values as JSON with commas between, and in a place of their own the times, epoch ms. */
export const columnWriter: RowWriter = {
  separated: 'part',
  write(columns, begin, end, _label, out, timesOut) {
    if (columns.kinds !== null) writeValues(columns, columns.kinds, begin, end, out);
    for (let from = begin; from < end; from += rowsAtOnce) {
      const to = Math.min(from + rowsAtOnce, end);
      if (columns.kinds === null) writeNumbers(columns.values, from, to, out);
      writeTimes(columns.times, from, to, timesOut);
    }
  },
};

/** Rows for which room is made at once, as much as the longest would take. */
const rowsAtOnce = 4_096;
/** Most bytes that a time takes: the minus and as many digits as a safe whole number has. */
const timeBytesMax = 17;
/** Bytes that a word may write beyond what counts. */
const wordRest = 3;

/**
 * Numbers of up to three decimals below a million, which is most of them, without a call: a number that is handed to a
 * function becomes an object first.
 */
function writeNumbers(values: Float64Array, begin: number, end: number, out: ByteSink): void {
  out.reserve((end - begin) * (decimalBytesMax + 1) + wordRest);
  const { bytes } = out;
  const view = new DataView(bytes.buffer);
  let at = out.length;
  for (let row = begin; row < end; row++) {
    const value = values[row];
    const magnitude = value < 0 ? -value : value;
    const thousandths = magnitude < 1e6 ? (magnitude * 1e3 + 0.5) | 0 : -1;
    if (thousandths / 1e3 !== magnitude) {
      at = writeDecimal(bytes, at, value);
      bytes[at++] = comma;
      continue;
    }
    if (value < 0) bytes[at++] = minus;
    const whole = (thousandths / 1e3) | 0;
    const fraction = thousandths - whole * 1e3;
    if (whole < 1e3) {
      view.setUint32(at, headWords[whole], true);
      at += headLengths[whole];
    } else {
      const head = (whole / 1e3) | 0;
      view.setUint32(at, headWords[head], true);
      at += headLengths[head];
      view.setUint32(at, tripleWords[whole - head * 1e3], true);
      at += 3;
    }
    view.setUint32(at, fractionWords[fraction], true);
    at += fractionLengths[fraction];
    bytes[at++] = comma;
  }
  out.length = at;
}

function writeValues(columns: SampleColumns, kinds: Uint8Array, begin: number, end: number, out: ByteSink): void {
  const { values } = columns;
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
    const kind = kinds[row];
    if (kind === valueKind.number) at = writeDecimal(bytes, at, values[row]);
    else if (kind === valueKind.boolean) at = copy(values[row] === 0 ? falseBytes : trueBytes, bytes, at);
    else at = copy(texts.at(values[row]), bytes, at);
    bytes[at++] = comma;
  }
  out.length = at;
}

/** Times of the next quarter of an hour have all but their last six digits in common, so these are made once. */
const commonMs = 1e6;
/** What they have in common fits two words. */
const [commonFrom, commonTo] = [1e6, 1e14];
const common = new DataView(new ArrayBuffer(24));
const commonBytes = new Uint8Array(common.buffer);

function writeTimes(times: Float64Array, begin: number, end: number, out: ByteSink): void {
  out.reserve((end - begin) * (timeBytesMax + 1) + wordRest);
  const { bytes } = out;
  const view = new DataView(bytes.buffer);
  let at = out.length;
  let base = Number.NaN;
  let length = 0;
  for (let row = begin; row < end; row++) {
    const time = times[row];
    if (!(time >= base && time < base + commonMs)) {
      if (!(time >= commonFrom && time < commonTo)) {
        if (time < 0) bytes[at++] = minus;
        at = writeWhole(bytes, at, Math.abs(time));
        bytes[at++] = comma;
        continue;
      }
      const millions = Math.floor(time / commonMs);
      base = millions * commonMs;
      length = writeWhole(commonBytes, 0, millions);
    }
    view.setUint32(at, common.getUint32(0, true), true);
    view.setUint32(at + 4, common.getUint32(4, true), true);
    at += length;
    const past = (time - base) | 0;
    const seconds = (past / 1e3) | 0;
    view.setUint32(at, tripleWords[seconds], true);
    view.setUint32(at + 3, tripleWords[past - seconds * 1e3] | (comma << 24), true);
    at += 7;
  }
  out.length = at;
}
