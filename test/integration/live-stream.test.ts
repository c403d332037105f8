import { afterEach, expect, test } from 'vitest';
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
