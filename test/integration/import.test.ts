import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { Readings } from '../../src/contract/reading.ts';
import { main, pulsegate, type Ran } from '../support/cli-process.ts';
import { type FlakyProxy, type Mishap, startFlakyProxy } from '../support/flaky-proxy.ts';
import { type RunningGateway, startGateway } from '../support/gateway.ts';
import { tempFolder } from '../support/temp-folder.ts';

// `pulsegate import` as a process against a whole gateway: what is in the file is in the gateway, once.

const begin = Date.parse('2026-06-01T00:00:00Z');

let folder: ReturnType<typeof tempFolder>;
let gateway: RunningGateway;
let proxy: FlakyProxy;
let mishap: (number: number) => Mishap;

beforeEach(async () => {
  folder = tempFolder();
  gateway = await startGateway();
  mishap = () => ({ kind: 'none' });
  proxy = await startFlakyProxy(gateway.http.port, (number) => mishap(number));
});
afterEach(async () => {
  await proxy.stop();
  await gateway.stop();
  folder.remove();
});

function write(name: string, content: string | Uint8Array): string {
  const path = join(folder.path, name);
  writeFileSync(path, content);
  return path;
}

function importFile(file: string, ...more: readonly string[]): Promise<Ran> {
  return pulsegate(['import', file, '--url', proxy.url, ...more]);
}

async function readingsOf(device: string, metric: string): Promise<readonly { time: string; value: unknown }[]> {
  const path = `/api/v1/devices/${device}/readings?metric=${metric}&from=2026-01-01&limit=10000`;
  return (await gateway.http.get(Readings, path)).readings;
}

function jsonLine(device: string, value: string): string {
  return `{"device":"${device}","metric":"m","time":"2026-06-01T00:00:00Z","value":${value}}\n`;
}

/** `count` readings of `devices` devices, one a second each. */
function csvOf(count: number, devices: number): string {
  const rows = Array.from({ length: count }, (_, index) => {
    const time = new Date(begin + Math.floor(index / devices) * 1_000).toISOString();
    return `dev-${index % devices},temperature,${time},${index / 4}\r\n`;
  });
  return `device,metric,time,value\r\n${rows.join('')}`;
}

test('a CSV file is stored whole, and the same file again changes nothing', async () => {
  const file = write('readings.csv', csvOf(14_000, 7));
  const first = await importFile(file);
  expect([first.code, first.out], first.err).toEqual([
    0,
    expect.stringMatching(/^14,000 stored, 0 replaced, 0 identical, 0 refused, in /),
  ]);
  for (const device of [0, 3, 6]) {
    const readings = await readingsOf(`dev-${device}`, 'temperature');
    const expected = Array.from({ length: 2_000 }, (_, index) => ({
      time: new Date(begin + index * 1_000).toISOString(),
      value: (index * 7 + device) / 4,
    }));
    expect(readings).toEqual(expected);
  }
  const second = await importFile(file);
  expect(second.out).toMatch(/^0 stored, 0 replaced, 14,000 identical, 0 refused/);
  expect([existsSync(`${file}.progress`), existsSync(`${file}.refused`)]).toEqual([false, false]);
});

test('of two values for the same time the later line wins, however many batches lie between', async () => {
  const late = 'dev-0,temperature,2026-06-01T00:00:00.000Z,-1\r\n';
  const { out } = await importFile(write('readings.csv', csvOf(12_000, 1) + late));
  expect(out).toMatch(/^12,000 stored, 1 replaced/);
  expect((await readingsOf('dev-0', 'temperature'))[0].value).toBe(-1);
});

test('NDJSON, packed or not, line protocol and standard input say the same', async () => {
  const expected = [{ time: '2026-06-01T00:00:00.000Z', value: 'open "wide"\nat night' }];
  const json = JSON.stringify(expected[0].value);
  const nanoseconds = `${begin}000000`;
  const influx = (device: string): string => `m,device=${device} value="open \\"wide\\"\nat night" ${nanoseconds}\n`;
  const ran = [
    await importFile(write('a.ndjson', jsonLine('a', json))),
    await importFile(write('b.ndjson.gz', gzipSync(jsonLine('b', json)))),
    await importFile(write('c.lp', `# a comment\n\n${influx('c')}`)),
    await importFile(write('unnamed', influx('d'))),
    await pulsegate(['import', '-', '--url', proxy.url, '--refused', join(folder.path, 'r')], jsonLine('e', json)),
    await importFile(write('seconds.lp', `m,device=f value="x" ${begin / 1_000}\n`), '--precision', 's'),
  ];
  for (const { code, out, err } of ran) expect([code, out], err).toEqual([0, expect.stringMatching(/^1 stored/)]);
  for (const device of ['a', 'b', 'c', 'd', 'e']) expect(await readingsOf(device, 'm'), device).toEqual(expected);
  expect(await readingsOf('f', 'm')).toEqual([{ time: '2026-06-01T00:00:00.000Z', value: 'x' }]);
});

test('what is refused is told with line and reason, by this side or the other, and the rest is stored', async () => {
  const file = write(
    'readings.csv',
    [
      'device,metric,time,value',
      'good,m,2026-06-01T00:00:00Z,1',
      'bad id,m,2026-06-01T00:00:00Z,1',
      'good,m,2026-06-01T00:00:01Z,"two',
      'lines"',
      'good,m,1999-01-01T00:00:00Z,1',
      'good,m,2026-06-01T00:00:02Z,"never closed',
      'good,m,2026-06-01T00:00:03Z,4',
    ].join('\n'),
  );
  const { code, out } = await importFile(file);
  expect([code, out]).toEqual([1, expect.stringContaining('3 stored, 0 replaced, 0 identical, 3 refused')]);
  const refused = readFileSync(`${file}.refused`, 'utf8').split('\r\n');
  expect(refused[0]).toBe('line,code,detail,row');
  expect(refused.slice(1).sort()).toEqual([
    '',
    expect.stringMatching(/^3,device_invalid,.*,"bad id,m,2026-06-01T00:00:00Z,1"$/),
    expect.stringMatching(/^6,time_implausible,.*,"good,m,1999-01-01T00:00:00Z,1"$/),
    expect.stringMatching(/^7,payload_invalid,.*,"good,m,2026-06-01T00:00:02Z,""never closed"$/),
  ]);
  expect((await readingsOf('good', 'm')).map(({ value }) => value)).toEqual([1, 'two\nlines', 4]);

  const again = await importFile(write('readings.csv', 'device,metric,time,value\ngood,m,2026-06-01T00:00:00Z,1\n'));
  expect([again.code, existsSync(`${file}.refused`)], again.out).toEqual([0, false]);
});

test('more faults than one answer lists are all told', async () => {
  const bad = Array.from({ length: 700 }, (_, index) => `dev,m,1999-01-01T00:00:00Z,${index}\n`).join('');
  const file = write('readings.csv', `device,metric,time,value\n${bad}dev,m,2026-06-01T00:00:00Z,1\n`);
  const { out } = await importFile(file);
  expect(out).toMatch(/^1 stored, 0 replaced, 0 identical, 700 refused/);
  expect(readFileSync(`${file}.refused`, 'utf8').match(/time_implausible/g)).toHaveLength(700);
});

test('a gateway that is busy or hangs up is asked again, and nothing is lost', async () => {
  const mishaps: readonly Mishap[] = [
    { kind: 'none' },
    { kind: 'answer', status: 503 },
    { kind: 'cut', afterBytes: 10 },
    { kind: 'answer', status: 429 },
  ];
  mishap = (number) => mishaps[number] ?? { kind: 'none' };
  const { code, out, err } = await importFile(write('readings.csv', csvOf(30_000, 5)));
  expect(code, err).toBe(0);
  // What was cut off had been stored.
  const counts = /^([\d,]+) stored, 0 replaced, ([\d,]+) identical, 0 refused/.exec(out);
  const [stored, identical] = [counts?.[1] ?? '', counts?.[2] ?? ''].map((text) => Number(text.replace(',', '')));
  expect([stored + identical, identical > 0]).toEqual([30_000, true]);
  for (let device = 0; device < 5; device++) {
    expect(await readingsOf(`dev-${device}`, 'temperature')).toHaveLength(6_000);
  }
});

test('a cut import goes on where it was acknowledged', async () => {
  const file = write('readings.csv', `${csvOf(40_000, 1)}dev-0,m,never,1\r\n`);
  mishap = (number) => (number < 3 ? { kind: 'none' } : { kind: 'answer', status: 500 });
  const cut = await importFile(file);
  expect(cut.code).toBe(1);
  expect(cut.err).toContain('Everything before line 15,002 is taken; the same command goes on there.');
  const mark = z
    .looseObject({ line: z.int(), stored: z.int() })
    .parse(JSON.parse(readFileSync(`${file}.progress`, 'utf8')));
  expect(mark).toMatchObject({ line: 15_002, stored: 15_000 });

  mishap = () => ({ kind: 'none' });
  const sent = proxy.requests.length;
  const rest = await importFile(file);
  expect([rest.code, rest.out]).toEqual([
    1,
    expect.stringMatching(/^40,000 stored, 0 replaced, 0 identical, 1 refused/),
  ]);
  expect(rest.err).toContain('Going on at line 15,002');
  expect(proxy.requests.length - sent).toBe(5);
  expect(readFileSync(`${file}.refused`, 'utf8')).toMatch(/\r\n40002,time_invalid,/);
  expect(existsSync(`${file}.progress`)).toBe(false);
});

test('an import that the user stops goes on there the next time', async () => {
  const file = write('readings.csv', csvOf(20_000, 1));
  const args = [main, 'import', file, '--url', proxy.url];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let err = '';
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  mishap = (number) => {
    if (number < 2) return { kind: 'none' };
    // The third batch is under way, and would be for ever.
    child.kill('SIGINT');
    return { kind: 'silence' };
  };
  const [code] = await once(child, 'close');
  expect([code, err]).toEqual([1, expect.stringContaining('Everything before line 10,002 is taken')]);
  mishap = () => ({ kind: 'none' });
  const { out } = await importFile(file);
  expect(out).toMatch(/^20,000 stored, 0 replaced, 0 identical/);
});

test('lines that were refused before an import was cut are counted once', async () => {
  const begin = 'device,metric,time,value\ndev-0,m,2026-06-01T00:00:00Z,1\ndev-0,m,then,2\n';
  const file = write('readings.csv', `${begin}${csvOf(10_000, 1).split('\r\n').slice(1).join('\n')}`);
  mishap = (number) => (number < 1 ? { kind: 'none' } : { kind: 'answer', status: 500 });
  expect((await importFile(file)).code).toBe(1);
  const { out } = await importFile(file);
  mishap = () => ({ kind: 'none' });
  const rest = await importFile(file);
  expect([out, rest.out]).toEqual(['', expect.stringMatching(/^10,001 stored, 0 replaced, 0 identical, 1 refused/)]);
  expect(readFileSync(`${file}.refused`, 'utf8')).toMatch(/^line,code,detail,row\r\n3,time_invalid,[^\n]*\r\n$/);
});

test('a file of something else says as what it was read', async () => {
  const { code, err } = await importFile(write('notes.txt', 'hello world\n'));
  expect([code, err]).toEqual([1, 'Nothing of it could be read as influx; --format says what else it is.\n']);
});

test('another file of the same name begins at its first line', async () => {
  const file = write('readings.csv', csvOf(10_000, 1));
  mishap = (number) => (number < 1 ? { kind: 'none' } : { kind: 'answer', status: 500 });
  expect((await importFile(file)).code).toBe(1);
  mishap = () => ({ kind: 'none' });
  writeFileSync(file, 'device,metric,time,value\nother,m,2026-06-01T00:00:00Z,1\n');
  expect((await importFile(file)).out).toMatch(/^1 stored/);
});

test.each([
  ['a.csv', 'device,value\na,1\n', 'line 1: the first line names the columns; metric, time are not among them'],
  ['a.json', '[{"device":"a"}]', 'is one JSON array'],
  ['a.csv.gz', gzipSync(csvOf(10, 1)).subarray(0, 60), 'unexpected end of file'],
])('%s that is none is said to be so', async (name, content, message) => {
  const { code, err, out } = await importFile(write(name, content));
  expect([code, out]).toEqual([1, '']);
  expect(err).toContain(message);
  expect(err).not.toContain('\n    at ');
});

test('a file that is not there and a gateway that is not there are each one sentence', async () => {
  const missing = await importFile(join(folder.path, 'nothing.csv'));
  expect([missing.code, missing.err]).toEqual([1, expect.stringContaining('nothing.csv cannot be read')]);
  const file = write('readings.csv', csvOf(10, 1));
  const nobody = await pulsegate(['import', file, '--url', 'http://127.0.0.1:9']);
  expect([nobody.code, nobody.err]).toEqual([1, expect.stringContaining('No gateway answers at http://127.0.0.1:9')]);
  expect(existsSync(`${file}.progress`)).toBe(false);
});
