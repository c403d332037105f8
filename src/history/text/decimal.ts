/** Three digits for each number below 1,000. */
const triples = Uint8Array.from({ length: 3_000 }, (_, at) => 48 + (Math.floor(at / 3 / 10 ** (2 - (at % 3))) % 10));
const [minus, point, zero] = [0x2d, 0x2e, 0x30];

/** Most bytes that a number takes: `-1.2345678901234567e-300`. */
export const decimalBytesMax = 25;

/** Three digits of `value`, 0 … 999. Returns where the next byte goes, as all of these do. */
export function writeTriple(bytes: Uint8Array, at: number, value: number): number {
  const from = value * 3;
  bytes[at] = triples[from];
  bytes[at + 1] = triples[from + 1];
  bytes[at + 2] = triples[from + 2];
  return at + 3;
}

/** Two digits of `value`, 0 … 99. */
export function writePair(bytes: Uint8Array, at: number, value: number): number {
  const from = value * 3;
  bytes[at] = triples[from + 1];
  bytes[at + 1] = triples[from + 2];
  return at + 2;
}

/** A whole number, 0 … 999,999,999. */
export function writeSmall(bytes: Uint8Array, at: number, value: number): number {
  let next = at;
  let rest = value;
  if (value >= 1_000_000) {
    const millions = (value / 1_000_000) | 0;
    rest = value - millions * 1_000_000;
    next = writeHead(bytes, next, millions);
    next = writeTriple(bytes, next, (rest / 1_000) | 0);
    return writeTriple(bytes, next, rest % 1_000);
  }
  if (value >= 1_000) {
    const thousands = (value / 1_000) | 0;
    rest = value - thousands * 1_000;
    next = writeHead(bytes, next, thousands);
    return writeTriple(bytes, next, rest);
  }
  return writeHead(bytes, next, rest);
}

/** A whole number, 0 … 2^53 − 1. */
export function writeWhole(bytes: Uint8Array, at: number, value: number): number {
  if (value < 1e9) return writeSmall(bytes, at, value);
  const billions = Math.floor(value / 1e9);
  const rest = value - billions * 1e9;
  const next = writeSmall(bytes, at, billions);
  const millions = (rest / 1_000_000) | 0;
  const units = rest - millions * 1_000_000;
  writeTriple(bytes, next, millions);
  writeTriple(bytes, next + 3, (units / 1_000) | 0);
  return writeTriple(bytes, next + 6, units % 1_000);
}

/**
 * A finite number exactly as `String(value)` writes it, the shortest decimal that reads back as the same (ECMA-262
 * 6.1.6.1.20). Whole numbers and those of up to six decimals, or nine where they are small, are made by arithmetic: of at
 * most 15 digits no two decimals are the same 64-bit float, so one that divides back to the value is the shortest.
 */
export function writeDecimal(bytes: Uint8Array, at: number, value: number): number {
  let next = at;
  let magnitude = value;
  if (value < 0) {
    bytes[next++] = minus;
    magnitude = -value;
  }
  if (magnitude < 1e9) {
    const small = magnitude | 0;
    if (small === magnitude) return writeSmall(bytes, next, small);
    const millionths = Math.round(magnitude * 1e6);
    if (millionths / 1e6 === magnitude) return writeMillionths(bytes, next, millionths);
    // Coordinates have seven decimals. Below a millionth the language writes an exponent.
    const billionths = Math.round(magnitude * 1e9);
    if (magnitude >= 1e-6 && magnitude < 1e6 && billionths / 1e9 === magnitude) {
      return writeBillionths(bytes, next, billionths);
    }
  } else if (magnitude <= Number.MAX_SAFE_INTEGER && Math.floor(magnitude) === magnitude) {
    return writeWhole(bytes, next, magnitude);
  }
  return writeAscii(bytes, next, String(magnitude));
}

export function writeAscii(bytes: Uint8Array, at: number, text: string): number {
  for (let index = 0; index < text.length; index++) bytes[at + index] = text.charCodeAt(index);
  return at + text.length;
}

/** `millionths` / 10^6, which is not whole, without zeros at the end. */
function writeMillionths(bytes: Uint8Array, at: number, millionths: number): number {
  const whole = Math.floor(millionths / 1e6);
  const fraction = millionths - whole * 1e6;
  let next = writeSmall(bytes, at, whole);
  bytes[next] = point;
  const thousandths = (fraction / 1_000) | 0;
  next = writeTriple(bytes, next + 1, thousandths);
  const rest = fraction - thousandths * 1_000;
  if (rest !== 0) next = writeTriple(bytes, next, rest);
  while (bytes[next - 1] === zero) next--;
  return next;
}

/** `billionths` / 10^9, which has more than six decimals, without zeros at the end. */
function writeBillionths(bytes: Uint8Array, at: number, billionths: number): number {
  const whole = Math.floor(billionths / 1e9);
  const fraction = billionths - whole * 1e9;
  const millionths = Math.floor(fraction / 1e3);
  const thousandths = (millionths / 1_000) | 0;
  let next = writeSmall(bytes, at, whole);
  bytes[next] = point;
  next = writeTriple(bytes, next + 1, thousandths);
  next = writeTriple(bytes, next, millionths - thousandths * 1_000);
  next = writeTriple(bytes, next, fraction - millionths * 1e3);
  while (bytes[next - 1] === zero) next--;
  return next;
}

/** 0 … 999 without zeros in front. */
function writeHead(bytes: Uint8Array, at: number, value: number): number {
  if (value >= 100) return writeTriple(bytes, at, value);
  if (value >= 10) return writePair(bytes, at, value);
  bytes[at] = zero + value;
  return at + 1;
}
