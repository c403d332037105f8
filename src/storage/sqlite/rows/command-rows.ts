import type { Command, CommandState, Json } from '../../../domain/command.ts';
import type { CommandsQuery } from '../../../history/reader.ts';
import type { Database, Row } from '../database.ts';
import { numberIn, numberOrNullIn, Statements, textIn } from '../database.ts';

/** Commands as they are now; the caller holds the transaction. */
export class CommandRows {
  readonly #statements: Statements;

  constructor(database: Database) {
    this.#statements = new Statements(database);
  }

  /** A command that is final stays as it is. */
  write(command: Command): void {
    this.#statements
      .get(
        `INSERT INTO command (id, device, state, created_at, expires_at, sent_at, settled_at, name, params, result)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, sent_at = excluded.sent_at,
           settled_at = excluded.settled_at, result = excluded.result
         WHERE settled_at IS NULL`,
      )
      .run(
        command.id,
        command.device,
        command.state,
        command.createdAt,
        command.expiresAt,
        command.sentAt,
        command.settledAt,
        command.name,
        JSON.stringify(command.params),
        JSON.stringify(command.result),
      );
  }

  /** Whether a command was settled before `time`, epoch ms. */
  hasSettledBefore(time: number): boolean {
    return this.#statements.get('SELECT 1 FROM command WHERE settled_at < ? LIMIT 1').get(time) !== undefined;
  }

  /** Deletes up to `limit` commands that were settled before `time`, epoch ms; the caller holds the transaction. */
  deleteSettledBefore(time: number, limit: number): void {
    this.#statements
      .get('DELETE FROM command WHERE id IN (SELECT id FROM command WHERE settled_at < ? ORDER BY settled_at LIMIT ?)')
      .run(time, limit);
  }
}

const columns = 'id, device, state, created_at, expires_at, sent_at, settled_at, name, params, result';

/** Newest first by (`createdAt`, id). */
export function readCommands(statements: Statements, { device, limit, after }: CommandsQuery): Command[] {
  const conditions = [
    ...(device === undefined ? [] : ['device = ?']),
    ...(after === undefined ? [] : ['(created_at, id) < (?, ?)']),
  ];
  const where = conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : '';
  const inputs = [...(device === undefined ? [] : [device]), ...(after ? [after.createdAt, after.id] : [])];
  return statements
    .get(`SELECT ${columns} FROM command ${where} ORDER BY created_at DESC, id DESC LIMIT ?`)
    .all(...inputs, limit)
    .map(commandIn);
}

export function readCommand(statements: Statements, id: string): Command | null {
  const row = statements.get(`SELECT ${columns} FROM command WHERE id = ?`).get(id);
  return row ? commandIn(row) : null;
}

/** Commands that are not in a final state, oldest first. */
export function readOpenCommands(statements: Statements): Command[] {
  return statements
    .get(`SELECT ${columns} FROM command WHERE settled_at IS NULL ORDER BY created_at, id`)
    .all()
    .map(commandIn);
}

function commandIn(row: Row): Command {
  return {
    id: textIn(row, 0),
    device: textIn(row, 1),
    state: textIn(row, 2) as CommandState,
    createdAt: numberIn(row, 3),
    expiresAt: numberIn(row, 4),
    sentAt: numberOrNullIn(row, 5),
    settledAt: numberOrNullIn(row, 6),
    name: textIn(row, 7),
    params: JSON.parse(textIn(row, 8)) as Json,
    result: JSON.parse(textIn(row, 9)) as Json,
  };
}
