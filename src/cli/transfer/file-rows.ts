import { type FileFormat, type RowScanner, rowScanner } from './row-scanner.ts';

/** A row of a file, without having been read. */
export interface FileRow {
  readonly bytes: Buffer;
  /** Where it begins, in the file as it is unpacked. */
  readonly begin: number;
  /** The line on which it begins, from 1. */
  readonly line: number;
}

/** Longer rows there are not; a quote that nobody closes must not swallow the rest of the file. */
export const rowBytesMax = 65_536;

const lineFeed = 0x0a;

/** Cuts a file into rows, in constant memory. A row beyond `rowBytesMax` ends at its first line feed, or there. */
export class FileRows {
  readonly #scanner: RowScanner;
  /** Begin of a row of which the end has not come; the scanner has seen it. */
  #held: Buffer = Buffer.alloc(0);
  #begin: number;
  #line: number;

  constructor(format: FileFormat, { begin, line }: Pick<FileRow, 'begin' | 'line'> = { begin: 0, line: 1 }) {
    this.#scanner = rowScanner(format);
    this.#begin = begin;
    this.#line = line;
  }

  /** Where the next row begins. */
  get position(): Pick<FileRow, 'begin' | 'line'> {
    return { begin: this.#begin, line: this.#line };
  }

  push(chunk: Buffer): readonly FileRow[] {
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const rows: FileRow[] = [];
    let at = 0;
    let seen = this.#held.length;
    for (;;) {
      let end = this.#scanner.next(bytes, seen);
      if (end === -1) {
        if (bytes.length - at <= rowBytesMax) break;
        end = bytes.indexOf(lineFeed, at) + 1 || bytes.length;
        this.#scanner.reset();
      }
      rows.push(this.#row(bytes.subarray(at, end)));
      at = end;
      seen = end;
    }
    this.#held = Buffer.from(bytes.subarray(at));
    return rows;
  }

  /** The last row, where nothing ends it. */
  finish(): readonly FileRow[] {
    const held = this.#held;
    this.#held = Buffer.alloc(0);
    return held.length === 0 ? [] : [this.#row(held)];
  }

  #row(bytes: Buffer): FileRow {
    const row = { bytes, begin: this.#begin, line: this.#line };
    this.#begin += bytes.length;
    for (let feed = bytes.indexOf(lineFeed); feed !== -1; feed = bytes.indexOf(lineFeed, feed + 1)) this.#line++;
    return row;
  }
}

/**
 * What is behind the first line of a row that cannot be read, as rows of their own: the quote that joined the lines was
 * none, and the lines after it may be good.
 */
export function rowsBehindFirstLine(row: FileRow, format: FileFormat): { first: FileRow; rest: readonly FileRow[] } {
  const cut = row.bytes.indexOf(lineFeed) + 1 || row.bytes.length;
  const rest = new FileRows(format, { begin: row.begin + cut, line: row.line + 1 });
  const rows = [...rest.push(row.bytes.subarray(cut)), ...rest.finish()];
  return { first: { ...row, bytes: row.bytes.subarray(0, cut) }, rest: rows };
}
