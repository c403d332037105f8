// Identity at a whole gateway with keys: what is decided about a device over REST or from the shell holds on its
// connection as well, and its secret is nowhere to be found.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { MqttClient } from 'mqtt';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { DeviceDetail, DeviceList, DeviceTokenCreated, DeviceTokenList } from '../../src/contract/device.ts';
import { QuarantineList, Retried } from '../../src/contract/quarantine.ts';
import { Readings } from '../../src/contract/reading.ts';
import { publish, SetClock, startGateway } from '../support/gateway.ts';
import { adminKey, isCutOff, filesWith, Inbox, KeyedGateway } from '../support/gateway-keyed.ts';
import { ask } from '../support/http-client.ts';
import { tempFolder } from '../support/temp-folder.ts';

const main = fileURLToPath(new URL('../../src/main.js', import.meta.url));

/** `pulsegate devices …` of the operator, what it writes to standard output. */
async function shell(gateway: KeyedGateway, ...args: readonly string[]): Promise<string> {
  const url = `http://127.0.0.1:${gateway.httpPort}`;
  const env = { ...process.env, PULSEGATE_KEY: adminKey };
  const { stdout } = await promisify(execFile)(process.execPath, [main, 'devices', ...args, '--url', url], { env });
  return stdout.trim();
}

const isRefused = (attempt: Promise<MqttClient>): Promise<void> =>
  expect(attempt).rejects.toThrow(/not authorized|bad username or password/i);

describe('a device that was registered', () => {
  let gateway: KeyedGateway;
  beforeEach(async () => {
    gateway = await KeyedGateway.start();
  });
  afterEach(() => gateway.stop());

  test('over REST or from the shell comes in with its token, which no file, metric, list or log line holds', async () => {
    const tokens = [await gateway.createDevice('rest-1'), await shell(gateway, 'create', 'shell-1')];
    tokens.push((await gateway.read(DeviceTokenCreated, 201, 'POST', '/devices/rest-1/tokens', {})).token);
    const [, ofShell, ofRest] = tokens;
    for (const [device, token] of [
      ['rest-1', ofRest],
      ['shell-1', ofShell],
    ] as const) {
      await publish(await gateway.connectDevice(device, token), `devices/${device}/telemetry`, { x: 1 });
      expect(await gateway.latest(device)).toEqual({ x: 1 });
    }
    await isRefused(gateway.connectDevice('rest-1', `${ofRest.slice(0, -1)}?`));
    const told = [
      (await gateway.ask('GET', '/metrics')).text,
      (await gateway.ask('GET', '/api/v1/devices')).text,
      (await gateway.ask('GET', '/api/v1/devices/rest-1/tokens')).text,
      ...gateway.logged,
    ].join('\n');
    expect(told).toContain('rest-1');
    for (const token of tokens) {
      const secret = token.split('_').at(-1) ?? '';
      expect(secret.length).toBeGreaterThan(15);
      expect(filesWith(gateway.dir, secret)).toEqual([]);
      expect(told).not.toContain(secret);
    }
    // The look into the files finds what is there.
    expect(filesWith(gateway.dir, 'rest-1')).not.toEqual([]);
  });

  test('has an old and a new token while they overlap, and only the revoked one ends its connection', async () => {
    const old = await gateway.createDevice('a');
    const before = await gateway.connectDevice('a', old);
    const { token } = await gateway.read(DeviceTokenCreated, 201, 'POST', '/devices/a/tokens', { overlap: '1h' });
    const after = await gateway.connect({ clientId: 'a-2', username: 'a', password: token });
    await publish(before, 'devices/a/telemetry', { x: 1 });
    const { items } = await gateway.read(DeviceTokenList, 200, 'GET', '/devices/a/tokens');
    const [ending] = items.filter(({ expiresAt }) => expiresAt !== null);
    const gone = isCutOff(before);
    expect((await gateway.ask('DELETE', `/api/v1/devices/a/tokens/${ending?.id}`)).status).toBe(204);
    await gone;
    await isRefused(gateway.connectDevice('a', old));
    await publish(after, 'devices/a/telemetry', { x: 2 });
    expect(await gateway.latest('a')).toEqual({ x: 2 });
  });

  test.each([
    ['rotated', async () => gateway.ask('POST', '/api/v1/devices/a/tokens', {})],
    ['blocked', async () => gateway.ask('POST', '/api/v1/devices/a/block', {})],
    ['deleted', async () => gateway.ask('DELETE', '/api/v1/devices/a')],
    ['blocked from the shell', async () => shell(gateway, 'block', 'a')],
    ['deleted from the shell', async () => shell(gateway, 'delete', 'a')],
    ['rotated from the shell', async () => shell(gateway, 'rotate', 'a')],
  ])('and is then %s is cut off by that, and refused on MQTT and HTTP from then on', async (_how, decide) => {
    const token = await gateway.createDevice('a');
    const client = await gateway.connectDevice('a', token);
    await publish(client, 'devices/a/telemetry', { x: 1 });
    const gone = isCutOff(client);
    await decide();
    await gone;
    await isRefused(gateway.connectDevice('a', token));
    const asked = await ask(gateway.httpPort, '/api/v1/readings', {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: '[{"device":"a","metric":"x","value":2}]',
    });
    expect([401, 403]).toContain(asked.status);
  });

  test('is the only one of a hundred that goes when it is revoked', async () => {
    const ids = Array.from({ length: 100 }, (_, index) => `fleet-${index}`);
    const drafts = ids.map((id) => ({ id }));
    const schema = z.object({ items: z.array(z.object({ id: z.string(), token: z.string() })) });
    const { items } = await gateway.read(schema, 201, 'POST', '/devices', drafts);
    const clients = await Promise.all(items.map(({ id, token }) => gateway.connectDevice(id, token)));
    const gone = isCutOff(clients[41]);
    const tokens = await gateway.read(DeviceTokenList, 200, 'GET', '/devices/fleet-41/tokens');
    await gateway.ask('DELETE', `/api/v1/devices/fleet-41/tokens/${tokens.items[0]?.id}`);
    await gone;
    // An acknowledged message is proof of life; a connection that was also cut could not send one.
    const rest = clients.filter((_client, index) => index !== 41);
    await Promise.all(rest.map((client) => publish(client, `devices/${client.options.clientId}/telemetry`, { x: 1 })));
    expect(rest.every((client) => client.connected)).toBe(true);
    expect(gateway.gateway.ledger.messages.accepted).toBe(99);
  });
});

describe('a device that nobody registered', () => {
  test.each([
    ['is taken on in open mode', {}, false, { accepted: 1, refused: 0 }],
    ['is refused once there are keys', { 'access.adminKey': adminKey }, true, { accepted: 0, refused: 1 }],
    [
      'is taken on beside keys where that was asked for',
      { 'access.adminKey': adminKey, 'device.autoCreate': 'always' },
      true,
      { accepted: 1, refused: 0 },
    ],
    [
      'is refused in open mode where that was asked for',
      { 'device.autoCreate': 'never' },
      false,
      { accepted: 0, refused: 1 },
    ],
  ])('%s', async (_what, flags, withKey, outcome) => {
    const running = await startGateway(flags);
    const headers: Record<string, string> = withKey ? { authorization: `Bearer ${adminKey}` } : {};
    const answer = await running.http.ask('/api/v1/readings', {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: '[{"device":"other","metric":"x","value":1}]',
    });
    expect(answer.status).toBe(outcome.accepted === 1 ? 200 : 422);
    await running.stop();

    const gateway = await KeyedGateway.start(withKey ? flags : { ...flags, 'access.adminKey': '' });
    const client = await gateway.connect(withKey ? { username: 'me', password: adminKey } : {});
    await publish(client, 'devices/new/telemetry', { x: 1 });
    expect(gateway.gateway.ledger.messages).toMatchObject(outcome);
    await gateway.stop();
  });

  test('is refused beyond the quota, and those that came before go on', async () => {
    const gateway = await KeyedGateway.start({ 'device.autoCreate': 'always', 'device.autoCreateMax': 2 });
    const client = await gateway.connect({ username: 'me', password: adminKey });
    for (const device of ['a', 'b', 'c', 'd', 'a']) await publish(client, `devices/${device}/telemetry`, { x: 1 });
    expect(await gateway.quarantined()).toEqual(['device_limit', 'device_limit']);
    await gateway.createDevice('c');
    await publish(client, 'devices/c/telemetry', { x: 2 });
    expect(await gateway.latest('c')).toEqual({ x: 2 });
    const { items } = await gateway.read(DeviceList, 200, 'GET', '/devices');
    expect(items.map(({ id }) => id)).toEqual(['a', 'b', 'c']);
    await gateway.stop();
  });
});

describe('zero-touch provisioning', () => {
  const clock = new SetClock();
  const noon = clock.wall;
  let gateway: KeyedGateway;
  let key: string;
  beforeEach(async () => {
    clock.wall = noon;
    gateway = await KeyedGateway.start({}, { clock });
    await gateway.read(z.unknown(), 201, 'POST', '/profiles', { id: 'probe', metrics: { t: { unit: 'Cel' } } });
    key = await newKey(true);
  });
  afterEach(() => gateway.stop());

  async function newKey(approval: boolean): Promise<string> {
    const draft = { name: 'batch', profile: 'probe', approval };
    return (await gateway.read(z.looseObject({ key: z.string() }), 201, 'POST', '/provisioning-keys', draft)).key;
  }

  const Reply = z.looseObject({
    status: z.string(),
    device: z.string().optional(),
    token: z.string().optional(),
    approval: z.string().optional(),
    code: z.string().optional(),
  });

  /** What a device is told that asks for a token over MQTT. */
  async function provision(device: string, password = key): Promise<z.infer<typeof Reply>> {
    const client = await gateway.connect({ clientId: device, username: 'provision', password });
    const inbox = new Inbox(client);
    await client.subscribeAsync(`devices/${device}/provision/reply`, { qos: 1 });
    await publish(client, `devices/${device}/provision`, '{}');
    await inbox.came(1);
    await client.endAsync(true);
    return Reply.parse(JSON.parse(inbox.texts[0] ?? ''));
  }

  test('over MQTT: what a waiting device sends is kept, and taken in after approval at the time at which it came', async () => {
    const { token = '', ...said } = await provision('probe-1');
    expect(said).toMatchObject({ status: 'accepted', device: 'probe-1', approval: 'pending' });
    const client = await gateway.connectDevice('probe-1', token);
    for (const t of [20, 21]) {
      await publish(client, 'devices/probe-1/telemetry', { t });
      clock.wall += 1_000;
    }
    const kept = await gateway.read(QuarantineList, 200, 'GET', '/quarantine');
    expect(kept.items.map(({ reason, receivedAt }) => [reason, Date.parse(receivedAt) - noon])).toEqual([
      ['device_pending', 1_000],
      ['device_pending', 0],
    ]);
    clock.wall += 3_600_000;
    const waiting = await gateway.read(DeviceList, 200, 'GET', '/devices?approval=pending');
    expect(waiting.items.map(({ id }) => id)).toEqual(['probe-1']);
    await gateway.read(z.unknown(), 200, 'POST', '/devices/probe-1/approve', {});
    expect(await gateway.read(Retried, 200, 'POST', '/quarantine/retry', { reason: 'device_pending' })).toMatchObject({
      accepted: 2,
      refused: 0,
      stored: 2,
    });
    const page = await gateway.read(Readings, 200, 'GET', '/devices/probe-1/readings?metric=t&from=0&to=2100-01-01');
    expect(page.unit).toBe('Cel');
    expect(page.readings.map(({ time, value }) => [Date.parse(time) - noon, value])).toEqual([
      [0, 20],
      [1_000, 21],
    ]);
    expect(client.connected).toBe(true);
    await publish(client, 'devices/probe-1/telemetry', { t: 22 });
    expect(await gateway.latest('probe-1')).toEqual({ t: 22 });
    expect(await gateway.quarantined()).toEqual([]);
  });

  test('over REST and without a queue lets a device in at once, with the profile of its key', async () => {
    const authorization = `Bearer ${await newKey(false)}`;
    const answer = await ask(gateway.httpPort, '/api/v1/provision', {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body: '{"device":"probe-2"}',
    });
    expect(answer.status, answer.text).toBe(201);
    const { token, approval } = z
      .object({ device: z.string(), token: z.string(), approval: z.string() })
      .parse(answer.json());
    expect(approval).toBe('approved');
    await publish(await gateway.connectDevice('probe-2', token), 'devices/probe-2/telemetry', { t: 1 });
    expect(await gateway.read(DeviceDetail, 200, 'GET', '/devices/probe-2')).toMatchObject({
      profile: 'probe',
      metricFacts: { t: { unit: 'Cel' } },
    });
  });

  test('gives nothing away: no second token, no other topics, and nothing to a key that was deleted', async () => {
    expect((await provision('probe-3')).status).toBe('accepted');
    expect(await provision('probe-3')).toMatchObject({ status: 'refused', code: 'device_exists' });
    const client = await gateway.connect({ clientId: 'probe-4', username: 'provision', password: key });
    for (const filter of ['devices/#', 'devices/probe-3/provision/reply']) {
      await expect(client.subscribeAsync(filter, { qos: 1 })).rejects.toThrow('Subscribe error');
    }
    const { items } = await gateway.read(
      z.looseObject({ items: z.array(z.looseObject({ id: z.string() })) }),
      200,
      'GET',
      '/provisioning-keys',
    );
    const gone = isCutOff(client);
    expect((await gateway.ask('DELETE', `/api/v1/provisioning-keys/${items[0]?.id}`)).status).toBe(204);
    await gone;
    await isRefused(gateway.connect({ clientId: 'probe-4', username: 'provision', password: key }));
  });
});

test('a token is still good, and a revoked one still is not, after a restart', async () => {
  const folder = tempFolder();
  const first = await KeyedGateway.start({ 'data.dir': folder.path });
  const kept = await first.createDevice('a');
  const revoked = await first.createDevice('b');
  await first.ask('POST', '/api/v1/devices/b/tokens', {});
  await first.stop();
  const second = await KeyedGateway.start({ 'data.dir': folder.path });
  await publish(await second.connectDevice('a', kept), 'devices/a/telemetry', { x: 1 });
  await isRefused(second.connectDevice('b', revoked));
  await second.stop();
  expect([filesWith(folder.path, kept), filesWith(folder.path, revoked)]).toEqual([[], []]);
  folder.remove();
});
