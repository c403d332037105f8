import { Database } from '../../src/storage/sqlite/database.ts';

/** A blob of the store. */
export interface Blob {
  readonly table: 'chunk' | 'time_column' | 'commit_log' | 'rollup';
  readonly key: number;
  readonly bytes: Uint8Array;
}

/** All blobs of a table that carry a checksum. */
export function blobsOf(database: Database, table: Blob['table']): Blob[] {
  return database
    .prepare(`SELECT rowid, bytes FROM ${table}`)
    .all()
    .map(([key, bytes]) => ({ table, key: Number(key), bytes: Uint8Array.from(bytes as Uint8Array) }));
}

/** Writes the blob with the byte at `at` changed; null writes it as it was. */
export function damage(database: Database, { table, key, bytes }: Blob, at: number | null, mask = 0x10): void {
  const changed = Uint8Array.from(bytes);
  if (at !== null) changed[at] ^= mask;
  database.prepare(`UPDATE ${table} SET bytes = ? WHERE rowid = ?`).run(changed, key);
}
