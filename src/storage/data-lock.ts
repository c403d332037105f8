import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../base/errors.ts';
import { EngineOpenError } from '../history/engine.ts';
import { Database, faultOf } from './sqlite/database.ts';

/** The data folder is this gateway's until `release`, which may come twice. */
export interface DataLock {
  release(): void;
}

/**
 * Takes the data folder for this gateway alone; the folder is made when it is missing. Throws `EngineOpenError` with a
 * sentence that names the folder when another gateway has it, be it in this process.
 *
 * The lock is SQLite's own exclusive lock on an empty database beside the others: it works on every platform, it ends
 * with the process however that ends, and SQLite also refuses it twice within one process, which a bare file lock does
 * not on every platform.
 */
export async function lockDataFolder(dir: string): Promise<DataLock> {
  let database: Database | undefined;
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    database = new Database(join(dir, 'gateway.lock'), { busyTimeoutMs: 0 });
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database?.close();
    throw new EngineOpenError(sentence(error, dir));
  }
  const held = database;
  return { release: () => held.close() };
}

function sentence(thrown: unknown, dir: string): string {
  if (faultOf(thrown) === 'busy') {
    return `The data folder ${dir} is in use by another gateway. Stop that one, or give this one a data folder of its own.`;
  }
  return `The data folder ${dir} cannot be used: ${messageOf(thrown)}. Check that it exists and that this user may write there.`;
}
