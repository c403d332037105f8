import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileFault } from '../base/file-fault.ts';
import type { Random } from '../base/random.ts';
import { randomId } from '../base/random.ts';
import { BackupError } from './backup-archive.ts';
import type { BackedUpFile, BackupManifest } from './backup-manifest.ts';
import { backupFiles, ManifestError, manifestName, readManifest } from './backup-manifest.ts';
import { lockDataFolder } from './data-lock.ts';
import { renewEpoch } from './sqlite/safekeeping/epoch.ts';
import type { TarFile } from './tar.ts';
import { readTar, TarError } from './tar.ts';

/** A manifest is some hundred bytes. */
const manifestBytesMax = 1 << 20;
const unfinished = 'restore.part';

/** Checks a backup without unpacking it: every file has the length and checksum that the manifest says. Throws `BackupError`. */
export async function checkBackup(path: string): Promise<BackupManifest> {
  await refuseUnreadable(path);
  return readArchive(path, (file) => sumOf(file.content));
}

/**
 * Unpacks the backup `path` into the data folder `dir`, which must be empty or not there. Everything is checked before
 * anything has its name; a store of the same history under another epoch is the result, so that a cursor from before
 * meets a gap instead of commits that came to be twice. Throws `BackupError`; the folder is then as it was.
 */
export async function restoreBackup(path: string, dir: string, random: Random): Promise<BackupManifest> {
  await refuseUnreadable(path);
  const isNew = await makeEmptyFolder(dir);
  const lock = await lockDataFolder(dir);
  const part = join(dir, unfinished);
  let isRestored = false;
  try {
    await mkdir(part, { mode: 0o700 });
    const manifest = await readArchive(path, (file) => unpack(file, join(part, file.name)));
    renewEpoch(join(part, 'pulsegate.db'), randomId('e', random).slice(2));
    for (const { name } of manifest.files) await rename(join(part, name), join(dir, name));
    await rmdir(part);
    await syncFolder(dir);
    isRestored = true;
    return manifest;
  } catch (error) {
    throw error instanceof BackupError
      ? error
      : new BackupError(`Nothing was restored into ${dir}: ${fileFault(error)}.`, { cause: error });
  } finally {
    lock.release();
    if (!isRestored) await clear(dir, isNew);
  }
}

async function refuseUnreadable(path: string): Promise<void> {
  try {
    await using file = await open(path, 'r');
    await file.read(Buffer.alloc(1));
  } catch (error) {
    throw new BackupError(`${path} cannot be read: ${fileFault(error)}.`, { cause: error });
  }
}

/** True when the folder was not there. */
async function makeEmptyFolder(dir: string): Promise<boolean> {
  const made = await mkdir(dir, { recursive: true, mode: 0o700 });
  const names = await readdir(dir);
  if (names.length > 0) {
    throw new BackupError(
      `The folder ${dir} is not empty. A backup is restored into an empty one: name another, or move away what is there.`,
    );
  }
  return made !== undefined;
}

async function clear(dir: string, isNew: boolean): Promise<void> {
  for (const name of await readdir(dir)) await rm(join(dir, name), { recursive: true, force: true });
  if (isNew) await rmdir(dir);
}

async function readArchive(path: string, take: (file: TarFile) => Promise<Sum>): Promise<BackupManifest> {
  const sums = new Map<string, Sum>();
  let manifest: BackupManifest | null = null;
  try {
    for await (const file of readTar(createReadStream(path, { highWaterMark: 1 << 18 }))) {
      if (file.name === manifestName) manifest = readManifest(await bytesOf(file));
      else if (isOurs(file.name) && !sums.has(file.name)) sums.set(file.name, await take(file));
      else throw new BackupError(`${path} holds "${file.name}", which no backup of Pulsegate does.`);
    }
  } catch (error) {
    if (error instanceof TarError || error instanceof ManifestError) {
      throw new BackupError(`${path} cannot be used: ${error.message}.`, { cause: error });
    }
    throw error;
  }
  if (!manifest) throw new BackupError(`${path} was cut off: its manifest, which comes last, is not there.`);
  for (const file of manifest.files) refuseDifferent(path, file, sums.get(file.name));
  for (const name of backupFiles) {
    if (!manifest.files.some((file) => file.name === name)) throw new BackupError(`${path} has no ${name}.`);
  }
  return manifest;
}

function isOurs(name: string): boolean {
  return backupFiles.some((known) => known === name);
}

function refuseDifferent(path: string, { name, bytes, sha256 }: BackedUpFile, found: Sum | undefined): void {
  if (found?.bytes === bytes && found.sha256 === sha256) return;
  throw new BackupError(`${path} is damaged: ${name} is not what it was when the backup was made.`);
}

interface Sum {
  readonly bytes: number;
  readonly sha256: string;
}

async function sumOf(content: AsyncIterable<Uint8Array>, take?: (piece: Uint8Array) => Promise<unknown>): Promise<Sum> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const piece of content) {
    hash.update(piece);
    bytes += piece.length;
    await take?.(piece);
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** Secrets are for the owner alone; the others hold readings, which are nobody else's either. */
async function unpack(file: TarFile, path: string): Promise<Sum> {
  const target = await open(path, 'wx', 0o600);
  try {
    const sum = await sumOf(file.content, (piece) => target.writeFile(piece));
    await target.sync();
    return sum;
  } finally {
    await target.close();
  }
}

async function bytesOf(file: TarFile): Promise<Uint8Array> {
  if (file.bytes > manifestBytesMax) throw new ManifestError('its manifest is damaged');
  const pieces: Uint8Array[] = [];
  for await (const piece of file.content) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** Makes renames durable; Windows has no such call and refuses to open a folder. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
