import type { SQLInputValue, SQLOutputValue, StatementSync } from 'node:sqlite';
import { DatabaseSync } from 'node:sqlite';

/** The only file that knows `node:sqlite`, which is not yet stable in Node 24: whatever it renames is mended here. */
export class Database {
  readonly path: string;
  readonly #inner: DatabaseSync;
  readonly #busyTimeoutMs: number;
  readonly #statements: Statements;

  /**
   * Opens or creates the file at `path`. `busyTimeoutMs` is how long a statement waits for another connection's lock;
   * `readOnly` connections never create the file.
   */
  constructor(path: string, options: { busyTimeoutMs: number; readOnly?: boolean }) {
    this.path = path;
    this.#busyTimeoutMs = options.busyTimeoutMs;
    this.#inner = new DatabaseSync(path, {
      timeout: options.busyTimeoutMs,
      readOnly: options.readOnly ?? false,
      enableForeignKeyConstraints: false,
    });
    this.#statements = new Statements(this);
  }

  /** Runs statements that return nothing. */
  exec(sql: string): void {
    this.#inner.exec(sql);
  }

  prepare(sql: string): Statement {
    return new Statement(this.#inner.prepare(sql));
  }

  /** The single number that `sql` answers. */
  number(sql: string): number {
    return numberIn(this.prepare(sql).get(), 0);
  }

  /** Whether a BEGIN is open; SQLite ends it by itself after some errors. */
  get inTransaction(): boolean {
    return this.#inner.isTransaction;
  }

  /** Frames now in the write-ahead log, and how many of them a checkpoint has copied into the file already. */
  walFrames(): { readonly frames: number; readonly copied: number } {
    return this.#checkpoint('NOOP');
  }

  /** Copies what it can of the write-ahead log into the file without waiting for anybody. */
  checkpoint(): { readonly frames: number; readonly copied: number } {
    return this.#checkpoint('PASSIVE');
  }

  /** As `checkpoint`, and waits for the readers of old snapshots, so that the next write surely begins the log anew. */
  checkpointAndWait(): { readonly frames: number; readonly copied: number } {
    return this.#checkpoint('RESTART');
  }

  /** As `checkpoint`, and cuts the log to nothing. False when somebody still reads an older state; nobody is waited for. */
  emptyLog(): boolean {
    this.exec('PRAGMA busy_timeout = 0');
    try {
      return this.#checkpoint('TRUNCATE').frames === 0;
    } finally {
      this.exec(`PRAGMA busy_timeout = ${this.#busyTimeoutMs}`);
    }
  }

  /** What `work` frees is overwritten with zeros, also where that means writing pages that would be left alone. */
  overwriting<T>(work: () => T): T {
    this.#inner.exec('PRAGMA secure_delete = ON');
    try {
      return work();
    } finally {
      this.#inner.exec('PRAGMA secure_delete = FAST');
    }
  }

  close(): void {
    if (this.#inner.isOpen) this.#inner.close();
  }

  #checkpoint(mode: 'NOOP' | 'PASSIVE' | 'RESTART' | 'TRUNCATE'): { frames: number; copied: number } {
    const row = this.#statements.get(`PRAGMA wal_checkpoint(${mode})`).get();
    return { frames: numberIn(row, 1), copied: numberIn(row, 2) };
  }
}

/** What a statement takes. */
export type Input = SQLInputValue;
/** One row, column by column in the order of the SELECT. */
export type Row = readonly SQLOutputValue[];

/** A prepared statement; rows come as arrays, which is about twice as fast as objects. */
export class Statement {
  readonly #inner: StatementSync;

  constructor(inner: StatementSync) {
    this.#inner = inner;
    inner.setReturnArrays(true);
  }

  run(...inputs: Input[]): number {
    return Number(this.#inner.run(...inputs).changes);
  }

  get(...inputs: Input[]): Row | undefined {
    const row: unknown = this.#inner.get(...inputs);
    return row === undefined ? undefined : rowIn(row);
  }

  all(...inputs: Input[]): Row[] {
    const rows: unknown = this.#inner.all(...inputs);
    return rows as Row[];
  }

  /** Row after row; nothing else may run on the statement until the loop ends. */
  *each(...inputs: Input[]): Generator<Row, void, undefined> {
    const rows: Iterable<unknown> = this.#inner.iterate(...inputs);
    for (const row of rows) yield rowIn(row);
  }
}

function rowIn(row: unknown): Row {
  return row as Row;
}

/** Column `index` of a row, which must hold a number. */
export function numberIn(row: Row | undefined, index: number): number {
  const value = row?.[index];
  if (typeof value !== 'number') throw new CorruptStoreError(`column ${index} holds ${typeof value}, not a number`);
  return value;
}

export function numberOrNullIn(row: Row, index: number): number | null {
  return row[index] === null ? null : numberIn(row, index);
}

export function textIn(row: Row, index: number): string {
  const value = row[index];
  if (typeof value !== 'string') throw new CorruptStoreError(`column ${index} holds ${typeof value}, not text`);
  return value;
}

export function textOrNullIn(row: Row, index: number): string | null {
  return row[index] === null ? null : textIn(row, index);
}

/** Column `index` as bytes in a buffer of their own that begins where they begin, so that typed arrays can be laid over it. */
export function bytesIn(row: Row, index: number): Uint8Array<ArrayBuffer> {
  const value = row[index];
  if (!(value instanceof Uint8Array)) throw new CorruptStoreError(`column ${index} holds ${typeof value}, not bytes`);
  return value.byteOffset === 0 && value.buffer instanceof ArrayBuffer
    ? new Uint8Array(value.buffer, 0, value.byteLength)
    : Uint8Array.from(value);
}

export function bytesOrNullIn(row: Row, index: number): Uint8Array<ArrayBuffer> | null {
  return row[index] === null ? null : bytesIn(row, index);
}

/** The file does not hold what this engine writes: damaged, or changed by somebody else. */
export class CorruptStoreError extends Error {
  override readonly name = 'CorruptStoreError';
}

/** A commit of the log that cannot be read. */
export class DamagedLogError extends CorruptStoreError {
  constructor(seq: number, cause: CorruptStoreError) {
    super(`commit ${seq} of its log cannot be read: ${cause.message}`);
    this.cause = cause;
  }
}

/** What SQLite says is wrong, by its primary result code (https://www.sqlite.org/rescode.html). */
export type Fault = 'busy' | 'full' | 'io' | 'corrupt' | 'not_a_database' | 'cannot_open' | 'read_only' | 'other';

const faults: Readonly<Record<number, Fault>> = {
  5: 'busy',
  6: 'busy',
  8: 'read_only',
  10: 'io',
  11: 'corrupt',
  13: 'full',
  14: 'cannot_open',
  26: 'not_a_database',
};

/** Classifies anything thrown; what did not come from SQLite is `other`, except damage that this engine found itself. */
export function faultOf(thrown: unknown): Fault {
  if (thrown instanceof CorruptStoreError) return 'corrupt';
  if (!(thrown instanceof Error) || !('errcode' in thrown) || typeof thrown.errcode !== 'number') return 'other';
  // The low byte of an extended result code is the primary one.
  return faults[thrown.errcode & 0xff] ?? 'other';
}

/** Prepares each statement once, when it is first needed. */
export class Statements {
  readonly #database: Database;
  readonly #prepared = new Map<string, Statement>();

  constructor(database: Database) {
    this.#database = database;
  }

  get(sql: string): Statement {
    let statement = this.#prepared.get(sql);
    if (!statement) {
      statement = this.#database.prepare(sql);
      this.#prepared.set(sql, statement);
    }
    return statement;
  }
}
