// The relay over real sockets, with a real client library: whoever is owed a message gets it, and nobody else costs anything.
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { connect, connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Relay } from '../../src/ingest/embedded/relay.ts';

let relay: Relay;
let server: ReturnType<typeof createServer>;
let clients: MqttClient[];
/** Topics of the messages that went the way to subscribers, the broker's own left out. */
let forwarded: string[];

beforeEach(async () => {
  clients = [];
  forwarded = [];
  relay = new Relay({});
  await relay.listen();
  relay.on('publish', ({ topic }) => {
    if (!topic.startsWith('$')) forwarded.push(topic);
  });
  server = createServer((socket) => {
    relay.handle(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterEach(async () => {
  for (const client of clients) await client.endAsync(true);
  await new Promise<void>((resolve) => relay.close(resolve));
  await new Promise((resolve) => server.close(resolve));
});

async function join(clientId: string, options: IClientOptions = {}): Promise<MqttClient> {
  const { port } = server.address() as AddressInfo;
  const url = `mqtt://127.0.0.1:${port}`;
  const client = await connectAsync(url, { clientId, protocolVersion: 4, reconnectPeriod: 0, ...options });
  clients.push(client);
  return client;
}

async function leave(client: MqttClient): Promise<void> {
  const left = new Promise((resolve) => relay.once('clientDisconnect', resolve));
  await client.endAsync();
  await left;
}

/** What `client` receives next, as text. */
function next(client: MqttClient): Promise<string> {
  return new Promise((resolve) => {
    client.once('message', (topic, payload) => resolve(`${topic} ${payload.toString()}`));
  });
}

it('a message that nobody asked for is acknowledged and goes nowhere', async () => {
  const device = await join('device');
  await (await join('other')).subscribeAsync('devices/other/#', { qos: 1 });
  for (const qos of [0, 1, 2] as const) await device.publishAsync('devices/device/telemetry', '{}', { qos });
  expect(forwarded).toEqual([]);
});

it('a subscriber gets what its filter matches, at every quality of service', async () => {
  const device = await join('device');
  const watcher = await join('watcher');
  await watcher.subscribeAsync('devices/+/telemetry', { qos: 2 });
  for (const qos of [0, 1, 2] as const) {
    const received = next(watcher);
    await device.publishAsync('devices/device/telemetry', String(qos), { qos });
    expect(await received).toBe(`devices/device/telemetry ${qos}`);
  }
});

it('of two with the same filter, the one that stays is still served', async () => {
  const device = await join('device');
  const stays = await join('stays');
  const leaves = await join('leaves');
  const unsubscribes = await join('unsubscribes');
  for (const client of [stays, leaves, unsubscribes]) await client.subscribeAsync('devices/#', { qos: 1 });
  await leave(leaves);
  await unsubscribes.unsubscribeAsync('devices/#');
  const received = next(stays);
  await device.publishAsync('devices/device/telemetry', 'kept', { qos: 1 });
  expect(await received).toBe('devices/device/telemetry kept');
  await stays.unsubscribeAsync('devices/#');
  await device.publishAsync('devices/device/telemetry', 'gone', { qos: 1 });
  expect(forwarded).toEqual(['devices/device/telemetry']);
});

it('a session that outlives its connection is owed what came meanwhile, however often it was away', async () => {
  const device = await join('device');
  const first = await join('watcher', { clean: false });
  await first.subscribeAsync('devices/#', { qos: 1 });
  await leave(first);
  for (const round of ['one', 'two']) {
    await device.publishAsync('devices/device/telemetry', round, { qos: 1 });
    const { port } = server.address() as AddressInfo;
    const url = `mqtt://127.0.0.1:${port}`;
    const again = connect(url, { clientId: 'watcher', clean: false, protocolVersion: 4, reconnectPeriod: 0 });
    clients.push(again);
    expect(await next(again)).toBe(`devices/device/telemetry ${round}`);
    await leave(again);
  }
});

it('a session that was given up is owed nothing any more: by a clean one of the same name, or by unsubscribing', async () => {
  const device = await join('device');
  const first = await join('watcher', { clean: false });
  await first.subscribeAsync('devices/#', { qos: 1 });
  await leave(first);
  await leave(await join('watcher', { clean: true }));
  const second = await join('second', { clean: false });
  await second.subscribeAsync('devices/#', { qos: 1 });
  await second.unsubscribeAsync('devices/#');
  await leave(second);
  await device.publishAsync('devices/device/telemetry', 'nobody', { qos: 1 });
  expect(forwarded).toEqual([]);
});

it('a retained message waits for whoever subscribes later', async () => {
  const device = await join('device');
  await device.publishAsync('devices/device/status', 'online', { qos: 1, retain: true });
  const watcher = await join('watcher');
  const received = next(watcher);
  await watcher.subscribeAsync('devices/+/status', { qos: 1 });
  expect(await received).toBe('devices/device/status online');
});
