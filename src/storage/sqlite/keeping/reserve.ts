import { randomFillSync } from 'node:crypto';
import { closeSync, fsyncSync, openSync, renameSync, rmSync, statfsSync, statSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Transaction } from '../transaction.ts';
import { TransactionError } from '../transaction.ts';

const stepBytes = 1 << 20;

/**
 * A file of real bytes beside the database, which is given up when the disk is full, so that there is room to delete
 * something. What the file system says is the only state: one thread fills it, another gives it up.
 */
export class Reserve {
  readonly #path: string;
  readonly #bytes: number;

  /** `bytes` 0: there is none. `database` is the path of the database. */
  constructor(database: string, bytes: number) {
    this.#path = join(dirname(database), 'pulsegate.reserve');
    this.#bytes = bytes;
  }

  /** Frees the room; false when there was none. */
  giveUp(): boolean {
    const isThere = sizeOf(this.#path) > 0;
    rmSync(this.#path, { force: true });
    return isThere;
  }

  /**
   * Makes the file when it is not there and the disk has room for twice of it, so that it is not given up again at once.
   * False while it is not whole. Throws what the file system says besides that there is no room.
   */
  fill(): boolean {
    if (sizeOf(this.#path) === this.#bytes) return true;
    const part = `${this.#path}.part`;
    // One of another size, or half of one.
    for (const path of [this.#path, part]) rmSync(path, { force: true });
    if (this.#bytes === 0) return true;
    const { bavail, bsize } = statfsSync(dirname(this.#path));
    if (bavail * bsize < 2 * this.#bytes) return false;
    try {
      writeNoise(part, this.#bytes);
      renameSync(part, this.#path);
      return true;
    } catch (error) {
      rmSync(part, { force: true });
      if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return false;
      throw error;
    }
  }
}

/** Runs writes that make room: where they fail because the disk is full, the reserve is given up and they run again. */
export class FreeingTransaction implements Transaction {
  readonly #transaction: Transaction;
  readonly #reserve: Reserve;

  constructor(transaction: Transaction, reserve: Reserve) {
    this.#transaction = transaction;
    this.#reserve = reserve;
  }

  /** As the transaction's own; `write` may run twice. */
  run<T>(write: () => T): T {
    try {
      return this.#transaction.run(write);
    } catch (error) {
      if (!(error instanceof TransactionError) || error.reason !== 'full' || !this.#reserve.giveUp()) throw error;
      return this.#transaction.run(write);
    }
  }
}

/** Noise, since a file system that compresses would keep no room for zeros. */
function writeNoise(path: string, bytes: number): void {
  const noise = randomFillSync(Buffer.allocUnsafe(Math.min(bytes, stepBytes)));
  const file = openSync(path, 'w', 0o600);
  try {
    for (let left = bytes; left > 0; ) left -= writeSync(file, noise, 0, Math.min(left, noise.length));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
