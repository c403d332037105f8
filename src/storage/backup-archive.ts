import { createHash } from 'node:crypto';
import { createReadStream, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import { randomId } from '../base/random.ts';
import type { Engine } from '../history/engine.ts';
import type { BackedUpFile, BackupFileName } from './backup-manifest.ts';
import { manifestName, writeManifest } from './backup-manifest.ts';
import { tarEnd, tarHeader, tarPadding } from './tar.ts';

/** A small file of a backup. */
export interface SmallFile {
  readonly name: BackupFileName;
  readonly bytes: Uint8Array;
}

export interface BackupParts {
  /** The data folder, where the copy of the database stands until it is sent. */
  readonly dir: string;
  readonly engine: Pick<Engine, 'backup'>;
  /** What people decided, as of now. */
  readonly decisions: () => Promise<readonly SmallFile[]>;
  readonly clock: Clock;
  readonly random: Random;
  /** Of the program. */
  readonly version: string;
}

/** A backup could not be made; the message is for people. */
export class BackupError extends Error {
  override readonly name = 'BackupError';
  /** Another one is being made. */
  readonly isBusy: boolean;

  constructor(message: string, options: { readonly isBusy?: boolean; readonly cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.isBusy = options.isBusy ?? false;
  }
}

const pieceBytes = 1 << 18;
const staged = /^backup-\w+\.part$/;

/**
 * Makes backups while everything goes on: a copy of the database in one step of the maintenance thread, then catalog,
 * registrations and secrets, all of it as one tar file that is sent piece by piece and is never whole in memory. The
 * database comes first, so that what it speaks of was decided before.
 */
export class BackupArchive {
  readonly #parts: BackupParts;
  #isMaking = false;

  /** Removes what a kill left of an earlier backup. */
  constructor(parts: BackupParts) {
    this.#parts = parts;
    for (const name of readdirSync(parts.dir)) if (staged.test(name)) rmSync(join(parts.dir, name), { force: true });
  }

  /** `pulsegate-20261121T150000Z.tar`. */
  nameNow(): string {
    const now = new Date(this.#parts.clock.now()).toISOString();
    return `pulsegate-${now.replace(/[-:]|\.\d+/g, '')}.tar`;
  }

  /** The bytes of a backup. Throws `BackupError` with its first step, or later when something cannot be read. */
  async *write(): AsyncGenerator<Uint8Array, void, undefined> {
    if (this.#isMaking) throw new BackupError('another backup is being made; one at a time', { isBusy: true });
    this.#isMaking = true;
    const { dir, clock, random, version } = this.#parts;
    const copy = join(dir, `${randomId('backup', random).replace('_', '-')}.part`);
    try {
      const modifiedAt = clock.now();
      const facts = await this.#copyDatabase(copy);
      const files: BackedUpFile[] = [];
      const { size } = statSync(copy);
      files.push(
        yield* entryOf(
          'pulsegate.db',
          size,
          modifiedAt,
          createReadStream(copy, { start: 0, end: Math.max(size - 1, 0), highWaterMark: pieceBytes }),
        ),
      );
      for (const { name, bytes } of await this.#parts.decisions()) {
        files.push(yield* entryOf(name, bytes.length, modifiedAt, [bytes]));
      }
      const madeAt = new Date(modifiedAt).toISOString();
      const manifest = writeManifest({ madeAt, program: version, epoch: facts.epoch, seq: facts.seq, files });
      yield* entryOf(manifestName, manifest.length, modifiedAt, [manifest]);
      yield tarEnd;
    } finally {
      rmSync(copy, { force: true });
      this.#isMaking = false;
    }
  }

  async #copyDatabase(copy: string): Promise<{ readonly epoch: string; readonly seq: number }> {
    try {
      return await this.#parts.engine.backup(copy);
    } catch (error) {
      throw new BackupError(`the database could not be copied: ${messageOf(error)}`, { cause: error });
    }
  }
}

async function* entryOf<Name extends string>(
  name: Name,
  bytes: number,
  modifiedAt: number,
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Uint8Array, { readonly name: Name; readonly bytes: number; readonly sha256: string }, undefined> {
  yield tarHeader({ name, bytes, mode: 0o600, modifiedAt });
  const hash = createHash('sha256');
  for await (const piece of content) {
    hash.update(piece);
    yield piece;
  }
  yield tarPadding(bytes);
  return { name, bytes, sha256: hash.digest('hex') };
}
