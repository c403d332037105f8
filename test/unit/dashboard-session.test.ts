import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { ProblemError, RestClient } from '../../src/dashboard/rest-client.ts';
import { parseRoute } from '../../src/dashboard/route.ts';

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A server that lets in one key, with a client of it whose key the test holds. */
async function serve(answer: (asked: Asked, response: ServerResponse) => void) {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const one = { method: request.method ?? '', url: request.url ?? '', headers: request.headers, body };
      asked.push(one);
      answer(one, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stops.push(
    () => server.closeAllConnections(),
    () => server.close(),
  );
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const held: { key: string | null } = { key: null };
  const refusals: ProblemError[] = [];
  const rest = new RestClient({
    base: `http://127.0.0.1:${port}/`,
    fetch,
    now: () => Date.now(),
    key: () => held.key,
    onUnauthorized: (problem) => refusals.push(problem),
  });
  return { rest, asked, held, refusals };
}

function problem(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/problem+json' });
  response.end(JSON.stringify({ status, title: 'No', detail: 'it is so', code: 'unauthorized', ...body }));
}

/** Lets in one key alone. */
const locked = () =>
  serve(({ headers }, response) => {
    if (headers.authorization === 'Bearer good') response.end('{}');
    else problem(response, 401, {});
  });

describe('asking with a key', () => {
  test('the key goes into a header of every request and never into its address', async () => {
    const { rest, asked, held } = await locked();
    held.key = 'good';
    await rest.get('api/v1/devices', { limit: '1' });
    await rest.text('metrics');
    await rest.send('PATCH', 'api/v1/devices/a', { name: 'x' });
    expect(asked.map(({ headers }) => headers.authorization)).toEqual(Array(3).fill('Bearer good'));
    expect(asked.map(({ url }) => url).join()).not.toContain('good');
  });

  test('without a key nothing is presented, and a 401 is told once to who asks for one', async () => {
    const { rest, asked, refusals } = await locked();
    await expect(rest.get('api/v1/devices')).rejects.toMatchObject({ status: 401 });
    expect(asked[0]?.headers.authorization).toBeUndefined();
    expect(refusals.map(({ detail }) => detail)).toEqual(['it is so']);
  });

  test('a key that is tried is neither remembered nor told of when it does not fit', async () => {
    const { rest, asked, refusals } = await locked();
    await expect(rest.tryKey('bad')).rejects.toMatchObject({ status: 401 });
    await rest.tryKey('good');
    await expect(rest.get('x')).rejects.toMatchObject({ status: 401 });
    expect(asked.map(({ headers }) => headers.authorization)).toEqual(['Bearer bad', 'Bearer good', undefined]);
    expect(refusals).toHaveLength(1);
  });

  test('a late 401 to an earlier key does not lock a page that has another by now', async () => {
    const { rest, held, refusals } = await serve((_asked, response) => {
      held.key = 'newer';
      problem(response, 401, {});
    });
    held.key = 'old';
    await expect(rest.get('x')).rejects.toMatchObject({ status: 401 });
    expect(refusals).toEqual([]);
  });
});

describe('changing something', () => {
  test('is sent as JSON, also without a body, and an empty answer is no fault', async () => {
    const { rest, asked } = await serve((_asked, response) => response.writeHead(204).end());
    expect(await rest.send('POST', 'api/v1/devices', { id: 'a' })).toBeUndefined();
    await rest.send('POST', 'api/v1/devices/a/approve');
    await rest.send('DELETE', 'api/v1/devices/a');
    expect(asked.map(({ method, body }) => [method, body])).toEqual([
      ['POST', '{"id":"a"}'],
      ['POST', ''],
      ['DELETE', ''],
    ]);
    expect(asked.every(({ headers }) => headers['content-type'] === 'application/json')).toBe(true);
  });

  test('a refusal names every fault with its place', async () => {
    const errors = [
      { pointer: '/id', code: 'x', detail: 'is taken' },
      { detail: 'is odd' },
      'nonsense',
      { pointer: '' },
    ];
    const { rest } = await serve((_asked, response) => problem(response, 422, { errors }));
    const thrown: unknown = await rest.send('POST', 'x', {}).catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(ProblemError);
    expect(thrown).toMatchObject({
      faults: [
        { pointer: '/id', detail: 'is taken' },
        { pointer: '', detail: 'is odd' },
      ],
    });
  });
});

test('the quarantine has an address of its own, with nothing below it', () => {
  expect(parseRoute('#/quarantine')).toEqual({ page: 'quarantine' });
  expect(parseRoute('#/quarantine/7')).toMatchObject({ page: 'unknown' });
});
