import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Api } from '../../src/api/app.ts';
import type { HttpServer } from '../../src/api/server.ts';
import { silentLog } from '../../src/base/log.ts';
import { Catalog } from '../../src/catalog/catalog.ts';
import { RegistrationDraft } from '../../src/contract/device.ts';
import { createIdentity, type IdentityStrangers } from '../support/api-identity.ts';
import { expectProblem, expectSafeHeaders } from '../support/api-problem.ts';
import { startApi, Strangers } from '../support/api-strangers.ts';
import { type Answer, type Ask, ask, send } from '../support/http-client.ts';
import { tempFolder } from '../support/temp-folder.ts';

// The API over a real catalog and the real books. Every success is parsed with the schema that the documentation shows.

let folder: ReturnType<typeof tempFolder>;
let strangers: Strangers;
let catalog: Catalog;
let identity: IdentityStrangers;
let api: Api;
let server: HttpServer;
let port: number;
let now: number;

beforeEach(async () => {
  folder = tempFolder();
  strangers = new Strangers();
  now = strangers.clock.now();
  const { clock, random } = strangers;
  catalog = await Catalog.open({ dir: folder.path, clock, random, log: silentLog });
  identity = createIdentity({ devices: strangers.devices, clock, random, decisions: catalog });
  ({ api, server, port } = await startApi(strangers, {
    ...identity.ports,
    limits: { bodyBytesMax: 8 * 1_048_576, waitMaxMs: 1_000, downloadsMax: 2 },
  }));
});
afterEach(async () => {
  await server.stop(1_000);
  await catalog.close();
  folder.remove();
});

const profile = {
  id: 'tracker',
  metrics: { temperature: { unit: 'K', kind: 'gauge', interval: '10s', min: 0, max: 400 } },
  dialect: 'senml',
};
/** A device that asked for its own token and waits for a person. */
async function provisionPending(device: string): Promise<void> {
  if (catalog.snapshot().profiles.length === 0) await posted('createProfile', '/api/v1/profiles', profile);
  const { key } = await posted('createProvisioningKey', '/api/v1/provisioning-keys', { name: 'n', profile: 'tracker' });
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
  const asked = { method: 'POST', headers, body: JSON.stringify({ device }) };
  expect(await valid('provisionDevice', await ask(port, '/api/v1/provision', asked), 201)).toMatchObject({
    device,
    token: expect.stringMatching(/^pulsedev_/),
    approval: 'pending',
  });
}

describe('a device', () => {
  test('is registered with a token that is shown once and works', async () => {
    const draft = { id: 'fridge-1', name: 'Fridge', tags: { room: 'lab' }, timeZone: 'Europe/Berlin' };
    const made = await send(port, 'POST', '/api/v1/devices', draft);
    const { token, ...device } = await valid('createDevices', made, 201);
    expect(made.headers.location).toBe('/api/v1/devices/fridge-1');
    expect(device).toMatchObject({
      ...draft,
      approval: 'approved',
      registered: true,
      state: 'unknown',
      lastSeen: null,
    });
    expect(identity.tokens.verify('fridge-1', token, now)?.device).toBe('fridge-1');
    const shown = await ask(port, '/api/v1/devices/fridge-1');
    expect(shown.text).not.toContain(token);
    expect(await valid('getDevice', shown, 200)).toMatchObject({ ...device, metrics: [], metricFacts: {} });
    expect(await get('getDeviceLatest', '/api/v1/devices/fridge-1/latest')).toEqual({ device: 'fridge-1', values: {} });
    expectProblem(await ask(port, '/api/v1/devices/fridge-1/readings?metric=x'), 'not_found');
  });

  test('is registered once, and what is wrong with it is said with its place', async () => {
    await posted('createDevices', '/api/v1/devices', { id: 'a', token: false });
    expect(identity.tokens.size).toBe(0);
    const again = expectProblem(await send(port, 'POST', '/api/v1/devices', { id: 'a' }), 'device_exists');
    expect(again.errors).toMatchObject([{ pointer: '/id' }]);
    expect(identity.tokens.size).toBe(0);
    for (const [draft, pointer] of [
      [{ id: 'b', profile: 'nope' }, '/profile'],
      [{ id: 'b', timeZone: 'Mars/Base' }, '/timeZone'],
    ] as const) {
      const problem = expectProblem(await send(port, 'POST', '/api/v1/devices', draft), 'validation_failed');
      expect(problem.errors).toMatchObject([{ pointer }]);
    }
  });

  test('is one of ten thousand registered whole or not at all', async () => {
    const drafts = Array.from({ length: 10_000 }, (_, n) => ({ id: `d${n}`, tags: { n: `${n % 3}` } }));
    const clash = [...drafts.slice(0, 2_000), { id: 'd7', tags: {} }];
    const problem = expectProblem(await send(port, 'POST', '/api/v1/devices', clash), 'device_exists');
    expect(problem.errors).toMatchObject([{ pointer: '/2000/id' }]);
    expect(catalog.snapshot().registrations.size).toBe(0);
    const { items } = await posted('createDevices', '/api/v1/devices', drafts);
    expect([items.length, items[9_999].id, identity.tokens.size]).toEqual([10_000, 'd9999', 10_000]);
    expect(identity.tokens.verify('d123', items[123].token, now)).not.toBeNull();
    expectProblem(await send(port, 'POST', '/api/v1/devices', [...drafts, { id: 'x' }]), 'validation_failed');
  });

  test('whose token could not be kept is not registered either', async () => {
    identity.failure = Object.assign(new Error('disk full'), { name: 'CommitFailedError' });
    expectProblem(await send(port, 'POST', '/api/v1/devices', { id: 'a' }), 'storage_unavailable');
    identity.failure = null;
    await posted('createDevices', '/api/v1/devices', { id: 'a' });
  });

  test('changes only in what is sent; one that was only heard of is registered by that', async () => {
    strangers.put('seen', 'temperature', now, 290);
    expect(await get('getDevice', '/api/v1/devices/seen')).toMatchObject({ registered: false, name: '' });
    const changed = await send(port, 'PATCH', '/api/v1/devices/seen', { name: 'Roof', tags: { floor: '9' } });
    expect(await valid('updateDevice', changed, 200)).toMatchObject({ registered: true, name: 'Roof', metricCount: 1 });
    const again = await send(port, 'PATCH', '/api/v1/devices/seen', { name: 'Cellar' });
    expect(await valid('updateDevice', again, 200)).toMatchObject({ name: 'Cellar', tags: { floor: '9' } });
    expectProblem(await send(port, 'PATCH', '/api/v1/devices/nobody', {}), 'not_found');
    const typo = expectProblem(await send(port, 'PATCH', '/api/v1/devices/seen', { nam: 'x' }), 'validation_failed');
    expect(typo.errors?.[0]?.detail).toContain('did you mean "name"?');
  });

  test('is forgotten with its tokens, and then it is nobody', async () => {
    await posted('createDevices', '/api/v1/devices', { id: 'a' });
    strangers.put('a', 'x', now, 1);
    expect((await ask(port, '/api/v1/devices/a', { method: 'DELETE' })).status).toBe(204);
    expect([identity.forgotten, identity.tokens.size, catalog.snapshot().registrations.size]).toEqual([['a'], 0, 0]);
    expectProblem(await ask(port, '/api/v1/devices/a'), 'not_found');
    expectProblem(await ask(port, '/api/v1/devices/a', { method: 'DELETE' }), 'not_found');
    await posted('createDevices', '/api/v1/devices', { id: 'a' });
  });

  test('inherits what its profile says of its metrics', async () => {
    await posted('createProfile', '/api/v1/profiles', profile);
    await posted('createDevices', '/api/v1/devices', { id: 'a', profile: 'tracker' });
    strangers.put('a', 'temperature', now, 290);
    strangers.put('a', 'humidity', now, 40);
    const { metricFacts } = await get('getDevice', '/api/v1/devices/a');
    expect(metricFacts).toEqual({
      humidity: { unit: '%', kind: null, interval: null, min: null, max: null },
      temperature: { unit: 'K', kind: 'gauge', interval: '10s', min: 0, max: 400 },
    });
    const units = (await get('getFleetLatest', '/api/v1/latest')).items.map(({ unit }: { unit: string }) => unit);
    expect(units).toEqual(['%', 'K']);
    expect((await get('getDeviceReadings', '/api/v1/devices/a/readings?metric=temperature&to=%2B1m')).unit).toBe('K');
    expect((await get('getReadings', '/api/v1/readings?metric=temperature&to=%2B1m')).series[0].unit).toBe('K');
    expect((await get('getDeviceLatest', '/api/v1/devices/a/latest')).values.temperature.unit).toBe('K');
  });
});

describe('the list of devices', () => {
  test('is the union of those registered and those heard of, each once, whatever the page size', async () => {
    await catalog.createRegistrations(['b', 'd', 'f', 'h'].map((id) => RegistrationDraft.parse({ id })));
    for (const device of ['a', 'b', 'c', 'h', 'i']) strangers.put(device, 'x', now, 1);
    for (const limit of [1, 2, 3, 7, 100]) {
      const ids: string[] = [];
      for (let page: string | null = ''; page !== null; ) {
        const list = await get('listDevices', `/api/v1/devices?limit=${limit}${page === '' ? '' : `&page=${page}`}`);
        ids.push(...list.items.map(({ id }: { id: string }) => id));
        page = list.next;
      }
      expect(ids).toEqual(['a', 'b', 'c', 'd', 'f', 'h', 'i']);
    }
  });

  test('is filtered by tag, profile, approval, state and id, all at once', async () => {
    await posted('createProfile', '/api/v1/profiles', profile);
    await posted('createDevices', '/api/v1/devices', [
      { id: 'lab-1', tags: { room: 'lab', url: 'http://x' }, profile: 'tracker' },
      { id: 'lab-2', tags: { room: 'lab' } },
      { id: 'hall-1', tags: { room: 'hall' }, profile: 'tracker', approval: 'blocked' },
    ]);
    await provisionPending('new-1');
    expect(await ids('tag=room:lab')).toEqual(['lab-1', 'lab-2']);
    expect(await ids('tag=url:http://x')).toEqual(['lab-1']);
    expect(await ids('tag=constructor:x')).toEqual([]);
    expect(await ids('profile=tracker')).toEqual(['hall-1', 'lab-1', 'new-1']);
    expect(await ids('approval=pending')).toEqual(['new-1']);
    expect(await ids('approval=blocked')).toEqual(['hall-1']);
    expect(await ids('device=lab-*&profile=tracker&tag=room:lab&approval=approved')).toEqual(['lab-1']);
    expect(await ids('state=online')).toEqual([]);
    expectProblem(await ask(port, '/api/v1/devices?tag=room'), 'parameter_invalid');
    expectProblem(await ask(port, '/api/v1/devices?approval=maybe'), 'parameter_invalid');
  });
});

describe('approval', () => {
  test('lets a waiting device in with its profile, and blocking turns it away', async () => {
    await provisionPending('new-1');
    expect(await get('getDevice', '/api/v1/devices/new-1')).toMatchObject({ approval: 'pending', profile: 'tracker' });
    expectProblem(await send(port, 'PATCH', '/api/v1/devices/new-1', { name: 'x' }), 'conflict');
    const approved = await ask(port, '/api/v1/devices/new-1/approve', { method: 'POST' });
    expect(await valid('approveDevice', approved, 200)).toMatchObject({
      approval: 'approved',
      profile: 'tracker',
      registered: true,
    });
    const blocked = await ask(port, '/api/v1/devices/new-1/block', { method: 'POST' });
    expect(await valid('blockDevice', blocked, 200)).toMatchObject({ approval: 'blocked', profile: 'tracker' });
    expectProblem(await ask(port, '/api/v1/devices/nobody/approve', { method: 'POST' }), 'not_found');
  });

  test('of many takes ids, or a filter on those that wait', async () => {
    for (const id of ['new-1', 'new-2', 'old-1']) await provisionPending(id);
    await posted('createDevices', '/api/v1/devices', { id: 'new-3', approval: 'blocked' });
    expect(await posted('approveDevices', '/api/v1/devices/approve', { device: 'new-*' }, 200)).toEqual({
      approved: 2,
    });
    expect(await get('getDevice', '/api/v1/devices/new-3')).toMatchObject({ approval: 'blocked' });
    const chosen = { devices: ['new-1', 'old-1', 'new-3', 'old-1'] };
    expect(await posted('approveDevices', '/api/v1/devices/approve', chosen, 200)).toEqual({ approved: 2 });
    expect((await get('listDevices', '/api/v1/devices?approval=pending')).items).toEqual([]);
    expectProblem(await send(port, 'POST', '/api/v1/devices/approve', { devices: ['nobody'] }), 'not_found');
    expectProblem(await send(port, 'POST', '/api/v1/devices/approve', { device: 'no spaces' }), 'validation_failed');
    expectProblem(await send(port, 'POST', '/api/v1/devices/approve', {}), 'validation_failed');
  });
});

describe('tokens', () => {
  const path = '/api/v1/devices/a/tokens';

  test('are rotated: the old one ends at once, or after the overlap', async () => {
    const { token: first } = await posted('createDevices', '/api/v1/devices', { id: 'a' });
    const works = (token: string): boolean => identity.tokens.verify('a', token, strangers.clock.now()) !== null;
    const second = await posted('rotateDeviceToken', path, { overlap: '1h' });
    expect([works(first), works(second.token)]).toEqual([true, true]);
    const { items } = await get('listDeviceTokens', path);
    expect(items.map(({ expiresAt }: { expiresAt: string }) => expiresAt)).toEqual([
      new Date(now + 3_600_000).toISOString(),
      null,
    ]);
    // A longer overlap does not give the first more time than it had.
    await posted('rotateDeviceToken', path, { overlap: '2h' });
    strangers.clock.advance(3_600_000);
    expect([works(first), works(second.token)]).toEqual([false, true]);
    expect((await get('listDeviceTokens', path)).items).toHaveLength(2);
    const last = await posted('rotateDeviceToken', path, {});
    expect([works(second.token), works(last.token)]).toEqual([false, true]);
    expect(identity.tokens.ofDevice('a')).toHaveLength(1);
    expectProblem(await send(port, 'POST', path, { overlap: 'soon' }), 'validation_failed');
  });

  test('are revoked one by one, and are never many', async () => {
    await posted('createDevices', '/api/v1/devices', { id: 'a' });
    for (let n = 1; n < 16; n++) await posted('rotateDeviceToken', path, { overlap: '1d' });
    expectProblem(await send(port, 'POST', path, { overlap: '1d' }), 'conflict');
    const { items } = await get('listDeviceTokens', path);
    expect((await ask(port, `${path}/${items[0].id}`, { method: 'DELETE' })).status).toBe(204);
    expectProblem(await ask(port, `${path}/${items[0].id}`, { method: 'DELETE' }), 'not_found');
    expect((await get('listDeviceTokens', path)).items).toHaveLength(15);
    await posted('rotateDeviceToken', path, { overlap: '1d' });
    expectProblem(await ask(port, '/api/v1/devices/nobody/tokens'), 'not_found');
  });
});

test('the readings and current values of a forgotten device are still there', async () => {
  await posted('createDevices', '/api/v1/devices', { id: 'old-pump' });
  strangers.put('old-pump', 'flow', now - 1, 2.5);
  expect((await send(port, 'DELETE', '/api/v1/devices/old-pump', undefined)).status).toBe(204);
  strangers.devices.delete('old-pump');
  expectProblem(await ask(port, '/api/v1/devices/old-pump'), 'not_found');
  const { readings } = await get('getDeviceReadings', '/api/v1/devices/old-pump/readings?metric=flow&from=0');
  expect(readings).toMatchObject([{ value: 2.5 }]);
  expect(await get('getDeviceLatest', '/api/v1/devices/old-pump/latest')).toMatchObject({
    values: { flow: { value: 2.5 } },
  });
  expectProblem(await ask(port, '/api/v1/devices/never/latest'), 'not_found');
});

describe('provisioning', () => {
  test('with a key that does not hold is refused before any of the body came', async () => {
    const head = [
      'POST /api/v1/provision HTTP/1.1',
      'host: localhost',
      'authorization: Bearer pulseprov_nobody',
      'content-type: application/json',
      'content-length: 1000000',
    ];
    const socket = connect(port, '127.0.0.1');
    try {
      socket.write(`${head.join('\r\n')}\r\n\r\n`);
      const [first] = await once(socket, 'data');
      expect(String(first)).toMatch(/^HTTP\/1\.1 401 /);
    } finally {
      socket.destroy();
    }
  });

  test('needs a key that still holds, and gives each device one token', async () => {
    await posted('createProfile', '/api/v1/profiles', profile);
    const draft = { name: 'batch', profile: 'tracker', approval: false, devicesMax: 1 };
    const { key, ...shown } = await posted('createProvisioningKey', '/api/v1/provisioning-keys', draft);
    expect(shown).toMatchObject({ ...draft, devices: 0, expiresAt: null });
    for (const authorization of [undefined, 'Bearer pulse_x', `Basic ${key}`, `Bearer ${key}x`]) {
      const refused = await provision(authorization, 'a');
      expectProblem(refused, 'unauthorized');
      expect(refused.headers['www-authenticate']).toContain('Bearer');
    }
    const { token, approval } = await valid('provisionDevice', await provision(`Bearer ${key}`, 'a'), 201);
    expect([approval, identity.tokens.verify('a', token, now)?.device]).toEqual(['approved', 'a']);
    expectProblem(await provision(`Bearer ${key}`, 'a'), 'device_exists');
    expectProblem(await provision(`Bearer ${key}`, 'b'), 'device_limit');
    expectProblem(await provision(`Bearer ${key}`, 'b c'), 'device_invalid');
    const path = `/api/v1/provisioning-keys/${shown.id}`;
    expect(await get('getProvisioningKey', path)).toEqual({ ...shown, devices: 1 });
    const changed = await send(port, 'PATCH', path, { devicesMax: 2, expiresAt: new Date(now + 1_000).toISOString() });
    expect(await valid('updateProvisioningKey', changed, 200)).toMatchObject({ devicesMax: 2, name: 'batch' });
    expect((await provision(`Bearer ${key}`, 'b')).status).toBe(201);
    strangers.clock.advance(1_000);
    expectProblem(await provision(`Bearer ${key}`, 'c'), 'unauthorized');
    expect((await get('listProvisioningKeys', '/api/v1/provisioning-keys')).items).toHaveLength(1);
    expect((await ask(port, path, { method: 'DELETE' })).status).toBe(204);
    expectProblem(await ask(port, path), 'not_found');
    // What it made stays.
    expect(await get('getDevice', '/api/v1/devices/a')).toMatchObject({ profile: 'tracker', approval: 'approved' });
  });

  test('keys need a profile that there is', async () => {
    const draft = { name: 'batch', profile: 'tracker' };
    const problem = expectProblem(await send(port, 'POST', '/api/v1/provisioning-keys', draft), 'validation_failed');
    expect(problem.errors).toMatchObject([{ pointer: '/profile' }]);
  });
});

describe('profiles and mappings', () => {
  test('a profile is made, replaced, changed and deleted', async () => {
    const made = await posted('createProfile', '/api/v1/profiles', profile);
    expect(made).toMatchObject({
      metrics: { temperature: { interval: '10s' } },
      interval: null,
      presence: 'always-on',
    });
    const path = '/api/v1/profiles/tracker';
    expect(await get('getProfile', path)).toEqual(made);
    const changed = await send(port, 'PATCH', path, { interval: '90s' });
    expect(await valid('updateProfile', changed, 200)).toEqual({ ...made, interval: '90s' });
    const replaced = await valid('putProfile', await send(port, 'PUT', path, { presence: 'sleepy' }), 200);
    expect(replaced).toMatchObject({ metrics: {}, presence: 'sleepy', interval: null });
    expect((await get('listProfiles', '/api/v1/profiles')).items).toEqual([replaced]);
    expect((await ask(port, path, { method: 'DELETE' })).status).toBe(204);
    expectProblem(await ask(port, path), 'not_found');
  });

  test('a profile is refused with every fault and what to write instead', async () => {
    const metrics = { a: { unit: 'celsius' }, b: { min: 2, max: 1 }, c: { interval: 'often' }, 'd e': {} };
    const answer = await send(port, 'POST', '/api/v1/profiles', { id: 'x', metrics });
    const { errors = [] } = expectProblem(answer, 'validation_failed');
    const details = Object.fromEntries(errors.map(({ pointer, detail }) => [pointer, detail]));
    expect(details['/metrics/a/unit']).toContain('is written "Cel" in UCUM');
    expect(details['/metrics/b/max']).toContain('must not be below "min"');
    expect(details['/metrics/c/interval']).toContain('is not a duration');
    expect(Object.keys(details)).toHaveLength(4);
  });

  test('a mapping is made, listed in its order, replaced, changed, deleted and tried out', async () => {
    const mapping = { name: 'zigbee', topic: 'zigbee2mqtt/{device}' };
    const made = await posted('createMapping', '/api/v1/mappings', mapping);
    expect(made).toMatchObject({ ...mapping, device: '{device}', format: 'json', metrics: [] });
    const path = '/api/v1/mappings/zigbee';
    expect(await get('getMapping', path)).toEqual(made);
    expectProblem(await send(port, 'POST', '/api/v1/mappings', mapping), 'conflict');
    const changed = await send(port, 'PATCH', path, { ignore: ['/linkquality'] });
    expect(await valid('updateMapping', changed, 200)).toEqual({ ...made, ignore: ['/linkquality'] });
    const put = await send(port, 'PUT', '/api/v1/mappings/a', { topic: 'a/{device}' });
    expect(await valid('putMapping', put, 200)).toMatchObject({ name: 'a' });
    const first = await get('listMappings', '/api/v1/mappings?limit=1');
    const second = await get('listMappings', `/api/v1/mappings?limit=1&page=${first.next}`);
    expect([first.items[0].name, second.items[0].name, second.next]).toEqual(['zigbee', 'a', null]);
    const trial = { mapping, topic: 'room/fridge-1', payload: { t: 1 } };
    expect(await posted('testMapping', '/api/v1/mappings/test', trial, 200)).toEqual({
      readings: [{ device: 'fridge-1', metric: 'bytes', time: null, value: 7 }],
    });
    expectProblem(await send(port, 'POST', '/api/v1/mappings/test', { ...trial, topic: 'x' }), 'mapping_mismatch');
    expect((await ask(port, path, { method: 'DELETE' })).status).toBe(204);
    expectProblem(await ask(port, path), 'not_found');
    const faulty = await send(port, 'POST', '/api/v1/mappings', { name: 'b', topic: 'b/{device}', device: '{devise}' });
    expect(expectProblem(faulty, 'validation_failed').errors).toMatchObject([{ pointer: '/device' }]);
  });
});

async function ids(query: string): Promise<string[]> {
  return (await get('listDevices', `/api/v1/devices?${query}`)).items.map(({ id }: { id: string }) => id);
}

function provision(authorization: string | undefined, device: string): Promise<Answer> {
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (authorization !== undefined) headers.authorization = authorization;
  return ask(port, '/api/v1/provision', { method: 'POST', headers, body: JSON.stringify({ device }) });
}

async function get(id: string, path: string, options: Ask = {}) {
  return valid(id, await ask(port, path, options), 200);
}

async function posted(id: string, path: string, body: unknown, status = 201) {
  return valid(id, await send(port, 'POST', path, body), status);
}

/** The body, once it is what the route promises: the status, the media type, the schema and not one key more. */
async function valid(id: string, answer: Answer, status: number) {
  expect(answer.status, answer.text.slice(0, 500)).toBe(status);
  expectSafeHeaders(answer);
  const route = api.routes.find((route) => route.id === id);
  expect(route?.success).toMatchObject({ status, mediaType: answer.headers['content-type'] });
  const body = answer.json();
  expect(await route?.success.schema?.parseAsync(body)).toEqual(body);
  // The schema has just been checked; the tests look at single fields.
  return body as ReturnType<typeof JSON.parse>;
}
