import { Buffer } from 'node:buffer';
import type { Clock } from '../../base/clock.ts';
import { messageOf, RejectedError } from '../../base/errors.ts';
import type { Random } from '../../base/random.ts';
import type { InfluxPrecision } from '../../decode/influx.ts';
import type { Reading } from '../../domain/reading.ts';
import { ImportFileError } from '../device-table.ts';
import { type FileRow, FileRows, rowBytesMax, rowsBehindFirstLine } from './file-rows.ts';
import type { GatewayClient } from '../gateway-client.ts';
import { ImportLanes, type RefusedRow, type Tally } from './import-lanes.ts';
import { headOf, type ImportMark, removeMark, writeMark } from './import-mark.ts';
import { ImportSource } from './import-source.ts';
import { countText, Progress, type ProgressParts } from './progress.ts';
import { RefusedRows } from './refused-rows.ts';
import { csvReader, type ImportFormat, influxReader, readNdjson, type RowReader } from './row-readings.ts';

export interface FileImportParts {
  /** `-` for standard input. */
  readonly file: string;
  /** Bytes on disk; null where nobody knows. */
  readonly size: number | null;
  /** Where to go on. */
  readonly mark: ImportMark | null;
  /** null: what the name or the first bytes say. */
  readonly format: ImportFormat | null;
  readonly precision: InfluxPrecision;
  readonly refusedPath: string;
  readonly gateway: GatewayClient;
  readonly out: ProgressParts['out'];
  readonly clock: Clock;
  readonly random: Random;
}

/** How often what is acknowledged is written down, ms. */
const markEveryMs = 2_000;

/** One file on its way into the gateway. */
export class FileImport {
  readonly #parts: FileImportParts;
  readonly #tally: Tally;
  readonly #lanes: ImportLanes;
  readonly #refusedRows: RefusedRows;
  readonly #progress: Progress;
  readonly #source: ImportSource;
  readonly #stopping = new AbortController();
  #format: ImportFormat = 'csv';
  /** What lies before it was read, and given to the lanes or refused. */
  #position: Pick<FileRow, 'begin' | 'line'>;
  #markedAt: number;

  constructor(parts: FileImportParts) {
    const { file, mark, clock, random, gateway, refusedPath, out } = parts;
    const { stored = 0, replaced = 0, identical = 0, refused = 0, begin = 0, line = 1 } = mark ?? {};
    this.#parts = parts;
    this.#tally = { stored, replaced, identical, refused };
    this.#position = { begin, line };
    this.#refusedRows = new RefusedRows(refusedPath);
    this.#progress = new Progress({ out, clock, noun: 'readings' });
    this.#source = ImportSource.of(file);
    this.#markedAt = clock.monotonic();
    this.#lanes = new ImportLanes({
      gateway,
      clock,
      random,
      tally: this.#tally,
      signal: this.#stopping.signal,
      refuse: (row) => this.#refuse(row),
      note: (text) => this.#progress.note(text),
    });
  }

  /** As what the file was read. */
  get format(): ImportFormat {
    return this.#format;
  }

  get refusedPath(): string {
    return this.#parts.refusedPath;
  }

  /** Milliseconds. */
  get elapsed(): number {
    return this.#progress.elapsed;
  }

  /** Reads no further; `run` rejects once what is under way is answered. */
  stop(): void {
    this.#stopping.abort(new ImportFileError('Stopped.'));
  }

  /** Rejects with `ImportFileError`, what is acknowledged so far being written down, when it cannot go on. */
  async run(): Promise<Tally> {
    const { file, mark } = this.#parts;
    // What was refused behind the mark is read, and refused, once more.
    this.#tally.refused = await this.#refusedRows.begin(mark?.line ?? 1);
    try {
      await this.#send();
      await this.#lanes.flush();
    } catch (error) {
      await this.#lanes.settle();
      await this.#mark();
      await this.#refusedRows.end();
      throw this.#cutShort(error);
    } finally {
      this.#progress.end();
    }
    await this.#refusedRows.end();
    if (file !== '-') await removeMark(file);
    return this.#tally;
  }

  async #send(): Promise<void> {
    const { mark } = this.#parts;
    const chunks = this.#source.bytes(mark?.begin ?? 0);
    const { done, value: first } = await chunks.next();
    if (done) return;
    this.#format = mark?.format ?? this.#formatOf(first);
    const rows = new FileRows(this.#format, this.#position);
    const read = await this.#reader();
    await this.#take(rows.push(first), read);
    for await (const chunk of chunks) {
      this.#position = rows.position;
      this.#stopping.signal.throwIfAborted();
      await this.#lanes.hurry(rows.position.begin);
      await this.#keepMark();
      this.#draw();
      await this.#take(rows.push(chunk), read);
    }
    await this.#take(rows.finish(), read);
    this.#position = rows.position;
  }

  async #take(rows: readonly FileRow[], read: RowReader): Promise<void> {
    for (const row of rows) {
      const outcome = readOf(row, read);
      if ('readings' in outcome) {
        for (const reading of outcome.readings) await this.#lanes.add(reading, row);
        continue;
      }
      const { first, rest } = rowsBehindFirstLine(row, this.#format);
      this.#refuse({ row: first, code: outcome.fault.code, detail: outcome.fault.message });
      await this.#take(rest, read);
    }
  }

  #refuse(row: RefusedRow): void {
    this.#tally.refused++;
    this.#refusedRows.add(row);
  }

  async #reader(): Promise<RowReader> {
    const { file, mark, precision } = this.#parts;
    if (this.#format === 'ndjson') return readNdjson;
    if (this.#format === 'influx') return influxReader(precision);
    let known = mark ? underHeader(await firstRow(file)) : null;
    return (row) => {
      if (known) return known(row);
      known = underHeader(row);
      return [];
    };
  }

  #formatOf(first: Buffer): ImportFormat {
    const { file, format } = this.#parts;
    const begin = first.subarray(0, 1_024).toString().trimStart();
    const found = format ?? formatOfName(file) ?? formatOfText(begin);
    if (found === 'ndjson' && begin.startsWith('[')) {
      throw new ImportFileError(
        `${file} is one JSON array, and is wanted as one object a line; "jq -c '.[]'" makes that of it.`,
      );
    }
    return found;
  }

  #draw(): void {
    const { size } = this.#parts;
    const { stored, replaced, identical, refused } = this.#tally;
    const share = size === null ? null : this.#source.read / size;
    this.#progress.update({ count: stored + replaced + identical + refused, share });
  }

  async #keepMark(): Promise<void> {
    const now = this.#parts.clock.monotonic();
    if (now - this.#markedAt < markEveryMs) return;
    this.#markedAt = now;
    await this.#mark();
  }

  /** Writes down what is acknowledged. */
  async #mark(): Promise<void> {
    const { file } = this.#parts;
    const { begin, line } = this.#lanes.pending ?? this.#position;
    if (file === '-' || this.#isNothingTaken) return;
    await writeMark(file, { begin, line, format: this.#format, ...this.#tally, head: await headOf(file) });
  }

  get #isNothingTaken(): boolean {
    const { stored, replaced, identical } = this.#tally;
    return stored + replaced + identical === 0;
  }

  #cutShort(thrown: unknown): unknown {
    const { signal } = this.#stopping;
    // Whatever was under way then failed because of it.
    const error: unknown = signal.aborted ? signal.reason : thrown;
    const { file } = this.#parts;
    const { line } = this.#lanes.pending ?? this.#position;
    if (file === '-' || this.#isNothingTaken) return error;
    const rest = `Everything before line ${countText(line)} is taken; the same command goes on there.`;
    return new ImportFileError(`${messageOf(error)}\n${rest}`, { cause: error });
  }
}

type Outcome = { readonly readings: readonly Reading[] } | { readonly fault: RejectedError };

function readOf(row: FileRow, read: RowReader): Outcome {
  try {
    if (row.bytes.length > rowBytesMax) throw new RejectedError('payload_too_large', 'the line is too long');
    return { readings: read(row.bytes) };
  } catch (error) {
    if (error instanceof RejectedError) return { fault: error };
    throw error;
  }
}

/** A header that is none ends the import: nothing under it could be read. */
function underHeader(header: Buffer): RowReader {
  try {
    return csvReader(header);
  } catch (error) {
    throw new ImportFileError(`line 1: ${messageOf(error)}`, { cause: error });
  }
}

async function firstRow(file: string): Promise<Buffer> {
  const rows = new FileRows('csv');
  for await (const chunk of ImportSource.of(file).bytes()) {
    const [row] = rows.push(chunk);
    if (row) return row.bytes;
  }
  return rows.finish()[0]?.bytes ?? Buffer.alloc(0);
}

function formatOfName(file: string): ImportFormat | null {
  const name = file.toLowerCase().replace(/\.gz$/, '');
  if (name.endsWith('.csv')) return 'csv';
  if (/\.(ndjson|jsonl|json)$/.test(name)) return 'ndjson';
  return /\.(lp|influx|line)$/.test(name) ? 'influx' : null;
}

function formatOfText(begin: string): ImportFormat {
  if (/^[{[]/.test(begin)) return 'ndjson';
  const [line] = begin.split('\n', 1);
  return /(^|,)"?device"?(,|\s*$)/i.test(line) ? 'csv' : 'influx';
}
