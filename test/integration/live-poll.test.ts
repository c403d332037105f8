import { afterEach, expect, test } from 'vitest';
import type { LiveLimits } from '../../src/live/limits.ts';
import type { PollQuery } from '../../src/live/polls.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { LiveServer } from '../support/live-server.ts';
import { LiveSource } from '../support/live-source.ts';

const began = Date.UTC(2026, 8, 21, 12);
const stops: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function serve(options: { limits?: Partial<LiveLimits>; clock?: FakeClock; source?: LiveSource } = {}) {
  const server = await LiveServer.start(options.source ?? new LiveSource(), options);
  stops.push(() => server.stop());
  return server;
}

function read(server: { source: LiveSource }, device: string, ...values: number[]): void {
  server.source.commit(values.map((value, index) => ({ device, metric: 'temperature', time: began + index, value })));
}

const everything: PollQuery = { device: '*', metric: '*', limit: 1_000, waitMs: 0 };

test('a poll without a cursor begins now and says where', async () => {
  const server = await serve();
  read(server, 'd1', 1);
  server.publishAll();
  expect(await server.hub.poll(everything)).toEqual({ cursor: 'e1:1', readings: [], gap: null });
});

test('a poll answers what came after its cursor, in order, and nothing that is not published', async () => {
  const server = await serve();
  read(server, 'd1', 1);
  read(server, 'd2', 2);
  server.publishAll();
  read(server, 'd1', 3);
  expect(await server.hub.poll({ ...everything, since: 'e1:0' })).toEqual({
    cursor: 'e1:2',
    readings: [
      { device: 'd1', metric: 'temperature', time: '2026-09-21T12:00:00.000Z', value: 1 },
      { device: 'd2', metric: 'temperature', time: '2026-09-21T12:00:00.000Z', value: 2 },
    ],
    gap: null,
  });
});

test('pages end with whole commits and together hold everything once', async () => {
  const source = new LiveSource();
  const sizes = [3, 0, 4, 1, 9, 2, 2, 0, 5, 1];
  let serial = 0;
  for (const size of sizes) {
    read({ source }, 'd1', ...Array.from({ length: size }, () => serial++));
    source.publishNext(() => {});
  }
  const server = await serve({ source, limits: { pageReadingsMax: 3 } });
  for (const limit of [1, 4, 5, 100]) {
    const pages: number[] = [];
    const values: unknown[] = [];
    let since = 'e1:0';
    while (since !== 'e1:10') {
      const page = await server.hub.poll({ ...everything, since, limit });
      expect(page.gap).toBeNull();
      pages.push(page.readings.length);
      values.push(...page.readings.map(({ value }) => value));
      since = page.cursor;
    }
    expect(values).toEqual(Array.from({ length: serial }, (_, value) => value));
    // Over the limit only where a single commit is.
    expect(Math.max(...pages)).toBeLessThanOrEqual(Math.max(limit, 9));
  }
});

test('a filter that lets nothing through still moves the cursor', async () => {
  const server = await serve();
  for (let value = 0; value < 4; value++) read(server, 'd1', value);
  server.publishAll();
  expect(await server.hub.poll({ ...everything, device: 'd9', since: 'e1:0' })).toEqual({
    cursor: 'e1:4',
    readings: [],
    gap: null,
  });
});

test('a long poll waits past commits of others and answers with the first that matches', async () => {
  const server = await serve();
  const page = server.hub.poll({ ...everything, device: 'd2', since: 'e1:0', waitMs: 60_000 });
  read(server, 'd1', 1);
  server.publishAll();
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  expect(server.hub.stats().pollsWaiting).toBe(1);
  read(server, 'd2', 2);
  server.publishAll();
  expect(await page).toMatchObject({ cursor: 'e1:2', readings: [{ device: 'd2', value: 2 }] });
  expect(server.hub.stats().pollsWaiting).toBe(0);
});

test('a long poll that nothing answers ends after its wait with the position it has examined', async () => {
  const clock = new FakeClock();
  const server = await serve({ clock });
  const poll = server.hub.poll({ ...everything, device: 'd2', waitMs: 30_000 });
  read(server, 'd1', 1);
  server.publishAll();
  clock.advance(29_999);
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  expect(server.hub.stats().pollsWaiting).toBe(1);
  clock.advance(1);
  expect(await poll).toEqual({ cursor: 'e1:1', readings: [], gap: null });
  expect(clock.timers).toBe(2);
});

test('a long poll whose client hangs up ends', async () => {
  const server = await serve();
  const hangUp = new AbortController();
  const poll = server.hub.poll({ ...everything, waitMs: 60_000, signal: hangUp.signal });
  hangUp.abort();
  expect(await poll).toEqual({ cursor: 'e1:0', readings: [], gap: null });
});

test('stop answers the polls that wait', async () => {
  const server = await serve();
  const poll = server.hub.poll({ ...everything, waitMs: 60_000 });
  await server.hub.stop();
  expect(await poll).toMatchObject({ readings: [], gap: null });
  await expect(server.hub.poll(everything)).rejects.toMatchObject({ code: 'stopping' });
});

test('a poll over the bound of waiting polls is refused', async () => {
  const server = await serve({ limits: { pollsMax: 1 } });
  const first = server.hub.poll({ ...everything, waitMs: 60_000 });
  await expect(server.hub.poll({ ...everything, waitMs: 60_000 })).rejects.toMatchObject({ code: 'overloaded' });
  read(server, 'd1', 1);
  server.publishAll();
  expect((await first).readings).toHaveLength(1);
});

test.each([
  ['other:1', { after: 'other:1', resumed: 'e1:3', reason: 'epoch_changed' }, 'e1:3', []],
  ['e1:9', { after: 'e1:9', resumed: 'e1:3', reason: 'ahead' }, 'e1:3', []],
  ['e1:0', { after: 'e1:0', resumed: 'e1:1', reason: 'trimmed' }, 'e1:3', [2, 3]],
  ['e1:1', null, 'e1:3', [2, 3]],
])('from %s the gap is %j', async (since, gap, cursor, values) => {
  const source = new LiveSource();
  for (const value of [1, 2, 3]) {
    read({ source }, 'd1', value);
    source.publishNext(() => {});
  }
  source.trim(2);
  const server = await serve({ source });
  const page = await server.hub.poll({ ...everything, since });
  expect({ gap: page.gap, cursor: page.cursor, values: page.readings.map(({ value }) => value) }).toEqual({
    gap,
    cursor,
    values,
  });
});

test('a cursor or a filter that cannot be read is refused with its code', async () => {
  const server = await serve();
  await expect(server.hub.poll({ ...everything, since: 'now' })).rejects.toMatchObject({ code: 'cursor_invalid' });
  await expect(server.hub.poll({ ...everything, device: '(' })).rejects.toMatchObject({ code: 'filter_invalid' });
});
