// Pages of history over a store that answers as little as it may, or that has lost something: nothing twice, nothing missed,
// and what is lost is said.
import { connect } from 'node:net';
import { text as textOf } from 'node:stream/consumers';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import type { HttpServer } from '../../src/api/server.ts';
import { ManyReadings } from '../../src/contract/reading.ts';
import type { DamagedStretch, HistoryQueries } from '../../src/history/queries.ts';
import { startApi, Strangers } from '../support/api-strangers.ts';
import { ask } from '../support/http-client.ts';

let strangers: Strangers;
let server: HttpServer;
let port: number;
let now: number;
/** Most readings that the store tells at once, whatever it is asked for. */
let atOnce: number;
let damaged: readonly DamagedStretch[];

beforeEach(async () => {
  strangers = new Strangers();
  now = strangers.clock.now();
  [atOnce, damaged] = [Number.POSITIVE_INFINITY, []];
  const { reader } = strangers.ports();
  const text: HistoryQueries['text'] = async (query) => {
    const page = await reader.text({ ...query, limit: Math.min(query.limit, atOnce) });
    return { ...page, damaged };
  };
  const aggregate: HistoryQueries['aggregate'] = async (query) => ({ ...(await reader.aggregate(query)), damaged });
  ({ server, port } = await startApi(strangers, { reader: { ...reader, text, aggregate } }));
});
afterEach(() => server.stop(1_000));

const row = z.object({ device: z.string(), metric: z.string(), time: z.string(), value: z.number() });

test('readings of many series come once each, however early the store ends its pages, in every order and form', async () => {
  const rows = fc.array(
    fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('x', 'y'), fc.integer({ min: 1, max: 60 })),
    { maxLength: 40 },
  );
  const form = fc.record({
    limit: fc.integer({ min: 1, max: 12 }),
    atOnce: fc.integer({ min: 1, max: 6 }),
    order: fc.constantFrom('asc', 'desc'),
  });
  await fc.assert(
    fc.asyncProperty(rows, form, async (rows, { limit, order, ...store }) => {
      strangers.series.clear();
      for (const [device, metric, second] of rows) strangers.put(device, metric, now - second * 1_000, second);
      ({ atOnce } = store);
      const direction = order === 'asc' ? 1 : -1;
      const expected = [...new Map(rows.map((reading) => [reading.join('/'), reading])).values()]
        .toSorted(([a, x, s], [b, y, t]) => (a + x === b + y ? (t - s) * direction : a + x < b + y ? -1 : 1))
        .map(([device, metric, second]) => `${device}/${metric}/${second}`);

      const paged: string[] = [];
      for (let page: string | null = ''; page !== null; ) {
        const answer: ManyReadings = await pageAt(`order=${order}&limit=${limit}${page === '' ? '' : `&page=${page}`}`);
        const shown = namesOf(answer);
        expect(shown.length).toBeLessThanOrEqual(limit);
        paged.push(...shown);
        page = answer.next;
      }
      expect(paged).toEqual(expected);
      expect(namesOf(await pageAt(`order=${order}&limit=all`))).toEqual(expected);
      const lines = (await ask(port, `/api/v1/readings?from=-1h&order=${order}&format=ndjson`)).text;
      const streamed = lines
        .split('\n')
        .slice(0, -1)
        .map((line) => row.parse(JSON.parse(line)))
        .map(({ device, metric, value }) => `${device}/${metric}/${value}`);
      expect(streamed).toEqual(expected);
    }),
    { numRuns: 60 },
  );
});

test('readings that are lost with a damaged chunk are named in JSON, told above pages of text and behind downloads', async () => {
  strangers.put('a', 'x', now - 1_000, 1);
  damaged = [{ series: 1, firstTime: now - 60_000, lastTime: now - 30_000, readings: 31 }];
  const lost = {
    device: 'a',
    metric: 'x',
    from: new Date(now - 60_000).toISOString(),
    to: new Date(now - 29_999).toISOString(),
    readings: 31,
  };
  const one = '/api/v1/devices/a/readings?metric=x';
  for (const path of [one, `${one}&limit=all`, `${one}&format=columns`, '/api/v1/readings?limit=all']) {
    expect((await ask(port, path)).json(), path).toMatchObject({ damaged: [lost], next: null });
  }
  const told = { 'x-damaged-readings': '31', 'x-damaged-first': `a/x/${lost.from}/${lost.to}` };
  for (const path of [`${one}&format=csv&limit=10`, `${one}&bucket=1m&agg=last&format=csv&limit=10`]) {
    const page = await ask(port, path);
    expect([page.headers, page.trailers], path).toEqual([expect.objectContaining(told), {}]);
  }
  expect(strangers.logged).toEqual([]);
  for (const format of ['csv', 'ndjson', 'influx', 'senml']) {
    const path = `${one}&format=${format}`;
    for (const encoding of ['identity', 'gzip']) {
      const answer = await ask(port, path, { headers: { 'accept-encoding': encoding } });
      expect(answer.headers).toMatchObject({ trailer: 'x-damaged-readings, x-damaged-first' });
      expect(answer.headers).not.toHaveProperty('x-damaged-readings');
      expect(answer.trailers).toEqual(told);
    }
    const head = await ask(port, path, { method: 'HEAD' });
    expect([head.status, head.headers.trailer, head.trailers]).toEqual([200, undefined, {}]);
  }
  expect(strangers.logged.slice(0, 8)).toEqual(Array.from({ length: 8 }, () => ({ readings: 31 })));
  const buckets = await ask(port, `${one}&bucket=1m&agg=last&format=ndjson`);
  expect(buckets.trailers).toEqual(told);
});

test('a damaged chunk in which pages of the store meet is told once, in JSON as in text', async () => {
  for (let second = 1; second <= 3; second++) strangers.put('a', 'x', now - second * 1_000, second);
  atOnce = 1;
  const late = { series: 1, firstTime: now - 50_000, lastTime: now - 40_000, readings: 4 };
  damaged = [{ series: 1, firstTime: now - 60_000, lastTime: now - 30_000, readings: 31 }, late];
  const one = '/api/v1/devices/a/readings?metric=x';
  const told = z.object({ readings: z.array(z.unknown()), damaged: z.array(z.object({ readings: z.number() })) });
  for (const path of [one, `${one}&limit=all`]) {
    const answer = told.parse((await ask(port, path)).json());
    expect([answer.readings.length, answer.damaged.map(({ readings }) => readings)], path).toEqual([3, [31, 4]]);
  }
  expect((await ask(port, `${one}&format=csv`)).trailers).toMatchObject({ 'x-damaged-readings': '35' });
  const buckets = await ask(port, `${one}&bucket=1m&agg=last&offset=1m`);
  expect(buckets.json()).toMatchObject({ damaged: [{ readings: 31 }, { readings: 4 }] });
});

test('HTTP/1.0, which has no trailers, is given the readings all the same', async () => {
  strangers.put('a', 'x', now - 1_000, 1);
  damaged = [{ series: 1, firstTime: now - 60_000, lastTime: now - 30_000, readings: 31 }];
  const socket = connect(port, '127.0.0.1');
  socket.end('GET /api/v1/devices/a/readings?metric=x&format=csv HTTP/1.0\r\nHost: localhost\r\n\r\n');
  const answer = await textOf(socket);
  expect(answer).toMatch(/^HTTP\/1\.[01] 200 OK\r\n/);
  expect(answer).not.toMatch(/trailer/i);
  expect(answer).toMatch(/\r\na,x,[^,]+,1,[^,]*\r\n$/);
});

test('an answer without damage says nothing of it', async () => {
  strangers.put('a', 'x', now - 1_000, 1);
  expect((await ask(port, '/api/v1/devices/a/readings?metric=x&format=csv')).trailers).toEqual({});
  expect((await ask(port, '/api/v1/devices/a/readings?metric=x')).json()).not.toHaveProperty('damaged');
});

test('a store that fails before the first reading is answered as a failure, later it cuts the answer off', async () => {
  for (let second = 1; second <= 9; second++) strangers.put('a', 'x', now - second * 1_000, second);
  strangers.failure = new Error('the disk is gone');
  expect((await ask(port, '/api/v1/devices/a/readings?metric=x&format=csv')).status).toBe(500);
  strangers.failure = null;
  await server.stop(1_000);
  const { reader } = strangers.ports();
  let asked = 0;
  const text: HistoryQueries['text'] = (query) => {
    if (++asked > 2) return Promise.reject(new Error('the disk is gone'));
    return reader.text({ ...query, limit: 3 });
  };
  ({ server, port } = await startApi(strangers, { reader: { ...reader, text } }));
  await expect(ask(port, '/api/v1/devices/a/readings?metric=x&format=csv')).rejects.toThrow();
});

async function pageAt(query: string): Promise<ManyReadings> {
  const answer = await ask(port, `/api/v1/readings?from=-1h&${query}`);
  expect(answer.status, answer.text).toBe(200);
  return ManyReadings.parse(answer.json());
}

function namesOf({ series }: ManyReadings): string[] {
  return series.flatMap(({ device, metric, readings }) => readings.map(({ value }) => `${device}/${metric}/${value}`));
}
