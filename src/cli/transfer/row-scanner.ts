/** The forms in which readings lie in files, a row each. */
export const fileFormats = ['csv', 'ndjson', 'influx', 'senml'] as const;
export type FileFormat = (typeof fileFormats)[number];

const [lineFeed, quote, backslash, blank, hash, equals] = [0x0a, 0x22, 0x5c, 0x20, 0x23, 0x3d];
const [braceClosed, carriageReturn] = [0x7d, 0x0d];

/** Finds where rows end in bytes that come in pieces cut anywhere. A row may hold line feeds, in quotes. */
export interface RowScanner {
  /** Index behind the end of the first row that ends in `bytes` at or after `from`; -1 when none does. */
  next(bytes: Uint8Array, from: number): number;
  /** Begins anew, as at the begin of a row. */
  reset(): void;
}

/** JSON has no line feed inside a text. */
class LineScanner implements RowScanner {
  next(bytes: Uint8Array, from: number): number {
    return bytes.indexOf(lineFeed, from) + 1 || -1;
  }

  reset(): void {
    // Lines know nothing of each other.
  }
}

/** RFC 4180: a quote inside quotes is doubled, which is as if they closed and opened again. */
class CsvScanner implements RowScanner {
  #isQuoted = false;

  next(bytes: Uint8Array, from: number): number {
    let isQuoted = this.#isQuoted;
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at];
      if (byte === quote) isQuoted = !isQuoted;
      else if (byte === lineFeed && !isQuoted) {
        this.#isQuoted = false;
        return at + 1;
      }
    }
    this.#isQuoted = isQuoted;
    return -1;
  }

  reset(): void {
    this.#isQuoted = false;
  }
}

/** Where in a line of line protocol; only a field has quotes that mean something, right behind its equals sign. */
type InfluxPlace = 'begin' | 'comment' | 'series' | 'field' | 'text' | 'rest';

class InfluxScanner implements RowScanner {
  #place: InfluxPlace = 'begin';
  #before = 0;

  next(bytes: Uint8Array, from: number): number {
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at];
      if (byte === lineFeed && this.#place !== 'text') {
        this.reset();
        return at + 1;
      }
      this.#place = placeAfter(this.#place, byte, this.#before);
      // A backslash that is escaped in a text escapes nothing.
      this.#before = byte === backslash && this.#before === backslash && this.#place === 'text' ? 0 : byte;
    }
    return -1;
  }

  reset(): void {
    this.#place = 'begin';
    this.#before = 0;
  }
}

function placeAfter(place: InfluxPlace, byte: number, before: number): InfluxPlace {
  switch (place) {
    case 'begin':
      if (byte === hash) return 'comment';
      return byte === blank || byte === carriageReturn ? 'begin' : 'series';
    case 'series':
      return byte === blank && before !== backslash ? 'field' : 'series';
    case 'field':
      if (byte === quote && before === equals) return 'text';
      // Behind the fields stands a blank; but blanks may stand before the first of them, and escaped ones in a key.
      return byte === blank && before !== backslash && before !== blank ? 'rest' : 'field';
    case 'text':
      return byte === quote && before !== backslash ? 'field' : 'text';
    default:
      return place;
  }
}

/** Records of a JSON array, none of which holds another object: each ends with its brace. */
class RecordScanner implements RowScanner {
  #isQuoted = false;
  #isEscaped = false;

  next(bytes: Uint8Array, from: number): number {
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at];
      if (this.#isEscaped) this.#isEscaped = false;
      else if (byte === quote) this.#isQuoted = !this.#isQuoted;
      else if (byte === backslash && this.#isQuoted) this.#isEscaped = true;
      else if (byte === braceClosed && !this.#isQuoted) return at + 1;
    }
    return -1;
  }

  reset(): void {
    this.#isQuoted = false;
    this.#isEscaped = false;
  }
}

const scanners = { ndjson: LineScanner, csv: CsvScanner, influx: InfluxScanner, senml: RecordScanner };

export function rowScanner(format: FileFormat): RowScanner {
  return new scanners[format]();
}
