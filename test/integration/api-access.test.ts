import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FailedAttempts } from '../../src/access/failed-attempts.ts';
import { DeviceTokenBook, issueToken } from '../../src/access/device-tokens.ts';
import { type KeyFacts, newKey } from '../../src/access/keys.ts';
import { RequestJudge } from '../../src/access/request-judge.ts';
import type { ApiPorts } from '../../src/api/ports.ts';
import type { Route } from '../../src/api/route.ts';
import { routeTable } from '../../src/api/routes.ts';
import type { HttpServer } from '../../src/api/server.ts';
import { Key, KeyCreated, KeyList } from '../../src/contract/key.ts';
import { type KeyScope, keyScopes } from '../../src/domain/key.ts';
import type { Sender } from '../../src/domain/principal.ts';
import { expectProblem } from '../support/api-problem.ts';
import { startApi, Strangers } from '../support/api-strangers.ts';
import { type Answer, type Ask, ask } from '../support/http-client.ts';

// The API with the real judge before it: who may what, and how keys come and go.

const json = { 'content-type': 'application/json' };
const reading = JSON.stringify([{ device: 'one', metric: 'x', time: 1_790_000_000_000, value: 1 }]);

let strangers: Strangers;
let server: HttpServer;
let port: number;
let tokens: DeviceTokenBook;
let blocked: Set<string>;
let gateways: Set<string>;
let senders: Sender[];

beforeEach(() => start());
afterEach(() => server.stop(1_000));

async function start(changes: Partial<ApiPorts> = {}, perMinute = 5): Promise<void> {
  await server?.stop(1_000);
  strangers = new Strangers();
  tokens = new DeviceTokenBook();
  blocked = new Set();
  gateways = new Set();
  senders = [];
  const { clock, keys } = strangers;
  const access = new RequestJudge({
    policy: () => ({ openMode: keys.length === 0, keys, corsOrigins: [] }),
    tokens,
    devices: {
      refusal: (device) => (blocked.has(device) ? { detail: 'the device is blocked' } : null),
      isGateway: (device) => gateways.has(device),
    },
    failures: new FailedAttempts({ clock, perMinute }),
    now: () => clock.now(),
  });
  const { intake } = strangers.ports();
  const watched: ApiPorts['intake'] = {
    ...intake,
    post(bytes, format, options) {
      senders.push(options.sender);
      return intake.post(bytes, format, options);
    },
  };
  ({ server, port } = await startApi(strangers, { access, intake: watched, ...changes }));
}

/** Makes a key and keeps its record. */
function key(facts: Partial<KeyFacts> = {}): string {
  const { clock, random, keys } = strangers;
  const made = newKey(random, { name: 'k', createdAt: new Date(clock.now()).toISOString(), ...facts });
  keys.push(made.record);
  return made.key;
}

function token(device: string): string {
  const { token, record } = issueToken(strangers.random, device, strangers.clock.now());
  tokens.apply({ kind: 'put', token: record });
  return token;
}

function as(presented: string, path: string, options: Ask = {}): Promise<Answer> {
  const headers = { authorization: `Bearer ${presented}`, ...options.headers };
  return ask(port, path, { ...options, headers });
}

/** A route asked with a body that says nothing, for an id that nobody has. */
function call(presented: string, route: Route): Promise<Answer> {
  const path = route.path.replaceAll(/\{\w+\}/g, 'nobody');
  return as(presented, path, { method: route.method, ...(route.body && { headers: json, body: '' }) });
}

describe('scopes', () => {
  const routes = routeTable(new Strangers().ports());
  const needed = new Map(routes.map((route) => [route.id, neededScope(route)]));

  test('every write needs the scope admin, but sending readings and commands, and every question the scope read', () => {
    for (const route of routes) {
      if (!route.isPublic) expect(`${route.id} ${route.scope}`).toBe(`${route.id} ${needed.get(route.id)}`);
    }
  });

  test.each(keyScopes)('a key with the scope %s gets past the door of its routes, and of no other', async (scope) => {
    key();
    const presented = key({ scopes: [scope] });
    for (const route of routes) {
      const answer = await call(presented, route);
      const name = `${route.method} ${route.path}: ${answer.text.slice(0, 200)}`;
      if (route.isPublic || scope === 'admin' || scope === needed.get(route.id)) {
        expect(answer.status, name).not.toBe(403);
      } else {
        const problem = expectProblem(answer, 'forbidden');
        expect(problem.detail, name).toContain(`scope "${needed.get(route.id)}"`);
      }
    }
  });

  test('two scopes give what both give', async () => {
    key();
    const presented = key({ scopes: ['read', 'write'] });
    expect((await as(presented, '/api/v1/devices')).status).toBe(200);
    expect((await as(presented, '/api/v1/readings', { method: 'POST', headers: json, body: reading })).status).toBe(
      200,
    );
    expectProblem(await as(presented, '/api/v1/keys'), 'forbidden');
  });
});

function neededScope(route: Route): KeyScope {
  const tellsOfKeys = route.path.startsWith('/api/v1/keys');
  if (route.method === 'GET') return tellsOfKeys ? 'admin' : 'read';
  const isForSenders = /\/(readings|write|commands|commands\/\{\w+\})$/.test(route.path);
  const deletesReadings = route.method === 'DELETE' && route.path.endsWith('/readings');
  return isForSenders && !deletesReadings ? 'write' : 'admin';
}

test('where there is nothing, any key hears so, whatever its scope', async () => {
  const presented = key({ scopes: ['mqtt'] });
  expectProblem(await as(presented, '/api/v1/reading', { method: 'POST', headers: json, body: reading }), 'not_found');
  expectProblem(await as(presented, '/api/v1/readings', { method: 'PATCH' }), 'method_not_allowed');
});

describe('keys', () => {
  test('a key that has run out lets in no more', async () => {
    key();
    const presented = key({ expiresAt: new Date(strangers.clock.now() + 1_000).toISOString() });
    expect((await as(presented, '/api/v1/devices')).status).toBe(200);
    strangers.clock.advance(1_000);
    const problem = expectProblem(await as(presented, '/api/v1/devices'), 'unauthorized');
    expect(problem.detail).toContain('expired');
  });

  test('the first one ends open mode; it must be able to make the others', async () => {
    const draft = { name: 'sensor', scopes: ['write'] };
    const tooSmall = await send('', 'POST', '/api/v1/keys', draft);
    expect(expectProblem(tooSmall, 'conflict').detail).toContain('admin');
    const made = await send('', 'POST', '/api/v1/keys', { name: 'me', scopes: ['admin'] });
    const { key, ...shown } = KeyCreated.parse(made.json());
    expect(made.status).toBe(201);
    expect(made.headers.location).toBe(`/api/v1/keys/${shown.id}`);
    expectProblem(await ask(port, '/api/v1/devices'), 'unauthorized');
    expect((await as(key, '/api/v1/devices')).status).toBe(200);
    expect((await send(key, 'POST', '/api/v1/keys', draft)).status).toBe(201);
  });

  test('are shown without what would let anybody in', async () => {
    const admin = key({ name: 'me' });
    const mqtt = { publish: ['plant/#'], subscribe: ['plant/+/state'] };
    const expiresAt = '2030-01-01T00:00:00.000Z';
    const draft = { name: 'sensor', scopes: ['mqtt', 'read', 'mqtt'], mqtt, expiresAt: '2030-01-01T01:00:00+01:00' };
    const made = KeyCreated.parse((await send(admin, 'POST', '/api/v1/keys', draft)).json());
    expect(made).toMatchObject({
      name: 'sensor',
      scopes: ['mqtt', 'read'],
      mqtt,
      expiresAt,
      mask: `pulse_${made.id}_…`,
    });
    const list = await as(admin, '/api/v1/keys');
    expect(KeyList.parse(list.json()).items.map(({ name }) => name)).toEqual(['me', 'sensor']);
    const one = await as(admin, `/api/v1/keys/${made.id}`);
    const { key: _secret, ...shown } = made;
    expect(Key.parse(one.json())).toEqual(shown);
    for (const { text } of [list, one]) {
      expect(text).not.toContain(made.key.slice(15));
      for (const { hash } of strangers.keys) expect(text).not.toContain(hash);
    }
  });

  test('change at once, and only in what was sent', async () => {
    const admin = key();
    const { id, key: presented } = await create(admin, { name: 'reader', scopes: ['read'] });
    const changed = await send(admin, 'PATCH', `/api/v1/keys/${id}`, { scopes: ['write'] });
    expect(Key.parse(changed.json())).toMatchObject({ name: 'reader', scopes: ['write'] });
    expectProblem(await as(presented, '/api/v1/devices'), 'forbidden');
  });

  test.each([
    [{ name: '', scopes: ['read'] }, '/name'],
    [{ name: 'a', scopes: [] }, '/scopes'],
    [{ name: 'a', scopes: ['root'] }, '/scopes/0'],
    [{ name: 'a', scopes: ['mqtt'], mqtt: { publish: ['a/#/b'] } }, '/mqtt/publish/0'],
    [{ name: 'a', scopes: ['read'], expiresAt: 'soon' }, '/expiresAt'],
    [{ name: 'a', scopes: ['read'], hash: 'x' }, '/hash'],
  ])('cannot be made of %j', async (draft, pointer) => {
    const problem = expectProblem(await send(key(), 'POST', '/api/v1/keys', draft), 'validation_failed');
    expect(problem.errors).toMatchObject([{ pointer }]);
  });

  test('let in nobody once they are deleted, and the last that can make others goes only by force', async () => {
    const admin = key();
    const [{ id }] = strangers.keys;
    const other = await create(admin, { name: 'reader', scopes: ['read'] });
    expectProblem(await as(admin, `/api/v1/keys/${id}`, { method: 'DELETE' }), 'conflict');
    expectProblem(await send(admin, 'PATCH', `/api/v1/keys/${id}`, { scopes: ['read'] }), 'conflict');
    expectProblem(await send(admin, 'PATCH', `/api/v1/keys/${id}`, { expiresAt: '2020-01-01T00:00:00Z' }), 'conflict');
    expect((await as(admin, `/api/v1/keys/${other.id}`, { method: 'DELETE' })).status).toBe(204);
    expectProblem(await as(other.key, '/api/v1/devices'), 'unauthorized');
    expect((await as(admin, `/api/v1/keys/${id}?force=true`, { method: 'DELETE' })).status).toBe(204);
    expect((await ask(port, '/api/v1/devices')).status).toBe(200);
  });

  test('may come as InfluxDB’s clients send them, and never in the address', async () => {
    const presented = key();
    const token = await ask(port, '/api/v1/devices', { headers: { authorization: `Token ${presented}` } });
    expect(token.status).toBe(200);
    expectProblem(await ask(port, `/api/v1/devices?token=${presented}`), 'unauthorized');
  });
});

describe('a device', () => {
  const post = { method: 'POST', headers: json, body: reading };

  test('sends readings with its token, and intake hears which device it is', async () => {
    key();
    gateways.add('two');
    expect((await as(token('one'), '/api/v1/readings', post)).status).toBe(200);
    expect((await as(token('two'), '/api/v1/readings', post)).status).toBe(200);
    expect((await as(key(), '/api/v1/readings', post)).status).toBe(200);
    expect(senders).toEqual([
      { device: 'one', forOthers: false },
      { device: 'two', forOthers: true },
      { device: null, forOthers: true },
    ]);
  });

  test('gets nothing else with it', async () => {
    key();
    const presented = token('one');
    for (const route of routeTable(strangers.ports())) {
      if (route.isPublic || route.forDevices) continue;
      const problem = expectProblem(await call(presented, route), 'forbidden');
      expect(problem.detail).toContain('POST /api/v1/readings');
    }
  });

  test('that is blocked, or whose token was revoked, is refused', async () => {
    key();
    const presented = token('one');
    blocked.add('one');
    expectProblem(await as(presented, '/api/v1/readings', post), 'forbidden');
    blocked.clear();
    tokens.apply({ kind: 'revoke', device: 'one', id: null });
    expectProblem(await as(presented, '/api/v1/readings', post), 'unauthorized');
    expect(senders).toEqual([]);
  });
});

describe('wrong keys', () => {
  test('bar their address after the fifth, also for the right one, but not from what is public', async () => {
    const right = key();
    for (let attempt = 1; attempt <= 5; attempt++) {
      expectProblem(await as(`pulse_guess${attempt}`, '/api/v1/devices'), 'unauthorized');
    }
    const refused = await as(right, '/api/v1/devices');
    expectProblem(refused, 'rate_limited');
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect(Number(refused.headers['retry-after'])).toBeLessThanOrEqual(60);
    expect((await as(right, '/healthz')).status).toBe(200);
    expectProblem(await ask(port, '/api/v1/devices'), 'unauthorized');
    strangers.clock.advance(60_000);
    expect((await as(right, '/api/v1/devices')).status).toBe(200);
  });

  test('that are missing, have run out or lack a scope bar nobody', async () => {
    const right = key();
    const old = key({ expiresAt: '2020-01-01T00:00:00.000Z' });
    const small = key({ scopes: ['mqtt'] });
    for (let attempt = 1; attempt <= 10; attempt++) {
      await ask(port, '/api/v1/devices');
      await as(old, '/api/v1/devices');
      await as(small, '/api/v1/devices');
    }
    expect((await as(right, '/api/v1/devices')).status).toBe(200);
  });
});

test('a listed page is the same with a slash at the end and in capitals, for access and for the browser', async () => {
  await start({ corsOrigins: ['https://Dash.example/'] });
  const answer = await ask(port, '/healthz', { headers: { host: 'localhost', origin: 'https://dash.example' } });
  expect(answer.headers['access-control-allow-origin']).toBe('https://dash.example');
});

describe('behind a proxy', () => {
  const trusting = { trustProxy: true, trustedProxies: ['127.0.0.0/8', '10.0.0.0/8', '2001:db8::/32'] };

  /** Where the judge sees the request come from. */
  async function seenFrom(headers: Record<string, string>, proxies = trusting): Promise<string> {
    let seen = '';
    const judge: ApiPorts['access']['judge'] = ({ remoteAddress, host, scheme }) => {
      seen = `${remoteAddress} ${scheme}://${host}`;
      return { allowed: true, caller: { kind: 'open' } };
    };
    await start({ proxies, access: { judge } });
    await ask(port, '/healthz', { headers: { host: 'gateway', ...headers } });
    return seen;
  }

  test.each([
    [{}, '127.0.0.1 null://gateway'],
    [{ 'x-forwarded-for': '192.0.2.1' }, '192.0.2.1 null://gateway'],
    [{ 'x-forwarded-for': '6.6.6.6, 192.0.2.1' }, '192.0.2.1 null://gateway'],
    [{ 'x-forwarded-for': '6.6.6.6, 192.0.2.1, 10.0.0.9' }, '192.0.2.1 null://gateway'],
    [{ 'x-forwarded-for': '10.0.0.8, 10.0.0.9' }, '10.0.0.8 null://gateway'],
    [{ 'x-forwarded-for': '6.6.6.6, unknown' }, '127.0.0.1 null://gateway'],
    [{ 'x-forwarded-for': '192.0.2.1:4711' }, '192.0.2.1 null://gateway'],
    [{ 'x-forwarded-for': '[2001:db9::1]:4711' }, '2001:db9::1 null://gateway'],
    [
      { 'x-forwarded-for': '192.0.2.1', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'telemetry.example' },
      '192.0.2.1 https://telemetry.example',
    ],
    [{ 'x-forwarded-for': '192.0.2.1, 10.0.0.9', 'x-forwarded-proto': 'https, http' }, '192.0.2.1 https://gateway'],
    [{ 'x-forwarded-for': '192.0.2.1', 'x-forwarded-proto': 'gopher' }, '192.0.2.1 null://gateway'],
    [{ 'x-forwarded-for': '192.0.2.1', 'x-forwarded-host': 'a/b' }, '192.0.2.1 null://gateway'],
    [{ forwarded: 'for=192.0.2.1;proto=https;host=telemetry.example' }, '192.0.2.1 https://telemetry.example'],
    [{ forwarded: 'for=6.6.6.6, For="[2001:db9::7]:4711";Proto=http' }, '2001:db9::7 http://gateway'],
    [{ forwarded: 'for=192.0.2.1;proto=https, for="[2001:db8::7]"' }, '192.0.2.1 https://gateway'],
    [{ forwarded: 'for=_hidden' }, '127.0.0.1 null://gateway'],
    [{ forwarded: 'for=6.6.6.6', 'x-forwarded-for': '192.0.2.1' }, '192.0.2.1 null://gateway'],
  ])('%j comes from %s', async (headers, expected) => {
    expect(await seenFrom({ ...headers })).toBe(expected);
  });

  test.each([
    ['trust is off', { ...trusting, trustProxy: false }],
    ['it comes from another address', { ...trusting, trustedProxies: ['10.0.0.0/8'] }],
  ])('nothing of it is believed where %s', async (_why, proxies) => {
    const headers = {
      'x-forwarded-for': '192.0.2.1',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'evil.example',
    };
    expect(await seenFrom(headers, proxies)).toBe('127.0.0.1 null://gateway');
    expect(await seenFrom({ forwarded: 'for=192.0.2.1;host=evil.example' }, proxies)).toBe('127.0.0.1 null://gateway');
  });

  test('wrong keys bar the client and not the proxy', async () => {
    await start({ proxies: trusting });
    const right = key();
    for (let attempt = 1; attempt <= 5; attempt++) {
      await as('pulse_guess', '/api/v1/devices', { headers: { 'x-forwarded-for': '192.0.2.1' } });
    }
    const from = (address: string): Promise<Answer> =>
      as(right, '/api/v1/devices', { headers: { 'x-forwarded-for': `6.6.6.6, ${address}` } });
    expectProblem(await from('192.0.2.1'), 'rate_limited');
    expect((await from('192.0.2.2')).status).toBe(200);
  });

  test('links have the path that a trusted proxy took away', async () => {
    await start({ proxies: trusting });
    const draft = { method: 'POST', body: JSON.stringify({ name: 'k', scopes: ['read'] }) };
    const asked = (headers: Record<string, string>): Promise<Answer> =>
      as(key(), '/api/v1/keys', { ...draft, headers: { ...json, ...headers } });
    const prefixed = await asked({ 'x-forwarded-prefix': '/telemetry/' });
    expect(prefixed.headers.location).toMatch(/^\/telemetry\/api\/v1\/keys\/\w{8}$/);
    const odd = await asked({ 'x-forwarded-prefix': '//evil.example' });
    expect(odd.headers.location).toMatch(/^\/api\/v1\/keys\/\w{8}$/);
  });

  test('a page of the name that the proxy was asked for may ask, under its scheme alone', async () => {
    await start({ proxies: trusting });
    const presented = key();
    const forwarded = { 'x-forwarded-for': '192.0.2.1', 'x-forwarded-proto': 'https', 'x-forwarded-host': 't.example' };
    const asked = (origin: string): Promise<Answer> =>
      as(presented, '/api/v1/devices', { headers: { ...forwarded, origin } });
    expect((await asked('https://t.example')).status).toBe(200);
    expectProblem(await asked('http://t.example'), 'origin_not_allowed');
    expectProblem(await asked('https://evil.example'), 'origin_not_allowed');
  });

  test('a network that cannot be read stops the start and is named', async () => {
    const proxies = { trustProxy: true, trustedProxies: ['10.0.0.0/99'] };
    await expect(startApi(strangers, { proxies })).rejects.toThrow('10.0.0.0/99');
  });
});

async function create(admin: string, draft: object): Promise<KeyCreated> {
  return KeyCreated.parse((await send(admin, 'POST', '/api/v1/keys', draft)).json());
}

/** With no key it is sent without Authorization. */
function send(presented: string, method: string, path: string, body: unknown): Promise<Answer> {
  const headers: Record<string, string> = presented === '' ? json : { ...json, authorization: `Bearer ${presented}` };
  return ask(port, path, { method, headers: { host: 'localhost', ...headers }, body: JSON.stringify(body) });
}
