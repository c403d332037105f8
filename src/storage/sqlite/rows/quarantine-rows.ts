import type { QuarantineEntry } from '../../../domain/quarantine.ts';
import type { Database } from '../database.ts';
import { numberIn, Statements } from '../database.ts';
import { readMeta, writeMeta } from './meta.ts';

/** How much the quarantine holds; changes only when a commit succeeded. */
export interface QuarantineSize {
  readonly lastId: number;
  readonly entries: number;
  readonly bytes: number;
}

/** What a row costs beside its texts and payload. */
const rowBytes = 64;

/** The refused messages, bounded by their bytes: what comes in pushes the oldest out in the same transaction. */
export class QuarantineRows {
  readonly #statements: Statements;
  readonly #bytesMax: number;

  constructor(database: Database, bytesMax: number) {
    this.#statements = new Statements(database);
    this.#bytesMax = bytesMax;
  }

  /** What the table holds now. */
  measure(): QuarantineSize {
    const row = this.#statements
      .get('SELECT coalesce(max(id), 0), count(*), coalesce(sum(size), 0) FROM quarantine')
      .get();
    const removed = Number(readMeta(this.#statements, 'quarantine_removed') ?? 0);
    return { lastId: Math.max(numberIn(row, 0), removed), entries: numberIn(row, 1), bytes: numberIn(row, 2) };
  }

  /** Adds entries and deletes the oldest beyond the bound, but never the newest. The caller holds the transaction. */
  write(entries: readonly QuarantineEntry[], before: QuarantineSize): QuarantineSize {
    let { lastId, entries: count, bytes } = before;
    for (const entry of entries) {
      const size = sizeOf(entry);
      lastId++;
      count++;
      bytes += size;
      this.#statements
        .get(
          `INSERT INTO quarantine (id, size, received_at, topic, client, sender, for_others, reason, pointer, detail, payload)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        )
        .run(
          lastId,
          size,
          entry.receivedAt,
          entry.topic,
          entry.client,
          entry.sender.device,
          Number(entry.sender.forOthers),
          entry.reason,
          entry.pointer,
          entry.detail,
          entry.payload,
        );
    }
    return this.#bounded({ lastId, entries: count, bytes });
  }

  /** Takes rows out by id; those that are gone already do not matter. The caller holds the transaction. */
  remove(ids: readonly number[], before: QuarantineSize): QuarantineSize {
    let { entries, bytes } = before;
    // The newest row may be among them, and its id must not be given out again after a restart.
    writeMeta(this.#statements, 'quarantine_removed', before.lastId);
    for (const id of ids) {
      const row = this.#statements.get('DELETE FROM quarantine WHERE id = ? RETURNING size').get(id);
      if (!row) continue;
      entries--;
      bytes -= numberIn(row, 0);
    }
    return { ...before, entries, bytes };
  }

  /**
   * Takes out what `device` sent, and what came on topics that name it, whoever sent that. The free pages are noted as
   * stale, for bodies may have stood there before. The caller holds the transaction.
   */
  erase(device: string, before: QuarantineSize): QuarantineSize {
    writeMeta(this.#statements, 'quarantine_removed', before.lastId);
    writeMeta(this.#statements, 'pages_stale', 1);
    let { entries, bytes } = before;
    const rows = this.#statements
      .get(
        `DELETE FROM quarantine WHERE sender = ?1 OR instr('/' || topic || '/', '/' || ?1 || '/') > 0 RETURNING size`,
      )
      .all(device);
    for (const row of rows) {
      entries--;
      bytes -= numberIn(row, 0);
    }
    return { ...before, entries, bytes };
  }

  #bounded(size: QuarantineSize): QuarantineSize {
    let { entries: count, bytes } = size;
    while (bytes > this.#bytesMax && count > 1) {
      const oldest = this.#statements.get('SELECT id, size FROM quarantine ORDER BY id LIMIT 1').get();
      this.#statements.get('DELETE FROM quarantine WHERE id = ?').run(numberIn(oldest, 0));
      bytes -= numberIn(oldest, 1);
      count--;
    }
    return { ...size, entries: count, bytes };
  }
}

function sizeOf(entry: QuarantineEntry): number {
  const texts = [entry.topic, entry.client ?? '', entry.sender.device ?? '', entry.reason, entry.pointer, entry.detail];
  return texts.reduce((total, text) => total + Buffer.byteLength(text), rowBytes + entry.payload.byteLength);
}
