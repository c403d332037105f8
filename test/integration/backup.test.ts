import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemRandom } from '../../src/base/random.ts';
import { Ingested } from '../../src/contract/reading.ts';
import type { Engine } from '../../src/history/engine.ts';
import { checkBackup, restoreBackup } from '../../src/storage/backup-restore.ts';
import { type RunningGateway, startGateway } from '../support/gateway.ts';
import type { Answer } from '../support/http-client.ts';
import { readAll } from '../support/kill-model.ts';
import { tempFolder } from '../support/temp-folder.ts';

const main = fileURLToPath(new URL('../../src/main.js', import.meta.url));
const json = { 'content-type': 'application/json' };
let folder: ReturnType<typeof tempFolder>;
let data: string;
let running: RunningGateway | undefined;

beforeEach(() => {
  folder = tempFolder();
  data = join(folder.path, 'data');
  mkdirSync(data);
});
afterEach(async () => {
  await running?.stop();
  running = undefined;
  folder.remove();
});

async function start(dir = data, wrapEngine?: (engine: Engine) => Engine): Promise<RunningGateway> {
  running = await startGateway({ 'data.dir': dir }, wrapEngine ? { wrapEngine } : {});
  return running;
}

async function stop(): Promise<void> {
  await running?.stop();
  running = undefined;
}

interface Said {
  readonly code: number | null;
  readonly out: string;
  readonly error: string;
}

/** The command as a person runs it. */
function pulsegate(...args: readonly string[]): Promise<Said> {
  const { PATH = '' } = process.env;
  const child = spawn(process.execPath, [main, ...args], { env: { PATH }, cwd: folder.path });
  let out = '';
  let error = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (error += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, out: out.trim(), error: error.trim() }));
  });
}

const rowsOf = (device: string, begin: number, count: number): object[] =>
  Array.from({ length: count }, (_, index) => ({
    device,
    metric: 'serial',
    time: Date.UTC(2026, 8, 1) + (begin + index) * 1_000,
    value: begin + index,
  }));

async function post(gateway: RunningGateway, begin: number, count: number): Promise<string> {
  return (await gateway.http.post(Ingested, '/api/v1/readings', rowsOf('pump', begin, count))).cursor;
}

/** What people decided, one of each. */
async function decide(gateway: RunningGateway): Promise<void> {
  const { http } = gateway;
  const made = [
    await http.send('POST', '/api/v1/devices', { id: 'pump', name: 'the pump' }),
    await http.send('POST', '/api/v1/webhooks', { url: 'http://127.0.0.1:9/', events: ['alert.*'] }),
    await http.send('POST', '/api/v1/rules', {
      name: 'too high',
      metric: 'serial',
      condition: { type: 'threshold', above: 1_000_000 },
    }),
  ];
  expect(made.map(({ status }) => status)).toEqual([201, 201, 201]);
}

describe('the restore drill', () => {
  it('a gateway under load is backed up, restored elsewhere and started: nothing acknowledged before is missing', async () => {
    const gateway = await start();
    await decide(gateway);
    const cursor = await post(gateway, 0, 500);
    let acknowledged = 500;
    const loading = new AbortController();
    const load = (async (): Promise<void> => {
      while (!loading.signal.aborted) {
        await post(gateway, acknowledged, 50);
        acknowledged += 50;
      }
    })();
    const before = acknowledged;
    const file = join(folder.path, 'backup.tar');
    const made = await pulsegate('backup', file, '--url', gateway.gateway.httpUrl);
    loading.abort();
    await load;
    expect(made).toMatchObject({ code: 0, out: '' });
    expect(made.error).toContain(`${file} holds everything up to commit`);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(data).filter((name) => name.endsWith('.part'))).toEqual([]);
    const { seq, epoch } = await checkBackup(file);
    await stop();

    const elsewhere = join(folder.path, 'elsewhere');
    const restored = await pulsegate('restore', file, '--data', elsewhere);
    expect(restored).toMatchObject({ code: 0, error: '' });
    expect(restored.out).toContain(`everything up to commit ${seq.toLocaleString('en-US')}`);
    for (const name of ['secrets.json', 'pulsegate.db']) {
      expect(statSync(join(elsewhere, name)).mode & 0o777).toBe(0o600);
    }

    const again = await start(elsewhere);
    const kept = (await readAll(again.http.port)).get('pump/serial')?.map(({ value }) => value) ?? [];
    expect(kept.length).toBeGreaterThanOrEqual(before);
    expect(kept).toEqual(Array.from({ length: kept.length }, (_, index) => index));
    const gap = await again.http.ask(`/api/v1/stream?since=${encodeURIComponent(cursor)}`);
    expect(gap.json()).toMatchObject({ gap: { after: cursor } });
    for (const list of ['devices', 'webhooks', 'rules']) {
      expect((await again.http.ask(`/api/v1/${list}`)).json(), list).toMatchObject({ items: [{}] });
    }
    const next = await post(again, kept.length, 1);
    expect(next.split(':')[0]).not.toBe(epoch);
    expect(Number(next.split(':')[1])).toBeGreaterThan(seq);
  });
});

describe('a backup', () => {
  it('is made from the files while no gateway runs, and is called after the time', async () => {
    await decide(await start());
    await stop();
    const made = await pulsegate('backup', '--data', data);
    expect(made).toMatchObject({ code: 0, out: '' });
    const [name] = readdirSync(folder.path).filter((file) => file.endsWith('.tar'));
    expect(name).toMatch(/^pulsegate-\d{8}T\d{6}Z\.tar$/);
    await restoreBackup(join(folder.path, name), join(folder.path, 'restored'), systemRandom);
    const again = await start(join(folder.path, 'restored'));
    expect((await again.http.ask('/api/v1/devices/pump')).json()).toMatchObject({ name: 'the pump' });
  });

  it('goes through the gateway that holds the folder', async () => {
    const gateway = await start();
    await post(gateway, 0, 10);
    const port = String(gateway.http.port);
    const made = await pulsegate('backup', 'b.tar', '--data', data, '--config', configWith(port));
    expect(made).toMatchObject({ code: 0, out: '' });
    expect((await checkBackup(join(folder.path, 'b.tar'))).seq).toBe(1);
  });

  it('never takes the place of a file, and says what is missing', async () => {
    const gateway = await start();
    writeFileSync(join(folder.path, 'mine.tar'), 'mine');
    const over = await pulsegate('backup', 'mine.tar', '--url', gateway.gateway.httpUrl);
    expect(over).toMatchObject({ code: 1 });
    expect(over.error).toContain('mine.tar is there already');
    expect(readFileSync(join(folder.path, 'mine.tar'), 'utf8')).toBe('mine');
    const nothing = await pulsegate('backup', '--data', join(folder.path, 'nothing'));
    expect(nothing.error).toContain('There is nothing to back up');
    expect(existsSync(join(folder.path, 'nothing'))).toBe(false);
  });

  it('is for admins', async () => {
    const gateway = await start();
    const { status } = await gateway.http.send('POST', '/api/v1/keys', { name: 'me', scopes: ['admin'] });
    expect(status).toBe(201);
    expect((await askForOne(gateway)).status).toBe(401);
  });

  it('that the engine cannot make is refused with a sentence, one while another is made is a conflict', async () => {
    const held = Promise.withResolvers<void>();
    const gateway = await start(data, (engine) => ({
      ...boundEngine(engine),
      async backup() {
        await held.promise;
        throw new Error('the disk has no room for a copy of the database');
      },
    }));
    const first = askForOne(gateway);
    let second = await askForOne(gateway);
    expect(second.json()).toMatchObject({ status: 409, code: 'conflict' });
    held.resolve();
    expect((await first).json()).toMatchObject({
      status: 503,
      code: 'storage_unavailable',
      detail: 'the database could not be copied: the disk has no room for a copy of the database',
    });
    second = await askForOne(gateway);
    expect(second.status).toBe(503);
  });

  it('whose client goes away leaves nothing behind, and the next one is made', async () => {
    const gateway = await start();
    for (let batch = 0; batch < 20; batch++) await post(gateway, batch * 1_000, 1_000);
    const leaving = new AbortController();
    const gone = fetch(`${gateway.gateway.httpUrl}/api/v1/backup`, {
      method: 'POST',
      headers: json,
      signal: leaving.signal,
    });
    await (await gone).body?.getReader().read();
    leaving.abort();
    let made = await askForOne(gateway);
    while (made.status === 409) made = await askForOne(gateway);
    expect(made.status).toBe(200);
    expect(made.headers['content-type']).toBe('application/x-tar');
    expect(readdirSync(data).filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  it('that a kill cut off is cleared away at the next start', async () => {
    writeFileSync(join(data, 'backup-abc123.part'), 'half a copy');
    await start();
    expect(existsSync(join(data, 'backup-abc123.part'))).toBe(false);
  });
});

describe('a restore', () => {
  let file: string;
  beforeEach(async () => {
    const gateway = await start();
    await post(gateway, 0, 100);
    await stop();
    file = join(folder.path, 'backup.tar');
    expect((await pulsegate('backup', file, '--data', data)).code).toBe(0);
  });

  it('into a folder that is not empty is refused, and the folder is left alone', async () => {
    const said = await pulsegate('restore', file, '--data', data);
    expect(said).toMatchObject({ code: 1, out: '' });
    expect(said.error).toMatch(/^The folder .* is not empty/);
    expect(existsSync(join(data, 'restore.part'))).toBe(false);
  });

  it('of a file that was cut off or changed anywhere is refused, and nothing is left', async () => {
    const bytes = readFileSync(file);
    const target = join(folder.path, 'target');
    const damaged = join(folder.path, 'damaged.tar');
    const places = [0, 700, 20_000, Math.floor(bytes.length / 2), bytes.length - 1_500];
    const changed = places.map((at) => {
      const copy = Buffer.from(bytes);
      copy[at] ^= 0x40;
      return copy;
    });
    for (const content of [...changed, bytes.subarray(0, bytes.length / 2), bytes.subarray(0, bytes.length - 3_000)]) {
      writeFileSync(damaged, content);
      await expect(restoreBackup(damaged, target, systemRandom)).rejects.toMatchObject({ name: 'BackupError' });
      expect(existsSync(target)).toBe(false);
    }
    const said = await pulsegate('restore', damaged, '--data', target);
    expect(said.error).toContain('ends too soon');
    await restoreBackup(file, target, systemRandom);
    expect(readdirSync(target).sort()).toEqual([
      'catalog.json',
      'devices.json',
      'gateway.lock',
      'pulsegate.db',
      'secrets.json',
    ]);
  });
});

function configWith(port: string): string {
  const path = join(folder.path, 'config.yaml');
  writeFileSync(path, `http:\n  port: ${port}\n`);
  return path;
}

function askForOne(gateway: RunningGateway): Promise<Answer> {
  return gateway.http.ask('/api/v1/backup', { method: 'POST', headers: json });
}

/** The methods as properties, so that one of them can be another. */
function boundEngine(engine: Engine): Engine {
  return {
    open: () => engine.open(),
    commit: (commit) => engine.commit(commit),
    reader: engine.reader,
    retain: (plan) => engine.retain(plan),
    onGone: (listener) => engine.onGone(listener),
    backup: (path) => engine.backup(path),
    close: () => engine.close(),
  };
}
