import { isMetricName } from '../domain/series.ts';
import type { DecodedMessage } from './native.ts';

/** A name as a member of a payload, with its bytes to compare against. */
interface KnownName {
  readonly bytes: Uint8Array;
  readonly name: string;
}

const blank = 0x20;
const quote = 0x22;
const comma = 0x2c;
const minus = 0x2d;
const dot = 0x2e;
const zero = 0x30;
const nine = 0x39;
const colon = 0x3a;
const backslash = 0x5c;
const opening = 0x7b;
const closing = 0x7d;

/** A number of so many digits, and the powers of ten below, are exact as 64-bit floats, so their quotient is rounded once. */
const digitsMax = 15;
const powersOfTen = Float64Array.from({ length: digitsMax + 1 }, (_, exponent) => 10 ** exponent);

/** Names lately seen, by a hash of their bytes; one that comes takes the place of the one that is there. */
const names: (KnownName | undefined)[] = Array.from({ length: 1_024 }, () => undefined);
/** `['/ts', '/ts', …]` by length, because every message needs one. */
const pointers: Readonly<Record<'ts' | 'time', (readonly string[])[]>> = { ts: [], time: [] };
const membersMax = 64;

/** Where reading stopped; module state, because a reader object for every message would cost more than the reading. */
let at = 0;

interface FlatReading {
  readonly metric: string;
  time: number | null;
  readonly value: number | boolean;
}

/**
 * The payload that most devices send, `{"ts":1790000000000,"temperature":21.4,"on":true}`, read straight from its bytes in
 * a fraction of the time that a general parser takes. Answers null for whatever is not plainly that (another shape, a name
 * twice, an escape, an exponent, more digits than are exact, a blank at an odd place, any fault): the general reader
 * decides then, so what this one accepts must mean the same there.
 */
export function decodeFlat(payload: Uint8Array): DecodedMessage | null {
  if (payload[0] !== opening) return null;
  const readings: FlatReading[] = [];
  let time: number | null = null;
  let timeName: 'ts' | 'time' = 'ts';
  at = 1;
  for (let members = 0; members < membersMax; members++) {
    const name = readName(payload);
    if (name === null) return null;
    const value = readValue(payload);
    if (value === null) return null;
    if (name !== 'ts' && name !== 'time') {
      for (let index = 0; index < readings.length; index++) if (readings[index].metric === name) return null;
      readings.push({ metric: name, time, value });
    } else {
      if (time !== null || typeof value !== 'number' || !isPlainTime(value)) return null;
      time = value;
      timeName = name;
      for (let index = 0; index < readings.length; index++) readings[index].time = value;
    }
    const next = payload[at++];
    if (next === comma) continue;
    if (next !== closing || at !== payload.length || readings.length === 0) return null;
    return { readings, timePointers: pointersTo(timeName, readings.length), truncated: 0 };
  }
  return null;
}

/** A name and the colon behind it; null when it is not plain. */
function readName(payload: Uint8Array): string | null {
  if (payload[at] === blank) at++;
  if (payload[at++] !== quote) return null;
  const start = at;
  let hash = 0;
  for (let byte = payload[at]; byte !== quote; byte = payload[++at]) {
    // What is beyond the end is undefined, and refused like control characters and what is not ASCII.
    if (!(byte > blank && byte < 0x7f) || byte === backslash) return null;
    hash = (Math.imul(hash, 31) + byte) | 0;
  }
  const end = at++;
  if (payload[at++] !== colon) return null;
  if (payload[at] === blank) at++;
  const slot = (hash ^ (hash >>> 10)) & (names.length - 1);
  const known = names[slot];
  if (known !== undefined && isSame(known.bytes, payload, start, end)) return known.name;
  return learn(slot, payload, start, end);
}

function isSame(known: Uint8Array, payload: Uint8Array, start: number, end: number): boolean {
  if (known.length !== end - start) return false;
  for (let index = 0; index < known.length; index++) if (known[index] !== payload[start + index]) return false;
  return true;
}

function learn(slot: number, payload: Uint8Array, start: number, end: number): string | null {
  const bytes = Uint8Array.prototype.slice.call(payload, start, end);
  const name = String.fromCharCode(...bytes);
  // Names of digits come first in an object, whatever the order of the text.
  if (name === 'values' || /^\d+$/.test(name) || !isMetricName(name)) return null;
  names[slot] = { bytes, name };
  return name;
}

/** A number, true or false; null when it is not plain. */
function readValue(payload: Uint8Array): number | boolean | null {
  const first = payload[at];
  if (first === 0x74) return readWord(payload, 'true', true);
  if (first === 0x66) return readWord(payload, 'false', false);
  if (first === minus) at++;
  const start = at;
  let mantissa = 0;
  let byte = payload[at];
  while (byte >= zero && byte <= nine) {
    mantissa = mantissa * 10 + (byte - zero);
    byte = payload[++at];
  }
  let digits = at - start;
  // RFC 8259 section 6: at least one digit, and no zero in front of others.
  if (digits === 0 || (digits > 1 && payload[start] === zero)) return null;
  let decimals = 0;
  if (byte === dot) {
    const point = at;
    byte = payload[++at];
    while (byte >= zero && byte <= nine) {
      mantissa = mantissa * 10 + (byte - zero);
      byte = payload[++at];
    }
    decimals = at - point - 1;
    if (decimals === 0) return null;
    digits += decimals;
  }
  if (digits > digitsMax) return null;
  const size = decimals === 0 ? mantissa : mantissa / powersOfTen[decimals];
  return first === minus ? -size : size;
}

function readWord(payload: Uint8Array, word: string, meaning: boolean): boolean | null {
  for (let index = 0; index < word.length; index++) if (payload[at++] !== word.charCodeAt(index)) return null;
  return meaning;
}

/** Within what `decodeTime` takes as it is; everything else is for it to judge. */
function isPlainTime(value: number): boolean {
  return value >= 1e11 && Number.isInteger(value);
}

function pointersTo(name: 'ts' | 'time', count: number): readonly string[] {
  return (pointers[name][count] ??= Array.from({ length: count }, () => `/${name}`));
}
