import { statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** A copy that an upgrade made of the database before it brought it forward. */
export interface OlderCopy {
  /** Path of the file. */
  readonly file: string;
  readonly bytes: number;
}

/**
 * The copies beside the database of `dir`, by name. They are as old as their upgrade: nothing that is deleted later is
 * deleted from them.
 */
export async function olderCopies(dir: string): Promise<OlderCopy[]> {
  const copies: OlderCopy[] = [];
  for (const name of (await readdir(dir)).sort()) {
    if (!/^pulsegate\.db\.v\d+$/.test(name)) continue;
    const file = join(dir, name);
    // Whoever hears of one is told to delete it, perhaps by now.
    const found = statSync(file, { throwIfNoEntry: false });
    if (found) copies.push({ file, bytes: found.size });
  }
  return copies;
}
