import { chmod, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { Adapter } from 'lowdb';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { CatalogError, FileFaults } from './catalog-error.ts';

/** Between our reading of a file and our write, somebody else changed it. Nothing was written. */
export class EditedMeanwhileError extends Error {
  override readonly name = 'EditedMeanwhileError';
}

/** The stamp of a file that is not there. */
export const missing = 'missing';

/** How a value stands in a file. */
export interface FileFormat<T> {
  /** 0o600 for secrets. */
  readonly mode: number;
  /** Throws `FileFaults`. */
  read(text: string): T;
  write(value: T): string;
}

/**
 * A lowdb adapter that can be trusted with decisions. lowdb's own neither syncs nor sets a mode. `write` resolves once the
 * value would survive a power cut:
 *
 *     temporary file → fsync → is the file still as we saw it? → rename over it → fsync of the folder
 *
 * so a reader sees the old text or the new one and never a torn one, and an edit that we have not seen is never
 * overwritten (but for the instant between the last look and the rename, which no file system lets us close). After every
 * good read or write the text is kept beside it as `….last-good`.
 */
export class DurableFile<T> implements Adapter<T> {
  readonly path: string;
  readonly #format: FileFormat<T>;
  readonly #log: Log;
  /** The text last read or written by us; null before there was one. */
  #seen: string | null = null;
  #kept: string | null = null;

  constructor(path: string, format: FileFormat<T>, log: Log) {
    this.path = path;
    this.#format = format;
    this.#log = log;
  }

  /** null when there is no file yet. Throws `CatalogError` for a file that cannot be used. */
  async read(): Promise<T | null> {
    const text = await readText(this.path);
    if (text === null) {
      const lastGood = await this.#lastGood();
      if (this.#seen === null && lastGood === null) return null;
      throw this.#refusal('it is gone. Copy the last good copy back, or remove that too to begin empty');
    }
    const value = await this.#parse(text);
    this.#seen = text;
    await this.#keepLastGood(text);
    return value;
  }

  /** Throws `FileFaults` for a value that its own format refuses, `EditedMeanwhileError`, or what the file system said; then the file is as it was. */
  async write(value: T): Promise<void> {
    const text = this.#format.write(value);
    // What we could not read again must not reach the disk: it would keep the next start from happening.
    this.#format.read(text);
    const temporary = `${this.path}.tmp`;
    try {
      await writeSynced(temporary, text, this.#format.mode);
      if (await this.isEdited()) throw new EditedMeanwhileError(`${this.path} was edited meanwhile`);
      await rename(temporary, this.path);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      throw error;
    }
    // Should this fail, what is on disk is not known for sure, and is taken over like an edit once it is seen.
    await syncFolder(dirname(this.path));
    this.#seen = text;
    await this.#keepLastGood(text);
  }

  /** Whether the file says something that we neither read nor wrote. */
  async isEdited(): Promise<boolean> {
    return (await readText(this.path)) !== this.#seen;
  }

  /** As `stampOf`. */
  stamp(): Promise<string> {
    return stampOf(this.path);
  }

  /** Takes a file of secrets away from others who could read it. Modes mean nothing on Windows. */
  async restrict(): Promise<void> {
    if ((this.#format.mode & 0o077) !== 0 || process.platform === 'win32') return;
    const { mode } = await stat(this.path);
    if ((mode & 0o777 & ~this.#format.mode) === 0) return;
    await chmod(this.path, this.#format.mode);
    this.#log.warn({ file: this.path }, 'others could read this file; its mode is restricted now');
  }

  async #parse(text: string): Promise<T> {
    try {
      return this.#format.read(text);
    } catch (error) {
      if (!(error instanceof FileFaults)) throw error;
      const lastGood = await this.#lastGood();
      throw new CatalogError({ file: this.path, problem: error.message, faults: error.faults, lastGood, cause: error });
    }
  }

  #refusal(problem: string): CatalogError {
    return new CatalogError({ file: this.path, problem, faults: [], lastGood: this.#lastGoodPath });
  }

  get #lastGoodPath(): string {
    return `${this.path}.last-good`;
  }

  async #lastGood(): Promise<string | null> {
    return (await readText(this.#lastGoodPath)) === null ? null : this.#lastGoodPath;
  }

  /** The copy is for people, after the fact; failing to keep it does not fail what it copies. */
  async #keepLastGood(text: string): Promise<void> {
    if (this.#kept === text) return;
    try {
      const temporary = `${this.#lastGoodPath}.tmp`;
      await writeSynced(temporary, text, this.#format.mode);
      await rename(temporary, this.#lastGoodPath);
      this.#kept = text;
    } catch (error) {
      this.#log.warn(
        { file: basename(this.#lastGoodPath), error: messageOf(error) },
        'the last good copy was not kept',
      );
    }
  }
}

/** Changes whenever the file may have; cheap enough to ask every second. */
export async function stampOf(path: string): Promise<string> {
  try {
    const { mtimeNs, size, ino } = await stat(path, { bigint: true });
    return `${mtimeNs}:${size}:${ino}`;
  } catch (error) {
    return isMissing(error) ? missing : messageOf(error);
  }
}

async function readText(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

async function writeSynced(path: string, text: string, mode: number): Promise<void> {
  const file = await open(path, 'w', mode);
  try {
    // A temporary file left by a kill keeps its old mode, and the umask narrows a new one.
    await file.chmod(mode);
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes the rename itself durable. Windows has no such call and refuses to open a folder. */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
