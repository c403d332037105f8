import type { Database } from '../database.ts';
import { numberIn, Statements } from '../database.ts';

/** Columns written last that a chunk of a later transaction may still come to share. */
const recentMax = 64;

/**
 * The time columns that chunks share. A row lives as long as chunks refer to it: `chunks` counts them, and is brought up
 * to date once a transaction and not for every chunk, since most chunks of a device come and go together.
 */
export class TimeColumns {
  readonly #statements: Statements;
  /** By what the bytes say, the oldest first. */
  readonly #recent = new Map<string, Recent>();

  constructor(database: Database) {
    this.#statements = new Statements(database);
  }

  /** Begins a transaction's worth of changes. */
  edit(): TimeColumnsEdit {
    return new TimeColumnsEdit(this.#statements, this.#recent);
  }
}

interface Recent {
  readonly id: number;
  readonly bytes: Uint8Array;
}

/** What one transaction does to the time columns. Nothing in memory changes before `apply`. */
export class TimeColumnsEdit {
  readonly #statements: Statements;
  readonly #recent: Map<string, Recent>;
  /** References gained less those lost, by id. */
  readonly #references = new Map<number, number>();
  readonly #added = new Map<string, Recent>();
  readonly #gone = new Set<number>();
  /** Bytes of columns written anew. */
  written = 0;

  constructor(statements: Statements, recent: Map<string, Recent>) {
    this.#statements = statements;
    this.#recent = recent;
  }

  /** One more chunk refers to the column with these bytes; returns its id. Equal bytes are written once, if lately. */
  reference(bytes: Uint8Array): number {
    const key = keyOf(bytes);
    const known = this.#added.get(key) ?? this.#recent.get(key);
    if (known && Buffer.compare(known.bytes, bytes) === 0) {
      this.#count(known.id, 1);
      return known.id;
    }
    const row = this.#statements.get('INSERT INTO time_column (chunks, bytes) VALUES (0, ?) RETURNING id').get(bytes);
    const id = numberIn(row, 0);
    this.#added.set(key, { id, bytes });
    this.#count(id, 1);
    this.written += bytes.length;
    return id;
  }

  /** A chunk that referred to the column is gone. */
  release(id: number): void {
    this.#count(id, -1);
  }

  /** Writes the counts, and deletes columns that nobody refers to any more; the last thing before COMMIT. */
  finish(): void {
    for (const [id, change] of this.#references) {
      // No change is asked too: a column that was made and let go in one transaction must not stay.
      const isGone =
        change <= 0 &&
        this.#statements.get('DELETE FROM time_column WHERE id = ?1 AND chunks + ?2 <= 0').run(id, change) > 0;
      if (isGone) this.#gone.add(id);
      else if (change !== 0) {
        this.#statements.get('UPDATE time_column SET chunks = chunks + ? WHERE id = ?').run(change, id);
      }
    }
  }

  /** The transaction is on disk. */
  apply(): void {
    for (const [key, column] of this.#added) this.#recent.set(key, column);
    for (const [key, { id }] of this.#recent) if (this.#gone.has(id)) this.#recent.delete(key);
    for (const key of this.#recent.keys()) {
      if (this.#recent.size <= recentMax) break;
      this.#recent.delete(key);
    }
  }

  #count(id: number, change: number): void {
    this.#references.set(id, (this.#references.get(id) ?? 0) + change);
  }
}

/** Length and checksum, which stands last. */
function keyOf(bytes: Uint8Array): string {
  return `${bytes.length}:${bytes.subarray(-4).join('.')}`;
}
