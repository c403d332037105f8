import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { newProvisioningKey } from '../../src/access/provisioning.ts';
import { silentLog } from '../../src/base/log.ts';
import { seededRandom } from '../../src/base/random.ts';
import { Catalog } from '../../src/catalog/catalog.ts';
import { RegistrationDraft } from '../../src/contract/device.ts';
import { MappingSpec } from '../../src/contract/mapping.ts';
import { ProfileDraft } from '../../src/contract/profile.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { tempFolder } from '../support/temp-folder.ts';

let folder: ReturnType<typeof tempFolder>;
let clock: FakeClock;
let catalog: Catalog;
beforeEach(async () => {
  folder = tempFolder();
  clock = new FakeClock(Date.UTC(2026, 0, 1));
  catalog = await open();
});
afterEach(async () => {
  await catalog.close();
  folder.remove();
});

function open(): Promise<Catalog> {
  return Catalog.open({ dir: folder.path, clock, random: seededRandom(1), log: silentLog });
}

const file = (): string => join(folder.path, 'catalog.json');
const inFile = () => JSON.parse(readFileSync(file(), 'utf8'));
const tracker = ProfileDraft.parse({
  id: 'tracker',
  metrics: { heart_rate: { unit: '/min', interval: '10s', min: 20, max: 250 }, 'steps_*': { kind: 'counter' } },
  presence: 'sleepy',
  interval: '15m',
});
const zigbee = MappingSpec.parse({ name: 'zigbee', topic: 'zigbee2mqtt/{device}', ignore: ['/linkquality'] });
const conflict = { code: 'conflict' };
const missing = { code: 'not_found' };

describe('a profile', () => {
  test('is there again after opening anew, its spans written for people', async () => {
    const made = await catalog.createProfile(tracker);
    expect(made).toMatchObject({ interval: 900_000, metrics: { heart_rate: { interval: 10_000, kind: 'gauge' } } });
    expect(inFile().profiles[0]).toMatchObject({ interval: '15m', metrics: { heart_rate: { interval: '10s' } } });
    await catalog.close();
    catalog = await open();
    expect(catalog.snapshot().profiles).toEqual([made]);
  });

  test('is made once, changed in part or replaced, and keeps when it was made', async () => {
    const made = await catalog.createProfile(tracker);
    await expect(catalog.createProfile(tracker)).rejects.toMatchObject(conflict);
    clock.advance(1_000);
    const changed = await catalog.updateProfile('tracker', { interval: null, description: undefined });
    expect(changed).toEqual({ ...made, interval: null, updatedAt: '2026-01-01T00:00:01.000Z' });
    const { id: _id, ...body } = ProfileDraft.parse({ id: 'x', dialect: 'senml' });
    expect(await catalog.putProfile('tracker', body)).toMatchObject({
      dialect: 'senml',
      metrics: {},
      createdAt: made.createdAt,
    });
    expect(await catalog.putProfile('other', body)).toMatchObject({ id: 'other' });
    await expect(catalog.updateProfile('nope', {})).rejects.toMatchObject(missing);
  });

  test('stays while a device or a provisioning key has it', async () => {
    await catalog.createProfile(tracker);
    await catalog.createRegistrations([RegistrationDraft.parse({ id: 'a', profile: 'tracker' })]);
    await expect(catalog.deleteProfile('tracker')).rejects.toMatchObject({
      ...conflict,
      message: expect.stringContaining('1 registered devices and 0 provisioning keys'),
    });
    await catalog.updateRegistration('a', { profile: null });
    await catalog.deleteProfile('tracker');
    await expect(catalog.deleteProfile('tracker')).rejects.toMatchObject(missing);
    await expect(catalog.updateRegistration('a', { profile: 'tracker' })).rejects.toMatchObject({
      code: 'validation_failed',
    });
  });

  test('of a file is refused where the unit is not one, naming the one that was meant', async () => {
    const text = JSON.stringify({ ...inFile(), profiles: [{ id: 'a', metrics: { t: { unit: '°C' } } }] });
    writeFileSync(file(), text);
    await expect(catalog.createProfile(tracker)).rejects.toMatchObject({
      ...conflict,
      message: expect.stringContaining('"°C" is written "Cel" in UCUM'),
    });
  });
});

describe('a mapping', () => {
  test('keeps its place when it is changed or replaced', async () => {
    for (const name of ['a', 'b', 'c']) await catalog.createMapping({ ...zigbee, name });
    await expect(catalog.createMapping({ ...zigbee, name: 'b' })).rejects.toMatchObject(conflict);
    await catalog.updateMapping('b', { topic: 'tele/{device}/SENSOR', device: undefined });
    await catalog.putMapping({ ...zigbee, name: 'a', topic: 'x/{device}' });
    await catalog.putMapping({ ...zigbee, name: 'd' });
    await catalog.deleteMapping('c');
    const kept = catalog.snapshot().mappings.map(({ name, topic }) => [name, topic]);
    expect(kept).toEqual([
      ['a', 'x/{device}'],
      ['b', 'tele/{device}/SENSOR'],
      ['d', 'zigbee2mqtt/{device}'],
    ]);
    await expect(catalog.updateMapping('c', {})).rejects.toMatchObject(missing);
    await expect(catalog.deleteMapping('c')).rejects.toMatchObject(missing);
  });

  test('that cannot work is refused with its faults, and nothing is written', async () => {
    const before = readFileSync(file(), 'utf8');
    const faulty = { ...zigbee, device: '{devise}' };
    await expect(catalog.createMapping(faulty)).rejects.toMatchObject({
      code: 'validation_failed',
      pointer: '/device',
    });
    await expect(catalog.putMapping(faulty)).rejects.toMatchObject({ code: 'validation_failed' });
    expect(readFileSync(file(), 'utf8')).toBe(before);
  });
});

describe('a provisioning key', () => {
  const facts = { name: 'batch', profile: 'tracker', approval: true, devicesMax: 5, createdAt: '', expiresAt: null };

  test('stands as a hash with the secrets, and needs its profile', async () => {
    const { key, record } = newProvisioningKey(seededRandom(1), facts);
    await expect(catalog.addProvisioningKey(record)).rejects.toMatchObject(missing);
    await catalog.createProfile(tracker);
    const heard: boolean[] = [];
    catalog.subscribe((_snapshot, _previous, change) => heard.push(change.keys));
    await catalog.addProvisioningKey(record);
    await expect(catalog.addProvisioningKey(record)).rejects.toMatchObject(conflict);
    await expect(catalog.deleteProfile('tracker')).rejects.toMatchObject(conflict);
    await catalog.updateProvisioningKey(record.id, { devicesMax: 9, name: undefined });
    await catalog.close();
    catalog = await open();
    expect(catalog.provisioningKeys()).toEqual([{ ...record, devicesMax: 9 }]);
    expect(readFileSync(join(folder.path, 'secrets.json'), 'utf8')).not.toContain(key);
    await catalog.removeProvisioningKey(record.id);
    await expect(catalog.removeProvisioningKey(record.id)).rejects.toMatchObject(missing);
    expect([catalog.provisioningKeys(), heard]).toEqual([[], [true, true]]);
  });
});

test('profiles and mappings are frozen through and through', async () => {
  await catalog.createProfile(tracker);
  await catalog.createMapping(zigbee);
  const { profiles, mappings } = catalog.snapshot();
  for (const value of [profiles, profiles[0].metrics, profiles[0].metrics.heart_rate, mappings, mappings[0].ignore]) {
    expect(Object.isFrozen(value)).toBe(true);
  }
});
