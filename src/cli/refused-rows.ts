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

  /** Begins anew, or keeps what an earlier run wrote of lines before `line`. */
  async begin(line: number): Promise<void> {
    this.#isContinued = line > 1 && (await this.#keepBefore(line));
    if (!this.#isContinued) await rm(this.#path, { force: true });
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

  /** Whether there was a file. */
  async #keepBefore(line: number): Promise<boolean> {
    const kept = createWriteStream(`${this.#path}.new`);
    const rows = new FileRows('csv');
    try {
      for await (const chunk of createReadStream(this.#path) as AsyncIterable<Buffer>) {
        for (const row of rows.push(chunk)) {
          const refused = Number(readCsvRecord(row.bytes.toString())?.[0].text);
          // The header is no number.
          if (!(refused >= line) && !kept.write(row.bytes)) await once(kept, 'drain');
        }
      }
    } catch {
      kept.destroy();
      await rm(`${this.#path}.new`, { force: true });
      return false;
    }
    kept.end();
    await once(kept, 'close');
    await rename(`${this.#path}.new`, this.#path);
    return true;
  }
}
