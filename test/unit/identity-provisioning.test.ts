import { beforeEach, describe, expect, it } from 'vitest';
import { newProvisioningKey, Provisioning } from '../../src/access/provisioning.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { DeviceFact, DeviceRecord } from '../../src/domain/device.ts';
import type { TokenChange } from '../../src/domain/device-token.ts';
import type { ProvisioningKey, Registration } from '../../src/domain/registration.ts';

interface Kept {
  readonly facts: readonly DeviceFact[];
  readonly tokens: readonly TokenChange[];
}

const random = seededRandom(1);
let now: number;
let keys: ProvisioningKey[];
let registrations: Map<string, Registration>;
let devices: Map<string, DeviceRecord>;
let commits: Kept[];
let gate: Promise<void>;
let provisioning: Provisioning;

beforeEach(() => {
  now = Date.UTC(2026, 0, 1);
  keys = [];
  registrations = new Map();
  devices = new Map();
  commits = [];
  gate = Promise.resolve();
  provisioning = new Provisioning({
    random,
    now: () => now,
    keys: () => keys,
    registration: (device) => registrations.get(device),
    devices,
    hasTokens: (device) =>
      commits.some(({ tokens }) => tokens.some((one) => one.kind === 'put' && one.token.device === device)),
    async commit(changes) {
      await gate;
      commits.push(changes);
      for (const { device, at, provisioned = null } of changes.facts) {
        const blank = { status: null, statusAt: null, statusCause: null, attributes: {}, clockCorrected: 0 };
        devices.set(device, { device, firstSeen: at, lastSeen: at, ...blank, provisioned });
      }
      provisioning.apply({ deviceFacts: changes.facts, forgottenDevices: [] });
    },
  });
});

function makeKey(parts: Partial<Omit<ProvisioningKey, 'id' | 'hash'>> = {}): { key: string; id: string } {
  const facts = { name: 'batch', profile: 'tracker', approval: false, devicesMax: 2, createdAt: '', expiresAt: null };
  const { key, record } = newProvisioningKey(random, { ...facts, ...parts });
  keys.push(record);
  return { key, id: record.id };
}

function registration(id: string, approval: 'approved' | 'blocked' = 'approved'): Registration {
  return { id, name: '', profile: null, tags: {}, timeZone: null, approval, createdAt: '', updatedAt: '' };
}

describe('a provisioning key', () => {
  it('is known by its hash alone, and not after its time', () => {
    const { key, id } = makeKey({ expiresAt: new Date(now + 1_000).toISOString() });
    expect(key).toMatch(/^pulseprov_[0-9A-Za-z]{8}_[0-9A-Za-z]{36}$/);
    expect(JSON.stringify(keys)).not.toContain(key);
    expect(provisioning.verify(key)?.id).toBe(id);
    expect(provisioning.verify(`${key.slice(0, -1)}x`)).toBeNull();
    now += 1_000;
    expect([provisioning.verify(key), provisioning.holds(id), provisioning.holds('other')]).toEqual([
      null,
      false,
      false,
    ]);
  });

  it('gives a device a token and says where it came from, in one commit', async () => {
    const { id } = makeKey();
    const { token, approval } = await provisioning.provision({ device: 'a', key: id });
    expect([approval, token.startsWith('pulsedev_'), commits.length]).toEqual(['approved', true, 1]);
    const [{ facts, tokens }] = commits;
    expect(facts).toEqual([
      { device: 'a', at: now, provisioned: { profile: 'tracker', key: id, needsApproval: false, at: now } },
    ]);
    expect(tokens).toMatchObject([{ kind: 'put', token: { device: 'a', createdAt: now, expiresAt: null } }]);
    expect(JSON.stringify(commits)).not.toContain(token);
  });

  it('says that a person must approve, unless one did already', async () => {
    const { id } = makeKey({ approval: true });
    expect(await provisioning.provision({ device: 'a', key: id })).toMatchObject({ approval: 'pending' });
    registrations.set('a', registration('a'));
    commits = [];
    // Its token was revoked: the same key may give it another.
    expect(await provisioning.provision({ device: 'a', key: id })).toMatchObject({ approval: 'approved' });
    expect(provisioning.madeBy(id)).toBe(1);
  });

  it('makes as many devices as it may, and has room again when one is forgotten', async () => {
    const { id } = makeKey();
    await Promise.all(['a', 'b'].map((device) => provisioning.provision({ device, key: id })));
    await expect(provisioning.provision({ device: 'c', key: id })).rejects.toMatchObject({ code: 'device_limit' });
    provisioning.apply({ deviceFacts: [], forgottenDevices: ['a'] });
    await provisioning.provision({ device: 'c', key: id });
    expect(provisioning.madeBy(id)).toBe(2);
  });

  it('does not pass its limit by being used many times at once', async () => {
    const { id } = makeKey();
    const wishes = ['a', 'b', 'c', 'd'].map((device) => provisioning.provision({ device, key: id }));
    const outcomes = await Promise.allSettled(wishes);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'rejected']);
  });

  it('counts what it made before a restart', async () => {
    const { id } = makeKey();
    await provisioning.provision({ device: 'a', key: id });
    await provisioning.provision({ device: 'b', key: id });
    const again = new Provisioning({
      random,
      now: () => now,
      keys: () => keys,
      registration: () => undefined,
      devices,
      hasTokens: () => false,
      commit: () => Promise.resolve(),
    });
    again.load(devices.values());
    await expect(again.provision({ device: 'c', key: id })).rejects.toMatchObject({ code: 'device_limit' });
  });
});

describe('a device is refused', () => {
  it('that has a token, was registered by a person or was made by another key', async () => {
    const [{ id }, other] = [makeKey(), makeKey()];
    await provisioning.provision({ device: 'a', key: id });
    const exists = { code: 'device_exists' };
    await expect(provisioning.provision({ device: 'a', key: id })).rejects.toMatchObject(exists);
    commits = [];
    await expect(provisioning.provision({ device: 'a', key: other.id })).rejects.toMatchObject(exists);
    registrations.set('b', registration('b'));
    await expect(provisioning.provision({ device: 'b', key: id })).rejects.toMatchObject(exists);
  });

  it('that asks twice at once: one token is given out', async () => {
    const { id } = makeKey();
    const { promise, resolve } = Promise.withResolvers<void>();
    gate = promise;
    const first = provisioning.provision({ device: 'a', key: id });
    await expect(provisioning.provision({ device: 'a', key: id })).rejects.toMatchObject({ code: 'device_exists' });
    resolve();
    await first;
    expect(commits).toHaveLength(1);
  });

  it('whose id is none, that is blocked, or whose key is gone', async () => {
    const { id } = makeKey();
    registrations.set('b', registration('b', 'blocked'));
    await expect(provisioning.provision({ device: 'a b', key: id })).rejects.toMatchObject({ code: 'device_invalid' });
    await expect(provisioning.provision({ device: 'b', key: id })).rejects.toMatchObject({ code: 'device_blocked' });
    keys = [];
    await expect(provisioning.provision({ device: 'a', key: id })).rejects.toMatchObject({ code: 'unauthorized' });
    expect(commits).toEqual([]);
  });

  it('whose commit failed may ask again', async () => {
    const { id } = makeKey();
    gate = Promise.reject(new Error('disk full'));
    await expect(provisioning.provision({ device: 'a', key: id })).rejects.toThrow('disk full');
    gate = Promise.resolve();
    expect(await provisioning.provision({ device: 'a', key: id })).toMatchObject({ approval: 'approved' });
  });
});
