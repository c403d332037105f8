import { Statements } from '../database.ts';
import { writeMeta } from '../rows/meta.ts';
import { openForWriting, refusalOf } from '../schema.ts';

/**
 * Gives the store in the file `path`, which nobody has open, the name `epoch`: cursors of before are not of it. Throws
 * `StoreRefusedError` when the file is damaged, of a newer version or no store.
 */
export function renewEpoch(path: string, epoch: string): void {
  const database = openForWriting(path, { busyTimeoutMs: 0, pagesMax: null });
  try {
    const faults = database.prepare('PRAGMA quick_check(1)').all();
    if (faults[0]?.[0] !== 'ok') throw new Error(`quick_check says: ${String(faults[0]?.[0])}`);
    writeMeta(new Statements(database), 'epoch', epoch);
  } catch (error) {
    throw refusalOf(error, path);
  } finally {
    // The last connection copies the write-ahead log into the file and removes it.
    database.close();
  }
}
