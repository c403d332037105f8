import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { anySender } from '../../src/domain/principal.ts';
import type { HttpServer } from '../../src/api/server.ts';
import { expectProblem } from '../support/api-problem.ts';
import { startApi, Strangers } from '../support/api-strangers.ts';
import { ask, send } from '../support/http-client.ts';

// Reads lists page by page over the socket and compares the union with what is there: nothing twice, nothing missed.

interface Page {
  readonly next: string | null;
  readonly [field: string]: unknown;
}

let strangers: Strangers;
let server: HttpServer;
let port: number;
let now: number;

beforeEach(async () => {
  strangers = new Strangers();
  now = strangers.clock.now();
  ({ server, port } = await startApi(strangers));
});
afterEach(() => server.stop(1_000));

test('readings come once each in either order, whatever the page size, while time goes on', async () => {
  const times = Array.from({ length: 37 }, (_, index) => now - 60_000 + index * 1_000);
  for (const time of times) strangers.put('a', 'x', time, time);
  for (const order of ['asc', 'desc']) {
    for (const limit of [1, 7, 36, 37, 38]) {
      const pages = await readAll(`/api/v1/devices/a/readings?metric=x&order=${order}&limit=${limit}`, () =>
        // "now" moves and new readings arrive; the range was fixed by the first page.
        strangers.clock.advance(1_000),
      );
      const values = pages.flatMap((page) => fieldOf<{ value: number }>(page, 'readings').map(({ value }) => value));
      expect(values).toEqual(order === 'asc' ? times : times.toReversed());
      expect(pages).toHaveLength(Math.ceil(times.length / limit));
    }
  }
});

test('buckets come once each, and a page that ends with the range has no next', async () => {
  for (let index = 0; index < 20; index++) strangers.put('a', 'x', now - 40_000 + index * 2_000, index);
  const whole = await readAll('/api/v1/devices/a/readings?metric=x&bucket=5s', noop);
  const paged = await readAll('/api/v1/devices/a/readings?metric=x&bucket=5s&limit=3', noop);
  const expected = whole.flatMap((page) => fieldOf(page, 'buckets'));
  expect(paged.flatMap((page) => fieldOf(page, 'buckets'))).toEqual(expected);
  expect(paged).toHaveLength(Math.ceil(expected.length / 3));
});

test('readings of many series come once each, also when a page ends inside a series', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('x', 'y'), fc.integer({ min: 1, max: 40 })), {
        maxLength: 30,
      }),
      fc.integer({ min: 1, max: 12 }),
      async (rows, limit) => {
        strangers.series.clear();
        for (const [device, metric, second] of rows) strangers.put(device, metric, now - second * 1_000, second);
        const pages = await readAll(`/api/v1/readings?limit=${limit}`, noop);
        const got = pages.flatMap((page) =>
          fieldOf<{ device: string; metric: string; readings: { value: number }[] }>(page, 'series').flatMap((series) =>
            series.readings.map(({ value }) => `${series.device}/${series.metric}/${value}`),
          ),
        );
        const stored = new Set(rows.map(([device, metric, second]) => `${device}/${metric}/${second}`));
        expect(got).toHaveLength(stored.size);
        expect(new Set(got)).toEqual(stored);
        expect(got.map(seriesOf)).toEqual(got.map(seriesOf).sort());
        for (const page of pages) {
          const counts = fieldOf<{ readings: unknown[] }>(page, 'series').map((series) => series.readings.length);
          expect(counts.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(limit);
        }
      },
    ),
    { numRuns: 40 },
  );
});

test('more series than one page looks into are still all read', async () => {
  for (let index = 0; index < 450; index++) {
    // Most are quiet in the range, so whole pages hold nothing and must say that there is more.
    strangers.put(
      `d${String(index).padStart(3, '0')}`,
      'x',
      index % 225 === 224 ? now - 1_000 : now - 7_200_000,
      index,
    );
  }
  const pages = await readAll('/api/v1/readings?limit=50', noop);
  const devices = pages.flatMap((page) => fieldOf<{ device: string }>(page, 'series').map(({ device }) => device));
  expect(devices).toEqual(['d224', 'd449']);
});

test('devices that are there throughout come once each while others come and go', async () => {
  for (let index = 0; index < 60; index++) strangers.put(`keep-${String(index).padStart(2, '0')}`, 'x', now, 1);
  for (let index = 0; index < 60; index++) strangers.put(`drop-${String(index).padStart(2, '0')}`, 'x', now, 1);
  let turn = 0;
  const pages = await readAll('/api/v1/devices?limit=7', () => {
    strangers.devices.delete(`drop-${String(turn).padStart(2, '0')}`);
    strangers.put(`a-new-${turn}`, 'x', now, 1);
    strangers.put(`z-new-${turn++}`, 'x', now, 1);
  });
  const ids = pages.flatMap((page) => fieldOf<{ id: string }>(page, 'items').map(({ id }) => id));
  expect(new Set(ids).size).toBe(ids.length);
  const kept = ids.filter((id) => id.startsWith('keep-'));
  expect(kept).toEqual(Array.from({ length: 60 }, (_, index) => `keep-${String(index).padStart(2, '0')}`));
});

test('the fleet latest, rules, quarantine, alerts and deliveries are paged without a repeat or a hole', async () => {
  for (let index = 0; index < 23; index++) {
    const number = String(index).padStart(2, '0');
    strangers.put(`d${number}`, 'x', now, index);
    strangers.quarantine.push({
      id: index + 1,
      receivedAt: now,
      topic: 't',
      payload: Buffer.from('p'),
      client: null,
      sender: anySender,
      reason: 'payload_not_json',
      pointer: '',
      detail: 'd',
    });
    strangers.alerts.push({
      id: `alr_${number}`,
      rule: { id: 'r', name: 'n' },
      device: index % 2 ? 'odd' : 'even',
      metric: 'x',
      severity: 'info',
      state: 'firing',
      value: 1,
      threshold: 0,
      resolvedAt: null,
      reason: null,
      // Several at the same moment: the id decides.
      startedAt: now,
      firedAt: now + Math.floor(index / 5),
    });
    await send(port, 'POST', '/api/v1/rules', {
      name: number,
      metric: 'x',
      condition: { type: 'threshold', above: index },
    });
  }
  const made = await send(port, 'POST', '/api/v1/webhooks', { url: 'https://example.org/' });
  const webhookId = (made.json() as { id: string }).id;
  for (let index = 0; index < 23; index++) {
    strangers.deliveries.push({
      id: `dlv_${index}`,
      webhookId,
      type: 'alert.firing',
      orderKey: 'k',
      sequence: index,
      body: '{}',
      createdAt: now,
      seq: Math.floor(index / 4),
      state: 'pending',
      attempts: 0,
      nextAttemptAt: 0,
    });
  }
  const paths = ['latest', 'rules', 'quarantine', 'alerts', 'alerts?device=o*', `webhooks/${webhookId}/deliveries`];
  for (const path of paths) {
    const query = path.includes('?') ? '&' : '?';
    const whole = await readAll(`/api/v1/${path}`, noop);
    const paged = await readAll(`/api/v1/${path}${query}limit=4`, noop);
    const expected = whole.flatMap((page) => fieldOf(page, 'items'));
    expect(expected).toHaveLength(path.includes('o*') ? 11 : 23);
    expect(
      paged.flatMap((page) => fieldOf(page, 'items')),
      path,
    ).toEqual(expected);
    expect(paged, path).toHaveLength(Math.ceil(expected.length / 4));
  }
});

test('a page token of other filters is refused, but another limit is fine', async () => {
  for (const device of ['a', 'b', 'c']) strangers.put(device, 'x', now, 1);
  const first = await pageAt('/api/v1/devices?limit=1&device=a,b,c');
  const token = `page=${first.next}`;
  expectProblem(await ask(port, `/api/v1/devices?limit=1&device=a,b&${token}`), 'page_invalid');
  expectProblem(await ask(port, `/api/v1/devices?limit=1&${token}`), 'page_invalid');
  expectProblem(await ask(port, `/api/v1/latest?device=a,b,c&limit=1&${token}`), 'page_invalid');
  const rest = await pageAt(`/api/v1/devices?${token}&device=a,b,c&limit=5`);
  expect(fieldOf<{ id: string }>(rest, 'items').map(({ id }) => id)).toEqual(['b', 'c']);
});

test('a page token belongs to its device', async () => {
  for (const device of ['a', 'b']) for (const time of [1, 2]) strangers.put(device, 'x', now - time, 1);
  const first = await pageAt('/api/v1/devices/a/readings?metric=x&limit=1');
  expectProblem(await ask(port, `/api/v1/devices/b/readings?metric=x&limit=1&page=${first.next}`), 'page_invalid');
});

async function readAll(path: string, between: () => unknown): Promise<Page[]> {
  const pages = [await pageAt(path)];
  for (let next = pages[0].next; next !== null; next = pages[pages.length - 1].next) {
    expect(pages.length).toBeLessThan(200);
    await between();
    pages.push(await pageAt(`${path}${path.includes('?') ? '&' : '?'}page=${next}`));
  }
  return pages;
}

async function pageAt(path: string): Promise<Page> {
  const answer = await ask(port, path);
  expect(answer.status, answer.text).toBe(200);
  return answer.json() as Page;
}

function fieldOf<T = unknown>(page: Page, field: string): T[] {
  const value = page[field];
  expect(Array.isArray(value)).toBe(true);
  return value as T[];
}

function seriesOf(name: string): string {
  return name.slice(0, name.lastIndexOf('/'));
}

function noop(): void {}
