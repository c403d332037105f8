import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { DeviceTokenBook, issueToken } from '../../src/access/device-tokens.ts';
import { FailedAttempts } from '../../src/access/failed-attempts.ts';
import { newKey } from '../../src/access/keys.ts';
import { RequestJudge } from '../../src/access/request-judge.ts';
import { InfluxRefusal } from '../../src/api/influx-refusal.ts';
import { openApiDocument } from '../../src/api/openapi.ts';
import { routeTable } from '../../src/api/routes.ts';
import type { HttpServer } from '../../src/api/server.ts';
import { expectProblem } from '../support/api-problem.ts';
import { startApi, Strangers } from '../support/api-strangers.ts';
import { type Answer, type Ask, ask } from '../support/http-client.ts';
import { PipelineRig } from '../support/pipeline-rig.ts';

// What Telegraf and the clients of InfluxDB find here: over a real socket, with the real judge before the API and the
// real intake behind it.

let strangers: Strangers;
let rig: PipelineRig;
let server: HttpServer;
let port: number;
let tokens: DeviceTokenBook;

beforeEach(async () => {
  strangers = new Strangers();
  rig = new PipelineRig({ messagesMax: 100 });
  tokens = new DeviceTokenBook();
  const { clock, keys } = strangers;
  const access = new RequestJudge({
    policy: () => ({ openMode: keys.length === 0, keys, corsOrigins: ['https://dashboards.example'] }),
    tokens,
    devices: { refusal: () => null, isGateway: () => false },
    failures: new FailedAttempts({ clock, perMinute: 5 }),
    now: () => clock.now(),
  });
  ({ server, port } = await startApi(strangers, { access, intake: rig.intake }));
});
afterEach(() => server.stop(1_000));

const now = 1_789_990_000_000;
const lines = `temperature,device=hall,room=a value=21.4 ${now}000000\nclimate,device=yard humidity=48i,rain=f ${now}000000\n`;
const stored = [`hall/temperature ${now} 21.4`, `yard/climate.humidity ${now} 48`, `yard/climate.rain ${now} false`];

const documented = z.object({
  paths: z.record(
    z.string(),
    z.object({ post: z.object({ responses: z.record(z.string(), z.unknown()) }).optional() }),
  ),
});
const { paths } = documented.parse(
  openApiDocument(routeTable(new Strangers().ports()), { version: '1', basePath: '' }),
);

/** Whatever is answered must be in the OpenAPI document. */
async function write(body: string | Uint8Array, options: Ask & { readonly path?: string } = {}): Promise<Answer> {
  const bytes = Buffer.from(body);
  const { path = '/api/v2/write?org=home&bucket=sensors&precision=ns' } = options;
  const headers = { 'content-type': 'text/plain; charset=utf-8', 'content-length': String(bytes.length) };
  const all = { ...headers, ...options.headers };
  const answer = await ask(port, path, { method: 'POST', body: [bytes], ...options, headers: all });
  const [address] = path.split('?');
  expect(Object.keys(paths[address].post?.responses ?? {})).toContain(String(answer.status));
  return answer;
}

function key(scopes: ('read' | 'write')[] = ['write']): string {
  const { clock, random, keys } = strangers;
  const made = newKey(random, { name: 'telegraf', createdAt: new Date(clock.now()).toISOString(), scopes });
  keys.push(made.record);
  return made.key;
}

function expectRefusal(answer: Answer, status: number, code: string): z.output<typeof InfluxRefusal> {
  expect(answer.status, answer.text).toBe(status);
  expect(answer.headers['content-type']).toBe('application/json');
  const refusal = InfluxRefusal.strict().parse(answer.json());
  expect(refusal.code).toBe(code);
  expect(refusal.error).toBe(refusal.message);
  return refusal;
}

describe('POST /api/v2/write', () => {
  test('answers 204 without a body once the lines are on disk', async () => {
    const answer = await write(lines);
    expect([answer.status, answer.text]).toEqual([204, '']);
    expect(rig.stored).toEqual(stored);
    expect(rig.ledger.messages).toMatchObject({ received: 1, accepted: 1, refused: 0 });
  });

  test.each([
    ['ns', '1789990000123456789', 1],
    ['us', '1789990000123456', 1],
    ['u', '1789990000123456', 1],
    ['%C2%B5', '1789990000123456', 1],
    ['ms', '1789990000123', 0],
  ])('takes timestamps in %s', async (precision, timestamp, truncated) => {
    const path = `/api/v2/write?precision=${precision}`;
    expect((await write(`m,device=a value=1 ${timestamp}`, { path })).status).toBe(204);
    expect(rig.stored).toEqual(['a/m 1789990000123 1']);
    expect(rig.ledger.timesTruncated).toBe(truncated);
  });

  test('refuses everything for one bad line, and says its number as InfluxDB does, and its column', async () => {
    const refusal = expectRefusal(await write(`${lines}m,device=a x=1,y=oops\n\nm x=1\n`), 400, 'invalid');
    expect(refusal.line).toBe(3);
    expect(refusal.message).toMatch(/^line 3: nothing was stored: "oops"/);
    expect(refusal.errors).toMatchObject([
      { line: 3, column: 18, code: 'value_invalid' },
      { line: 5, column: 1, code: 'device_invalid' },
    ]);
    expect(rig.stored).toEqual([]);
    expect(rig.ledger.messages).toMatchObject({ received: 1, accepted: 0, refused: 1 });
  });

  test('stores the good lines with partial=true, and still answers 400 for the bad ones', async () => {
    const path = '/api/v2/write?partial=true';
    const tooEarly = `m,device=a x=1 ${Date.UTC(1990, 0)}000000`;
    const refusal = expectRefusal(await write(`m,device=a x=\n${lines}${tooEarly}`, { path }), 400, 'invalid');
    expect(refusal.errors).toMatchObject([
      { line: 1, column: 14, code: 'value_invalid' },
      { line: 4, code: 'time_implausible' },
    ]);
    expect(rig.stored).toEqual(stored);
    expect((await write(lines, { path })).status).toBe(204);
  });

  test.each(['', '\n\n', '# only a comment\n'])('refuses the body %j, which holds no line', async (body) => {
    expect(expectRefusal(await write(body), 400, 'invalid').errors).toMatchObject([{ code: 'payload_empty' }]);
    expect(rig.ledger.messages).toMatchObject({ received: 1, refused: 1 });
  });

  test('refuses bytes that are no text, and a parameter that it does not know', async () => {
    const refusal = expectRefusal(await write(Uint8Array.of(0x6d, 0xff)), 400, 'invalid');
    expect(refusal.errors).toMatchObject([{ code: 'payload_not_utf8' }]);
    const unknown = expectRefusal(await write(lines, { path: '/api/v2/write?precison=ms' }), 400, 'invalid');
    expect(unknown.message).toContain('did you mean "precision"');
    expectRefusal(await write(lines, { path: '/api/v2/write?precision=days' }), 400, 'invalid');
    expect(rig.stored).toEqual([]);
  });

  test('answers 503 with Retry-After while the disk is full, so that the sender keeps its lines', async () => {
    rig.store.full = true;
    const answer = await write(lines);
    expectRefusal(answer, 503, 'unavailable');
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
  });
});

describe('bodies', () => {
  test.each(['application/octet-stream', 'application/x-www-form-urlencoded', 'text/plain'])(
    'may be %s',
    async (type) => {
      expect((await write(lines, { headers: { 'content-type': type } })).status).toBe(204);
    },
  );

  test('may come without a type, and not as JSON or in another character set', async () => {
    expect((await ask(port, '/api/v2/write', { method: 'POST', body: lines })).status).toBe(204);
    for (const type of ['application/json', 'text/plain; charset=latin1']) {
      const answer = await write(lines, { headers: { 'content-type': type } });
      expectRefusal(answer, 415, 'unsupported media type');
    }
  });

  test('may be gzip, also of several members', async () => {
    const packed = Buffer.concat([gzipSync(lines), gzipSync(`more,device=a value=1 ${now}000000`)]);
    expect((await write(packed, { headers: { 'content-encoding': 'gzip' } })).status).toBe(204);
    expect(rig.stored).toEqual([...stored, `a/more ${now} 1`]);
  });

  test('are refused when they are another compression, no gzip, or cut', async () => {
    const deflate = await write(lines, { headers: { 'content-encoding': 'deflate' } });
    expectRefusal(deflate, 415, 'unsupported media type');
    expect(deflate.headers['accept-encoding']).toBe('gzip, identity');
    for (const body of [lines, gzipSync(lines).subarray(0, -9)]) {
      expectRefusal(await write(body, { headers: { 'content-encoding': 'gzip' } }), 400, 'invalid');
    }
    expect(rig.stored).toEqual([]);
  });

  test('are refused with 413 when they are too large, packed or unpacked', async () => {
    const large = `${lines}# ${'x'.repeat(70_000)}\n`;
    expectRefusal(await write(large), 413, 'request too large');
    const packed = gzipSync(large);
    expect(packed.length).toBeLessThan(1_000);
    expectRefusal(await write(packed, { headers: { 'content-encoding': 'gzip' } }), 413, 'request too large');
    expect(rig.stored).toEqual([]);
  });

  test('are not unpacked out of all proportion, however much room there is', async () => {
    await server.stop(1_000);
    const limits = { bodyBytesMax: 64 * 1024 * 1024, waitMaxMs: 1_000, downloadsMax: 2 };
    ({ server, port } = await startApi(strangers, { intake: rig.intake, limits }));
    const bomb = gzipSync(Buffer.alloc(32 * 1024 * 1024, '#'));
    const answer = await write(bomb, { headers: { 'content-encoding': 'gzip' } });
    expect(expectRefusal(answer, 413, 'request too large').message).toContain('250 times');
    const honest = Array.from({ length: 20_000 }, (_, n) => `m,device=a x=${n} ${now + n}000000`).join('\n');
    expect((await write(gzipSync(honest), { headers: { 'content-encoding': 'gzip' } })).status).toBe(204);
    expect(rig.stored).toHaveLength(20_000);
  });
});

describe('POST /write', () => {
  test.each([
    [
      'Basic',
      '/write?db=telegraf&rp=week&consistency=any',
      (own: string) => ({ authorization: basic('any:body', own) }),
    ],
    ['Token', '/write?db=telegraf', (own: string) => ({ authorization: `Token ${own}` })],
    ['Bearer', '/write?db=telegraf', (own: string) => ({ authorization: `Bearer ${own}` })],
  ])('takes a key as %s', async (_name, path, headers) => {
    expect((await write(lines, { path, headers: headers(key()) })).status).toBe(204);
    expect(rig.stored).toEqual(stored);
  });

  test('takes a key in the address, where clients of InfluxDB 1 put it', async () => {
    expect((await write(lines, { path: `/write?db=telegraf&u=telegraf&p=${key()}` })).status).toBe(204);
    const both = { path: `/write?p=${key()}`, headers: { authorization: 'Bearer wrong' } };
    expectProblem(await write(lines, both), 'unauthorized');
  });

  test('refuses a wrong key, none, and one that may not write', async () => {
    const reader = key(['read']);
    expectProblem(await write(lines, { path: '/write' }), 'unauthorized');
    expectProblem(
      await write(lines, { path: '/write', headers: { authorization: basic('u', 'wrong') } }),
      'unauthorized',
    );
    expectProblem(await write(lines, { path: '/write', headers: { authorization: basic('u', reader) } }), 'forbidden');
    expectProblem(await write(lines, { path: '/write', headers: { authorization: 'Basic !' } }), 'unauthorized');
    expect(rig.stored).toEqual([]);
  });

  test('takes a key in no other way where our own API is asked', async () => {
    const own = key(['read']);
    const headers = { authorization: basic('u', own) };
    expectProblem(await ask(port, '/api/v1/devices', { headers }), 'unauthorized');
    expectProblem(await ask(port, `/api/v1/devices?p=${own}`), 'unauthorized');
  });

  test('takes minutes and hours', async () => {
    expect((await write('m,device=a value=1 29833166', { path: '/write?precision=m' })).status).toBe(204);
    expect((await write('m,device=a value=1 497219', { path: '/write?precision=h' })).status).toBe(204);
    expect(rig.stored).toEqual([`a/m ${29_833_166 * 60_000} 1`, `a/m ${497_219 * 3_600_000} 1`]);
  });
});

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user.replace(':', '')}:${password}`).toString('base64')}`;
}

describe('a device with its own token', () => {
  test('is the device of lines that name none, and may name itself but nobody else', async () => {
    key();
    const { token, record } = issueToken(strangers.random, 'probe', strangers.clock.now());
    tokens.apply({ kind: 'put', token: record });
    const headers = { authorization: `Token ${token}` };
    const mine = `m value=1 ${now}000000\nm,device=probe value=2 ${now + 1}000000`;
    expect((await write(mine, { headers })).status).toBe(204);
    expect(rig.stored).toEqual([`probe/m ${now} 1`, `probe/m ${now + 1} 2`]);
    const refusal = expectRefusal(await write('m,device=other value=1', { headers }), 400, 'invalid');
    expect(refusal.errors).toMatchObject([{ line: 1, code: 'device_forbidden' }]);
  });
});

describe('without keys', () => {
  test('plain text is taken from programs and not from pages', async () => {
    expect((await write(lines)).status).toBe(204);
    const own = `http://127.0.0.1:${port}`;
    expectProblem(await write(lines, { headers: { origin: own } }), 'unsupported_media_type');
    expectProblem(await write(lines, { headers: { 'sec-fetch-site': 'cross-site' } }), 'unsupported_media_type');
    expectProblem(await write(lines, { headers: { origin: 'https://elsewhere.example' } }), 'origin_not_allowed');
    expectProblem(await write(lines, { headers: { host: 'rebound.example' } }), 'host_not_allowed');
    expect(rig.stored).toEqual(stored);
  });
});

describe('what clients ask before they write', () => {
  test.each(['GET', 'HEAD'])('%s /ping answers 204 with a version, to anybody', async (method) => {
    key();
    const answer = await ask(port, '/ping?verbose=true', { method });
    expect([answer.status, answer.text]).toEqual([204, '']);
    expect(answer.headers['x-influxdb-version']).toBe('0.0.0-test');
  });

  test('GET /health passes while lines can be stored', async () => {
    expect((await ask(port, '/health')).json()).toMatchObject({ status: 'pass', version: '0.0.0-test' });
    strangers.ready = false;
    const answer = await ask(port, '/health');
    expect(expectRefusal(answer, 503, 'unavailable').message).toBe('the database is full');
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
  });
});

test('an error of ours is told without its cause, and logged, as on every route', async () => {
  strangers.failure = new Error('secret');
  await server.stop(1_000);
  ({ server, port } = await startApi(strangers));
  const answer = await write(lines);
  expectProblem(answer, 'internal');
  expect(answer.text).not.toContain('secret');
  expect(strangers.logged).toMatchObject([{ error: 'secret' }]);
});
