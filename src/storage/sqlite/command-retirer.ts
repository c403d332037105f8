import { CommandRows } from './command-rows.ts';
import type { Database } from './database.ts';
import type { StorageTransaction } from './transaction.ts';
import type { WriterState } from './writer-state.ts';

/** How long a command is kept after it reached a final state, ms. */
export const commandKeptMs = 30 * 86_400_000;
/** Rows that one step deletes at most, so that no commit waits long behind it. */
const stepRowsMax = 256;

/** Deletes commands that were settled long ago, a few at a time. Time is that of the newest commit, not of a clock. */
export class CommandRetirer {
  readonly #rows: CommandRows;
  readonly #state: WriterState;
  readonly #transaction: StorageTransaction;
  #isDue = true;

  constructor(database: Database, state: WriterState, transaction: StorageTransaction) {
    this.#rows = new CommandRows(database);
    this.#state = state;
    this.#transaction = transaction;
  }

  /** Some time has passed: it is worth looking again. */
  look(): void {
    this.#isDue = true;
  }

  /** Deletes a few; true when there are more. Throws `TransactionError`; they stay due then. */
  step(): boolean {
    if (!this.#isDue) return false;
    const before = this.#state.lastCommitAt - commandKeptMs;
    if (!this.#rows.hasSettledBefore(before)) {
      this.#isDue = false;
      return false;
    }
    this.#transaction.run(() => this.#rows.deleteSettledBefore(before, stepRowsMax));
    return true;
  }
}
