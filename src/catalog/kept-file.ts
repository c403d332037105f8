import { basename } from 'node:path';
import { Low } from 'lowdb';
import { messageOf, RejectedError, TransientError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { CatalogError, FileFaults } from './catalog-error.ts';
import type { FileFormat } from './durable-file.ts';
import { DurableFile, EditedMeanwhileError, missing } from './durable-file.ts';

/**
 * A file that we write and people edit, in memory and on disk. The value in memory is always one that was read from the
 * file or written to it whole. Callers take turns; it does not queue.
 */
export class KeptFile<T extends object> {
  readonly #file: DurableFile<T>;
  readonly #low: Low<T>;
  readonly #log: Log;
  /** Apart from lowdb's, which holds what is being written before it is durable. */
  #value: T;
  #stamp = '';
  #fault: CatalogError | null = null;

  private constructor(file: DurableFile<T>, initial: T, log: Log) {
    this.#file = file;
    this.#low = new Low<T>(file, initial);
    this.#value = initial;
    this.#log = log;
  }

  /** Reads the file, or makes it with `initial`. Throws `CatalogError` when it cannot be used. */
  static async open<T extends object>(path: string, format: FileFormat<T>, initial: T, log: Log): Promise<KeptFile<T>> {
    const file = new DurableFile(path, format, log);
    const kept = new KeptFile(file, initial, log);
    // Taken before reading, so that an edit in between is noticed later rather than never.
    kept.#stamp = await file.stamp();
    await kept.#low.read();
    kept.#value = kept.#low.data;
    // Nothing was read when there was no file; an unedited nothing is written over by its first text.
    if (kept.#stamp === missing) await kept.write(initial);
    await file.restrict();
    return kept;
  }

  get #name(): string {
    return basename(this.#file.path);
  }

  get value(): T {
    return this.#value;
  }

  /** Whether the file may have changed since it was last looked at. */
  async isTouched(): Promise<boolean> {
    return (await this.#file.stamp()) !== this.#stamp;
  }

  /**
   * Takes over an edit from outside; true when there was one. One that cannot be used is reported once and neither taken
   * over nor overwritten: until it is mended, `write` is refused. Throws `TransientError` when the disk failed.
   */
  async refresh(): Promise<boolean> {
    this.#stamp = await this.#file.stamp();
    try {
      const isEdited = await this.#file.isEdited();
      if (isEdited) await this.#low.read();
      this.#value = this.#low.data;
      this.#fault = null;
      return isEdited;
    } catch (error) {
      if (!(error instanceof CatalogError)) {
        this.#stamp = '';
        throw new TransientError(`${this.#name} could not be read: ${messageOf(error)}`, { cause: error });
      }
      if (this.#fault?.message !== error.message) {
        this.#log.error(
          { file: error.file, problem: error.message },
          'an edit cannot be used; what was before holds on',
        );
      }
      this.#fault = error;
      return false;
    }
  }

  /**
   * Writes `value`; it is durable when this resolves. Throws `RejectedError` (`conflict`) while a faulty edit waits to be
   * mended or (`validation_failed`) for what we could not read again, `EditedMeanwhileError` when an edit came in between,
   * `TransientError` when the disk failed; then the value and the file are as they were.
   */
  async write(value: T): Promise<void> {
    if (this.#fault) {
      const detail = `${this.#name} was edited and cannot be used until it is mended: ${this.#fault.problem}`;
      throw new RejectedError('conflict', detail, { cause: this.#fault });
    }
    this.#low.data = value;
    try {
      await this.#low.write();
    } catch (error) {
      this.#low.data = this.#value;
      if (error instanceof EditedMeanwhileError) throw error;
      if (error instanceof FileFaults) {
        throw new RejectedError('validation_failed', error.message, { errors: error.faults, cause: error });
      }
      throw new TransientError(`${this.#name} could not be written: ${messageOf(error)}`, { cause: error });
    }
    this.#value = value;
    // Not asked for: it could already be that of an edit. The next look compares the text.
    this.#stamp = '';
  }
}
