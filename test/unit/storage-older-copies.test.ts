import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { olderCopies } from '../../src/storage/sqlite/safekeeping/older-copies.ts';
import { tempFolder } from '../support/temp-folder.ts';

const folder = tempFolder();
const { path } = folder;
afterAll(() => folder.remove());

it('a copy that is deleted while the folder is read is not named, and the others are', async () => {
  const file = join(path, 'pulsegate.db.v2');
  writeFileSync(file, 'copied');
  // A name behind which there is nothing any more.
  symlinkSync(join(path, 'gone'), join(path, 'pulsegate.db.v1'));
  expect(await olderCopies(path)).toEqual([{ file, bytes: 6 }]);
});
