// How long series are kept, as people decide it over REST or from the shell, and what comes in too late for it.
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { EffectiveRetention, Retention } from '../../src/contract/retention.ts';
import { StorageState } from '../../src/contract/storage.ts';
import { Ingested } from '../../src/contract/reading.ts';
import { QuarantineList, Retried } from '../../src/contract/quarantine.ts';
import { Problem } from '../../src/contract/rest.ts';
import { GatewayPerTest, publish } from '../support/gateway.ts';
import { tempFolder } from '../support/temp-folder.ts';

const world = new GatewayPerTest();
const { http } = world;
const hour = 3_600_000;
const day = 24 * hour;
const short = { name: 'short', device: 'pump-*', metric: 'vibration', raw: '1d', minute: '30d' };

function put(rules: readonly object[]): Promise<Retention> {
  return http.send('PUT', '/api/v1/retention', { rules }).then((answer) => {
    expect(answer.status, answer.text).toBe(200);
    return Retention.parse(answer.json());
  });
}

async function refusal(method: string, path: string, body: unknown): Promise<Problem> {
  const answer = await http.send(method, path, body);
  expect(answer.status, answer.text).toBe(422);
  return Problem.parse(answer.json());
}

describe('retention rules', () => {
  test('are replaced as a list and shown with the default of the configuration', async () => {
    await world.restart({ 'storage.keepRaw': '90d', 'storage.keepMinutes': '365d' });
    const policy = { raw: '90d', minute: '365d', hour: 'forever' };
    expect(await http.get(Retention, '/api/v1/retention')).toEqual({ rules: [], default: policy });
    const rule = { ...short, tag: null, hour: 'forever' };
    expect(await put([short])).toEqual({ rules: [rule], default: policy });
    expect(await http.get(Retention, '/api/v1/retention')).toEqual({ rules: [rule], default: policy });
  });

  test('are refused with every fault and its place, and the list stays', async () => {
    await put([short]);
    const problem = await refusal('PUT', '/api/v1/retention', {
      rules: [short, { ...short, raw: '1h' }, { name: 'tagged', raw: '7d', tag: 'north', metric: 'a b' }],
    });
    expect(problem.errors?.map(({ pointer }) => pointer)).toEqual([
      '/rules/1/name',
      '/rules/1/raw',
      '/rules/2/metric',
      '/rules/2/tag',
    ]);
    expect(problem.errors?.[1].detail).toMatch(/at least 6h.*rollups/);
    const shape = await refusal('PUT', '/api/v1/retention', { rules: [{ name: 'x', raw: 'soon', keep: 1 }] });
    expect(shape.errors?.map(({ pointer }) => pointer)).toEqual(
      expect.arrayContaining(['/rules/0/raw', '/rules/0/keep']),
    );
    expect((await http.get(Retention, '/api/v1/retention')).rules.map(({ name }) => name)).toEqual(['short']);
  });

  test('say which of them holds for which series, page by page, tags included', async () => {
    await http.send('POST', '/api/v1/devices', { id: 'pump-2', tags: { site: 'north-1' } });
    const time = world.noon;
    await world.post([
      { device: 'pump-1', metric: 'vibration', time, value: 1 },
      { device: 'pump-1', metric: 'power', time, value: 1 },
      { device: 'pump-2', metric: 'vibration', time, value: 1 },
      { device: 'lamp', metric: 'vibration', time, value: 1 },
    ]);
    await put([{ name: 'north', tag: 'site:north*', raw: '2d' }, short]);
    const rows: string[] = [];
    for await (const page of http.pages(EffectiveRetention, '/api/v1/retention/effective?limit=3')) {
      for (const { device, metric, rule, raw } of page.items) rows.push(`${device}/${metric} ${rule} ${raw}`);
    }
    expect(rows).toEqual([
      'lamp/vibration null forever',
      'pump-1/power null forever',
      'pump-1/vibration short 1d',
      'pump-2/vibration north 2d',
    ]);
    await http.send('PATCH', '/api/v1/devices/pump-2', { tags: { site: 'south' } });
    const { items } = await http.get(EffectiveRetention, '/api/v1/retention/effective?device=pump-2&metric=vib*');
    expect(items).toMatchObject([{ rule: 'short', keptFrom: world.at(-day) }]);
  });

  test('are set and shown from the shell, which takes what it showed', async () => {
    const url = `http://127.0.0.1:${http.port}`;
    const main = fileURLToPath(new URL('../../src/main.js', import.meta.url));
    const shell = async (...args: readonly string[]): Promise<string> =>
      (await promisify(execFile)(process.execPath, [main, 'retention', ...args, '--url', url])).stdout.trim();
    const file = join(world.running.gateway.dataDir, 'rules.json');
    writeFileSync(file, JSON.stringify([short]));
    await shell('set', file);
    expect(await shell('show')).toMatch(/^short +pump-\* +vibration +- +1d +30d +forever\n\(default\) .*forever$/m);
    writeFileSync(file, await shell('show', '--json'));
    await put([]);
    await shell('set', file);
    expect((await http.get(Retention, '/api/v1/retention')).rules).toMatchObject([{ name: 'short', raw: '1d' }]);
    writeFileSync(file, 'rules: []');
    await expect(shell('set', file)).rejects.toThrow(/is not JSON/);
  });
});

test('a rule deletes what is too old by then, and nothing else', async () => {
  const rows = (device: string, metric: string, ago: number) =>
    Array.from({ length: 100 }, (_, index) => ({ device, metric, time: world.noon - ago + index, value: index }));
  await world.post([
    ...rows('pump-1', 'vibration', 5 * day),
    ...rows('pump-1', 'power', 5 * day),
    ...rows('pump-2', 'vibration', hour),
  ]);
  await put([{ ...short, minute: '0s', hour: '0s' }]);
  await expect.poll(() => world.raw('pump-1', 'vibration')).toEqual([]);
  expect((await world.raw('pump-1', 'power')).length).toBe(100);
  expect((await world.raw('pump-2', 'vibration')).length).toBe(100);
  await expect.poll(async () => (await http.get(StorageState, '/api/v1/storage')).readings.purged).toBe(100);
});

test('what a rule deleted is not put back one by one when it is taken back, and says so', async () => {
  const folder = tempFolder();
  onTestFinished(() => folder.remove());
  await world.restart({ 'data.dir': folder.path });
  const row = { device: 'pump-1', metric: 'vibration', time: world.noon - 5 * day, value: 1 };
  await world.post([row, { ...row, metric: 'power' }]);
  await put([short]);
  await expect.poll(() => world.raw('pump-1', 'vibration')).toEqual([]);
  await put([]);
  const problem = await refusal('POST', '/api/v1/readings', [{ ...row, metric: 'power', value: 2 }, row]);
  expect(problem.errors).toMatchObject([{ pointer: '/1/time', code: 'time_expired' }]);
  expect(problem.detail).toMatch(/pump-1\/vibration before 2026-.* were deleted/);
  const { items } = await http.get(EffectiveRetention, '/api/v1/retention/effective');
  expect(items).toMatchObject([
    { metric: 'power', keptFrom: null },
    { metric: 'vibration', raw: 'forever', keptFrom: world.at(-day) },
  ]);
  await world.restart({ 'data.dir': folder.path });
  await refusal('POST', '/api/v1/readings', [row]);

  const answer = await http.ask('/api/v1/readings?device=pump-1&metric=vibration&all=true', { method: 'DELETE' });
  expect(answer.status, answer.text).toBe(200);
  await world.post([row]);
  expect(await world.raw('pump-1', 'vibration')).toEqual([[-5 * day, 1]]);
  await world.running.stop();
});

describe('a reading that is too old to be kept', () => {
  test('refuses its request or is left out of it, and one that is kept is taken', async () => {
    await put([short]);
    const row = { device: 'pump-1', metric: 'vibration', value: 1 };
    const old = { ...row, time: world.noon - 2 * day };
    const problem = await refusal('POST', '/api/v1/readings', [{ ...row, time: world.noon }, old]);
    expect(problem.errors).toMatchObject([{ pointer: '/1/time', code: 'time_expired' }]);
    expect(problem.detail).toMatch(/kept for 1d by the rule "short".*PUT \/api\/v1\/retention/);
    const partial = await http.send('POST', '/api/v1/readings?partial=true', [old, { ...old, metric: 'power' }]);
    expect(Ingested.parse(partial.json())).toMatchObject({ stored: 1, refused: [{ pointer: '/0/time' }] });
    expect(await world.raw('pump-1', 'power')).toEqual([[-2 * day, 1]]);
  });

  test('sends its message to the quarantine, from which it is taken once the rule allows', async () => {
    await put([short]);
    const client = await world.running.mqtt.connect('pump-1');
    const ts = world.noon - 2 * day;
    await publish(client, 'devices/pump-1/telemetry', { ts, vibration: 3 });
    const { items } = await http.get(QuarantineList, '/api/v1/quarantine');
    expect(items).toMatchObject([{ reason: 'time_expired', pointer: '/ts' }]);
    const again = await http.post(Retried, '/api/v1/quarantine/retry', {});
    expect(again).toMatchObject({ accepted: 0, refused: 1, reasons: { time_expired: 1 } });
    await put([{ ...short, raw: '7d' }]);
    expect(await http.post(Retried, '/api/v1/quarantine/retry', {})).toMatchObject({ accepted: 1, stored: 1 });
    expect(await world.raw('pump-1', 'vibration')).toEqual([[-2 * day, 3]]);
  });

  test('is a fault of its line in line protocol', async () => {
    await put([{ name: 'all', raw: '1d' }]);
    const body = `room,device=a x=1 ${world.noon / 1_000}\nroom,device=a x=2 ${(world.noon - 2 * day) / 1_000}\n`;
    const answer = await http.ask('/api/v2/write?precision=s', {
      method: 'POST',
      headers: { 'content-type': 'text/plain' },
      body,
    });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.text).toMatch(/kept for 1d/);
  });
});
