import { connectAsync, type MqttClient } from 'mqtt';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import {
  DeviceCreated,
  DeviceDetail,
  DeviceLatest,
  DeviceList,
  DeviceTokenCreated,
} from '../../src/contract/device.ts';
import { QuarantineList } from '../../src/contract/quarantine.ts';
import { publish, type RunningGateway, startGateway } from '../support/gateway.ts';
import { expectProblem } from '../support/api-problem.ts';
import { tempFolder } from '../support/temp-folder.ts';

// A whole gateway: what is decided over REST is what holds on MQTT, at once and after a restart.

let running: RunningGateway;
let folder: ReturnType<typeof tempFolder>;
const clients: MqttClient[] = [];

beforeEach(async () => {
  folder = tempFolder();
  running = await startGateway({ 'data.dir': folder.path, 'device.autoCreate': 'never' });
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.endAsync(true);
  await running.stop();
  folder.remove();
});

async function connect(username: string, password: string): Promise<MqttClient> {
  const client = await connectAsync(running.mqtt.url, { username, password, clientId: username, reconnectPeriod: 0 });
  clients.push(client);
  return client;
}

const create = (body: object): Promise<DeviceCreated> => running.http.post(DeviceCreated, '/api/v1/devices', body, 201);
const device = (id: string): Promise<DeviceDetail> => running.http.get(DeviceDetail, `/api/v1/devices/${id}`);
const closed = (client: MqttClient): Promise<void> => new Promise((resolve) => client.once('close', () => resolve()));

async function latest(id: string): Promise<unknown> {
  const { values } = await running.http.get(DeviceLatest, `/api/v1/devices/${id}/latest`);
  return Object.fromEntries(Object.entries(values).map(([metric, { value, unit }]) => [metric, [value, unit]]));
}

async function quarantined(): Promise<readonly string[]> {
  const { items } = await running.http.get(QuarantineList, '/api/v1/quarantine');
  return items.map(({ reason }) => reason);
}

test('a registered device connects with its token, and its profile gives its readings their unit', async () => {
  const metrics = { temperature: { unit: 'K', min: 0, max: 400 } };
  await running.http.post(z.unknown(), '/api/v1/profiles', { id: 'probe', metrics }, 201);
  const { token } = await create({ id: 'probe-1', profile: 'probe' });
  const client = await connect('probe-1', token ?? '');
  await publish(client, 'devices/probe-1/telemetry', { temperature: 290 });
  expect(await latest('probe-1')).toEqual({ temperature: [290, 'K'] });
  await publish(client, 'devices/probe-1/telemetry', { temperature: 401 });
  expect([await latest('probe-1'), await quarantined()]).toEqual([{ temperature: [290, 'K'] }, ['value_implausible']]);
});

test('a wrong token is refused, and a rotated one ends its connection', async () => {
  const { token } = await create({ id: 'a' });
  await expect(connect('a', `${token}x`)).rejects.toThrow(/bad username or password/i);
  const client = await connect('a', token ?? '');
  const gone = closed(client);
  const rotated = await running.http.post(DeviceTokenCreated, '/api/v1/devices/a/tokens', {}, 201);
  await gone;
  await expect(connect('a', token ?? '')).rejects.toThrow(/bad username or password/i);
  await publish(await connect('a', rotated.token), 'devices/a/telemetry', { x: 1 });
  expect(await latest('a')).toEqual({ x: [1, null] });
});

test('a blocked or forgotten device is cut off', async () => {
  for (const [id, cut] of [
    ['a', () => running.http.send('POST', '/api/v1/devices/a/block', {})],
    ['b', () => running.http.ask('/api/v1/devices/b', { method: 'DELETE' })],
  ] as const) {
    const { token } = await create({ id });
    const client = await connect(id, token ?? '');
    await publish(client, `devices/${id}/telemetry`, { x: 1 });
    const gone = closed(client);
    expect((await cut()).status).toBeLessThan(300);
    await gone;
    await expect(connect(id, token ?? '')).rejects.toThrow();
  }
  expectProblem(await running.http.ask('/api/v1/devices/b'), 'not_found');
  expect((await device('a')).approval).toBe('blocked');
});

test('a device that nobody registered is refused by name, and its messages wait in the quarantine', async () => {
  const stranger = await running.mqtt.connect('stranger');
  await publish(stranger, 'devices/stranger/telemetry', { x: 1 });
  expect(await quarantined()).toEqual(['device_unknown']);
  expect((await running.http.get(DeviceList, '/api/v1/devices')).items).toEqual([]);
  await create({ id: 'stranger', token: false });
  await publish(stranger, 'devices/stranger/telemetry', { x: 2 });
  expect(await latest('stranger')).toEqual({ x: [2, null] });
});

test('a device asks for its own token, waits for a person and is let in, also over a restart', async () => {
  await running.http.post(z.unknown(), '/api/v1/profiles', { id: 'probe' }, 201);
  const made = await running.http.post(
    z.looseObject({ key: z.string() }),
    '/api/v1/provisioning-keys',
    { name: 'batch', profile: 'probe' },
    201,
  );
  const asked = {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${made.key}` },
    body: JSON.stringify({ device: 'probe-7' }),
  };
  const answer = await running.http.ask('/api/v1/provision', asked);
  expect(answer.status, answer.text).toBe(201);
  const { token } = z
    .object({ token: z.string(), device: z.string(), approval: z.literal('pending') })
    .parse(answer.json());
  await running.stop();
  running = await startGateway({ 'data.dir': folder.path, 'device.autoCreate': 'never' });

  expectProblem(await running.http.ask('/api/v1/provision', asked), 'device_exists');
  const queue = await running.http.get(DeviceList, '/api/v1/devices?approval=pending');
  expect(queue.items).toMatchObject([{ id: 'probe-7', profile: 'probe', registered: false }]);
  await running.http.post(z.unknown(), '/api/v1/devices/approve', { device: 'probe-*' });
  await publish(await connect('probe-7', token), 'devices/probe-7/telemetry', { x: 1 });
  expect([await latest('probe-7'), (await device('probe-7')).approval]).toEqual([{ x: [1, null] }, 'approved']);
});
