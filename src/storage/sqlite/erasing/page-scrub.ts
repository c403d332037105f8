import type { Database } from '../database.ts';
import { numberIn, Statements } from '../database.ts';
import type { Transaction } from '../transaction.ts';

/** Pages that one step fills or gives back, a megabyte. */
const stepPagesMax = 256;
/** What a page of a long blob holds: all of it but the number of the next. */
const pageBytes = 4_092;
/** Rows of less than a page, one after the other, for the last few pages. */
const smallRowBytes = 3_000;
const smallRowsMax = 64;

/**
 * Overwrites the free pages of the file: they still hold what stood on them when the log was trimmed or a chunk merged,
 * which may be what was deleted since. Rows of zeros are written until no free page is left, and then deleted.
 */
export class PageScrub {
  readonly #statements: Statements;
  readonly #transaction: Transaction;
  #isFull = false;
  #smallRows = 0;

  constructor(database: Database, transaction: Transaction) {
    this.#statements = new Statements(database);
    this.#transaction = transaction;
  }

  /** Goes on a little; true when there is more. Throws `TransactionError`. */
  step(): boolean {
    if (!this.#isFull) {
      this.#fill();
      return true;
    }
    return this.#transaction.run(() => this.#empty());
  }

  #fill(): void {
    const free = numberIn(this.#statements.get('PRAGMA freelist_count').get(), 0);
    if (free === 0 || this.#smallRows >= smallRowsMax) {
      this.#isFull = true;
      return;
    }
    // Beside its blob a row takes a page of the table, sometimes two.
    const pages = Math.min(free - 3, stepPagesMax);
    if (pages <= 0) this.#smallRows++;
    const bytes = pages > 0 ? pages * pageBytes : smallRowBytes;
    this.#transaction.run(() => this.#statements.get('INSERT INTO blank (bytes) VALUES (zeroblob(?))').run(bytes));
  }

  #empty(): boolean {
    const changes = this.#statements
      .get('DELETE FROM blank WHERE id IN (SELECT id FROM blank ORDER BY id DESC LIMIT 1)')
      .run();
    return changes > 0;
  }
}
