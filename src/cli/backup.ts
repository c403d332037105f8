import { existsSync, statSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileFault, isFileFault } from '../base/file-fault.ts';
import { systemClock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { systemRandom } from '../base/random.ts';
import { Catalog } from '../catalog/catalog.ts';
import { syncFolder } from '../catalog/durable-file.ts';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { backupMediaType } from '../contract/backup.ts';
import { EngineOpenError } from '../history/engine.ts';
import { BackupError } from '../storage/backup-archive.ts';
import { checkBackup } from '../storage/backup-restore.ts';
import { type DataLock, lockDataFolder } from '../storage/data-lock.ts';
import { createSqliteEngine } from '../storage/sqlite/engine.ts';
import { buildBackup } from '../wiring/backup.ts';
import { gatewayUrl } from './gateway-address.ts';
import { GatewayAnswerError, GatewayClient } from './gateway-client.ts';
import { flagPaths, type GatewayFlags } from './gateway-flags.ts';
import { createLog } from './logger.ts';
import { Progress } from './transfer/progress.ts';
import { version } from './version.ts';

/*
 * `pulsegate backup`: over REST while a gateway holds the data folder, or where --url says so; else from the files.
 */

export interface BackupFlags extends GatewayFlags {
  readonly url?: string;
  readonly key?: string;
}

/** A backup on its way. */
interface Source {
  readonly name: string;
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Nobody wants it any more. */
  drop(): unknown;
}

/** Makes a backup; `file` may be a folder, and left out it is the current one. What is at its name is whole and checked. */
export async function backup(file: string | undefined, flags: BackupFlags): Promise<void> {
  const path = await withSource(flags, (source) => save(source, file ?? '.'));
  const { seq, madeAt } = await checkBackup(path);
  console.error(`${path} holds everything up to commit ${seq}, as of ${madeAt}. It holds secrets: keep it safe.`);
}

async function withSource<T>(flags: BackupFlags, use: (source: Source) => Promise<T>): Promise<T> {
  if (flags.url !== undefined) return use(await overRest(flags.url, flags.key));
  // The key of a person is no option of the gateway.
  const { PULSEGATE_KEY: _key, ...env } = process.env;
  const config = loadConfig({ file: flags.config, env, flags: flagPaths(flags) });
  if (!existsSync(join(config.data.dir, 'pulsegate.db'))) {
    throw new BackupError(
      `There is nothing to back up in ${config.data.dir}; --data says where it is, --url asks a gateway.`,
    );
  }
  let lock: DataLock;
  try {
    lock = await lockDataFolder(config.data.dir);
  } catch (error) {
    if (!(error instanceof EngineOpenError)) throw error;
    return use(await throughGateway(config, flags.key, error));
  }
  try {
    return await fromFiles(config, use);
  } finally {
    lock.release();
  }
}

/** Somebody holds the data folder: most likely the gateway that the configuration describes. */
async function throughGateway(config: Config, key: string | undefined, held: EngineOpenError): Promise<Source> {
  try {
    return await overRest(gatewayUrl(config), key);
  } catch (error) {
    if (!(error instanceof GatewayAnswerError) || error.code !== null) throw error;
    throw new GatewayAnswerError(`${held.message} Or say with --url where it is: ${error.message}`, null);
  }
}

async function overRest(url: string, key: string | undefined): Promise<Source> {
  const answer = await new GatewayClient({ url, key }, process.env).open('POST', '/backup', {
    accept: backupMediaType,
  });
  const name = /filename="([\w.-]+)"/.exec(answer.headers['content-disposition'] ?? '')?.[1];
  return { name: name ?? 'pulsegate.tar', bytes: untilCut(answer), drop: () => answer.destroy() };
}

async function* untilCut(answer: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* answer;
  } catch (error) {
    const detail = `The backup was cut off (${messageOf(error)}); the same command makes another.`;
    throw new GatewayAnswerError(detail, null, { isTransient: true });
  }
}

async function fromFiles<T>(config: Config, use: (source: Source) => Promise<T>): Promise<T> {
  const log = createLog('warn');
  const parts = { clock: systemClock, random: systemRandom, log };
  const catalog = await Catalog.open({ dir: config.data.dir, ...parts });
  const { resumeWindow: ms, resumeBytesMax: bytes } = config.storage;
  const engine = createSqliteEngine({ dir: config.data.dir, resumeWindow: { ms, bytes }, ...parts });
  try {
    await engine.open();
    const archive = buildBackup({ config, ...parts, version }, { engine, catalog });
    const bytes = archive.write();
    return await use({ name: archive.nameNow(), bytes, drop: () => bytes.return() });
  } finally {
    await engine.close();
    await catalog.close();
  }
}

/** Writes beside the name, syncs, checks and only then gives it the name. Returns the name. */
async function save(source: Source, target: string): Promise<string> {
  const path = isFolder(target) ? join(target, source.name) : target;
  if (existsSync(path)) {
    source.drop();
    throw new BackupError(`${path} is there already; a backup never takes the place of a file.`);
  }
  const part = `${path}.part`;
  const progress = new Progress({ out: process.stderr, clock: systemClock, noun: 'bytes' });
  const file = await open(part, 'w', 0o600).catch((error: unknown) => {
    source.drop();
    throw notWritten(path, error);
  });
  try {
    let count = 0;
    for await (const piece of source.bytes) {
      await file.writeFile(piece);
      count += piece.length;
      progress.update({ count, share: null });
    }
    await file.sync();
    await checkBackup(part);
    await rename(part, path);
    await syncFolder(dirname(path));
    return path;
  } catch (error) {
    source.drop();
    await rm(part, { force: true });
    throw isFileFault(error) ? notWritten(path, error) : error;
  } finally {
    progress.end();
    await file.close();
  }
}

function notWritten(path: string, error: unknown): BackupError {
  return new BackupError(`${path} cannot be written: ${fileFault(error)}.`, { cause: error });
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
