import { expect, test } from 'vitest';
import { KeyDesk, type KeyDecision } from '../../src/access/key-desk.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { KeyRecord } from '../../src/domain/key.ts';
import { FakeClock } from '../support/fake-clock.ts';

// Which keys there may be; a store whose writes take as long as a disk's.

const nothing = { publish: [], subscribe: [] };
const admin: KeyDecision = { name: 'admin', scopes: ['admin'], mqtt: nothing, expiresAt: null };

const written = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function deskOver(records: KeyRecord[]): KeyDesk {
  return new KeyDesk({
    random: seededRandom(5),
    clock: new FakeClock(),
    hasAdminKey: false,
    store: {
      keys: () => [...records],
      async addKey(record) {
        await written();
        records.push(record);
      },
      async updateKey(id, patch) {
        await written();
        const at = records.findIndex((record) => record.id === id);
        records[at] = { ...records[at], ...patch };
      },
      async removeKey(id) {
        await written();
        records.splice(
          records.findIndex((record) => record.id === id),
          1,
        );
      },
    },
  });
}

test('of two admin keys that are deleted at the same moment one stays', async () => {
  const records: KeyRecord[] = [];
  const desk = deskOver(records);
  const [one, other] = [await desk.create(admin), await desk.create(admin)];
  const removed = await Promise.allSettled([one, other].map(({ record }) => desk.remove(record.id, { force: false })));
  expect(removed.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
  expect(records.map(({ id }) => id)).toEqual([other.record.id]);
});

test('of two admin keys that lose the scope at the same moment one keeps it', async () => {
  const records: KeyRecord[] = [];
  const desk = deskOver(records);
  const [one, other] = [await desk.create(admin), await desk.create(admin)];
  await Promise.allSettled([one, other].map(({ record }) => desk.update(record.id, { scopes: ['read'] })));
  expect(records.map(({ scopes }) => scopes)).toEqual([['read'], ['admin']]);
});

test('a key for MQTT without any filter is refused with a sentence, made or changed', async () => {
  const records: KeyRecord[] = [];
  const desk = deskOver(records);
  await desk.create(admin);
  const useless = { ...admin, name: 'bridge', scopes: ['mqtt', 'read'] } as const;
  const refusal = { code: 'validation_failed', pointer: '/mqtt', message: expect.stringContaining('--subscribe') };
  await expect(desk.create(useless)).rejects.toMatchObject(refusal);
  const mqtt = { publish: [], subscribe: ['devices/#'] };
  const { record } = await desk.create({ ...useless, mqtt });
  await expect(desk.update(record.id, { mqtt: nothing })).rejects.toMatchObject(refusal);
  await expect(desk.update(record.id, { name: 'renamed' })).resolves.toMatchObject({ name: 'renamed', mqtt });
  await expect(desk.update(record.id, { scopes: ['read'], mqtt: nothing })).resolves.toMatchObject({ mqtt: nothing });
  // An admin key may do everything there, whatever filters it has.
  await expect(desk.create({ ...admin, scopes: ['admin', 'mqtt'] })).resolves.toMatchObject({});
});
