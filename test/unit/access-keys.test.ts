import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { adminKeyRecord, newKey, readKey, verifyKey } from '../../src/access/keys.ts';
import { seededRandom } from '../../src/base/random.ts';

const facts = { name: 'dashboards', createdAt: '2026-01-01T00:00:00.000Z' };

test('a new key has the documented shape, and its record does not hold it', () => {
  const { key, record } = newKey(seededRandom(1), facts);
  expect(key).toMatch(/^pulse_[0-9A-Za-z]{8}_[0-9A-Za-z]{36}$/);
  expect(readKey(key)).toEqual({ kind: 'key', id: record.id });
  expect(record).toMatchObject(facts);
  expect(JSON.stringify(record)).not.toContain(key.slice(15));
  expect(record.hash).toMatch(/^[0-9a-f]{64}$/);
});

test('a key with one character changed is known as mistyped without a lookup', () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(), fc.constantFrom('0', '7', 'A', 'Z', 'a', 'z'), (seed, place, character) => {
      const { key } = newKey(seededRandom(seed), facts);
      const at = 6 + (place % (key.length - 6));
      fc.pre(key[at] !== character);
      expect(readKey(key.slice(0, at) + character + key.slice(at + 1))).toEqual({ kind: 'mistyped' });
    }),
  );
});

test('a key cut short is mistyped, and another text is not a key', () => {
  const { key } = newKey(seededRandom(1), facts);
  expect(readKey(key.slice(0, -1)).kind).toBe('mistyped');
  expect(readKey('hunter2').kind).toBe('other');
});

test('a key is found among the records by its hash alone, and no other is', () => {
  const random = seededRandom(7);
  const made = Array.from({ length: 5 }, () => newKey(random, facts));
  const records = made.map(({ record }) => record);
  for (const { key, record } of made) expect(verifyKey(key, records)).toBe(record);
  expect(verifyKey(newKey(random, facts).key, records)).toBeNull();
  expect(verifyKey(made[0].key, records.slice(1))).toBeNull();
  expect(verifyKey(records[0].hash, records)).toBeNull();
});

test('a record with a damaged hash lets nobody in', () => {
  const { key, record } = newKey(seededRandom(3), facts);
  expect(verifyKey(key, [{ ...record, hash: record.hash.slice(0, 62) }])).toBeNull();
  expect(verifyKey('', [{ ...record, hash: '' }])).toBeNull();
});

test('a secret of the operator counts as a key', () => {
  const record = adminKeyRecord('correct horse battery staple', facts.createdAt);
  expect(verifyKey('correct horse battery staple', [record])).toBe(record);
  expect(verifyKey('correct horse battery', [record])).toBeNull();
});

test('a thousand keys share neither id nor secret', () => {
  const random = seededRandom(11);
  const keys = Array.from({ length: 1_000 }, () => newKey(random, facts));
  expect(new Set(keys.map(({ key }) => key.slice(15, 45))).size).toBe(1_000);
  expect(new Set(keys.map(({ record }) => record.id)).size).toBe(1_000);
});
