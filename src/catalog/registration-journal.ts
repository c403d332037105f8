import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CatalogError, FileFaults } from './catalog-error.ts';
import { syncFolder } from './durable-file.ts';
import { type RegistrationChange, readJournalText, writeJournalLine } from './registrations-text.ts';

/**
 * `devices.journal`: changes of registrations, a line for each write, appended and synced. It makes one device out of
 * 100,000 cost one line instead of a file. Callers take turns.
 */
export class RegistrationJournal {
  readonly #file: FileHandle;
  /** Bytes that are whole lines; whatever stands behind them is the rest of a write that failed. */
  #bytes: number;
  #mustCut = false;

  private constructor(file: FileHandle, bytes: number) {
    this.#file = file;
    this.#bytes = bytes;
  }

  /** Opens or makes the file. Throws `CatalogError` when it is broken elsewhere than at its end. */
  static async open(
    path: string,
  ): Promise<{ readonly journal: RegistrationJournal; readonly changes: readonly RegistrationChange[] }> {
    const file = await open(path, 'a+', 0o644);
    try {
      await syncFolder(dirname(path));
      const text = await file.readFile('utf8');
      const { changes, bytes } = readJournal(path, text);
      if (bytes < Buffer.byteLength(text)) await file.truncate(bytes);
      return { journal: new RegistrationJournal(file, bytes), changes };
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Durable when it resolves. When it rejects nothing of it is in the file, or will be before the next line. */
  async append(changes: readonly RegistrationChange[]): Promise<void> {
    const line = Buffer.from(writeJournalLine(changes));
    if (this.#mustCut) await this.#cut();
    this.#mustCut = true;
    try {
      await this.#file.appendFile(line);
      await this.#file.datasync();
    } catch (error) {
      // Should this fail too, the next line cuts first.
      await this.#cut().catch(() => {});
      throw error;
    }
    this.#mustCut = false;
    this.#bytes += line.length;
  }

  /** Everything in it stands in `devices.json` now. */
  async clear(): Promise<void> {
    this.#bytes = 0;
    this.#mustCut = true;
    await this.#cut();
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async #cut(): Promise<void> {
    await this.#file.truncate(this.#bytes);
    await this.#file.datasync();
    this.#mustCut = false;
  }
}

function readJournal(path: string, text: string): ReturnType<typeof readJournalText> {
  try {
    return readJournalText(text);
  } catch (error) {
    if (!(error instanceof FileFaults)) throw error;
    throw new CatalogError({ file: path, problem: error.message, faults: error.faults, lastGood: null, cause: error });
  }
}
