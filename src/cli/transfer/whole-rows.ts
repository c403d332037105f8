import { z } from 'zod';
import { type FileFormat, type RowScanner, rowScanner } from './row-scanner.ts';

const [comma, bracket] = [0x2c, 0x5b];

/**
 * A download that may come in several answers, made one file: rows pass once they are whole, and what the answers after
 * the first repeat (the header of CSV, the bracket of SenML) is left out. So what has passed can always be gone on with.
 */
export class WholeRows {
  readonly #format: FileFormat;
  readonly #scanner: RowScanner;
  /** Begin of a row of which the end has not come; the scanner has seen it. */
  #held: Buffer = Buffer.alloc(0);
  #isFirstOfAnswer = true;
  #last: Buffer = Buffer.alloc(0);
  #passed = 0;
  #count = 0;

  constructor(format: FileFormat) {
    this.#format = format;
    this.#scanner = rowScanner(format);
  }

  /** Bytes that have passed. */
  get passed(): number {
    return this.#passed;
  }

  /** Readings that have passed. */
  get count(): number {
    return this.#count;
  }

  /** Takes the next bytes of an answer, which may be changed, and returns what is whole of them. */
  push(chunk: Buffer): Buffer {
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    let from = 0;
    let begin = 0;
    let end = 0;
    const before = this.#count;
    for (let next = this.#scanner.next(bytes, this.#held.length); next !== -1; next = this.#scanner.next(bytes, next)) {
      begin = end;
      end = next;
      if (this.#isFirstOfAnswer) from = this.#first(bytes, end);
      else this.#count++;
      this.#isFirstOfAnswer = false;
    }
    if (end === 0) {
      this.#held = bytes;
      return Buffer.alloc(0);
    }
    // The header alone says nothing of how far the rows have come.
    if (this.#count > before) this.#last = Buffer.from(bytes.subarray(begin, end));
    this.#held = Buffer.from(bytes.subarray(end));
    this.#passed += end - from;
    return bytes.subarray(from, end);
  }

  /** What ends the file, once the last answer came to its end. */
  finish(): Buffer {
    if (this.#format !== 'senml') return this.#held;
    return this.#passed === 0 ? this.#held : Buffer.from(']');
  }

  /** What comes next is another answer, which goes on behind the last row that has passed. */
  restart(): void {
    this.#scanner.reset();
    this.#held = Buffer.alloc(0);
    this.#isFirstOfAnswer = true;
  }

  /** `device/metric/time` of the last reading that has passed; null before the first. Throws where there is none in it. */
  position(): string | null {
    if (this.#count === 0) return null;
    const position = positions[this.#format](this.#last.toString());
    if (!/^[^/]+\/[^/]+\/[^/]+$/.test(position)) throw new RangeError(`no reading is ${position}`);
    return position;
  }

  /** The first row of an answer is of use from the returned index on. */
  #first(bytes: Buffer, end: number): number {
    const isContinued = this.#passed > 0;
    if (this.#format === 'csv') return isContinued ? end : 0;
    this.#count++;
    if (isContinued && bytes[0] === bracket) bytes[0] = comma;
    return 0;
  }
}

const JsonRow = z.object({ device: z.string(), metric: z.string(), time: z.string() });
const SenmlRecord = z.object({ n: z.string(), t: z.number() });

/** Names and times are never quoted or escaped: they hold nothing for which that is done. */
const positions: Readonly<Record<FileFormat, (row: string) => string>> = {
  csv: (row) => row.split(',', 3).join('/'),
  ndjson(row) {
    const { device, metric, time } = JsonRow.parse(JSON.parse(row));
    return `${device}/${metric}/${time}`;
  },
  influx(row) {
    const [, metric = '', device = ''] = /^([^,]+),device=([^ ]+) /.exec(row) ?? [];
    // Nanoseconds; the gateway counts milliseconds.
    const time = row.trimEnd().split(' ').at(-1)?.slice(0, -6);
    return `${device}/${metric}/${time}`;
  },
  senml(row) {
    const { n, t } = SenmlRecord.parse(JSON.parse(row.replace(/^[[,]/, '')));
    return `${n}/${Math.round(t * 1_000)}`;
  },
};
