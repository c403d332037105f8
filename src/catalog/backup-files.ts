import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Registration } from '../domain/registration.ts';
import { writeRegistrationsText } from './registrations-text.ts';

/** A file of the catalog as a backup holds it. */
export interface CatalogFile {
  readonly name: 'catalog.json' | 'devices.json' | 'secrets.json';
  readonly bytes: Uint8Array;
}

/**
 * What people decided, for a backup: the two small files as they stand, byte for byte, and the registrations as they are
 * in memory, so that their journal is folded in.
 */
export async function catalogFiles(
  dir: string,
  registrations: Iterable<Registration>,
): Promise<readonly CatalogFile[]> {
  const [catalog, secrets] = await Promise.all([
    readFile(join(dir, 'catalog.json')),
    readFile(join(dir, 'secrets.json')),
  ]);
  const devices = Buffer.from([...writeRegistrationsText(registrations)].join(''));
  return [
    { name: 'catalog.json', bytes: catalog },
    { name: 'devices.json', bytes: devices },
    { name: 'secrets.json', bytes: secrets },
  ];
}
