import type { SessionChange, SessionKind, SessionRow } from '../../../domain/session-row.ts';
import type { Database, Statement } from '../database.ts';
import { bytesIn, numberIn, type Statements, textIn } from '../database.ts';

/**
 * What the broker wants kept of its sessions, in rows nobody here looks into. One statement a change, prepared once:
 * an offline queue fills at the speed of ingest. The caller holds the transaction.
 */
export class SessionRows {
  readonly #put: Statement;
  readonly #delete: Statement;
  readonly #clear: Statement;
  /** The greatest ordinal given; a failed transaction leaves a gap in the numbers, which nobody minds. */
  #ordinal: number;

  constructor(database: Database) {
    // A row that is put again keeps its ordinal, and with it its place.
    this.#put = database.prepare(
      `INSERT INTO mqtt_session (client, kind, key, ordinal, bytes) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (client, kind, key) DO UPDATE SET bytes = excluded.bytes`,
    );
    this.#delete = database.prepare('DELETE FROM mqtt_session WHERE client = ? AND kind = ? AND key = ?');
    this.#clear = database.prepare("DELETE FROM mqtt_session WHERE client = ? AND kind <> 'retained'");
    this.#ordinal = database.number('SELECT coalesce(max(ordinal), 0) FROM mqtt_session');
  }

  write(change: SessionChange): void {
    switch (change.op) {
      case 'put': {
        const { client, kind, key, bytes } = change.row;
        this.#put.run(client, kind, key, ++this.#ordinal, bytes);
        return;
      }
      case 'delete':
        this.#delete.run(change.client, change.kind, change.key);
        return;
      case 'clear':
        this.#clear.run(change.client);
    }
  }
}

/** Every row, in the order in which they were first put. */
export function readSessions(statements: Statements): SessionRow[] {
  // Sorted without their bytes, which may be many; `each` would hold the whole of them in the sorter.
  const order = statements
    .get('SELECT client, kind, key, ordinal FROM mqtt_session')
    .all()
    .sort((a, b) => numberIn(a, 3) - numberIn(b, 3));
  const bytes = statements.get('SELECT bytes FROM mqtt_session WHERE client = ? AND kind = ? AND key = ?');
  return order.map((row) => {
    const [client, kind, key] = [textIn(row, 0), textIn(row, 1), textIn(row, 2)];
    return { client, kind: kind as SessionKind, key, bytes: bytesIn(bytes.get(client, kind, key) ?? [], 0) };
  });
}
