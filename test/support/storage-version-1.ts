import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { settledColumns } from '../../src/domain/settled-columns.ts';
import { encodeCommitRecord } from '../../src/storage/sqlite/rows/commit-record.ts';
import { commitOf } from './storage-commits.ts';

/** The tables as the first version made them: what is out there in people's data folders, so it never changes. */
const tables = `
CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE commit_log (
  seq INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  readings INTEGER NOT NULL,
  bytes BLOB NOT NULL
) STRICT;

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
`;

/**
 * Writes `pulsegate.db` into the folder `dir` as version 1 left it: one device with two readings, a refused message, a
 * pending delivery. Answers with the epoch in it.
 */
export function makeVersion1(dir: string): string {
  const database = new DatabaseSync(join(dir, 'pulsegate.db'));
  database.exec('PRAGMA page_size = 4096; PRAGMA journal_mode = WAL');
  database.exec(tables);
  database.exec('PRAGMA application_id = 1347767379; PRAGMA user_version = 1');
  const at = 1_790_000_001_000;
  const { readings } = commitOf(1, [
    [1, 1_000, 21.5],
    [1, 2_000, 22],
  ]);
  const settled = settledColumns([{ client: 'c', packetId: 7, hash: 8 }]);
  database.prepare('INSERT INTO meta (name, value) VALUES (?, ?)').run('epoch', 'firstEpoch1');
  database
    .prepare('INSERT INTO commit_log (seq, at, readings, bytes) VALUES (1, ?, 2, ?)')
    .run(at, encodeCommitRecord(readings, null, settled));
  database.exec("INSERT INTO series (id, device, metric) VALUES (1, 'fridge', 'temperature')");
  database
    .prepare('INSERT INTO device VALUES (?, ?, ?, ?, ?, ?, ?)')
    .run('fridge', at - 5, at, 'offline', at, '{"model":"x"}', 3);
  database
    .prepare('INSERT INTO quarantine VALUES (1, 100, ?, ?, NULL, ?, ?, ?, ?)')
    .run(at, 'devices/fridge/telemetry', 'payload_not_json', '', 'is not JSON', Uint8Array.of(1, 2));
  database
    .prepare("INSERT INTO delivery VALUES ('d1', 1, 'w1', 'pending', 0, 0, 'alert.firing', 'k', 1, ?, '{}')")
    .run(at);
  database.close();
  return 'firstEpoch1';
}
