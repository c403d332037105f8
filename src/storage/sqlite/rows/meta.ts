import type { Statements } from '../database.ts';

/** Single facts about the whole store. */
export type MetaName =
  | 'epoch'
  | 'replay_from'
  | 'chunks'
  | 'chunk_readings'
  | 'sealed_bytes'
  | 'merged_bytes'
  | 'rollups'
  | 'rollup_bytes'
  | 'purged_readings'
  | 'quarantine_removed'
  | 'pages_stale';

export function writeMeta(statements: Statements, name: MetaName, value: number | string): void {
  statements.get('INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)').run(name, value);
}

/** The fact as it was written; null when it never was. */
export function readMeta(statements: Statements, name: MetaName): number | string | null {
  const value = statements.get('SELECT value FROM meta WHERE name = ?').get(name)?.[0];
  return typeof value === 'number' || typeof value === 'string' ? value : null;
}

/** Adds to a fact that is a number; within the transaction that makes it so. */
export function addMeta(statements: Statements, name: MetaName, more: number): void {
  if (more === 0) return;
  statements
    .get('INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = value + ?2')
    .run(name, more);
}
