import { execFile } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { DeviceCreated, DeviceList } from '../../src/contract/device.ts';
import { KeyCreated } from '../../src/contract/key.ts';
import { ProvisioningKeyCreated } from '../../src/contract/provisioning.ts';
import { QuarantineList } from '../../src/contract/quarantine.ts';
import { type RunningGateway, startGateway } from '../support/gateway.ts';
import { tempFolder } from '../support/temp-folder.ts';

// The simulator as a process against a whole gateway with keys, where a device without a token gets nowhere.

const script = new URL('../../simulator/main.ts', import.meta.url).pathname;
const fleet = ['climate-01', 'fridge-01', 'machine-01'];

let running: RunningGateway;
let folder: ReturnType<typeof tempFolder>;
let admin: string;

beforeEach(async () => {
  folder = tempFolder();
  running = await startGateway({ 'device.autoCreate': 'never' });
});
afterEach(async () => {
  await running.stop();
  folder.remove();
});

/** From here on the gateway asks everybody who they are. */
async function closeDoor(): Promise<void> {
  const draft = { name: 'admin', scopes: ['admin'] };
  ({ key: admin } = await running.http.post(KeyCreated, '/api/v1/keys', draft, 201));
}

async function get<T extends z.ZodType>(schema: T, path: string): Promise<z.output<T>> {
  const answer = await running.http.ask(path, { headers: { authorization: `Bearer ${admin}` } });
  expect(answer.status, answer.text).toBe(200);
  return schema.parse(answer.json());
}

async function provisioningKey(approval: boolean): Promise<string> {
  await running.http.post(z.unknown(), '/api/v1/profiles', { id: 'sensor' }, 201);
  const draft = { name: 'batch', profile: 'sensor', approval };
  return (await running.http.post(ProvisioningKeyCreated, '/api/v1/provisioning-keys', draft, 201)).key;
}

interface Ending {
  readonly code: number;
  readonly tally: { readonly sent: number; readonly acked: number; readonly connects: number } | null;
  readonly stderr: string;
}

const Tally = z.object({ sent: z.number(), acked: z.number(), connects: z.number() });

function simulate(...args: string[]): Promise<Ending> {
  const all = [script, '--url', running.mqtt.url, '--devices', '3', '--rate', '10', '--duration', '1s', ...args];
  return new Promise((resolve) => {
    execFile(process.execPath, all, (error, stdout, stderr) => {
      const tally = stdout.trim() === '' ? null : Tally.parse(JSON.parse(stdout));
      resolve({ code: error === null ? 0 : Number(error.code), tally, stderr });
    });
  });
}

/** What the gateway knows of devices that sent something. */
async function heardOf(): Promise<Record<string, string | null>> {
  const { items } = await get(DeviceList, '/api/v1/devices');
  return Object.fromEntries(items.filter((device) => device.metricCount > 0).map(({ id, profile }) => [id, profile]));
}

function write(text: string): string {
  const file = join(folder.path, 'tokens.csv');
  writeFileSync(file, text);
  return file;
}

async function register(): Promise<string[]> {
  const lines: string[] = [];
  for (const id of fleet) {
    const { token } = await running.http.post(DeviceCreated, '/api/v1/devices', { id }, 201);
    lines.push(`${id},${token}`);
  }
  return lines;
}

describe('a file of tokens', () => {
  test('lets every device in by its own, and all that they send is acknowledged', async () => {
    const lines = await register();
    await closeDoor();
    const { code, tally } = await simulate('--tokens', write(['device,token', ...lines].join('\n')));
    expect(code).toBe(0);
    expect(tally).toMatchObject({ connects: 3, acked: tally?.sent });
    expect(await heardOf()).toEqual({ 'climate-01': null, 'fridge-01': null, 'machine-01': null });
  });

  test('a device that is not in it ends the run by its name before anything is sent', async () => {
    const lines = await register();
    await closeDoor();
    const { code, tally, stderr } = await simulate('--tokens', write(lines.slice(0, 2).join('\n')));
    expect([code, tally]).toEqual([2, null]);
    expect(stderr).toContain('has no token of machine-01;');
    expect(await heardOf()).toEqual({});
  });

  test.each([
    ['climate-01', 'Line 1 of'],
    ['climate-01,secret\nfridge-01,', 'Line 2 of'],
    ['climate-01,secret,more', 'Line 1 of'],
    ['climate-01,secret\nclimate-01,other', 'climate-01 comes twice'],
  ])('%j is refused with its place and without the token', async (text, message) => {
    const { code, stderr } = await simulate('--tokens', write(text));
    expect(code).toBe(2);
    expect(stderr).toContain(message);
    expect(stderr).not.toContain('secret');
  });

  test('a file that is not there is refused, and so is one password beside it', async () => {
    const missing = join(folder.path, 'none.csv');
    expect(await simulate('--tokens', missing)).toMatchObject({ code: 2, tally: null });
    expect(await simulate('--tokens', missing, '--password', 'x')).toMatchObject({ code: 2, tally: null });
  });
});

describe('a provisioning key', () => {
  test('gets every device a token of its own, with which it comes back and is heard', async () => {
    const key = await provisioningKey(false);
    await closeDoor();
    const { code, tally, stderr } = await simulate('--provision', key);
    expect(code, stderr).toBe(0);
    expect(tally).toMatchObject({ connects: 3, acked: tally?.sent });
    expect(await heardOf()).toEqual({ 'climate-01': 'sensor', 'fridge-01': 'sensor', 'machine-01': 'sensor' });
  });

  test('tokens that were kept let the fleet in again; without them nobody gets a second one', async () => {
    const key = await provisioningKey(false);
    await closeDoor();
    const file = join(folder.path, 'kept.csv');
    expect((await simulate('--provision', key, '--tokens', file)).code).toBe(0);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const kept = readFileSync(file, 'utf8').trim().split('\n');
    expect(
      kept
        .slice(1)
        .map((line) => line.split(',')[0])
        .toSorted(),
    ).toEqual(fleet);

    expect((await simulate('--provision', key, '--tokens', file)).code).toBe(0);
    expect((await simulate('--tokens', file)).code).toBe(0);
    expect(readFileSync(file, 'utf8').trim().split('\n')).toEqual(kept);

    const again = await simulate('--provision', key);
    expect([again.code, again.tally]).toEqual([2, null]);
    expect(again.stderr).toContain('no token:');
  });

  test('that wants a person says who waits, and what is sent before is kept in quarantine', async () => {
    const key = await provisioningKey(true);
    await closeDoor();
    const { stderr } = await simulate('--provision', key);
    expect(stderr).toContain('3 wait for a person to approve them');
    expect(await heardOf()).toEqual({});
    const { items } = await get(QuarantineList, '/api/v1/quarantine');
    expect(new Set(items.map(({ reason }) => reason))).toEqual(new Set(['device_pending']));
  });

  test('that is wrong ends the run, and is not repeated', async () => {
    const key = await provisioningKey(false);
    await closeDoor();
    const wrong = `${key.slice(0, -2)}00`;
    const { code, tally, stderr } = await simulate('--provision', wrong);
    expect([code, tally]).toEqual([2, null]);
    expect(stderr).toContain('refused the provisioning key');
    expect(stderr).not.toContain(wrong);
  });
});
