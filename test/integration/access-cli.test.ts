import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DeviceTokenBook } from '../../src/access/device-tokens.ts';
import { FailedAttempts } from '../../src/access/failed-attempts.ts';
import { readKey, verifyKey } from '../../src/access/keys.ts';
import { RequestJudge } from '../../src/access/request-judge.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { systemRandom } from '../../src/base/random.ts';
import { Catalog } from '../../src/catalog/catalog.ts';
import type { KeyRecord } from '../../src/domain/key.ts';
import { type DataLock, lockDataFolder } from '../../src/storage/data-lock.ts';
import { startApi, Strangers } from '../support/api-strangers.ts';
import { tempFolder } from '../support/temp-folder.ts';

// `pulsegate keys` as a person runs it: a process of its own, on the files or on a gateway that holds them.

const main = fileURLToPath(new URL('../../src/main.js', import.meta.url));
let folder: ReturnType<typeof tempFolder>;
beforeEach(() => {
  folder = tempFolder();
});
afterEach(() => folder.remove());

interface Said {
  readonly code: number | null;
  readonly out: string;
  readonly error: string;
}

function keys(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Said> {
  const { PATH = '' } = process.env;
  const child = spawn(process.execPath, [main, 'keys', ...args], { env: { PATH, ...env } });
  let out = '';
  let error = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (error += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, out: out.trim(), error: error.trim() }));
  });
}

/** On the files of the folder. */
function onFiles(...args: readonly string[]): Promise<Said> {
  return keys([...args, '--data', folder.path]);
}

async function keptKeys(): Promise<readonly KeyRecord[]> {
  const parts = { dir: folder.path, clock: systemClock, random: systemRandom, log: silentLog };
  const catalog = await Catalog.open(parts);
  await catalog.close();
  return catalog.keys();
}

test('without a gateway keys are made, listed and deleted on the files', async () => {
  const admin = await onFiles('create', 'me');
  expect([admin.code, readKey(admin.out).kind]).toEqual([0, 'key']);
  const sensor = await onFiles(
    'create',
    'sensor',
    '--publish',
    'plant/#',
    '--subscribe',
    'plant/+/set',
    '--expires',
    '90d',
  );
  const kept = await keptKeys();
  expect(verifyKey(admin.out, kept)).toMatchObject({ name: 'me', scopes: ['admin'], expiresAt: null });
  const record = verifyKey(sensor.out, kept);
  expect(record).toMatchObject({ scopes: ['mqtt'], mqtt: { publish: ['plant/#'], subscribe: ['plant/+/set'] } });
  expect(Date.parse(record?.expiresAt ?? '') - Date.parse(record?.createdAt ?? '')).toBeLessThanOrEqual(
    90 * 86_400_000,
  );
  const list = await onFiles('list');
  expect(list.out.split('\n').map((line) => line.split(/ +/).at(-1))).toEqual(['me', 'sensor']);
  expect((await onFiles('delete', record?.id ?? '')).code).toBe(0);
  expect((await keptKeys()).map(({ name }) => name)).toEqual(['me']);
});

test('what cannot be is refused with a sentence and leaves the files alone', async () => {
  const first = await onFiles('create', 'reader', '--scope', 'read');
  expect([first.code, first.error]).toEqual([1, expect.stringContaining('the first key must have the scope "admin"')]);
  const admin = await onFiles('create', 'me');
  const id = admin.out.slice(6, 14);
  const filter = await onFiles('create', 'x', '--publish', 'a/#/b');
  expect([filter.code, filter.error]).toEqual([1, expect.stringMatching(/^--publish: .*MQTT filter/)]);
  const scope = await onFiles('create', 'x', '--scope', 'reed');
  expect([scope.code, scope.error]).toEqual([1, expect.stringMatching(/^--scope: .*"read"\|"write"\|"admin"\|"mqtt"/)]);
  const last = await onFiles('delete', id);
  expect([last.code, last.error]).toEqual([1, expect.stringContaining('last key with the scope "admin"')]);
  expect((await keptKeys()).map(({ name }) => name)).toEqual(['me']);
  expect((await onFiles('delete', id, '--force')).code).toBe(0);
  expect(await keptKeys()).toEqual([]);
});

test('while a gateway holds the data folder, it is asked instead, with the key of the environment', async () => {
  const strangers = new Strangers();
  const access = new RequestJudge({
    policy: () => ({ openMode: false, keys: strangers.keys, corsOrigins: [] }),
    tokens: new DeviceTokenBook(),
    devices: { refusal: () => null, isGateway: () => false },
    failures: new FailedAttempts({ clock: systemClock, perMinute: 0 }),
    now: () => strangers.clock.now(),
  });
  const { server, port } = await startApi(strangers, { access });
  const { key: admin } = await strangers.keyDesk().create({
    name: 'me',
    scopes: ['admin'],
    mqtt: { publish: [], subscribe: [] },
    expiresAt: null,
  });
  const lock: DataLock = await lockDataFolder(folder.path);
  try {
    const env = { PULSEGATE_KEY: admin, PULSEGATE_HTTP_PORT: String(port) };
    const held = ['--data', folder.path];
    const made = await keys(['create', 'reader', '--scope', 'read', ...held], env);
    expect(verifyKey(made.out, strangers.keys)).toMatchObject({ name: 'reader', scopes: ['read'] });
    const list = await keys(['list', ...held], env);
    expect(list.out.split('\n')).toHaveLength(2);
    expect((await keys(['delete', made.out.slice(6, 14), '--url', `http://127.0.0.1:${port}`], env)).code).toBe(0);
    expect(strangers.keys.map(({ name }) => name)).toEqual(['me']);
    const wrong = await keys(['list', ...held], { ...env, PULSEGATE_KEY: 'pulse_guess' });
    expect([wrong.code, wrong.error]).toEqual([1, expect.stringContaining('PULSEGATE_KEY')]);
  } finally {
    lock.release();
    await server.stop(1_000);
  }
});

test('where the folder is held and no gateway answers, both are said', async () => {
  const lock = await lockDataFolder(folder.path);
  try {
    const said = await keys(['list', '--data', folder.path], { PULSEGATE_HTTP_PORT: '1' });
    expect([said.code, said.error]).toEqual([1, expect.stringMatching(/in use by another gateway.*--url/s)]);
  } finally {
    lock.release();
  }
});
