import { closeSync, fsyncSync, openSync, readSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf } from '../../base/errors.ts';
import { DamagedLogError, Database, faultOf } from './database.ts';

/** Marks the file as ours: "PULS" in ASCII, in the header field that `PRAGMA application_id` reads. */
const applicationId = 0x50_55_4c_53;

/**
 * One entry per version, applied in order to whatever version the file has; `PRAGMA user_version` counts them. An entry
 * that was ever released is never changed.
 */
const migrations: readonly string[] = [
  `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;

  CREATE TABLE commit_log (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    readings INTEGER NOT NULL,
    bytes BLOB NOT NULL
  ) STRICT;

  -- time and value: the newest sealed reading. sealed_seq: chunks hold every logged reading up to that commit.
  CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    device TEXT NOT NULL,
    metric TEXT NOT NULL,
    time INTEGER,
    kind INTEGER,
    value ANY,
    sealed_seq INTEGER NOT NULL DEFAULT 0,
    chunks INTEGER NOT NULL DEFAULT 0
  ) STRICT;

  -- id: series number in the high bits, number of the chunk in the low 31, so that a series lies together and no two
  -- chunks share a key. late: may overlap in time with chunks of lower number; the others never overlap each other.
  CREATE TABLE chunk (
    id INTEGER PRIMARY KEY,
    series INTEGER NOT NULL,
    late INTEGER NOT NULL,
    time_min INTEGER NOT NULL,
    time_max INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    count INTEGER NOT NULL,
    codec INTEGER NOT NULL,
    min REAL,
    max REAL,
    sum REAL,
    first ANY,
    last ANY,
    bytes BLOB NOT NULL
  ) STRICT;
  CREATE INDEX chunk_time ON chunk (series, late, time_max, time_min);

  CREATE TABLE device (
    device TEXT PRIMARY KEY,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    status TEXT,
    status_at INTEGER,
    attributes TEXT NOT NULL,
    clock_corrected INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE alert_state (
    rule_id TEXT NOT NULL,
    device TEXT NOT NULL,
    metric TEXT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (rule_id, device, metric)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE alert (
    id TEXT PRIMARY KEY,
    fired_at INTEGER NOT NULL,
    state TEXT NOT NULL,
    rule_id TEXT NOT NULL,
    device TEXT NOT NULL,
    alert TEXT NOT NULL
  ) STRICT;
  CREATE INDEX alert_fired ON alert (fired_at, id);
  CREATE INDEX alert_firing ON alert (fired_at, id) WHERE state = 'firing';

  CREATE TABLE transition (
    id INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL,
    alert_id TEXT NOT NULL,
    transition TEXT NOT NULL
  ) STRICT;
  CREATE INDEX transition_seq ON transition (seq);
  CREATE INDEX transition_alert ON transition (alert_id);

  CREATE TABLE delivery (
    id TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    webhook_id TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_attempt_at INTEGER,
    type TEXT NOT NULL,
    order_key TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    body TEXT NOT NULL
  ) STRICT;
  CREATE INDEX delivery_seq ON delivery (seq, id);
  CREATE INDEX delivery_webhook ON delivery (webhook_id, seq, id);
  CREATE INDEX delivery_pending ON delivery (seq, id) WHERE state = 'pending';
  CREATE INDEX delivery_webhook_pending ON delivery (webhook_id, seq, id) WHERE state = 'pending';

  CREATE TABLE attempt (
    delivery_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    webhook_id TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    duration_ms REAL NOT NULL,
    outcome TEXT NOT NULL,
    status INTEGER,
    error TEXT,
    excerpt TEXT,
    next_attempt_at INTEGER,
    UNIQUE (delivery_id, number)
  ) STRICT;

  CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY,
    size INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    topic TEXT NOT NULL,
    client TEXT,
    reason TEXT NOT NULL,
    pointer TEXT NOT NULL,
    detail TEXT NOT NULL,
    payload BLOB NOT NULL
  ) STRICT;
  `,
  `
  ALTER TABLE device ADD COLUMN status_cause TEXT;
  ALTER TABLE device ADD COLUMN provisioned TEXT;

  -- The device whose connection a message came on, null for anybody else; what version 1 kept came from anybody.
  ALTER TABLE quarantine ADD COLUMN sender TEXT;
  ALTER TABLE quarantine ADD COLUMN for_others INTEGER NOT NULL DEFAULT 1;

  CREATE TABLE device_token (
    device TEXT NOT NULL,
    id TEXT NOT NULL,
    hash TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (device, id)
  ) STRICT, WITHOUT ROWID;

  -- ordinal: rows are recovered in the order in which they were first put. The client first, so that its rows lie
  -- together and go together.
  CREATE TABLE mqtt_session (
    client TEXT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (client, kind, key)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE command (
    id TEXT PRIMARY KEY,
    device TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    sent_at INTEGER,
    settled_at INTEGER,
    name TEXT NOT NULL,
    params TEXT NOT NULL,
    result TEXT NOT NULL
  ) STRICT;
  CREATE INDEX command_created ON command (created_at, id);
  CREATE INDEX command_device ON command (device, created_at, id);
  CREATE INDEX command_open ON command (created_at, id) WHERE settled_at IS NULL;
  CREATE INDEX command_settled ON command (settled_at) WHERE settled_at IS NOT NULL;
  `,
  `
  -- Times that the chunks of several series share, because their readings came in the same messages; goes with the last
  -- of them.
  CREATE TABLE time_column (id INTEGER PRIMARY KEY, chunks INTEGER NOT NULL, bytes BLOB NOT NULL) STRICT;
  -- Null for a chunk whose times stand in its own bytes.
  ALTER TABLE chunk ADD COLUMN times INTEGER;
  -- Late chunks are few and wait to be merged.
  CREATE INDEX chunk_late ON chunk (series) WHERE late = 1;

  -- id: series number, then one bit for the tier (0 minute, 1 hour), then the number of the window since the epoch plus
  -- 2^29 in the low 30 bits.
  CREATE TABLE rollup (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
  -- Windows that have to be summed up again, because something in them was written or deleted after they had been.
  CREATE TABLE rollup_due (id INTEGER PRIMARY KEY) STRICT;
  -- Buckets from .._from (included) to .._to are summed up, but for windows in rollup_due; one without a row has no
  -- readings. .._looked: whether windows before it are worth being summed up has been looked at. raw_from: readings
  -- before it are purged.
  ALTER TABLE series ADD COLUMN minute_from INTEGER;
  ALTER TABLE series ADD COLUMN minute_to INTEGER;
  ALTER TABLE series ADD COLUMN minute_looked INTEGER;
  ALTER TABLE series ADD COLUMN hour_from INTEGER;
  ALTER TABLE series ADD COLUMN hour_to INTEGER;
  ALTER TABLE series ADD COLUMN hour_looked INTEGER;
  ALTER TABLE series ADD COLUMN raw_from INTEGER;

  -- By these the rows are found whose time is over.
  ALTER TABLE alert ADD COLUMN resolved_at INTEGER AS (json_extract(alert, '$.resolvedAt'));
  CREATE INDEX alert_resolved ON alert (resolved_at) WHERE state = 'resolved';
  -- Pages of the alerts of a rule or device, and of a webhook's deliveries in one state.
  CREATE INDEX alert_rule ON alert (rule_id, fired_at, id);
  CREATE INDEX alert_device ON alert (device, fired_at, id);
  DROP INDEX delivery_webhook_pending;
  CREATE INDEX delivery_webhook_state ON delivery (webhook_id, state, seq, id);
  ALTER TABLE delivery ADD COLUMN settled_at INTEGER;
  UPDATE delivery SET settled_at = created_at WHERE state <> 'pending';
  CREATE INDEX delivery_settled ON delivery (settled_at) WHERE settled_at IS NOT NULL;

  -- Readings in [time_from, time_to) of a series that commit seq deleted and that are still on disk: in the log before
  -- that commit, and in chunks numbered below chunk_to that lie wholly in the range (0: those are gone). Nobody is told
  -- of them any more; the row goes when they are overwritten.
  CREATE TABLE erasure (
    id INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL,
    series INTEGER NOT NULL,
    time_from INTEGER NOT NULL,
    time_to INTEGER NOT NULL,
    chunk_to INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX erasure_chunks ON erasure (series) WHERE chunk_to > 0;
  -- Zeros, by which free pages are overwritten after a deletion; empty otherwise.
  CREATE TABLE blank (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;

  -- The chunks that hold what was not deleted. Whoever answers, looks up, sums up or merges reads these; only who writes
  -- and removes chunks touches the table itself.
  CREATE VIEW kept_chunk AS SELECT * FROM chunk WHERE NOT EXISTS (
    SELECT 1 FROM erasure WHERE erasure.series = chunk.series AND erasure.chunk_to > 0
      AND erasure.chunk_to > (chunk.id & 2147483647)
      AND chunk.time_min >= erasure.time_from AND chunk.time_max < erasure.time_to
  );
  `,
];

/** A sentence for people: why the store cannot be opened and what to do. Crosses threads as text. */
export class StoreRefusedError extends Error {
  override readonly name = 'StoreRefusedError';
}

/**
 * Opens or creates the database for writing and brings its tables up to date. Throws `StoreRefusedError` with the
 * file's name for a file that is no Pulsegate database, damaged, of a newer version, or not to be opened; the file is
 * then left as it was.
 */
export function openForWriting(path: string, options: { busyTimeoutMs: number; pagesMax: number | null }): Database {
  refuseForeignHeader(path);
  let database: Database | undefined;
  try {
    database = new Database(path, options);
    refuseForeignContent(database, path);
    // 4 KB pages: a small commit writes one page, and larger pages wear flash out faster for nothing.
    database.exec('PRAGMA page_size = 4096');
    database.exec('PRAGMA journal_mode = WAL');
    database.exec('PRAGMA synchronous = FULL');
    // Checkpoints run where they do not hold up a commit; see README.md.
    database.exec('PRAGMA wal_autocheckpoint = 0');
    database.exec('PRAGMA journal_size_limit = 16777216');
    database.exec('PRAGMA cache_size = -8000');
    // Deleted content is overwritten where that costs no writing; a deletion on request overwrites all (erasure-work.ts).
    database.exec('PRAGMA secure_delete = FAST');
    if (options.pagesMax !== null) database.exec(`PRAGMA max_page_count = ${Math.floor(options.pagesMax)}`);
    const version = database.number('PRAGMA user_version');
    if (version > 0 && version < migrations.length) copyBefore(database, path, version);
    migrate(database);
    return database;
  } catch (error) {
    database?.close();
    throw refusalOf(error, path);
  }
}

/** Opens a second connection to a database that `openForWriting` has already opened in this process. */
export function openForReading(path: string): Database {
  const database = new Database(path, { busyTimeoutMs: 5_000, readOnly: true });
  database.exec('PRAGMA cache_size = -8000');
  return database;
}

/**
 * Opens a database as it is, for whoever looks at it, be it while a gateway runs. Throws `StoreRefusedError` when it is
 * not there, of another program or of another version than this one writes.
 */
export function openForExamination(path: string): Database {
  if (readHeader(path).length === 0) throw new StoreRefusedError(`There is no database at ${path}.`);
  refuseForeignHeader(path);
  try {
    const database = openForReading(path);
    refuseForeignContent(database, path);
    const version = database.number('PRAGMA user_version');
    if (version === migrations.length) return database;
    database.close();
    throw new StoreRefusedError(
      `The database ${path} has version ${version}, made by an older Pulsegate: start this one once, which brings it to version ${migrations.length}.`,
    );
  } catch (error) {
    throw refusalOf(error, path);
  }
}

/** A connection of the maintenance worker; it never writes but checkpoints. */
export function openForMaintenance(path: string): Database {
  const database = new Database(path, { busyTimeoutMs: 5_000 });
  database.exec('PRAGMA wal_autocheckpoint = 0');
  return database;
}

/** The sentence for anything that went wrong while the store was opened or recovered. */
export function refusalOf(thrown: unknown, path: string): StoreRefusedError {
  if (thrown instanceof StoreRefusedError) return thrown;
  const detail = messageOf(thrown);
  if (thrown instanceof DamagedLogError) {
    return new StoreRefusedError(
      `The database ${path} is damaged (${detail}). It was left as it is: "pulsegate doctor --repair" sets the damaged commit aside, says what is lost with it, and lets the gateway start with the rest; a restore from a backup brings back what the backup has.`,
    );
  }
  switch (faultOf(thrown)) {
    case 'not_a_database':
    case 'corrupt':
      return new StoreRefusedError(
        `The database ${path} is damaged (${detail}). It was left as it is: restore it from a backup, or move it away to begin with an empty one.`,
      );
    case 'busy':
      return new StoreRefusedError(
        `The database ${path} is locked by another program (${detail}). Close what has it open and start again.`,
      );
    case 'full':
      return new StoreRefusedError(`There is no room to open the database ${path}: the disk is full (${detail}).`);
    case 'cannot_open':
    case 'read_only':
      return new StoreRefusedError(
        `The database ${path} cannot be opened for writing (${detail}). Check that its folder exists and that this user may write there.`,
      );
    default:
      return new StoreRefusedError(`The database ${path} cannot be opened: ${detail}.`);
  }
}

/** Looks at the header without SQLite, which would already touch the write-ahead log of a file that is refused. */
function refuseForeignHeader(path: string): void {
  const header = readHeader(path);
  if (header.length === 0) return;
  if (header.length < 100 || header.toString('latin1', 0, 16) !== 'SQLite format 3\0') {
    throw new StoreRefusedError(
      `The file ${path} is not a SQLite database. It was left as it is: move it away to begin with an empty one.`,
    );
  }
  refuseIdentity(path, header.readInt32BE(68), header.readUInt32BE(60));
}

function readHeader(path: string): Buffer {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return Buffer.alloc(0);
    throw new StoreRefusedError(`The database ${path} cannot be read: ${messageOf(error)}.`);
  }
  try {
    const header = Buffer.alloc(100);
    return header.subarray(0, readSync(file, header, 0, 100, 0));
  } catch (error) {
    throw new StoreRefusedError(`The database ${path} cannot be read: ${messageOf(error)}.`);
  } finally {
    closeSync(file);
  }
}

/** The same once more through SQLite, since the header may stand in the write-ahead log. */
function refuseForeignContent(database: Database, path: string): void {
  const application = database.number('PRAGMA application_id');
  const version = database.number('PRAGMA user_version');
  refuseIdentity(path, application, version);
  if (application === 0 && database.number('SELECT count(*) FROM sqlite_schema') > 0) {
    throw new StoreRefusedError(foreign(path));
  }
}

function refuseIdentity(path: string, application: number, version: number): void {
  if (application !== applicationId && (application !== 0 || version !== 0)) {
    throw new StoreRefusedError(foreign(path));
  }
  if (version > migrations.length) {
    throw new StoreRefusedError(
      `The database ${path} has version ${version}, made by a newer Pulsegate; this one knows versions up to ${migrations.length}. Start the newer program, or restore a backup made before the upgrade.`,
    );
  }
}

function foreign(path: string): string {
  return `The file ${path} is a SQLite database of another program. It was left as it is: choose another data folder or move the file away.`;
}

/**
 * A copy of the database as it is, beside it (`pulsegate.db.v1`), for whoever wants to go back to the older program. It
 * is whole or not there; copies of earlier upgrades go.
 */
function copyBefore(database: Database, path: string, version: number): void {
  const copy = `${path}.v${version}`;
  const unfinished = `${copy}.part`;
  rmSync(unfinished, { force: true });
  try {
    database.prepare('VACUUM INTO ?').run(unfinished);
    syncFile(unfinished);
    renameSync(unfinished, copy);
    syncFile(dirname(path));
  } catch (error) {
    rmSync(unfinished, { force: true });
    const hint = faultOf(error) === 'full' ? 'the disk is full' : messageOf(error);
    throw new StoreRefusedError(
      `The database ${path} has to be brought to a newer version, and could not be copied before (${hint}). It was left as it is: make room for a copy of it and start again.`,
    );
  }
  for (let older = 1; older < version; older++) rmSync(`${path}.v${older}`, { force: true });
}

function syncFile(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** All steps in one transaction, so that a kill leaves either version whole. */
function migrate(database: Database): void {
  const version = database.number('PRAGMA user_version');
  if (version === migrations.length) return;
  database.exec('BEGIN IMMEDIATE');
  try {
    for (const step of migrations.slice(version)) database.exec(step);
    database.exec(`PRAGMA application_id = ${applicationId}`);
    database.exec(`PRAGMA user_version = ${migrations.length}`);
    database.exec('COMMIT');
  } catch (error) {
    if (database.inTransaction) database.exec('ROLLBACK');
    throw error;
  }
}
