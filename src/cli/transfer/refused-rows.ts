import { once } from 'node:events';
import { createReadStream, createWriteStream, type WriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { csvCell, readCsvRecord } from './csv-record.ts';
import { FileRows } from './file-rows.ts';
import type { RefusedRow } from './import-lanes.ts';

const header = 'line,code,detail,row\r\n';

/** Rows that were refused, with line, code and reason, as CSV. The file is there only when there is something in it. */
export class RefusedRows {
  readonly #path: string;
  #file: WriteStream | null = null;
  #isContinued = false;
  #failure: Error | null = null;

  constructor(path: string) {
    this.#path = path;
  }

  /** Begins anew, or keeps what an earlier run wrote of lines before `line`. Returns how many rows that is. */
  async begin(line: number): Promise<number> {
    const kept = line > 1 ? await this.#keepBefore(line) : null;
    this.#isContinued = kept !== null;
    if (kept === null) await rm(this.#path, { force: true });
    return kept ?? 0;
  }

  add({ row, code, detail }: RefusedRow): void {
    const file = this.#open();
    const text = row.bytes.toString().replace(/\r?\n$/, '');
    file.write(`${row.line},${code},${csvCell(detail)},${csvCell(text)}\r\n`);
  }

  /** Rejects when something could not be written. */
  async end(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    if (file) {
      file.end();
      if (!file.closed) await once(file, 'close');
    }
    if (this.#failure) throw this.#failure;
  }

  #open(): WriteStream {
    if (this.#file) return this.#file;
    const file = createWriteStream(this.#path, { flags: this.#isContinued ? 'a' : 'w' });
    file.on('error', (error) => {
      this.#failure ??= error;
    });
    if (!this.#isContinued) file.write(header);
    this.#isContinued = true;
    this.#file = file;
    return file;
  }

  /** How many rows stay; null where there was no file. */
  async #keepBefore(line: number): Promise<number | null> {
    const kept = createWriteStream(`${this.#path}.new`);
    let count = 0;
    const rows = new FileRows('csv');
    try {
      for await (const chunk of createReadStream(this.#path) as AsyncIterable<Buffer>) {
        for (const row of rows.push(chunk)) {
          const refused = Number(readCsvRecord(row.bytes.toString())?.[0].text);
          if (refused >= line) continue;
          // The header is no number.
          if (refused < line) count++;
          if (!kept.write(row.bytes)) await once(kept, 'drain');
        }
      }
    } catch {
      kept.destroy();
      await rm(`${this.#path}.new`, { force: true });
      return null;
    }
    kept.end();
    await once(kept, 'close');
    await rename(`${this.#path}.new`, this.#path);
    return count;
  }
}
