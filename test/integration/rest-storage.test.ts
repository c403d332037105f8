// What a gateway says of its store over REST, in its metrics and from the shell is the same, and is true.
import { execFile } from 'node:child_process';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { StorageState } from '../../src/contract/storage.ts';
import { GatewayPerTest } from '../support/gateway.ts';

const world = new GatewayPerTest();
const { http } = world;

test('the state of the store counts what was sent, the file as it lies there, and the disk under it', async () => {
  const rows = Array.from({ length: 1_000 }, (_, index) => ({
    device: 'a',
    metric: 'x',
    time: world.noon - index * 1_000,
    value: index,
  }));
  await world.post(rows);
  await world.post(rows);
  const state = await http.get(StorageState, '/api/v1/storage');
  expect(state.readings).toMatchObject({ stored: 1_000, inHeads: 1_000, purged: 0 });
  const file = statSync(join(world.running.gateway.dataDir, 'pulsegate.db')).size;
  expect(state.file.bytes).toBe(file);
  expect(state.file.usedBytes + state.file.freeBytes).toBeGreaterThanOrEqual(state.file.usedBytes);
  expect(state.file.logBytes).toBeGreaterThan(5_000);
  expect(state.disk?.freeBytes).toBeGreaterThan(0);
  expect(state.disk?.bytes).toBeGreaterThanOrEqual(state.disk?.freeBytes ?? 0);
  expect([state.damagedChunks, state.growth, state.forecast]).toEqual([0, null, null]);
});

test('copies that upgrades made are named with their size, and the shell says what they hold', async () => {
  expect((await http.get(StorageState, '/api/v1/storage')).copies).toEqual([]);
  const file = join(world.running.gateway.dataDir, 'pulsegate.db.v2');
  writeFileSync(file, 'x'.repeat(2_048));
  writeFileSync(`${file}.part`, 'unfinished');
  expect((await http.get(StorageState, '/api/v1/storage')).copies).toEqual([{ file, bytes: 2_048 }]);
  const main = fileURLToPath(new URL('../../src/main.js', import.meta.url));
  const url = `http://127.0.0.1:${http.port}`;
  const { stdout } = await promisify(execFile)(process.execPath, [main, 'storage', '--url', url]);
  expect(stdout).toMatch(/^Older copy +.*pulsegate\.db\.v2, 2\.0 KB: it holds what was deleted since/m);
});

test('the budget is that of the configuration, and none when there is none', async () => {
  expect((await http.get(StorageState, '/api/v1/storage')).maxBytes).toBeNull();
  await world.restart({ 'storage.maxBytes': '64mb' });
  expect((await http.get(StorageState, '/api/v1/storage')).maxBytes).toBe(64 << 20);
});

test('metrics and the shell tell the same', async () => {
  await world.post([{ device: 'a', metric: 'x', time: world.noon, value: 1 }]);
  const metrics = (await http.ask('/metrics')).text;
  expect(metrics).toMatch(/^pulsegate_storage_readings 1$/m);
  expect(metrics).toMatch(/^pulsegate_storage_used_bytes \d+$/m);
  const main = fileURLToPath(new URL('../../src/main.js', import.meta.url));
  const args = ['storage', '--url', `http://127.0.0.1:${http.port}`];
  const { stdout } = await promisify(execFile)(process.execPath, [main, ...args]);
  expect(stdout).toMatch(/^Readings +1; 1 in memory$/m);
  const json = await promisify(execFile)(process.execPath, [main, ...args, '--json']);
  expect(StorageState.parse(JSON.parse(json.stdout)).readings.stored).toBe(1);
});
