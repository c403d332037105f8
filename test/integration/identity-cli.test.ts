import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { HttpServer } from '../../src/api/server.ts';
import { silentLog } from '../../src/base/log.ts';
import { Catalog } from '../../src/catalog/catalog.ts';
import { createIdentity, type IdentityStrangers } from '../support/api-identity.ts';
import { startApi, Strangers } from '../support/api-strangers.ts';
import { tempFolder } from '../support/temp-folder.ts';

const main = fileURLToPath(new URL('../../src/main.js', import.meta.url));

let folder: ReturnType<typeof tempFolder>;
let strangers: Strangers;
let catalog: Catalog;
let identity: IdentityStrangers;
let server: HttpServer;
let url: string;

beforeEach(async () => {
  folder = tempFolder();
  strangers = new Strangers();
  const { clock, random } = strangers;
  catalog = await Catalog.open({ dir: folder.path, clock, random, log: silentLog });
  identity = createIdentity({ devices: strangers.devices, clock, random, decisions: catalog });
  const started = await startApi(strangers, {
    ...identity.ports,
    limits: { bodyBytesMax: 8 * 1_048_576, waitMaxMs: 1_000, downloadsMax: 2 },
  });
  server = started.server;
  url = `http://127.0.0.1:${started.port}`;
});
afterEach(async () => {
  await server.stop(1_000);
  await catalog.close();
  folder.remove();
});

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** `pulsegate devices …` against the API of the test. */
async function devices(...args: readonly string[]): Promise<Ran> {
  const child = spawn(process.execPath, [main, 'devices', ...args, '--url', url], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const [code] = await once(child, 'close');
  return { code: Number(code), out: out.trim(), err: err.trim() };
}

const works = (device: string, token: string): boolean =>
  identity.tokens.verify(device, token, strangers.clock.now()) !== null;

test('a device is registered, listed, given a new token, blocked, let in and forgotten from the shell', async () => {
  const made = await devices('create', 'fridge-1', '--name', 'Fridge', '--tag', 'room:lab', '--tag', 'floor=2');
  expect([made.code, works('fridge-1', made.out)], made.err).toEqual([0, true]);
  expect(catalog.snapshot().registrations.get('fridge-1')).toMatchObject({
    name: 'Fridge',
    tags: { room: 'lab', floor: '2' },
  });
  const again = await devices('create', 'fridge-1');
  expect([again.code, again.out]).toEqual([1, '']);
  expect(again.err).toContain('is registered already');

  const rotated = await devices('rotate', 'fridge-1', '--overlap', '1h');
  expect([works('fridge-1', made.out), works('fridge-1', rotated.out)]).toEqual([true, true]);
  expect((await devices('block', 'fridge-1')).code).toBe(0);
  const listed = await devices('list', '--approval', 'blocked');
  expect(listed.out).toMatch(/^fridge-1 +unknown +blocked +- +never Fridge$/);
  expect((await devices('approve', 'fridge-1')).err).toBe('1 approved.');
  expect((await devices('delete', 'fridge-1')).code).toBe(0);
  expect(catalog.snapshot().registrations.size).toBe(0);
});

test('a file of devices is registered, and their tokens come as a file', async () => {
  const file = join(folder.path, 'devices.csv');
  const rows = Array.from({ length: 1_500 }, (_, n) => `d${n},"Room ${n}, ""north""",floor=${n % 9},line-${n % 2}`);
  writeFileSync(file, `\ufeffid,name,tags,tag:line\r\n${rows.join('\r\n')}\r\n`);
  const { code, out, err } = await devices('import', file);
  expect(code, err).toBe(0);
  const lines = out.split('\n');
  expect([lines[0], lines.length]).toEqual(['id,token', 1_501]);
  const [id, token] = lines[1_234].split(',');
  expect([id, works(id, token)]).toEqual(['d1233', true]);
  expect(catalog.snapshot().registrations.get('d7')).toMatchObject({
    name: 'Room 7, "north"',
    tags: { floor: '7', line: 'line-1' },
  });
  expect(err.split('\n')).toEqual(['1000 of 1500', '1500 of 1500']);
});

test('a file with faults is refused with the line of each, and nothing is registered', async () => {
  const file = join(folder.path, 'devices.csv');
  writeFileSync(file, 'id,name,timeZone\na,A,Europe/Berlin\nb c,B,\nd,D,Mars/Base\ne\na,again,\n');
  const { code, err } = await devices('import', file);
  expect(code).toBe(1);
  expect(err).toContain('line 3: id: a device id has');
  expect(err).toContain('line 4: timeZone: must be an IANA name');
  expect(err).toContain('line 5: 1 cells under 3 columns');
  expect(err).toContain('line 6: "a" is there twice');
  expect(catalog.snapshot().registrations.size).toBe(0);
  writeFileSync(file, 'name\nx\n');
  expect((await devices('import', file)).err).toContain('there is no column "id"');
  expect((await devices('import', `${file}.nope`)).err).toContain('cannot be read');
});

test('where no gateway answers, that is what is said', async () => {
  await server.stop(1_000);
  const { code, err } = await devices('list');
  expect(code).toBe(1);
  expect(err).toContain(`No gateway answers at ${url}`);
  expect(err).toContain('pulsegate start');
});
