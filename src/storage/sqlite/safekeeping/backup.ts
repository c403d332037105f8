import { closeSync, fsyncSync, openSync, rmSync, statSync } from 'node:fs';
import { messageOf } from '../../../base/errors.ts';
import type { BackupFacts } from '../../../history/engine.ts';
import { Database, faultOf, Statements } from '../database.ts';
import { readMeta } from '../rows/meta.ts';

/**
 * Copies the store as it is after the last commit into the new file `path`, and syncs it. One statement and so one
 * snapshot: page by page beside a busy writer would begin anew with every commit and never end. `VACUUM INTO` leaves
 * free pages out, so the copy is no larger than what is in use. Meanwhile the write-ahead log grows by what is committed.
 * Leaves nothing at `path` when it fails.
 */
export function copyStore(database: Database, path: string): BackupFacts {
  try {
    database.prepare('VACUUM INTO ?').run(path);
    syncFile(path);
    return { ...factsOf(path), bytes: statSync(path).size };
  } catch (error) {
    for (const leftover of [path, `${path}-journal`]) rmSync(leftover, { force: true });
    switch (faultOf(error)) {
      case 'full':
        throw new Error('the disk has no room for a copy of the database', { cause: error });
      case 'corrupt':
        throw new Error(`the database is damaged (${messageOf(error)}); "pulsegate doctor" says where`, {
          cause: error,
        });
      default:
        throw error;
    }
  }
}

/** Asked of the copy, since commits go on meanwhile. */
function factsOf(path: string): { readonly epoch: string; readonly seq: number } {
  const copy = new Database(path, { busyTimeoutMs: 0, readOnly: true });
  try {
    const epoch = String(readMeta(new Statements(copy), 'epoch'));
    return { epoch, seq: copy.number('SELECT coalesce(max(seq), 0) FROM commit_log') };
  } finally {
    copy.close();
  }
}

function syncFile(path: string): void {
  const file = openSync(path, 'r+');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
