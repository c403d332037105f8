import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { readTar, TarError, tarEnd, tarHeader, tarPadding } from '../../src/storage/tar.ts';
import { tempFolder } from '../support/temp-folder.ts';

interface Packed {
  readonly name: string;
  readonly content: Buffer;
}

function archiveOf(files: readonly Packed[]): Buffer {
  const parts = files.flatMap(({ name, content }) => [
    tarHeader({ name, bytes: content.length, mode: 0o600, modifiedAt: 1_790_000_000_000 }),
    content,
    tarPadding(content.length),
  ]);
  return Buffer.concat([...parts, tarEnd]);
}

/** The bytes in pieces of `size`, as a socket might bring them. */
async function* piecesOf(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function unpack(bytes: Buffer, size: number): Promise<Packed[]> {
  const files: Packed[] = [];
  for await (const { name, content } of readTar(piecesOf(bytes, size))) {
    const parts: Uint8Array[] = [];
    for await (const part of content) parts.push(part);
    files.push({ name, content: Buffer.concat(parts) });
  }
  return files;
}

it('what is packed is unpacked, however the bytes are cut', async () => {
  const file = fc.record({
    name: fc.stringMatching(/^[a-z.-]{1,20}$/),
    content: fc.uint8Array({ maxLength: 2_000 }).map((bytes) => Buffer.from(bytes)),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(file, { maxLength: 4 }), fc.integer({ min: 1, max: 1_500 }), async (files, size) => {
      expect(await unpack(archiveOf(files), size)).toEqual(files);
    }),
  );
});

it.skipIf(process.platform === 'win32')(
  'the tar of the system reads what we write, and we read what it writes',
  async () => {
    const folder = tempFolder();
    try {
      const files = [
        { name: 'manifest.json', content: Buffer.from('{}\n') },
        { name: 'pulsegate.db', content: Buffer.alloc(100_000, 'x') },
      ];
      const path = join(folder.path, 'ours.tar');
      writeFileSync(path, archiveOf(files));
      execFileSync('tar', ['-xf', path, '-C', folder.path]);
      for (const { name, content } of files) expect(readFileSync(join(folder.path, name)).equals(content)).toBe(true);
      const theirs = join(folder.path, 'theirs.tar');
      execFileSync('tar', ['--format=ustar', '-cf', theirs, '-C', folder.path, 'pulsegate.db', 'manifest.json']);
      expect(await unpack(readFileSync(theirs), 65_536)).toEqual(files.toReversed());
    } finally {
      folder.remove();
    }
  },
);

it('a file of more than 8 GiB keeps its length', async () => {
  const bytes = 9 * 2 ** 30;
  const header = Buffer.from(tarHeader({ name: 'large', bytes, mode: 0o600, modifiedAt: 0 }));
  for await (const file of readTar(piecesOf(header, 512))) {
    expect(file.bytes).toBe(bytes);
    break;
  }
});

it('an archive that was cut off or changed is refused at every place', async () => {
  const archive = archiveOf([{ name: 'a', content: Buffer.alloc(700, 'a') }]);
  for (const length of [1, 511, 512, 700, 1_212, 1_535, 1_536]) {
    await expect(unpack(archive.subarray(0, length), 100)).rejects.toBeInstanceOf(TarError);
  }
  for (let at = 0; at < 500; at++) {
    // What ends the checksum has two forms in use, so nothing is made of it.
    if (at === 154 || at === 155) continue;
    const changed = Buffer.from(archive);
    changed[at] ^= 0x01;
    await expect(unpack(changed, 4_096)).rejects.toBeInstanceOf(TarError);
  }
});

it('names that do not fit are refused', () => {
  for (const name of ['', 'a'.repeat(101), 'with space', 'ü']) {
    expect(() => tarHeader({ name, bytes: 0, mode: 0o600, modifiedAt: 0 })).toThrow(TarError);
  }
});
