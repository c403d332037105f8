import { CommandRows } from '../rows/command-rows.ts';
import type { Database } from '../database.ts';
import { Statements, textIn } from '../database.ts';
import type { Transaction } from '../transaction.ts';
import type { WriterState } from '../writer-state.ts';

/** How long a command is kept after it reached a final state, ms. */
export const commandKeptMs = 30 * 86_400_000;
/** Rows that one step deletes at most, so that no commit waits long behind it. */
const stepRowsMax = 256;

/** Rows of one kind that are done with. */
interface Retired {
  /** How long they are kept after that, ms; null: for ever. */
  readonly keptMs: number | null;
  /** Whether one was done with before `time`, epoch ms. */
  hasBefore(time: number): boolean;
  /** Deletes up to `limit` of them; the caller holds the transaction. */
  deleteBefore(time: number, limit: number): void;
}

export interface KeptTimes {
  /** Resolved alerts, ms; null: for ever. */
  readonly alertsKeptMs: number | null;
  /** Deliveries that succeeded, failed or were cancelled, ms; null: for ever. */
  readonly deliveriesKeptMs: number | null;
}

/**
 * Deletes what was done with long ago, a few rows at a time: settled commands, resolved alerts with their transitions,
 * settled deliveries with their attempts. Time is that of the newest commit, not of a clock.
 */
export class Retirer {
  readonly #kinds: readonly Retired[];
  readonly #state: WriterState;
  readonly #transaction: Transaction;
  /** Kinds that have not yet been found empty. */
  #due: readonly Retired[];

  constructor(database: Database, state: WriterState, transaction: Transaction, kept: KeptTimes) {
    const statements = new Statements(database);
    this.#state = state;
    this.#transaction = transaction;
    this.#kinds = [
      retiredCommands(new CommandRows(database)),
      retiredAlerts(statements, state, kept.alertsKeptMs),
      retiredDeliveries(statements, kept.deliveriesKeptMs),
    ];
    this.#due = this.#kinds;
  }

  /** Some time has passed: it is worth looking again. */
  look(): void {
    this.#due = this.#kinds;
  }

  /** Deletes a few; true when there are more. Throws `TransactionError`; they stay due then. */
  step(): boolean {
    for (const kind of this.#due) {
      const before = kind.keptMs === null ? Number.NEGATIVE_INFINITY : this.#state.lastCommitAt - kind.keptMs;
      if (kind.keptMs !== null && kind.hasBefore(before)) {
        this.#transaction.run(() => kind.deleteBefore(before, stepRowsMax));
        return true;
      }
      this.#due = this.#due.filter((other) => other !== kind);
    }
    return false;
  }
}

function retiredCommands(rows: CommandRows): Retired {
  return {
    keptMs: commandKeptMs,
    hasBefore: (time) => rows.hasSettledBefore(time),
    deleteBefore: (time, limit) => rows.deleteSettledBefore(time, limit),
  };
}

/** An alert stays as long as the log tells one of its transitions to whoever resumes. */
function retiredAlerts(statements: Statements, state: WriterState, keptMs: number | null): Retired {
  const ids = `SELECT id FROM alert WHERE state = 'resolved' AND resolved_at < ?
       AND NOT EXISTS (SELECT 1 FROM transition WHERE alert_id = alert.id AND seq >= ?)
     ORDER BY resolved_at LIMIT ?`;
  return {
    keptMs,
    hasBefore: (time) => statements.get(ids).get(time, state.log.firstKept, 1) !== undefined,
    deleteBefore(time, limit) {
      const removed = statements
        .get(`DELETE FROM alert WHERE id IN (${ids}) RETURNING id`)
        .all(time, state.log.firstKept, limit);
      for (const row of removed) statements.get('DELETE FROM transition WHERE alert_id = ?').run(textIn(row, 0));
    },
  };
}

function retiredDeliveries(statements: Statements, keptMs: number | null): Retired {
  return {
    keptMs,
    hasBefore: (time) => statements.get('SELECT 1 FROM delivery WHERE settled_at < ? LIMIT 1').get(time) !== undefined,
    deleteBefore(time, limit) {
      const removed = statements
        .get(
          `DELETE FROM delivery WHERE id IN (SELECT id FROM delivery WHERE settled_at < ? ORDER BY settled_at LIMIT ?)
           RETURNING id`,
        )
        .all(time, limit);
      for (const row of removed) statements.get('DELETE FROM attempt WHERE delivery_id = ?').run(textIn(row, 0));
    },
  };
}
