import { RejectedError } from '../base/errors.ts';
import type { Value } from '../domain/reading.ts';
import { decodeValue } from './value.ts';

/** One line of InfluxDB line protocol; names and texts with their escapes resolved. */
export interface LinePoint {
  readonly measurement: string;
  /** RFC 6901 in form, a place in a text in meaning: `/line/3/column/17`, both counted from 1. */
  readonly pointer: string;
  readonly tags: readonly LineTag[];
  readonly fields: readonly LineField[];
  /** Decimal digits, perhaps with a sign; null where the line has none. */
  readonly timestamp: string | null;
  /** Where the timestamp stands, or would stand. */
  readonly timestampPointer: string;
}

export interface LineTag {
  readonly key: string;
  readonly value: string;
  readonly pointer: string;
}

export interface LineField {
  readonly key: string;
  readonly value: Value;
  readonly pointer: string;
}

const [tab, lineFeed, carriageReturn, blank, quote, hash] = [0x09, 0x0a, 0x0d, 0x20, 0x22, 0x23];
const [comma, equals, backslash] = [0x2c, 0x3d, 0x5c];

const decimal = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/;
const integer = /^[+-]?\d+i$/;
const unsigned = /^\+?\d+u$/;
const notFinite = /^[+-]?(nan|inf|infinity)$/i;

/**
 * Reads InfluxDB line protocol point by point, as the documentation of InfluxDB 2 describes it:
 * `measurement,tag=value field=1.5,other=2i 1790000000000000000`. A backslash escapes a comma, a blank and (but in
 * measurements) an equals sign; before anything else it stands for itself. Texts stand in double quotes, in which `\"`
 * and `\\` are escapes and a line may end. Blank lines and lines that begin with `#` are skipped; lines end with LF or CRLF.
 * Linear in the length of the text, whatever it holds.
 */
export class LineReader {
  readonly #text: string;
  #at = 0;
  /** The line of `#at`, from 1, and where it begins. */
  #line = 1;
  #lineStart = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** The next point; null at the end. Throws `RejectedError`; after `skipLine` the next call goes on behind the fault. */
  next(): LinePoint | null {
    this.#skipToPoint();
    if (this.#at >= this.#text.length) return null;
    const pointer = this.#pointer();
    const measurement = this.#name('measurement', comma, blank);
    const tags = this.#tags();
    this.#skipBlanks();
    const fields = this.#fields();
    this.#skipBlanks();
    const timestampPointer = this.#pointer();
    const timestamp = this.#isAtLineEnd() ? null : this.#token();
    this.#skipBlanks();
    if (!this.#isAtLineEnd()) throw this.#fault('payload_invalid', 'nothing may follow the timestamp');
    return { measurement, pointer, tags, fields, timestamp, timestampPointer };
  }

  /** Leaves the rest of the line that the last fault was in. */
  skipLine(): void {
    const end = this.#text.indexOf('\n', this.#at);
    this.#at = end === -1 ? this.#text.length : end;
  }

  #skipToPoint(): void {
    for (;;) {
      this.#skipBlanks();
      if (this.#at >= this.#text.length) return;
      const code = this.#text.charCodeAt(this.#at);
      if (code === hash) this.skipLine();
      else if (code === carriageReturn && this.#isAtLineEnd()) this.#at++;
      else if (code === lineFeed) this.#startLine(this.#at + 1);
      else return;
    }
  }

  #tags(): readonly LineTag[] {
    const tags: LineTag[] = [];
    while (this.#text.charCodeAt(this.#at) === comma) {
      this.#at++;
      const pointer = this.#pointer();
      const key = this.#name('tag key', equals, -1);
      this.#at++;
      tags.push({ key, value: this.#name('tag value', comma, blank), pointer });
    }
    return tags;
  }

  #fields(): readonly LineField[] {
    const fields: LineField[] = [];
    for (;;) {
      const pointer = this.#pointer();
      const key = this.#name('field key', equals, -1);
      this.#at++;
      fields.push({ key, value: this.#value(), pointer });
      if (this.#text.charCodeAt(this.#at) !== comma) break;
      this.#at++;
    }
    if (this.#isAtBlank() || this.#isAtLineEnd()) return fields;
    throw this.#fault('payload_invalid', 'after a field comes a comma, a blank or the end of the line');
  }

  /** A measurement, key or tag value up to one of the two characters that end it; -1 for none. */
  #name(what: string, end: number, otherEnd: number): string {
    const text = this.#text;
    const start = this.#at;
    let isEscaped = false;
    while (this.#at < text.length) {
      const code = text.charCodeAt(this.#at);
      if (code === end || code === otherEnd) break;
      if (code === lineFeed || (code === carriageReturn && this.#isAtLineEnd())) break;
      if (code === backslash && this.#escapes(text.charCodeAt(this.#at + 1), what)) {
        isEscaped = true;
        this.#at++;
      } else if (code === comma || code === blank || (code === equals && what !== 'measurement')) {
        throw this.#fault('payload_invalid', `${shownCode(code)} in a ${what} must be escaped with a backslash`);
      }
      this.#at++;
    }
    if (this.#at === start) throw this.#fault('payload_invalid', `a ${what} is missing`);
    if (end === equals && text.charCodeAt(this.#at) !== equals) {
      throw this.#fault('payload_invalid', `the ${what} has no "=" and no value`);
    }
    if (what === 'measurement' && this.#isAtLineEnd()) {
      throw this.#fault('payload_invalid', 'the line has no field; write measurement field=1');
    }
    const raw = text.slice(start, this.#at);
    return isEscaped ? raw.replaceAll(what === 'measurement' ? /\\([, ])/g : /\\([, =])/g, '$1') : raw;
  }

  #escapes(code: number, what: string): boolean {
    return code === comma || code === blank || (code === equals && what !== 'measurement');
  }

  #value(): Value {
    const pointer = this.#pointer();
    if (this.#text.charCodeAt(this.#at) === quote) return decodeValue(this.#quoted(pointer), pointer);
    const token = this.#token();
    if (decimal.test(token)) return decodeValue(Number(token), pointer);
    if (integer.test(token)) return whole(token, -(2n ** 63n), 2n ** 63n - 1n, pointer);
    if (unsigned.test(token)) return whole(token, 0n, 2n ** 64n - 1n, pointer);
    switch (token) {
      case 't':
      case 'T':
      case 'true':
      case 'True':
      case 'TRUE':
        return true;
      case 'f':
      case 'F':
      case 'false':
      case 'False':
      case 'FALSE':
        return false;
      case '':
        throw new RejectedError('value_invalid', 'the field has no value', { pointer });
      default:
    }
    if (notFinite.test(token)) {
      throw new RejectedError('value_not_finite', `"${token}" is not a finite number`, { pointer });
    }
    throw new RejectedError(
      'value_invalid',
      `"${token.slice(0, 40)}" is no number (1, 1.5, 1i, 1u), no boolean (t, true, f, false) and no text in double quotes`,
      { pointer },
    );
  }

  #quoted(pointer: string): string {
    const text = this.#text;
    const start = this.#at + 1;
    let end = start;
    let isEscaped = false;
    for (;;) {
      const code = text.charCodeAt(end);
      if (Number.isNaN(code)) throw new RejectedError('payload_invalid', 'the text has no closing quote', { pointer });
      if (code === quote) break;
      if (code === backslash) isEscaped = true;
      const next = code === backslash ? text.charCodeAt(end + 1) : Number.NaN;
      end += next === quote || next === backslash ? 2 : 1;
    }
    this.#at = end + 1;
    const raw = text.slice(start, end);
    for (let feed = raw.indexOf('\n'); feed !== -1; feed = raw.indexOf('\n', feed + 1)) {
      this.#line++;
      this.#lineStart = start + feed + 1;
    }
    return isEscaped ? raw.replaceAll(/\\(["\\])/g, '$1') : raw;
  }

  /** What stands up to the next comma, blank or end of the line. */
  #token(): string {
    const start = this.#at;
    while (this.#at < this.#text.length && !this.#isAtBlank() && !this.#isAtLineEnd()) {
      if (this.#text.charCodeAt(this.#at) === comma) break;
      this.#at++;
    }
    return this.#text.slice(start, this.#at);
  }

  #skipBlanks(): void {
    while (this.#isAtBlank()) this.#at++;
  }

  #isAtBlank(): boolean {
    const code = this.#text.charCodeAt(this.#at);
    return code === blank || code === tab;
  }

  #isAtLineEnd(): boolean {
    if (this.#at >= this.#text.length) return true;
    const code = this.#text.charCodeAt(this.#at);
    if (code !== carriageReturn) return code === lineFeed;
    return this.#at + 1 === this.#text.length || this.#text.charCodeAt(this.#at + 1) === lineFeed;
  }

  #startLine(at: number): void {
    this.#at = at;
    this.#line++;
    this.#lineStart = at;
  }

  #pointer(): string {
    return `/line/${this.#line}/column/${this.#at - this.#lineStart + 1}`;
  }

  #fault(code: string, detail: string): RejectedError {
    return new RejectedError(code, detail, { pointer: this.#pointer() });
  }
}

/** A 64-bit integer as the nearest 64-bit float: exact up to 2^53. */
function whole(token: string, min: bigint, max: bigint, pointer: string): number {
  const digits = token.slice(0, -1);
  if (digits.length < 16) return Number(digits);
  // A sign and 20 digits at most: longer ones do not fit, and are not worth converting to find that out.
  const exact = digits.length <= 21 ? BigInt(digits.replace('+', '')) : max + 1n;
  if (exact >= min && exact <= max) return Number(exact);
  throw new RejectedError('value_invalid', `${token.slice(0, 40)} does not fit into 64 bits`, { pointer });
}

function shownCode(code: number): string {
  return code === blank ? 'a blank' : `"${String.fromCharCode(code)}"`;
}
