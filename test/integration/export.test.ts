import { existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Ingested } from '../../src/contract/reading.ts';
import { main, pulsegate, type Ran } from '../support/cli-process.ts';
import { type FlakyProxy, type Mishap, startFlakyProxy } from '../support/flaky-proxy.ts';
import { type RunningGateway, startGateway } from '../support/gateway.ts';
import { tempFolder } from '../support/temp-folder.ts';

// `pulsegate export` as a process against a whole gateway: every reading once, in whole rows, however often it is cut.

const begin = Date.parse('2026-06-01T00:00:00Z');
const perDevice = 5_000;
const devices = ['dev-1', 'dev-2', 'hall'];

let folder: ReturnType<typeof tempFolder>;
let gateway: RunningGateway;
let proxy: FlakyProxy;
let mishap: (number: number) => Mishap;

// Nothing here changes what it holds, so one gateway serves all.
beforeAll(async () => {
  gateway = await startGateway();
  for (const device of devices) {
    const rows = Array.from({ length: perDevice }, (_, index) => ({
      device,
      metric: 'temperature',
      time: begin + index * 1_000,
      value: valueOf(index),
    }));
    const answer = await gateway.http.send('POST', '/api/v1/readings', rows);
    expect(Ingested.parse(answer.json()).stored).toBe(perDevice);
  }
});
afterAll(() => gateway.stop());
beforeEach(async () => {
  folder = tempFolder();
  mishap = () => ({ kind: 'none' });
  proxy = await startFlakyProxy(gateway.http.port, (number) => mishap(number));
});
afterEach(async () => {
  await proxy.stop();
  folder.remove();
});

/** Now and then something that has to be escaped. */
function valueOf(index: number): number | boolean | string {
  if (index % 100 === 7) return `line ${index}\r\n"quoted", =so\\`;
  return index % 100 === 8 ? index % 200 === 8 : index / 8;
}

function exported(...args: readonly string[]): Promise<Ran> {
  return pulsegate(['export', '--url', proxy.url, ...args]);
}

describe.each(['csv', 'ndjson', 'influx', 'senml'])('as %s', (format) => {
  test('a file that was cut by the network and by the user ends as one that was not', async () => {
    const whole = join(folder.path, `whole.${format}`);
    const first = await exported('-o', whole);
    expect([first.code, first.out, first.err]).toEqual([0, '', expect.stringMatching(/^15,000 readings in .*, in /)]);
    const expected = readFileSync(whole);

    const cut = join(folder.path, `cut.${format}`);
    const from = proxy.requests.length;
    mishap = (number) => (number - from < 3 ? { kind: 'cut', afterBytes: 200_000 + number } : { kind: 'none' });
    const second = await exported('-o', cut);
    expect([second.code, second.err]).toEqual([0, expect.stringMatching(/^15,000 readings/)]);
    expect(proxy.requests.length - from).toBe(4);
    expect(readFileSync(cut).equals(expected)).toBe(true);

    truncateSync(cut, Math.floor(expected.length / 2));
    const third = await exported('-o', cut, '--resume');
    expect([third.code, third.err]).toEqual([0, expect.stringMatching(/ more readings in /)]);
    expect(readFileSync(cut).equals(expected)).toBe(true);
    expect((await exported('-o', cut, '--resume')).err).toContain('0 more readings');
    expect(readFileSync(cut).equals(expected)).toBe(true);
  });
});

test('what is exported can be imported: everything is identical', async () => {
  for (const name of ['all.csv', 'all.ndjson', 'all.lp']) {
    const file = join(folder.path, name);
    expect((await exported('-o', file)).code).toBe(0);
    const { out, code } = await pulsegate(['import', file, '--url', proxy.url]);
    expect([code, out], name).toEqual([0, expect.stringMatching(/^0 stored, 0 replaced, 15,000 identical, 0 refused/)]);
  }
});

test('devices, metrics and times are chosen, and standard output takes it', async () => {
  const filter = [
    '--device',
    'dev-*',
    '--metric',
    'temp*',
    '--from',
    '2026-06-01T00:00:01Z',
    '--to',
    '2026-06-01T00:00:03Z',
  ];
  const { code, out } = await exported(...filter);
  expect(code).toBe(0);
  expect(out.split('\r\n')).toEqual([
    'device,metric,time,value,unit',
    'dev-1,temperature,2026-06-01T00:00:01.000Z,0.125,Cel',
    'dev-1,temperature,2026-06-01T00:00:02.000Z,0.25,Cel',
    'dev-2,temperature,2026-06-01T00:00:01.000Z,0.125,Cel',
    'dev-2,temperature,2026-06-01T00:00:02.000Z,0.25,Cel',
    '',
  ]);
});

test('a file that is there is left alone', async () => {
  const file = join(folder.path, 'mine.csv');
  writeFileSync(file, 'mine');
  const { code, err } = await exported('-o', file);
  expect([code, err]).toEqual([1, expect.stringContaining('is there already; --resume goes on with it')]);
  expect(readFileSync(file, 'utf8')).toBe('mine');
});

test.each(['csv', 'ndjson', 'influx', 'senml'])(
  'nothing is cut off a file that no export as %s began',
  async (format) => {
    const file = join(folder.path, 'mine.txt');
    for (const mine of ['mine, all mine\nand no line feed at the end', '{"mine":true}\n{"and', 'x'.repeat(100)]) {
      writeFileSync(file, mine);
      const { code, err } = await exported('-o', file, '--format', format, '--resume');
      expect([code, err]).toEqual([1, expect.stringContaining(`is no export as ${format}; it was left as it is`)]);
      expect(readFileSync(file, 'utf8')).toBe(mine);
    }
  },
);

test('what the gateway refuses is said, and leaves no file', async () => {
  const file = join(folder.path, 'none.csv');
  const { code, err } = await exported('-o', file, '--tag', 'nonsense');
  expect([code, err]).toEqual([1, expect.stringContaining('key:value')]);
  expect(existsSync(file)).toBe(false);
});

test('a gateway that does not come back leaves whole rows, and says how to go on', async () => {
  const file = join(folder.path, 'cut.csv');
  mishap = (number) => (number === 0 ? { kind: 'cut', afterBytes: 100_000 } : { kind: 'answer', status: 500 });
  const { code, err } = await exported('-o', file);
  expect([code, err]).toEqual([1, expect.stringMatching(/readings are in .*cut.csv; the same command with --resume/)]);
  expect(readFileSync(file, 'utf8')).toMatch(/\r\n$/);
});

test('an export that the user stops leaves whole rows, and goes on the next time', async () => {
  const file = join(folder.path, 'stopped.csv');
  const child = spawn(process.execPath, [main, 'export', '--url', proxy.url, '-o', file], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let err = '';
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  mishap = (number) => {
    if (number === 0) return { kind: 'cut', afterBytes: 200_000 };
    // The rest is asked for, and would never come.
    child.kill('SIGINT');
    return { kind: 'silence' };
  };
  const [code] = await once(child, 'close');
  expect([code, err]).toEqual([
    1,
    expect.stringMatching(/^Stopped\.\n[\d,]+ readings are in .*; the same command with/),
  ]);
  expect(readFileSync(file, 'utf8')).toMatch(/\r\n$/);
  mishap = () => ({ kind: 'none' });
  await exported('-o', file, '--resume');
  expect(readFileSync(file, 'utf8').split('temperature').length - 1).toBe(devices.length * perDevice);
});

test('a filter that fits nothing is said to', async () => {
  const { code, err } = await exported('--device', 'dev-9');
  expect([code, err]).toEqual([0, expect.stringContaining('no series is called that')]);
});

test('whoever reads only the begin gets it, without a complaint', async () => {
  const child = spawn(process.execPath, [main, 'export', '--url', proxy.url], { stdio: ['ignore', 'pipe', 'pipe'] });
  let err = '';
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  await once(child.stdout, 'data');
  child.stdout.destroy();
  const [code] = await once(child, 'close');
  expect([code, err]).toEqual([0, expect.not.stringContaining('EPIPE')]);
});
