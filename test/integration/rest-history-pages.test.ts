// Pages of history over a store that answers as little as it may, or that has lost something: nothing twice, nothing missed,
// and what is lost is said.
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
  ({ server, port } = await startApi(strangers, { reader: { ...reader, text } }));
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

test('readings that are lost with a damaged chunk are named in JSON, counted on pages of text, logged for downloads', async () => {
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
  const page = await ask(port, `${one}&format=csv&limit=10`);
  expect(page.headers['x-damaged-readings']).toBe('31');
  expect(strangers.logged).toEqual([]);
  expect((await ask(port, `${one}&format=csv`)).status).toBe(200);
  expect(strangers.logged).toEqual([{ readings: 31 }]);
});

test('an answer without damage says nothing of it', async () => {
  strangers.put('a', 'x', now - 1_000, 1);
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
