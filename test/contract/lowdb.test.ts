// Why the catalog has an adapter of its own.
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Low } from 'lowdb';
import { JSONFile, JSONFilePreset } from 'lowdb/node';
import { afterAll, afterEach, expect, it } from 'vitest';
import { tempFolder } from '../support/temp-folder.ts';

const folder = tempFolder();

afterAll(() => folder.remove());
afterEach(() => rmSync(join(folder.path, 'db.json'), { force: true }));

it('the preset keeps everything in memory under NODE_ENV=test, and writes a file otherwise', async () => {
  const file = join(folder.path, 'db.json');
  const environment = process.env.NODE_ENV;
  try {
    process.env.NODE_ENV = 'test';
    const inMemory = await JSONFilePreset(file, { rules: 1 });
    await inMemory.write();
    expect(existsSync(file)).toBe(false);
    process.env.NODE_ENV = 'production';
    const onDisk = await JSONFilePreset(file, { rules: 1 });
    await onDisk.write();
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ rules: 1 });
  } finally {
    process.env.NODE_ENV = environment;
  }
});

it('the file adapter sets no mode: a secret would be readable by whoever the umask lets', async () => {
  const file = join(folder.path, 'db.json');
  const before = process.umask(0o022);
  try {
    const database = new Low(new JSONFile<{ secret: string }>(file), { secret: 'whsec' });
    await database.write();
    expect(statSync(file).mode & 0o777).toBe(0o644);
  } finally {
    process.umask(before);
  }
});

it('reads and writes through whatever adapter it is given, all of it each time', async () => {
  const written: unknown[] = [];
  const adapter = {
    read: () => Promise.resolve({ rules: ['a'] }),
    write: (kept: { rules: string[] }) => {
      written.push(structuredClone(kept));
      return Promise.resolve();
    },
  };
  const database = new Low<{ rules: string[] }>(adapter, { rules: [] });
  await database.read();
  expect(database.data).toEqual({ rules: ['a'] });
  await database.update((kept) => void kept.rules.push('b'));
  expect(written).toEqual([{ rules: ['a', 'b'] }]);
});

it('does not catch a failing adapter: the error reaches whoever wrote', async () => {
  const adapter = { read: () => Promise.resolve(null), write: () => Promise.reject(new Error('disk full')) };
  const database = new Low<{ rules: string[] }>(adapter, { rules: [] });
  await expect(database.write()).rejects.toThrow('disk full');
});
