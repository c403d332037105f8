import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Asset, RequestFacts, Verdict } from '../../src/api/ports.ts';
import type { HttpServer } from '../../src/api/server.ts';
import { expectProblem } from '../support/api-problem.ts';
import { startApi, Strangers } from '../support/api-strangers.ts';
import { ask } from '../support/http-client.ts';

// The listener itself: what is not an ordinary request, what takes long, what goes away, and how it stops.

const script: Asset = {
  bytes: Buffer.from('export {}'),
  contentType: 'text/javascript; charset=utf-8',
  etag: '"abc"',
  immutable: true,
};

let strangers: Strangers;
let server: HttpServer;
let port: number;

async function start(changes: Parameters<typeof startApi>[1] = {}): Promise<void> {
  await server?.stop(1_000);
  strangers = new Strangers();
  ({ server, port } = await startApi(strangers, changes));
}
beforeEach(() => start());
afterEach(async () => {
  const stopped = server.stop(1_000);
  strangers.clock.advance(60_000);
  await stopped;
});

describe('bodies', () => {
  test('a chunked body much beyond the bound is answered 413 and its connection closed, not read for ever', async () => {
    const socket = connect(port, '127.0.0.1');
    let sent = 0;
    const chunk = `4000\r\n${' '.repeat(0x4000)}\r\n`;
    socket.write(head('POST', '/api/v1/readings', 'transfer-encoding: chunked', 'content-type: application/json'));
    const more = (): void => {
      // Goes on until the other side has had enough.
      while (socket.writable && socket.write(chunk)) sent += 0x4000;
    };
    socket.on('drain', more);
    more();
    const text = await untilClosed(socket);
    expect(text).toMatch(/^HTTP\/1\.1 413 /);
    expect(text).toMatch(/^connection: close\r$/im);
    expect(text).toContain('"code":"payload_too_large"');
    expect(sent).toBeGreaterThan(64 * 1024);
  });

  test('a body that is announced too large is refused before it is sent', async () => {
    const socket = connect(port, '127.0.0.1');
    const headers = ['content-length: 100000000', 'content-type: application/json', 'expect: 100-continue'];
    socket.write(head('POST', '/api/v1/readings', ...headers));
    const text = await untilClosed(socket);
    expect(text).toMatch(/^HTTP\/1\.1 413 /);
    expect(text).not.toContain('100 Continue');
  });

  test('a sender that waits is told to continue once its headers are fine', async () => {
    const socket = connect(port, '127.0.0.1');
    const body = '[{"device":"a","metric":"x","time":1,"value":2}]';
    const headers = [`content-length: ${body.length}`, 'content-type: application/json', 'expect: 100-continue'];
    socket.write(head('POST', '/api/v1/readings', 'connection: close', ...headers));
    socket.once('data', () => socket.write(body));
    const text = await untilClosed(socket);
    expect(text).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /);
    expect(text).toContain('"stored":1');
  });

  test('a client that leaves in the middle of its body is neither answered nor logged', async () => {
    const socket = connect(port, '127.0.0.1');
    const headers = ['content-length: 1000', 'content-type: application/json'];
    socket.write(`${head('POST', '/api/v1/readings', ...headers)}[`, () => socket.resetAndDestroy());
    await until(() => strangers.requests.length === 1);
    expect(strangers.logged).toEqual([]);
    expect(strangers.seq).toBe(0);
  });
});

describe('what is not a request', () => {
  test.each([
    ['garbage', 'GARBAGE\r\n\r\n', 'this is not an HTTP/1.1 request'],
    ['endless headers', head('GET', '/', `x: ${'y'.repeat(20_000)}`), 'the headers are larger than 16384 bytes'],
  ])('is answered with a problem and closed: %s', async (_name, bytes, detail) => {
    const socket = connect(port, '127.0.0.1');
    socket.write(bytes);
    const text = await untilClosed(socket);
    expect(text).toMatch(/^HTTP\/1\.1 400 Bad request\r\n/);
    expect(text).toContain('content-type: application/problem+json\r\n');
    expect(text).toContain(`"detail":"${detail}"`);
  });

  test('an offer to upgrade to something else than a WebSocket is ignored', async () => {
    const answer = await ask(port, '/healthz', { headers: { connection: 'upgrade', upgrade: 'h2c' } });
    expect([answer.status, answer.json()]).toEqual([200, { status: 'ok' }]);
  });

  test('an absolute target is served as its path', async () => {
    const answer = await ask(port, `http://127.0.0.1:${port}/healthz`);
    expect(answer.status).toBe(200);
    expectProblem(await ask(port, '*', { method: 'OPTIONS' }), 'bad_request');
  });
});

describe('upgrades', () => {
  const websocket = [
    'connection: upgrade',
    'upgrade: WebSocket',
    'sec-websocket-version: 13',
    'sec-websocket-key: eA==',
  ];

  test('go to the live room at the live address, with the head of what follows', async () => {
    const socket = connect(port, '127.0.0.1');
    socket.write(head('GET', '/api/v1/live?x=1', ...websocket));
    expect(await untilClosed(socket)).toBe('HTTP/1.1 101 Switching Protocols\r\n\r\n');
  });

  test.each([
    ['/api/v1/other', 404, 'not_found'],
    ['/api/v1/live/%zz', 400, 'bad_request'],
  ])('%s is refused with %i', async (path, status, code) => {
    const socket = connect(port, '127.0.0.1');
    socket.write(head('GET', path, ...websocket));
    const text = await untilClosed(socket);
    expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(text).toContain('content-type: application/problem+json\r\n');
    expect(text).toContain('x-content-type-options: nosniff\r\n');
    const [, body = ''] = text.split('\r\n\r\n');
    const [, length] = /content-length: (\d+)/.exec(text) ?? [];
    expect(Number(length)).toBe(Buffer.byteLength(body));
    expect(JSON.parse(body)).toMatchObject({ status, code });
  });

  test('are judged by access with everything that it needs to know', async () => {
    const facts: RequestFacts[] = [];
    await start({
      access: {
        judge(seen) {
          facts.push(seen);
          return { allowed: false, code: 'origin_not_allowed', detail: 'pages elsewhere may not' };
        },
      },
    });
    const socket = connect(port, '127.0.0.1');
    const headers = ['origin: https://elsewhere.example', 'x-forwarded-for: 1.2.3.4', 'authorization: Bearer k'];
    socket.write(head('GET', '/api/v1/live', ...websocket, ...headers));
    const text = await untilClosed(socket);
    expect(text).toMatch(/^HTTP\/1\.1 403 /);
    expect(facts).toEqual([
      {
        method: 'GET',
        remoteAddress: '127.0.0.1',
        host: 'localhost',
        scheme: null,
        origin: 'https://elsewhere.example',
        authorization: 'Bearer k',
        contentType: undefined,
        forwarded: true,
        isUpgrade: true,
        isPublic: false,
        scope: 'read',
        forDevices: false,
      },
    ]);
  });
});

describe('the dashboard', () => {
  beforeEach(() => start({ assets: { find: (path) => (path === '/assets/index-0123abcd.js' ? script : undefined) } }));

  test('is served with a strict policy, an etag and the age that its name allows', async () => {
    const answer = await ask(port, '/assets/index-0123abcd.js');
    expect([answer.status, answer.text]).toEqual([200, 'export {}']);
    expect(answer.headers).toMatchObject({
      'content-type': 'text/javascript; charset=utf-8',
      'cache-control': 'public, max-age=31536000, immutable',
      'x-content-type-options': 'nosniff',
      etag: '"abc"',
    });
    expect(answer.headers['content-security-policy']).toMatch(/^default-src 'self';/);
    const again = await ask(port, '/assets/index-0123abcd.js', { headers: { 'if-none-match': '"abc"' } });
    expect([again.status, again.text]).toEqual([304, '']);
  });

  test('takes no other method, and HEAD shows the length', async () => {
    const refused = await ask(port, '/assets/index-0123abcd.js', { method: 'DELETE' });
    expectProblem(refused, 'method_not_allowed');
    expect(refused.headers.allow).toBe('GET, HEAD, OPTIONS');
    const known = await ask(port, '/assets/index-0123abcd.js', { method: 'HEAD' });
    expect([known.text, known.headers['content-length']]).toEqual(['', '9']);
  });

  test('and health are public to access, the rest and what does not exist are not', async () => {
    const seen: [string, boolean][] = [];
    let path = '';
    const judge = ({ isPublic }: RequestFacts): Verdict => {
      seen.push([path, isPublic]);
      return { allowed: true, caller: { kind: 'open' } };
    };
    await start({ access: { judge } });
    for (path of ['/', '/healthz', '/readyz', '/metrics', '/openapi.json', '/api/v1/devices', '/none']) {
      await ask(port, path);
    }
    expect(seen.filter(([, isPublic]) => isPublic).map(([path]) => path)).toEqual(['/', '/healthz', '/readyz']);
    expect(seen).toHaveLength(7);
  });
});

describe('OPTIONS', () => {
  test('says what an address offers, and answers a preflight of a listed page', async () => {
    await start({ corsOrigins: ['https://page.example'] });
    const plain = await ask(port, '/api/v1/rules', { method: 'OPTIONS' });
    expect([plain.status, plain.headers.allow]).toEqual([204, 'GET, HEAD, OPTIONS, POST']);
    expect(plain.headers['access-control-allow-methods']).toBeUndefined();
    const preflight = await ask(port, '/api/v1/rules/any', {
      method: 'OPTIONS',
      headers: { origin: 'https://page.example', 'access-control-request-method': 'PATCH' },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers).toMatchObject({
      'access-control-allow-origin': 'https://page.example',
      'access-control-allow-methods': 'DELETE, GET, HEAD, OPTIONS, PATCH',
    });
    expect(preflight.headers['access-control-allow-headers']).toContain('authorization');
    expectProblem(await ask(port, '/none', { method: 'OPTIONS' }), 'not_found');
  });
});

describe('a base path', () => {
  beforeEach(() => start({ basePath: '/gate' }));

  test('holds everything, and nothing is served beside it', async () => {
    expect((await ask(port, '/gate/healthz')).status).toBe(200);
    expect((await ask(port, '/gate/')).text).toBe('<!doctype html>');
    for (const path of ['/healthz', '/', '/gates/healthz']) expectProblem(await ask(port, path), 'not_found');
    const document = (await ask(port, '/gate/openapi.json')).json();
    expect(document).toMatchObject({ servers: [{ url: '/gate' }] });
  });

  test('without its slash leads to the page, so that relative links resolve', async () => {
    const answer = await ask(port, '/gate');
    expect([answer.status, answer.headers.location]).toEqual([308, '/gate/']);
  });
});

describe('long polls', () => {
  test('wait for the next commit', async () => {
    const poll = ask(port, '/api/v1/stream?wait=30s&device=a*&limit=5');
    await until(() => strangers.polls.length === 1);
    expect(strangers.polls[0]).toMatchObject({ waitMs: 30_000, device: 'a*', metric: '*', limit: 5, since: undefined });
    strangers.put('a', 'x', strangers.clock.now(), 1);
    expect((await poll).json()).toMatchObject({ cursor: 'epoch:1', readings: [{ device: 'a', value: 1 }] });
  });

  test('are told when their client leaves', async () => {
    const leaving = new AbortController();
    const poll = ask(port, '/api/v1/stream?wait=30s', { signal: leaving.signal });
    await until(() => strangers.polls.length === 1);
    const { signal } = strangers.polls[0];
    const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve));
    leaving.abort();
    await expect(poll).rejects.toThrow();
    await aborted;
  });

  test('end when the gateway stops, with what they have', async () => {
    const poll = ask(port, '/api/v1/stream?wait=30s');
    await until(() => strangers.polls.length === 1);
    const stopped = server.stop(60_000);
    const answer = await poll;
    expect([answer.status, answer.headers.connection]).toEqual([200, 'close']);
    await stopped;
  });
});

describe('stopping', () => {
  test('waits for the request in flight, closes idle connections and takes no new ones', async () => {
    const answer = Promise.withResolvers<string>();
    let asked = false;
    const render = (): Promise<string> => {
      asked = true;
      return answer.promise;
    };
    await start({ metrics: { render, observeRequest: () => {} } });
    // One that never sends anything, one between two requests, and one whose answer is on its way.
    const silent = connect(port, '127.0.0.1');
    const kept = connect(port, '127.0.0.1');
    kept.write(head('GET', '/healthz'));
    await new Promise((resolve) => kept.once('data', resolve));
    const slow = ask(port, '/metrics');
    await until(() => asked);
    const idleClosed = Promise.all([untilClosed(silent), untilClosed(kept)]);
    const stopped = server.stop(60_000);
    await idleClosed;
    await expect(ask(port, '/healthz')).rejects.toThrow(/ECONNREFUSED|ECONNRESET/);
    answer.resolve('done 1\n');
    expect((await slow).text).toBe('done 1\n');
    await stopped;
  });

  test('ends what hangs at the deadline', async () => {
    const never = Promise.withResolvers<string>();
    let asked = false;
    const render = (): Promise<string> => {
      asked = true;
      return never.promise;
    };
    await start({ metrics: { render, observeRequest: () => {} } });
    const hanging = ask(port, '/metrics');
    const ended = expect(hanging).rejects.toThrow();
    await until(() => asked);
    const stopped = server.stop(4_000);
    strangers.clock.advance(4_000);
    await stopped;
    await ended;
  });

  test('may come before the start and twice', async () => {
    await Promise.all([server.stop(1_000), server.stop(1_000)]);
    await server.stop(1_000);
    await expect(ask(port, '/healthz')).rejects.toThrow();
  });

  test('a port that is taken is told by the error of the system', async () => {
    const { HttpServer } = await import('../../src/api/server.ts');
    const { createApi } = await import('../../src/api/app.ts');
    const api = createApi(strangers.ports());
    const parts = {
      api,
      host: '127.0.0.1',
      port,
      clock: strangers.clock,
      log: strangers.ports().log,
      tls: null,
      upgrades: new Map(),
    };
    await expect(new HttpServer(parts).start()).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });
});

function head(method: string, path: string, ...headers: string[]): string {
  return `${[`${method} ${path} HTTP/1.1`, 'host: localhost', ...headers].join('\r\n')}\r\n\r\n`;
}

function untilClosed(socket: ReturnType<typeof connect>): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (chunk) => (text += chunk.toString()));
    // Whoever still writes when the answer is there is reset; the answer counts.
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
  });
}

/** Lets the event loop turn until it is so. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}
