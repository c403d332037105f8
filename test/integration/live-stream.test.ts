import { afterEach, expect, test } from 'vitest';
import { FakeClock } from '../support/fake-clock.ts';
import { LiveServer } from '../support/live-server.ts';
import { LiveSource } from '../support/live-source.ts';
import { LiveTestClient } from '../support/live-client.ts';

const began = Date.UTC(2026, 8, 21, 12);
const stops: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function serve(...options: Parameters<typeof LiveServer.start> extends [unknown, ...infer Rest] ? Rest : never) {
  const server = await LiveServer.start(new LiveSource(), ...options);
  stops.push(() => server.stop());
  return server;
}

test('the server speaks first and says its limits', async () => {
  const server = await serve();
  const client = await LiveTestClient.connect(server.url);
  const hello = await client.next('hello');
  expect(hello).toMatchObject({ version: '0.0.0-test', limits: { messageBytesMax: 65_536, subscriptionsMax: 100 } });
});

test('a subscription gets the snapshot of its filter and then every reading after its cursor', async () => {
  const server = await serve();
  const { source } = server;
  source.commit([
    { device: 'wearable-1', metric: 'heart_rate', time: began, value: 61 },
    { device: 'wearable-1', metric: 'spo2', time: began, value: 98 },
    { device: 'fridge-1', metric: 'door', time: began, value: true },
  ]);
  server.publishAll();
  const client = await LiveTestClient.connect(server.url);
  client.send({ op: 'subscribe', id: 'a', device: 'wearable-*', metric: 'heart_rate,spo2' });
  expect(await client.next('subscribed')).toEqual({ op: 'subscribed', id: 'a', cursor: 'e1:1', recovered: false });
  expect(await client.next('snapshot')).toEqual({
    op: 'snapshot',
    id: 'a',
    done: true,
    readings: [
      { device: 'wearable-1', metric: 'heart_rate', time: '2026-09-21T12:00:00.000Z', value: 61 },
      { device: 'wearable-1', metric: 'spo2', time: '2026-09-21T12:00:00.000Z', value: 98 },
    ],
  });
  source.commit([
    { device: 'fridge-1', metric: 'door', time: began + 5, value: false },
    { device: 'wearable-1', metric: 'heart_rate', time: began + 1_007, value: 62.5 },
  ]);
  server.publishAll();
  expect(await client.next('readings')).toEqual({
    op: 'readings',
    id: 'a',
    cursor: 'e1:2',
    readings: [{ device: 'wearable-1', metric: 'heart_rate', time: '2026-09-21T12:00:01.007Z', value: 62.5 }],
  });
});

test('when idle a commit goes out at once; right after a flush commits are gathered into one frame', async () => {
  const clock = new FakeClock();
  const server = await serve({ clock });
  const { source } = server;
  const client = await LiveTestClient.connect(server.url);
  client.send({ op: 'subscribe', id: 'a' });
  await client.next('snapshot');
  const publish = (value: number): void => {
    source.commit([{ device: 'd1', metric: 'power', time: began + value, value }]);
    server.publishAll();
  };
  publish(1);
  // No hand of the clock was turned.
  expect(await client.next('readings')).toMatchObject({ cursor: 'e1:1' });
  publish(2);
  publish(3);
  clock.advance(9);
  client.send({ op: 'ping' });
  await client.next('pong');
  expect(client.all('readings')).toHaveLength(1);
  clock.advance(1);
  expect(await client.next('readings')).toMatchObject({ cursor: 'e1:3', readings: [{ value: 2 }, { value: 3 }] });
});

test('subscribers of the same filter get the very same bytes, whatever ids they chose', async () => {
  const server = await serve();
  const clients = await Promise.all([1, 2, 3].map(() => LiveTestClient.connect(server.url)));
  for (const [index, client] of clients.entries()) {
    client.send({ op: 'subscribe', id: `mine-${index % 2}`, shape: 'columns' });
    await client.next('snapshot');
  }
  server.source.commit([{ device: 'd "1"', metric: 'power', time: began, value: 'on' }]);
  server.publishAll();
  for (const [index, client] of clients.entries()) {
    expect(await client.next('readings')).toEqual({
      op: 'readings',
      id: `mine-${index % 2}`,
      cursor: 'e1:1',
      series: [[1, 'd "1"', 'power', 'W']],
      points: [[1, began, 'on']],
    });
  }
});

test('a commit that was never published reaches live subscribers from the log, in its place', async () => {
  const server = await serve();
  const { source } = server;
  const client = await LiveTestClient.connect(server.url);
  client.send({ op: 'subscribe', id: 'a' });
  await client.next('snapshot');
  for (let value = 1; value <= 4; value++)
    source.commit([{ device: 'd1', metric: 'power', time: began + value, value }]);
  source.publishNext((batch) => server.hub.publish(batch));
  // As after a commit of unknown outcome that turned out to be on disk.
  source.publishNext(() => {});
  source.publishNext(() => {});
  source.publishNext((batch) => server.hub.publish(batch));
  await client.until(() => client.all('readings').at(-1)?.cursor === 'e1:4');
  const seen = client.all('readings').flatMap((frame) => ('readings' in frame ? frame.readings : []));
  expect(seen.map(({ value }) => value)).toEqual([1, 2, 3, 4]);
  expect(client.all('gap')).toHaveLength(0);
});
