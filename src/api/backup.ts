import { messageOf } from '../base/errors.ts';
import { Backup, backupMediaType } from '../contract/backup.ts';
import { noParameters } from './parameters.ts';
import type { ApiPorts } from './ports.ts';
import { RequestRefused } from './problem.ts';
import { type Route, route } from './route.ts';
import { WrittenAnswer } from './written-answer.ts';

export function backupRoutes(ports: ApiPorts): readonly Route[] {
  const make = route({
    method: 'POST',
    path: '/api/v1/backup',
    id: 'makeBackup',
    tag: 'operations',
    scope: 'admin',
    summary: 'A backup of everything, while everything goes on',
    description:
      'A tar file of the database as it is now, catalog.json, devices.json and secrets.json, and last a manifest with the checksum of each. It holds secrets: keep it as you keep those. `pulsegate restore` makes a data folder of it. The data folder needs room for a copy of the database as long as it is sent; one backup is made at a time.',
    params: noParameters,
    query: noParameters,
    body: null,
    success: {
      status: 200,
      description: 'The backup; whole only when it ends with its manifest',
      schema: Backup,
      mediaType: backupMediaType,
    },
    refusals: ['storage_unavailable', 'conflict'],
    handler() {
      const name = ports.backup.nameNow();
      return new WrittenAnswer(backupMediaType, told(ports.backup.write()), {
        'content-disposition': `attachment; filename="${name}"`,
        'cache-control': 'no-store',
      });
    },
  });
  return [make];
}

/** Before the first byte a failure can still be told; after it the answer is cut off. */
async function* told(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* bytes;
  } catch (error) {
    if (!isBackupError(error)) throw error;
    throw new RequestRefused(error.isBusy ? 'conflict' : 'storage_unavailable', messageOf(error));
  }
}

/** By name: the class belongs to the storage, of which this room knows only the types. */
function isBackupError(thrown: unknown): thrown is Error & { readonly isBusy: boolean } {
  return thrown instanceof Error && thrown.name === 'BackupError' && 'isBusy' in thrown;
}
