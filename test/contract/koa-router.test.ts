// Why the API has an outermost catch and one flat route table.
import { once } from 'node:events';
import { request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Router } from '@koa/router';
import Koa from 'koa';
import { afterEach, describe, expect, it } from 'vitest';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

interface Answer {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

/** Serves the app on a free port and answers one GET. */
async function get(app: Koa, path: string): Promise<Answer> {
  app.silent = true;
  const server = app.listen(0, '127.0.0.1');
  cleanups.push(() => new Promise((resolve) => server.close(resolve)));
  await once(server, 'listening');
  const asked = request({ port: (server.address() as AddressInfo).port, path, agent: false });
  asked.end();
  const [response] = await once(asked, 'response');
  let body = '';
  for await (const chunk of response) body += String(chunk);
  return { status: response.statusCode, headers: response.headers, body };
}

/** An app with one route for each path, which answers with its own path and what it took for parameters. */
function routed(paths: readonly string[], options: { sensitive?: boolean; strict?: boolean } = {}): Koa {
  const router = new Router(options);
  for (const path of paths) {
    router.get(path, (context) => {
      context.body = `${path} ${JSON.stringify(context.params)}`;
    });
  }
  const app = new Koa();
  app.use(router.routes());
  return app;
}

describe('koa', () => {
  it('strips every header that was set from its own error answer, and makes it text', async () => {
    const app = new Koa();
    app.use((context) => {
      context.set('x-request-id', 'abc');
      context.set('access-control-allow-origin', '*');
      const headers = { 'content-type': 'application/problem+json', 'retry-after': '1' };
      throw Object.assign(new Error('no'), { status: 503, expose: true, headers });
    });
    const { status, headers, body } = await get(app, '/');
    expect([status, body]).toEqual([503, 'no']);
    expect([headers['x-request-id'], headers['access-control-allow-origin']]).toEqual([undefined, undefined]);
    expect(headers['content-type']).toMatch(/^text\/plain/);
    expect(headers['retry-after']).toBe('1');
  });

  it('keeps them when the outermost middleware catches', async () => {
    const app = new Koa();
    app.use(async (context, next) => {
      context.set('x-request-id', 'abc');
      try {
        await next();
      } catch {
        context.status = 503;
        context.body = '{"code":"overloaded"}';
        context.type = 'application/problem+json';
      }
    });
    app.use(() => {
      throw new Error('no');
    });
    const { status, headers } = await get(app, '/');
    expect([status, headers['x-request-id'], headers['content-type']]).toEqual([
      503,
      'abc',
      'application/problem+json',
    ]);
  });
});

describe('@koa/router', () => {
  it('runs the first route that matches, not the closest', async () => {
    expect((await get(routed(['/users/:id', '/users/me']), '/users/me')).body).toBe('/users/:id {"id":"me"}');
    expect((await get(routed(['/users/me', '/users/:id']), '/users/me')).body).toBe('/users/me {}');
  });

  it('takes other capitals and a slash at the end for the same route, unless it is told to be strict', async () => {
    expect((await get(routed(['/users/:id']), '/USERS/1')).status).toBe(200);
    expect((await get(routed(['/users/:id']), '/users/1/')).status).toBe(200);
    const app = routed(['/users/:id'], { sensitive: true, strict: true });
    expect((await get(app, '/USERS/1')).status).toBe(404);
    expect((await get(app, '/users/1/')).status).toBe(404);
    expect((await get(app, '/users/1')).status).toBe(200);
  });

  it('answers a malformed escape as if it were text', async () => {
    expect(await get(routed(['/users/:id']), '/users/%zz')).toMatchObject({
      status: 200,
      body: '/users/:id {"id":"%zz"}',
    });
  });

  it('has no pattern for a parameter any more', () => {
    expect(() => routed([String.raw`/users/:id(\d+)`])).toThrow(/Unexpected|Missing|path/i);
  });
});
