import { afterEach, expect, test } from 'vitest';
import { closeVerdict } from '../../src/contract/live.ts';
import type { LiveLimits } from '../../src/live/limits.ts';
import { LiveTestClient } from '../support/live-client.ts';
import { LiveServer } from '../support/live-server.ts';
import { LiveSource } from '../support/live-source.ts';

/*
 * A client that does not read: its socket is paused, so the kernel's buffers fill and then ours would. Everything here
 * is counted in bytes and readings, nothing in time.
 */
const began = Date.UTC(2026, 8, 21, 12);
const stops: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function serve(limits: Partial<LiveLimits> = {}) {
  const server = await LiveServer.start(new LiveSource(), { limits: { flushMinMs: 1, ...limits } });
  stops.push(() => server.stop());
  return server;
}

/** Commits `size` readings over `seriesCount` series, numbered on from the last. */
function read(server: LiveServer, size: number, seriesCount = 10): void {
  const first = server.source.last * size;
  server.source.commit(
    Array.from({ length: size }, (_, index) => ({
      device: `device-with-a-rather-long-name-${index % seriesCount}`,
      metric: 'temperature',
      time: began + first + index,
      value: first + index,
    })),
  );
  server.publishAll();
}

function valuesOf(client: LiveTestClient): unknown[] {
  return client
    .all('readings')
    .flatMap((frame) => ('readings' in frame ? frame.readings.map(({ value }) => value) : []));
}

test('a frozen client of mode all is closed with its cursor while the others get everything, and resumes without a hole', async () => {
  const server = await serve();
  const healthy = await LiveTestClient.connect(server.url);
  const frozen = await LiveTestClient.connect(server.url);
  for (const client of [healthy, frozen]) {
    client.send({ op: 'subscribe', id: 'a' });
    await client.next('snapshot');
  }
  frozen.socket.pause();
  let commits = 0;
  while (server.hub.stats().slowClosed === 0) {
    read(server, 500);
    commits++;
    const { last } = server.source;
    await healthy.until(() => healthy.all('readings').at(-1)?.cursor === `e1:${last}`);
    expect(commits).toBeLessThan(1_000);
  }
  expect(valuesOf(healthy)).toEqual(Array.from({ length: commits * 500 }, (_, value) => value));
  frozen.socket.resume();
  const { code, reason } = await frozen.closing();
  expect([code, closeVerdict(code)]).toEqual([4008, 'reconnect']);
  const error = frozen.all('error').at(-1);
  expect(error).toMatchObject({ code: 'client_too_slow', cursor: reason });
  // It read what was queued; the cursor in the close says where that ended.
  expect(frozen.all('readings').at(-1)?.cursor).toBe(reason);
  const again = await LiveTestClient.connect(server.url);
  again.send({ op: 'subscribe', id: 'a', since: reason });
  await again.until(() => again.all('readings').at(-1)?.cursor === `e1:${commits}`);
  expect([...valuesOf(frozen), ...valuesOf(again)]).toEqual(Array.from({ length: commits * 500 }, (_, value) => value));
});

test('a frozen client of mode latest stays, one value a series is kept for it, and every reading is sent or merged', async () => {
  const server = await serve();
  const frozen = await LiveTestClient.connect(server.url);
  const healthy = await LiveTestClient.connect(server.url);
  frozen.send({ op: 'subscribe', id: 'a', mode: 'latest' });
  await frozen.next('snapshot');
  healthy.send({ op: 'subscribe', id: 'a', device: '*-0' });
  await healthy.next('snapshot');
  frozen.socket.pause();
  const series = 500;
  let commits = 0;
  while (server.hub.stats().merged < 20_000) {
    commits++;
    expect(commits).toBeLessThan(3_000);
    read(server, series, series);
    const { last } = server.source;
    await healthy.until(() => healthy.all('readings').at(-1)?.cursor === `e1:${last}`);
  }
  expect(server.hub.stats()).toMatchObject({ slowClosed: 0, clients: 2 });
  frozen.socket.resume();
  await frozen.until(() => frozen.all('readings').at(-1)?.cursor === `e1:${commits}`);
  const { merged, readingsSent } = server.hub.stats();
  expect(valuesOf(frozen)).toHaveLength(readingsSent - valuesOf(healthy).length);
  expect(valuesOf(frozen).length + merged).toBe(commits * series);
  // The last thing heard of every series is its newest value.
  expect(new Set(valuesOf(frozen).slice(-series))).toEqual(
    new Set(Array.from({ length: series }, (_, index) => (commits - 1) * series + index)),
  );
});

test('what waits for a frozen client in its snapshot or replay is a few frames, not the fleet', async () => {
  const source = new LiveSource();
  for (let first = 0; first < 60_000; first += 1_000) {
    source.commit(
      Array.from({ length: 1_000 }, (_, index) => ({
        device: `device-with-a-rather-long-name-${first + index}`,
        metric: 'temperature',
        time: began,
        value: first + index,
      })),
    );
    source.publishNext(() => {});
  }
  const server = await LiveServer.start(source);
  stops.push(() => server.stop());
  const frozen = await LiveTestClient.connect(server.url);
  frozen.socket.pause();
  frozen.send({ op: 'subscribe', id: 'snapshot' });
  frozen.send({ op: 'subscribe', id: 'replay', since: 'e1:0' });
  // Both halves stall: the counter of bytes stands still over many rounds of the event loop.
  let sent = -1;
  let still = 0;
  while (still < 200) {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    const { bytesSent, subscriptions } = server.hub.stats();
    still = bytesSent === sent && subscriptions === 2 ? still + 1 : 0;
    sent = bytesSent;
  }
  expect(server.hub.stats()).toMatchObject({ catchingUp: 2, slowClosed: 0 });
  // 120,000 rows of 120 bytes would be 14 MB; the kernel's buffers for a loopback socket hold some megabytes.
  expect(sent).toBeLessThan(8_000_000);
  frozen.socket.resume();
  await frozen.until(
    () =>
      frozen.all('snapshot').some(({ done }) => done) &&
      frozen.all('readings').some(({ cursor }) => cursor === 'e1:60'),
  );
  expect(valuesOf(frozen)).toHaveLength(60_000);
});

test('a commit larger than the backlog bound reaches a client that has nothing else waiting', async () => {
  const server = await serve({ clientBacklogMax: 200_000 });
  const client = await LiveTestClient.connect(server.url);
  client.send({ op: 'subscribe', id: 'a' });
  await client.next('snapshot');
  read(server, 4_000);
  await client.next('readings');
  expect(valuesOf(client)).toHaveLength(4_000);
  expect(server.hub.stats().slowClosed).toBe(0);
});

test('a slow client whose replay is overtaken by trimming is told the gap and shown the present', async () => {
  const source = new LiveSource();
  for (let commit = 0; commit < 200; commit++) {
    source.commit(
      Array.from({ length: 1_000 }, (_, index) => ({
        device: `device-with-a-rather-long-name-${index % 7}`,
        metric: 'temperature',
        time: began + commit * 1_000 + index,
        value: commit * 1_000 + index,
      })),
    );
    source.publishNext(() => {});
  }
  const server = await LiveServer.start(source);
  stops.push(() => server.stop());
  const slow = await LiveTestClient.connect(server.url);
  slow.socket.pause();
  slow.send({ op: 'subscribe', id: 'a', since: 'e1:0' });
  let sent = -1;
  for (let still = 0; still < 200; ) {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    const { bytesSent, subscriptions } = server.hub.stats();
    still = bytesSent === sent && subscriptions === 1 ? still + 1 : 0;
    sent = bytesSent;
  }
  source.trim(200);
  slow.socket.resume();
  const gap = await slow.next('gap');
  expect(gap).toMatchObject({ id: 'a', resumed: 'e1:200', reason: 'trimmed' });
  expect(slow.all('readings').at(-1)?.cursor).toBe(gap.after);
  const snapshot = await slow.next('snapshot');
  expect('readings' in snapshot && snapshot.readings).toHaveLength(7);
});
