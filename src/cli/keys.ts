import { z } from 'zod';
import { KeyDesk } from '../access/key-desk.ts';
import { systemClock } from '../base/clock.ts';
import { parseDuration } from '../base/duration.ts';
import { systemRandom } from '../base/random.ts';
import { Catalog } from '../catalog/catalog.ts';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { Key, KeyCreated, KeyDraft, KeyList } from '../contract/key.ts';
import type { KeyRecord } from '../domain/key.ts';
import { EngineOpenError } from '../history/engine.ts';
import { type DataLock, lockDataFolder } from '../storage/data-lock.ts';
import { gatewayUrl } from './gateway-address.ts';
import { GatewayAnswerError, GatewayClient } from './gateway-client.ts';
import { flagPaths, type GatewayFlags } from './gateway-flags.ts';
import { createLog } from './logger.ts';

/*
 * `pulsegate keys …`: on the files while no gateway runs, so that the first key can be made before the first start; over
 * REST while one holds the data folder, or where --url says so.
 */

export interface KeyFlags extends GatewayFlags {
  readonly url?: string;
  readonly key?: string;
}

export interface CreateKeyFlags extends KeyFlags {
  readonly scope: readonly string[];
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
  /** A duration from now. */
  readonly expires?: string;
}

/** What the commands ask, of the files or of a gateway. */
interface KeyAccess {
  create(draft: KeyDraft): Promise<string>;
  list(): Promise<readonly Pick<Key, 'id' | 'name' | 'scopes' | 'expiresAt'>[]>;
  remove(id: string, options: { readonly force: boolean }): Promise<void>;
}

/** Makes a key and shows it, which nothing keeps. */
export async function createKey(name: string, flags: CreateKeyFlags): Promise<void> {
  const { scope, publish, subscribe, expires } = flags;
  const draft = KeyDraft.safeParse({
    name,
    scopes: scope.length > 0 ? scope : [publish.length + subscribe.length > 0 ? 'mqtt' : 'admin'],
    mqtt: { publish, subscribe },
    expiresAt: expires === undefined ? null : new Date(systemClock.now() + parseDuration(expires)).toISOString(),
  });
  if (!draft.success) throw new GatewayAnswerError(faultsOf(draft.error), null);
  console.log(await withKeys(flags, (keys) => keys.create(draft.data)));
  console.error('This is shown once. HTTP: "Authorization: Bearer <key>"; MQTT: any user name, the key as password.');
}

/** One key a line: id, scopes, when it ends, name. */
export async function listKeys(flags: KeyFlags): Promise<void> {
  const keys = await withKeys(flags, (access) => access.list());
  for (const { id, scopes, expiresAt, name } of keys) {
    console.log(`${id} ${scopes.join(',').padEnd(16)} ${(expiresAt ?? 'never').padEnd(24)} ${name}`);
  }
}

export async function deleteKey(id: string, flags: KeyFlags & { readonly force?: boolean }): Promise<void> {
  await withKeys(flags, (access) => access.remove(id, { force: flags.force ?? false }));
  console.error(`The key ${id} lets nobody in any more.`);
}

async function withKeys<T>(flags: KeyFlags, use: (access: KeyAccess) => Promise<T>): Promise<T> {
  if (flags.url !== undefined) return use(overRest(flags.url, flags.key));
  // The key of a person is no option of the gateway.
  const { PULSEGATE_KEY: _key, ...env } = process.env;
  const config = loadConfig({ file: flags.config, env, flags: flagPaths(flags) });
  let lock: DataLock;
  try {
    lock = await lockDataFolder(config.data.dir);
  } catch (error) {
    if (!(error instanceof EngineOpenError)) throw error;
    return throughGateway(config, flags.key, error, use);
  }
  try {
    return await onFiles(config, use);
  } finally {
    lock.release();
  }
}

/** Somebody holds the data folder: most likely the gateway that the configuration describes. */
async function throughGateway<T>(
  config: Config,
  key: string | undefined,
  held: EngineOpenError,
  use: (access: KeyAccess) => Promise<T>,
): Promise<T> {
  const url = gatewayUrl(config);
  try {
    return await use(overRest(url, key));
  } catch (error) {
    if (!(error instanceof GatewayAnswerError) || error.code !== null) throw error;
    throw new GatewayAnswerError(`${held.message} Or say with --url where it is: ${error.message}`, null);
  }
}

async function onFiles<T>(config: Config, use: (access: KeyAccess) => Promise<T>): Promise<T> {
  const catalog = await Catalog.open({
    dir: config.data.dir,
    clock: systemClock,
    random: systemRandom,
    log: createLog('warn'),
  });
  try {
    const desk = new KeyDesk({
      store: catalog,
      hasAdminKey: config.access.adminKey !== '',
      random: systemRandom,
      clock: systemClock,
    });
    return await use({
      create: async (draft) => (await desk.create(draft)).key,
      list: () => Promise.resolve(desk.list().map(shownOf)),
      remove: (id, options) => desk.remove(id, options),
    });
  } finally {
    await catalog.close();
  }
}

function overRest(url: string, key: string | undefined): KeyAccess {
  const gateway = new GatewayClient({ url, key }, process.env);
  return {
    create: async (draft) => KeyCreated.parse(await gateway.ask('POST', '/keys', draft)).key,
    async list() {
      const keys: Key[] = [];
      for (let page: string | null = ''; page !== null; ) {
        const query: string = page === '' ? '' : `&page=${encodeURIComponent(page)}`;
        const { items, next } = KeyList.parse(await gateway.ask('GET', `/keys?limit=1000${query}`));
        keys.push(...items);
        page = next;
      }
      return keys;
    },
    async remove(id, { force }) {
      await gateway.ask('DELETE', `/keys/${encodeURIComponent(id)}${force ? '?force=true' : ''}`);
    },
  };
}

/** What was wrong with which argument, a line each. */
function faultsOf({ issues }: z.ZodError): string {
  const faults = issues.map(({ path, message }) => {
    const field = path.find((part) => typeof part === 'string' && part !== 'mqtt');
    return `${field === 'name' ? 'NAME' : `--${field === 'scopes' ? 'scope' : String(field)}`}: ${message}`;
  });
  return faults.join('\n');
}

function shownOf({ id, name, scopes, expiresAt }: KeyRecord): Pick<Key, 'id' | 'name' | 'scopes' | 'expiresAt'> {
  return { id, name, scopes: [...scopes], expiresAt };
}
