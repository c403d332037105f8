import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { DeviceTokenBook, issueToken } from '../../src/access/device-tokens.ts';
import { addressKey, FailedAttempts } from '../../src/access/failed-attempts.ts';
import { type Admission, type ConnectFacts, MqttGatekeeper } from '../../src/access/gatekeeper.ts';
import { type KeyFacts, newKey } from '../../src/access/keys.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { KeyRecord } from '../../src/domain/key.ts';
import type { Principal } from '../../src/domain/principal.ts';
import { filterMatches } from '../../src/domain/topic-filter.ts';
import type { Gatekeeper } from '../../src/ingest/gatekeeper.ts';
import { FakeClock } from '../support/fake-clock.ts';

const random = seededRandom(9);
const clock = new FakeClock();

/** Everything that the gatekeeper asks, to be changed by the tests. */
class World {
  openMode = false;
  readonly keys: KeyRecord[] = [];
  readonly tokens = new DeviceTokenBook();
  readonly known = new Set<string>();
  readonly blocked = new Set<string>();
  readonly gateways = new Set<string>();
  readonly provisioning = new Map([['provisioning-secret', { id: 'pk', profile: 'thermometer' }]]);
  readonly mapped = new Map<string, readonly string[]>();
  denySubscribe: readonly string[] = [];
  identity: 'cn' | 'san' = 'cn';
  failures = new FailedAttempts({ clock, perMinute: 5 });

  /** Typed as the port of ingest, which it must fit. */
  gatekeeper(): Gatekeeper {
    return new MqttGatekeeper({
      policy: () => ({ openMode: this.openMode, keys: this.keys }),
      tokens: this.tokens,
      devices: {
        refusal: (device) => (this.blocked.has(device) ? { code: 'device_blocked', detail: 'it is blocked' } : null),
        isGateway: (device) => this.gateways.has(device),
        isKnown: (device) => this.known.has(device),
      },
      provisioning: {
        verify: (presented) => this.provisioning.get(presented) ?? null,
        holds: (id) => [...this.provisioning.values()].some((key) => key.id === id),
      },
      mappedFilters: (device) => this.mapped.get(device) ?? none,
      failures: this.failures,
      denySubscribe: this.denySubscribe,
      identity: this.identity,
      now: () => clock.now(),
    });
  }

  /** A device with a token. */
  device(id: string): string {
    this.known.add(id);
    const { token, record } = issueToken(random, id, clock.now());
    this.tokens.apply({ kind: 'put', token: record });
    return token;
  }

  key(facts: Partial<KeyFacts>): string {
    const { key, record } = newKey(random, { name: 'k', createdAt: '2026-01-01T00:00:00.000Z', ...facts });
    this.keys.push(record);
    return key;
  }
}

const none: readonly string[] = [];
let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => void vi.useRealTimers());

function connect(facts: Partial<ConnectFacts>): Promise<Admission> {
  const nobody = { remoteAddress: '192.0.2.7', clientId: 'c', username: undefined, password: undefined };
  return world.gatekeeper().admit({ ...nobody, certificate: null, ...facts });
}

async function admitted(facts: Partial<ConnectFacts>): Promise<Principal> {
  const admission = await connect(facts);
  if (!admission.allowed) throw new Error(`${admission.code}: ${admission.detail}`);
  return admission.principal;
}

async function refused(facts: Partial<ConnectFacts>): Promise<number> {
  const admission = await connect(facts);
  return admission.allowed ? 0 : admission.code;
}

function device(id: string, forOthers = false): Principal {
  return { kind: 'device', device: id, credential: 't', forOthers };
}

describe('a CONNECT', () => {
  test('with a device id and its token is that device', async () => {
    const password = world.device('one');
    expect(await admitted({ username: 'one', password })).toEqual({
      kind: 'device',
      device: 'one',
      credential: password.slice(9, 17),
      forOthers: false,
    });
  });

  test('with a token alone as user name is the device of the token', async () => {
    const username = world.device('one');
    expect(await admitted({ username })).toMatchObject({ kind: 'device', device: 'one' });
    expect(await admitted({ username, password: '' })).toMatchObject({ kind: 'device', device: 'one' });
  });

  test('with another device’s token, a changed one, or none is refused', async () => {
    const token = world.device('one');
    world.device('two');
    expect(await refused({ username: 'two', password: token })).toBe(4);
    expect(await refused({ username: 'one', password: `${token}x` })).toBe(4);
    expect(await refused({ username: `${token.slice(0, -1)}-` })).toBe(4);
    expect(await refused({ username: 'one' })).toBe(5);
    expect(await refused({})).toBe(5);
  });

  test('of a blocked device is refused, whatever it brings', async () => {
    const password = world.device('one');
    world.blocked.add('one');
    expect(await refused({ username: 'one', password })).toBe(5);
    expect(await refused({ certificate: { commonName: 'one', names: [] } })).toBe(5);
  });

  test('under the client id of another device is refused, unless the device speaks for others', async () => {
    const password = world.device('one');
    world.device('two');
    expect(await refused({ username: 'one', password, clientId: 'two' })).toBe(2);
    expect(await refused({ username: 'one', password, clientId: 'one' })).toBe(0);
    world.gateways.add('one');
    expect(await admitted({ username: 'one', password, clientId: 'two' })).toMatchObject({ forOthers: true });
  });

  test('with a key needs the scope mqtt or admin, and a key that has not run out', async () => {
    const mqtt = { publish: ['a/#'], subscribe: ['b/+'] };
    expect(await admitted({ password: world.key({ scopes: ['mqtt', 'read'], mqtt }) })).toMatchObject({ mqtt });
    expect(await admitted({ password: world.key({}) })).toMatchObject({
      kind: 'key',
      mqtt: { publish: ['#'], subscribe: ['#'] },
    });
    expect(await refused({ password: world.key({ scopes: ['read', 'write'] }) })).toBe(5);
    const expiresAt = new Date(clock.now()).toISOString();
    expect(await refused({ password: world.key({ expiresAt }) })).toBe(5);
    expect(await refused({ password: 'pulse_unknown' })).toBe(4);
  });

  test('with a certificate is the device that it names, by common name or alternative name', async () => {
    const certificate = { commonName: 'one', names: ['urn:device:two', 'three'] };
    expect(await admitted({ certificate })).toMatchObject({ device: 'one', credential: 'certificate:one' });
    expect(await admitted({ certificate, username: 'one' })).toMatchObject({ device: 'one' });
    expect(await refused({ certificate, username: 'two' })).toBe(4);
    world.identity = 'san';
    expect(await admitted({ certificate })).toMatchObject({ device: 'two' });
    expect(await admitted({ certificate: { commonName: null, names: ['three'] } })).toMatchObject({ device: 'three' });
    expect(await refused({ certificate: { commonName: 'one', names: [] } })).toBe(5);
    expect(await refused({ certificate: { commonName: 'one', names: ['not a device'] } })).toBe(5);
  });

  test('with a certificate and a key is the key', async () => {
    const password = world.key({});
    expect(await admitted({ certificate: { commonName: 'one', names: [] }, password })).toMatchObject({ kind: 'key' });
  });

  test('with a provisioning key may ask for a token under the id that it wants, and nothing else', async () => {
    const password = 'provisioning-secret';
    const principal = await admitted({ username: 'new-1', password });
    expect(principal).toEqual({ kind: 'provisioning', key: 'pk', profile: 'thermometer', device: 'new-1' });
    expect(await admitted({ username: 'provision', clientId: 'new-2', password })).toMatchObject({ device: 'new-2' });
    expect(await refused({ username: 'no id!', password })).toBe(5);
    world.device('one');
    expect(await refused({ username: 'new-1', clientId: 'one', password })).toBe(2);
    const gatekeeper = world.gatekeeper();
    expect(gatekeeper.mayPublish(principal, 'devices/new-1/provision')).toBe(true);
    expect(gatekeeper.maySubscribe(principal, 'devices/new-1/provision/reply')).toBe(true);
    for (const topic of ['devices/new-1/telemetry', 'devices/new-2/provision', 'devices/new-1/provision/reply']) {
      expect(gatekeeper.mayPublish(principal, topic)).toBe(false);
    }
    for (const filter of ['devices/new-1/#', 'devices/+/provision/reply', '#']) {
      expect(gatekeeper.maySubscribe(principal, filter)).toBe(false);
    }
  });

  test('in open mode needs nothing on this machine, but a device that has tokens needs one of them', async () => {
    world.openMode = true;
    const password = world.device('one');
    const remoteAddress = '127.0.0.1';
    expect(await admitted({ remoteAddress })).toEqual({ kind: 'open' });
    expect(await admitted({ remoteAddress, username: 'any', password: 'thing' })).toEqual({ kind: 'open' });
    expect(await refused({ remoteAddress: '192.0.2.7' })).toBe(5);
    expect(await refused({ remoteAddress: undefined })).toBe(5);
    expect(await admitted({ remoteAddress, username: 'one', password })).toMatchObject({ device: 'one' });
    expect(await refused({ remoteAddress, username: 'one', password: 'thing' })).toBe(4);
    expect(await refused({ remoteAddress, username: 'one' })).toBe(5);
  });
});

test('in open mode this machine is every loopback address, and nothing else', async () => {
  world.openMode = true;
  for (const remoteAddress of ['127.0.0.1', '::1', '::ffff:127.0.0.1', '127.8.8.8']) {
    expect(await admitted({ remoteAddress })).toEqual({ kind: 'open' });
  }
  for (const remoteAddress of ['10.0.0.1', '::ffff:10.0.0.1', 'localhost', '', undefined]) {
    expect(await refused({ remoteAddress })).toBe(5);
  }
});

describe('wrong credentials', () => {
  test('bar an address after the fifth, for everybody behind it and for the rest of the minute', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'] });
    const password = world.device('one');
    const right = { username: 'one', password };
    for (let attempt = 1; attempt <= 5; attempt++) {
      expect(await refused(right)).toBe(0);
      expect(await refused({ username: 'one', password: 'guess' })).toBe(4);
    }
    expect(await world.gatekeeper().isBarred('192.0.2.7')).toBe(true);
    expect(await refused(right)).toBe(5);
    expect(await world.gatekeeper().isBarred('192.0.2.8')).toBe(false);
    expect(await refused({ ...right, remoteAddress: '192.0.2.8' })).toBe(0);
    vi.advanceTimersByTime(60_000);
    clock.advance(60_000);
    expect(await world.gatekeeper().isBarred('192.0.2.7')).toBe(false);
    expect(await refused(right)).toBe(0);
    expect(await refused({ username: 'one', password: 'guess' })).toBe(4);
    expect(await world.gatekeeper().isBarred('192.0.2.7')).toBe(false);
  });

  test('that come all at once are not judged beyond the fifth', async () => {
    world.device('one');
    const guesses = Array.from({ length: 50 }, (_, index) => refused({ username: 'one', password: `guess ${index}` }));
    const codes = await Promise.all(guesses);
    expect(codes.filter((code) => code === 4)).toHaveLength(5);
  });

  test('do not bar what brings none, nor this machine in open mode, nor anybody where the limit is off', async () => {
    for (let attempt = 0; attempt < 10; attempt++) await connect({});
    expect(await world.gatekeeper().isBarred('192.0.2.7')).toBe(false);
    world.failures = new FailedAttempts({ clock, perMinute: 0 });
    for (let attempt = 0; attempt < 10; attempt++) await connect({ password: 'guess' });
    expect(await world.gatekeeper().isBarred('192.0.2.7')).toBe(false);
    world.failures = new FailedAttempts({ clock, perMinute: 1 });
    world.openMode = true;
    world.device('one');
    await connect({ remoteAddress: '::1', username: 'one', password: 'guess' });
    expect(await world.gatekeeper().isBarred('::1')).toBe(false);
  });

  test.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:0001:2::6%eth0', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
    ['::', '0:0:0:0::/64'],
  ])('%s counts as %s', (address, key) => {
    expect(addressKey(address)).toBe(key);
  });
});

describe('a device', () => {
  const own = device('one');

  test.each([
    'devices/one/telemetry',
    'devices/one/telemetry/temperature',
    'devices/one/status',
    'devices/one/commands/c1/reply',
    'v1/devices/me/telemetry',
    'v1/devices/me/rpc/response/1',
    'homie/5/one/$state',
    'spBv1.0/plant/NBIRTH/one',
    'spBv1.0/plant/DDATA/one/pump',
  ])('may publish %s', (topic) => {
    expect(world.gatekeeper().mayPublish(own, topic)).toBe(true);
  });

  test.each([
    'devices/two/telemetry',
    'devices/one2/telemetry',
    'devices',
    'devices/one/throttle',
    'devices/one/commands',
    'devices/one/commands/c1',
    'devices/one/commands/c1/reply/x',
    'devices/one/provision/reply',
    'v1/gateway/telemetry',
    'homie/5/two/$state',
    'spBv1.0/plant/NBIRTH/two',
    'spBv1.0/plant/NCMD/one',
    'spBv1.0/plant/DDATA/two/one',
    'spBv1.0/STATE/host',
    'one',
    '$SYS/one',
    '$share/g/devices/one/telemetry',
  ])('may not publish %s', (topic) => {
    expect(world.gatekeeper().mayPublish(own, topic)).toBe(false);
  });

  test.each([
    'devices/one/#',
    'devices/one/commands/+',
    'devices/one/throttle',
    'v1/devices/me/rpc/request/+',
    'spBv1.0/+/NCMD/one',
    'spBv1.0/plant/DCMD/one/+',
    'spBv1.0/STATE/+',
  ])('may subscribe to %s', (filter) => {
    expect(world.gatekeeper().maySubscribe(own, filter)).toBe(true);
  });

  test.each([
    '#',
    'devices/#',
    'devices/+/commands/+',
    '+/one/#',
    'spBv1.0/#',
    'spBv1.0/+/NCMD/+',
    'v1/#',
    'v1/gateway/#',
    'homie/5/#',
    '$SYS/#',
    '$share/g/devices/one/#',
  ])('may not subscribe to %s', (filter) => {
    expect(world.gatekeeper().maySubscribe(own, filter)).toBe(false);
  });

  test('that speaks for others has their topics, too, in the dialects that know gateways', () => {
    const gateway = device('one', true);
    const gatekeeper = world.gatekeeper();
    for (const topic of ['v1/gateway/telemetry', 'homie/5/two/$state', 'spBv1.0/plant/DBIRTH/one/pump']) {
      expect(gatekeeper.mayPublish(gateway, topic)).toBe(true);
    }
    expect(gatekeeper.mayPublish(gateway, 'devices/two/telemetry')).toBe(false);
    expect(gatekeeper.maySubscribe(gateway, 'v1/gateway/#')).toBe(true);
  });

  test('has the topics of mappings that give its id, until the mappings change', () => {
    world.mapped.set('one', ['zigbee2mqtt/one']);
    const gatekeeper = world.gatekeeper();
    expect(gatekeeper.mayPublish(own, 'zigbee2mqtt/one')).toBe(true);
    expect(gatekeeper.mayPublish(own, 'zigbee2mqtt/two')).toBe(false);
    world.mapped.set('one', ['tele/one/SENSOR']);
    expect(gatekeeper.mayPublish(own, 'zigbee2mqtt/one')).toBe(false);
    expect(gatekeeper.mayPublish(own, 'tele/one/SENSOR')).toBe(true);
  });
});

test('whatever may be subscribed to may be received, every topic of it, and what is denied is received by nobody', () => {
  const levels = ['devices', 'one', 'two', 'secret', '+', '', '$x'];
  const aFilter = fc
    .tuple(fc.array(fc.constantFrom(...levels), { maxLength: 3 }), fc.boolean())
    .map(([parts, isOpen]) => [...parts, ...(isOpen ? ['#'] : [])].join('/'))
    .filter((filter) => filter !== '');
  const aTopic = fc
    .array(fc.constantFrom('devices', 'one', 'two', 'secret', '', '$x', 'other'), { minLength: 1, maxLength: 4 })
    .map((parts) => parts.join('/'))
    .filter((topic) => topic !== '');
  const principals: readonly Principal[] = [
    { kind: 'open' },
    device('one'),
    { kind: 'key', id: 'k', mqtt: { publish: [], subscribe: ['devices/+/secret', '+/one/#'] } },
    { kind: 'key', id: 'a', mqtt: { publish: ['#'], subscribe: ['#'] } },
  ];
  let granted = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(...principals),
      aFilter,
      fc.array(aFilter, { maxLength: 2 }),
      fc.array(aTopic, { minLength: 20, maxLength: 20 }),
      (principal, filter, denied, topics) => {
        world.denySubscribe = denied;
        const gatekeeper = world.gatekeeper();
        const isGranted = gatekeeper.maySubscribe(principal, filter);
        if (isGranted) granted++;
        for (const topic of topics) {
          if (isGranted && filterMatches(filter, topic)) expect(gatekeeper.mayReceive(principal, topic)).toBe(true);
          if (denied.some((one) => filterMatches(one, topic)) || topic.startsWith('$')) {
            expect(gatekeeper.mayReceive(principal, topic)).toBe(false);
          }
        }
      },
    ),
    { numRuns: 5_000 },
  );
  expect(granted).toBeGreaterThan(100);
});

test('a filter to be denied that is none stops the start and is named', () => {
  world.denySubscribe = ['secret/#', 'a#'];
  expect(() => world.gatekeeper()).toThrow('"a#"');
});

describe('a principal is valid', () => {
  test('while its token is there and its device may connect', async () => {
    const password = world.device('one');
    const principal = await admitted({ username: 'one', password });
    const gatekeeper = world.gatekeeper();
    expect(gatekeeper.isValid(principal)).toBe(true);
    world.blocked.add('one');
    expect(gatekeeper.isValid(principal)).toBe(false);
    world.blocked.clear();
    world.gateways.add('one');
    expect(gatekeeper.isValid(principal)).toBe(false);
    world.gateways.clear();
    world.tokens.apply({ kind: 'revoke', device: 'one', id: null });
    expect(gatekeeper.isValid(principal)).toBe(false);
  });

  test('with a certificate, while its device may connect', async () => {
    const principal = await admitted({ certificate: { commonName: 'one', names: [] } });
    expect(world.gatekeeper().isValid(principal)).toBe(true);
    world.blocked.add('one');
    expect(world.gatekeeper().isValid(principal)).toBe(false);
  });

  test('while its key is there with the same rights', async () => {
    const mqtt = { publish: ['a'], subscribe: ['b'] };
    const principal = await admitted({ password: world.key({ scopes: ['mqtt'], mqtt }) });
    const gatekeeper = world.gatekeeper();
    const [record] = world.keys;
    expect(gatekeeper.isValid(principal)).toBe(true);
    for (const change of [
      { mqtt: { publish: [], subscribe: ['b'] } },
      { scopes: ['read' as const] },
      { expiresAt: new Date(clock.now()).toISOString() },
      { id: 'another' },
    ]) {
      world.keys[0] = { ...record, ...change };
      expect(gatekeeper.isValid(principal)).toBe(false);
    }
  });

  test('while its provisioning key is there, and open mode lasts', async () => {
    const principal = await admitted({ username: 'new', password: 'provisioning-secret' });
    expect(world.gatekeeper().isValid(principal)).toBe(true);
    world.provisioning.clear();
    expect(world.gatekeeper().isValid(principal)).toBe(false);
    expect(world.gatekeeper().isValid({ kind: 'open' })).toBe(false);
    world.openMode = true;
    expect(world.gatekeeper().isValid({ kind: 'open' })).toBe(true);
  });
});
