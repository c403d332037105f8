import { messageOf } from '../../base/errors.ts';
import type { Database, Statement } from './database.ts';
import { faultOf } from './database.ts';

export type FailureOutcome = 'rolled_back' | 'unknown';
export type FailureReason = 'full' | 'busy' | 'refused' | 'io';

/** A transaction that did not happen, or of which nobody can say whether it did. */
export class TransactionError extends Error {
  override readonly name = 'TransactionError';
  readonly outcome: FailureOutcome;
  readonly reason: FailureReason;

  constructor(message: string, outcome: FailureOutcome, reason: FailureReason, cause?: unknown) {
    super(message, { cause });
    this.outcome = outcome;
    this.reason = reason;
  }
}

/** What runs writes as one step. */
export type Transaction = Pick<StorageTransaction, 'run'>;

/**
 * Runs writes as one synced transaction and sorts what can go wrong:
 *
 * - before COMMIT nothing reached the disk that counts: rolled back, whatever the reason;
 * - COMMIT refused for want of room or a lock: rolled back, the frames it may have written have no commit mark;
 * - COMMIT failed otherwise: the mark may or may not be on disk. From then on every transaction fails the same way,
 *   until the database is opened anew and tells.
 */
export class StorageTransaction {
  readonly #database: Database;
  readonly #begin: Statement;
  readonly #commit: Statement;
  readonly #rollback: Statement;
  #isUncertain = false;

  constructor(database: Database) {
    this.#database = database;
    this.#begin = database.prepare('BEGIN IMMEDIATE');
    this.#commit = database.prepare('COMMIT');
    this.#rollback = database.prepare('ROLLBACK');
  }

  /** Throws `TransactionError`. */
  run<T>(write: () => T): T {
    if (this.#isUncertain) {
      throw new TransactionError(
        'the outcome of an earlier commit is unknown until the store is reopened',
        'unknown',
        'io',
      );
    }
    let result: T;
    try {
      this.#begin.run();
      result = write();
    } catch (error) {
      this.#undo();
      throw new TransactionError(messageOf(error), 'rolled_back', reasonOf(error), error);
    }
    try {
      this.#commit.run();
    } catch (error) {
      const reason = reasonOf(error);
      if (reason === 'full' || reason === 'busy') {
        this.#undo();
        throw new TransactionError(messageOf(error), 'rolled_back', reason, error);
      }
      this.#isUncertain = true;
      throw new TransactionError(messageOf(error), 'unknown', 'io', error);
    }
    return result;
  }

  #undo(): void {
    if (!this.#database.inTransaction) return;
    try {
      this.#rollback.run();
    } catch {
      // SQLite has already rolled back by itself, or the next BEGIN will say what is wrong.
    }
  }
}

/**
 * Work between commits, which nobody waits for: the same transactions without a sync of their own. The write-ahead log is
 * one file, so the sync of the next commit takes them along, and a power cut before it loses them from the end: what was
 * sealed is then still in the log, what was merged, summed up or deleted is as it was. A checkpoint syncs what it copies.
 */
export class BackgroundTransaction implements Transaction {
  readonly #transaction: Transaction;
  readonly #relaxed: Statement;
  readonly #strict: Statement;

  constructor(database: Database, transaction: Transaction) {
    this.#transaction = transaction;
    this.#relaxed = database.prepare('PRAGMA synchronous = NORMAL');
    this.#strict = database.prepare('PRAGMA synchronous = FULL');
  }

  /** As the transaction's own. */
  run<T>(write: () => T): T {
    this.#relaxed.run();
    try {
      return this.#transaction.run(write);
    } finally {
      this.#strict.run();
    }
  }
}

function reasonOf(thrown: unknown): FailureReason {
  switch (faultOf(thrown)) {
    case 'full':
      return 'full';
    case 'busy':
      return 'busy';
    case 'io':
    case 'corrupt':
    case 'not_a_database':
    case 'cannot_open':
    case 'read_only':
      return 'io';
    default:
      return 'refused';
  }
}
