import { spawn } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Database } from '../../src/storage/sqlite/database.ts';
import { main, pulsegate } from '../support/cli-process.ts';
import { blobsOf, damage } from '../support/damaged-store.ts';
import { type RunningGateway, startGateway } from '../support/gateway.ts';
import { readAll } from '../support/kill-model.ts';
import { tempFolder } from '../support/temp-folder.ts';

// `pulsegate doctor` as a person runs it: beside a gateway, and on the files of one that has stopped.

let folder: ReturnType<typeof tempFolder>;
let running: RunningGateway | undefined;

beforeEach(async () => {
  folder = tempFolder();
  await start();
});
afterEach(async () => {
  await stop();
  folder.remove();
});

async function start(): Promise<RunningGateway> {
  running = await startGateway({ 'data.dir': folder.path });
  return running;
}

async function stop(): Promise<void> {
  await running?.stop();
  running = undefined;
}

function doctor(...args: readonly string[]): Promise<{ code: number | null; out: string; error: string }> {
  const { PATH = '' } = process.env;
  const child = spawn(process.execPath, [main, 'doctor', '--data', folder.path, ...args], { env: { PATH } });
  let out = '';
  let error = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (error += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, out: out.trim(), error: error.trim() }));
  });
}

async function post(device: string, count: number): Promise<void> {
  const rows = Array.from({ length: count }, (_, index) => ({
    device,
    metric: 'serial',
    time: Date.UTC(2026, 8, 1) + index * 1_000,
    value: index,
  }));
  expect((await running?.http.send('POST', '/api/v1/readings', rows))?.status).toBe(200);
}

function inStore(change: (database: Database) => void): void {
  const database = new Database(join(folder.path, 'pulsegate.db'), { busyTimeoutMs: 0 });
  change(database);
  database.close();
}

it('names the copies that upgrades made, which are no fault', async () => {
  await post('pump', 10);
  const file = join(folder.path, 'pulsegate.db.v2');
  writeFileSync(file, 'copied');
  const said = await doctor();
  expect(said).toMatchObject({ code: 0, error: '' });
  expect(said.out).toMatch(/^Healthy: .*\n.*pulsegate\.db\.v2 \(6 bytes\) was made before an upgrade: .*deleted since/);
  expect(JSON.parse((await doctor('--json')).out)).toMatchObject({ copies: [{ file, bytes: 6 }] });
});

it('says that a store is healthy while its gateway runs, which goes on', async () => {
  await post('pump', 2_000);
  const said = await doctor();
  expect(said).toMatchObject({ code: 0, error: '' });
  expect(said.out).toMatch(/^Healthy: \d+ chunks with [\d,]+ readings, \d+ rollups and [12] commits of the log\.$/);
  await post('fan', 10);
  expect(await doctor('--repair')).toMatchObject({ code: 1, out: '' });
});

it('names what is damaged, sets it aside, and the gateway starts with the rest', async () => {
  await post('pump', 3_000);
  await post('fan', 3_000);
  await stop();
  expect((await doctor()).code).toBe(0);
  inStore((database) => damage(database, blobsOf(database, 'chunk')[0], 20));
  const found = await doctor();
  expect(found.code).toBe(1);
  expect(found.out).toMatch(/^pump\/serial: [\d,]+ readings from 2026-09-01T00:00:00.000Z to .* cannot be told: /);
  const { findings } = JSON.parse((await doctor('--json')).out) as { findings: readonly { readings: number }[] };
  expect(findings).toMatchObject([{ kind: 'chunk', device: 'pump', metric: 'serial' }]);

  const mended = await doctor('--repair');
  expect(mended.code).toBe(1);
  const [aside] = readdirSync(folder.path).filter((name) => name.endsWith('.ndjson'));
  expect(mended.error).toContain(aside);
  expect((await doctor()).code).toBe(0);
  await start();
  const kept = await readAll(running?.http.port ?? 0);
  expect(kept.get('pump/serial')).toHaveLength(3_000 - findings[0].readings);
  expect(kept.get('fan/serial')).toHaveLength(3_000);
});

it('an export says what of the store is damaged, and that by its exit code', async () => {
  await post('pump', 3_000);
  await stop();
  const { http } = await start();
  const url = `http://127.0.0.1:${http.port}`;
  const whole = await pulsegate(['export', '--url', url]);
  expect([whole.code, whole.out.split('\r\n').length]).toEqual([0, 3_002]);
  await stop();
  inStore((database) => damage(database, blobsOf(database, 'chunk')[0], 20));
  const { http: again } = await start();
  const file = join(folder.path, 'lacking.csv');
  const lacking = await pulsegate(['export', '--url', `http://127.0.0.1:${again.port}`, '-o', file]);
  expect(lacking.code).toBe(3);
  const [, missing = '', from] =
    /([\d,]+) readings are missing, .* the first of them of pump\/serial, from (\S+) to /.exec(lacking.err) ?? [];
  expect(from).toBe('2026-09-01T00:00:00.000Z');
  expect(readFileSync(file, 'utf8').split('\r\n')).toHaveLength(3_002 - Number(missing.replace(',', '')));
});

it.skipIf(process.platform === 'win32')(
  'takes secrets away from others, and makes no folder of a wrong name',
  async () => {
    await stop();
    const secrets = join(folder.path, 'secrets.json');
    chmodSync(secrets, 0o644);
    expect((await doctor('--repair')).error).toBe('Mended; nothing is lost.');
    expect(statSync(secrets).mode & 0o777).toBe(0o600);
    const nowhere = join(folder.path, 'nowhere');
    const said = await doctor('--data', nowhere);
    expect(said).toMatchObject({ code: 1, out: '' });
    expect(said.error).toContain('There is no database at');
    expect(existsSync(nowhere)).toBe(false);
  },
);
