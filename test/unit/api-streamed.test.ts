import { randomBytes } from 'node:crypto';
import { request, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { connect } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { chooseFormat, contentTypes, mediaTypes } from '../../src/api/answer-format.ts';
import { createApi } from '../../src/api/app.ts';
import { openApiDocument } from '../../src/api/openapi.ts';
import { RequestRefused } from '../../src/api/problem.ts';
import { type Route, route } from '../../src/api/route.ts';
import { HttpServer } from '../../src/api/server.ts';
import { WrittenAnswer } from '../../src/api/written-answer.ts';
import { expectProblem } from '../support/api-problem.ts';
import { Strangers } from '../support/api-strangers.ts';
import { ask } from '../support/http-client.ts';

// Answers that a handler writes itself, over real sockets: what a client that is slow, gone or unlucky sees and leaves.

/** Streams that began and have not ended, and chunks made so far. */
let open = 0;
let made = 0;
let logged: string[] = [];
let server: HttpServer;
let port: number;
let strangers: Strangers;
let stopApi: () => void;

const chunkBytes = 1_000_000;

interface Fault {
  readonly at: number;
  readonly error: Error;
}

async function* numbered(count: number, fault?: Fault, chunk = numberedChunk): AsyncGenerator<Uint8Array> {
  open++;
  try {
    for (let index = 0; index < count; index++) {
      if (fault?.at === index) throw fault.error;
      made++;
      yield chunk(index);
    }
  } finally {
    open--;
  }
}

function numberedChunk(index: number): Uint8Array {
  return Buffer.alloc(chunkBytes, `${index} `);
}

const lots = 100_000;
const bodies: Readonly<Record<string, () => Uint8Array | AsyncIterable<Uint8Array>>> = {
  three: () => numbered(3),
  lots: () => numbered(lots),
  none: () => numbered(0),
  cut: () => numbered(lots, { at: 2, error: new Error('the disk is on fire') }),
  noise: () => numbered(lots, { at: 2, error: new Error('the disk is on fire') }, () => randomBytes(chunkBytes)),
  refused: () => numbered(lots, { at: 0, error: new RequestRefused('not_found', 'there is no such thing') }),
  bytes: () => Buffer.from('a few bytes'),
  manyBytes: () => Buffer.alloc(100_000, 'abc'),
};

const streamed: Route = route({
  method: 'GET',
  path: '/api/v1/bodies/{id}',
  id: 'getBody',
  tag: 'test',
  summary: 'A body',
  params: z.object({ id: z.string() }),
  query: z.object({ format: z.enum(['json', 'csv']).optional() }),
  body: null,
  success: {
    status: 200,
    description: 'The body',
    schema: z.object({ plain: z.boolean() }),
    alternatives: { 'text/csv': z.string() },
  },
  handler({ params, query, accepts }) {
    const format = chooseFormat(query.format, ['json', 'csv'], accepts);
    if (format === 'json') return { plain: true };
    return new WrittenAnswer(contentTypes[format], bodies[params.id](), { 'x-total-estimate': '7' });
  },
});

beforeEach(async () => {
  [open, made, logged] = [0, 0, []];
  strangers = new Strangers();
  const log = (_fields: object, message: string): void => void logged.push(message);
  const api = createApi({ ...strangers.ports(), log: { debug: log, info: log, warn: log, error: log } }, [streamed]);
  stopApi = () => api.stop();
  server = new HttpServer({
    api,
    host: '127.0.0.1',
    port: 0,
    clock: strangers.clock,
    log: { debug: log, info: log, warn: log, error: log },
    tls: null,
    upgrades: new Map(),
  });
  ({ port } = await server.start());
});

afterEach(async () => {
  const stopped = server.stop(1_000);
  strangers.clock.advance(60_000);
  await stopped;
  expect(open).toBe(0);
});

const csv = { accept: 'text/csv' };

describe('a stream', () => {
  test('comes whole and in order, in its media type and with its headers', async () => {
    const { status, headers, text } = await ask(port, '/api/v1/bodies/three', { headers: csv });
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'content-type': 'text/csv; charset=utf-8; header=present',
      'transfer-encoding': 'chunked',
      'x-total-estimate': '7',
      'x-content-type-options': 'nosniff',
      vary: 'accept, accept-encoding',
    });
    const expected = Buffer.concat([0, 1, 2].map(numberedChunk));
    expect(Buffer.from(text).equals(expected)).toBe(true);
    expect(open).toBe(0);
  });

  test('that holds nothing is an empty success', async () => {
    const { status, text } = await ask(port, '/api/v1/bodies/none', { headers: csv });
    expect([status, text]).toEqual([200, '']);
  });

  test('is not made faster than the client takes it, and freed when the client leaves', async () => {
    const answer = await begin('/api/v1/bodies/lots');
    // Nothing is read: what the sockets hold between them fills, and then no chunk is made any more.
    const stood = await untilStill(() => made);
    expect(stood).toBeGreaterThan(0);
    expect(stood * chunkBytes).toBeLessThan(32_000_000);
    expect(open).toBe(1);
    answer.destroy();
    await until(() => open === 0);
    expect(made).toBeLessThanOrEqual(stood + 2);
    expect(logged).toEqual([]);
  });

  test('goes on where it stood when a slow client reads again', async () => {
    const answer = await begin('/api/v1/bodies/lots');
    const stood = await untilStill(() => made);
    let read = 0;
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      read += chunk.length;
      if (read > (stood + 20) * chunkBytes) break;
    }
    expect(made).toBeGreaterThan(stood + 15);
    await until(() => open === 0);
  });

  test('to a client that takes nothing for two minutes is given up', async () => {
    const answer = await begin('/api/v1/bodies/lots');
    const gone = new Promise((resolve) => void answer.once('error', resolve));
    await untilStill(() => made);
    strangers.clock.advance(119_000);
    await untilStill(() => made);
    expect(open).toBe(1);
    strangers.clock.advance(1_000);
    await until(() => open === 0);
    answer.resume();
    await gone;
    expect(logged).toEqual(['the client took nothing for 120 s']);
  });

  test('that fails before its first byte is answered as a problem, without the headers of a success', async () => {
    const answer = await ask(port, '/api/v1/bodies/refused', { headers: csv });
    expectProblem(answer, 'not_found');
    expect(answer.headers['x-total-estimate']).toBeUndefined();
    expect(open).toBe(0);
  });

  test('that fails later is cut off, so that nobody takes it for whole, and logged', async () => {
    await expect(ask(port, '/api/v1/bodies/cut', { headers: csv })).rejects.toThrow(/aborted|reset|hang up/);
    expect(open).toBe(0);
    expect(logged).toEqual(['answer cut off']);
  });

  test('that fails later is cut off for a client of HTTP/1.0, too, which would take an end for the end', async () => {
    const socket = connect(port, '127.0.0.1');
    socket.write('GET /api/v1/bodies/cut HTTP/1.0\r\nHost: localhost\r\nAccept: text/csv\r\n\r\n');
    socket.resume();
    const [error] = await once(socket, 'error');
    expect(error).toMatchObject({ code: 'ECONNRESET' });
    await until(() => open === 0);
  });

  test('is cut off when the gateway stops', async () => {
    const answer = await begin('/api/v1/bodies/lots');
    const gone = new Promise((resolve) => void answer.once('error', resolve));
    answer.resume();
    stopApi();
    await gone;
    await until(() => open === 0);
  });

  test('asked for with HEAD has its headers and no body', async () => {
    const { status, headers, text } = await ask(port, '/api/v1/bodies/lots', { method: 'HEAD', headers: csv });
    expect([status, text, headers['x-total-estimate']]).toEqual([200, '', '7']);
    await until(() => open === 0);
    expect(made).toBe(1);
  });
});

// Other addresses of loopback there are on Linux only.
describe.runIf(process.platform === 'linux')('gzip', () => {
  const packed = { ...csv, 'accept-encoding': 'gzip' };

  test('is for other machines', async () => {
    const here = await ask(port, '/api/v1/bodies/manyBytes', { headers: packed });
    expect(here.headers['content-encoding']).toBeUndefined();
    const there = await askFrom('127.0.0.2', '/api/v1/bodies/manyBytes', packed);
    expect(there.headers['content-encoding']).toBe('gzip');
    expect(gunzipSync(there.bytes).equals(Buffer.alloc(100_000, 'abc'))).toBe(true);
    expect(there.headers['content-length']).toBe(String(there.bytes.length));
  });

  test('is left out where it gains nothing or was not asked for', async () => {
    const few = await askFrom('127.0.0.2', '/api/v1/bodies/bytes', packed);
    expect([few.headers['content-encoding'], few.bytes.toString()]).toEqual([undefined, 'a few bytes']);
    const plain = await askFrom('127.0.0.2', '/api/v1/bodies/manyBytes', csv);
    expect([plain.headers['content-encoding'], plain.bytes.length]).toEqual([undefined, 100_000]);
  });

  test('of a stream is the stream', async () => {
    const { headers, bytes } = await askFrom('127.0.0.2', '/api/v1/bodies/three', packed);
    expect(headers['content-encoding']).toBe('gzip');
    const expected = Buffer.concat([0, 1, 2].map(numberedChunk));
    expect(gunzipSync(bytes).equals(expected)).toBe(true);
  });

  test('of a stream that fails later is cut off, and before its first byte a problem', async () => {
    await expect(askFrom('127.0.0.2', '/api/v1/bodies/refused', packed)).resolves.toMatchObject({ status: 404 });
    await expect(askFrom('127.0.0.2', '/api/v1/bodies/noise', packed)).rejects.toThrow(/aborted|reset|hang up/);
    await until(() => open === 0);
  });
});

describe('the form', () => {
  test.each([
    ['*/*', 'application/json'],
    ['text/csv', 'text/csv; charset=utf-8; header=present'],
    ['application/json;q=0.5, text/csv', 'text/csv; charset=utf-8; header=present'],
    ['text/html, application/xhtml+xml, */*;q=0.8', 'application/json'],
  ])('%s is answered as %s', async (accept, type) => {
    const { headers } = await ask(port, '/api/v1/bodies/bytes', { headers: { accept } });
    expect(headers['content-type']).toBe(type);
  });

  test('format= wins over Accept', async () => {
    const { text } = await ask(port, '/api/v1/bodies/bytes?format=csv', { headers: { accept: 'application/json' } });
    expect(text).toBe('a few bytes');
  });

  test('that there is not is 406 and told what there is', async () => {
    const answer = await ask(port, '/api/v1/bodies/bytes', { headers: { accept: 'image/png' } });
    expectProblem(answer, 'not_acceptable');
    expect(answer.text).toContain('text/csv (format=csv)');
  });

  test('that a question does not have is 400', () => {
    expect(() => chooseFormat('senml', ['json', 'csv'], () => null)).toThrow('format=senml is not offered');
  });

  test('each has a media type of its own, and the document lists them', () => {
    expect(new Set(Object.values(mediaTypes)).size).toBe(Object.keys(mediaTypes).length);
    const { paths } = openApiDocument([streamed], { version: '1', basePath: '' });
    expect(JSON.stringify(paths)).toContain('"text/csv":{"schema":{"type":"string"}}');
    expect(JSON.stringify(paths)).toContain('"application/json":{"schema":{"type":"object"');
  });
});

/** The answer, once its headers are there; nothing of its body is read. */
function begin(path: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, headers: csv, agent: false }, resolve);
    sent.on('error', reject);
    sent.end();
  });
}

/** Asks from another address of this machine, as another machine would. */
function askFrom(
  localAddress: string,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<{ status: number; headers: IncomingMessage['headers']; bytes: Buffer }> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, headers, localAddress, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, bytes: Buffer.concat(chunks) }),
      );
    });
    sent.on('error', reject);
    sent.end();
  });
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await turn();
}

/** The value, once it has not changed for many turns of the loop in which sockets were looked at. */
async function untilStill(read: () => number): Promise<number> {
  let last = read();
  for (let still = 0; still < 2_000; still++) {
    await turn();
    if (read() === last) continue;
    last = read();
    still = 0;
  }
  return last;
}

function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
