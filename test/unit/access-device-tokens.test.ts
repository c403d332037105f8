import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { DeviceTokenBook, issueToken, isTokenShaped } from '../../src/access/device-tokens.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { DeviceToken } from '../../src/domain/device-token.ts';

const random = seededRandom(5);
const now = Date.UTC(2026, 8, 21);

function bookOf(...records: readonly DeviceToken[]): DeviceTokenBook {
  const book = new DeviceTokenBook();
  book.load(records);
  return book;
}

test('a token has the documented shape, and its record does not hold it', () => {
  const { token, record } = issueToken(random, 'wearable-01', now);
  expect(token).toMatch(/^pulsedev_[0-9A-Za-z]{8}_[0-9A-Za-z]{36}$/);
  expect(isTokenShaped(token)).toBe(true);
  expect(record).toMatchObject({ device: 'wearable-01', id: token.slice(9, 17), createdAt: now, expiresAt: null });
  expect(JSON.stringify(record)).not.toContain(token.slice(18));
});

test('a token lets in its own device alone, with and without the name of the device', () => {
  const one = issueToken(random, 'one', now);
  const two = issueToken(random, 'two', now);
  const book = bookOf(one.record, two.record);
  expect(book.verify('one', one.token, now)).toEqual(one.record);
  expect(book.verify('two', one.token, now)).toBeNull();
  expect(book.verify('three', one.token, now)).toBeNull();
  expect(book.find(two.token, now)).toEqual(two.record);
  expect(book.find(issueToken(random, 'one', now).token, now)).toBeNull();
});

test('what is kept lets nobody in', () => {
  const { record } = issueToken(random, 'one', now);
  const book = bookOf(record);
  for (const presented of [record.hash, record.id, '', `pulsedev_${record.id}_`]) {
    expect(book.verify('one', presented, now)).toBeNull();
    expect(book.find(presented, now)).toBeNull();
  }
});

test('a token whose name is known but whose secret is another is refused', () => {
  const { token, record } = issueToken(random, 'one', now);
  const book = bookOf({ ...record, hash: issueToken(random, 'one', now).record.hash });
  expect(book.find(token, now)).toBeNull();
});

test('rotated with an overlap, the old token holds until its time and the new one from the start', () => {
  const old = issueToken(random, 'one', now);
  const next = issueToken(random, 'one', now + 1);
  const book = bookOf(old.record);
  book.apply({ kind: 'put', token: next.record });
  book.apply({ kind: 'put', token: { ...old.record, expiresAt: now + 1_000 } });
  expect(book.ofDevice('one').map(({ id }) => id)).toEqual([old.record.id, next.record.id]);
  expect(book.verify('one', old.token, now + 999)?.id).toBe(old.record.id);
  expect(book.verify('one', old.token, now + 1_000)).toBeNull();
  expect(book.find(old.token, now + 1_000)).toBeNull();
  expect(book.holds('one', old.record.id, now + 1_000)).toBe(false);
  expect(book.verify('one', next.token, now + 1_000)?.id).toBe(next.record.id);
});

test('a book after any puts and revocations holds what a list would', () => {
  const tokens = ['a', 'b'].flatMap((device) =>
    Array.from({ length: 3 }, (_, index) => issueToken(random, device, now + index)),
  );
  const step = fc.oneof(
    fc.nat(5).map((index) => ({ kind: 'put', index }) as const),
    fc.nat(5).map((index) => ({ kind: 'revoke', index }) as const),
    fc.constantFrom('a', 'b').map((device) => ({ kind: 'revokeAll', device }) as const),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const book = new DeviceTokenBook();
      const held = new Set<number>();
      for (const step of steps) {
        if (step.kind === 'put') {
          book.apply({ kind: 'put', token: tokens[step.index].record });
          held.add(step.index);
        } else if (step.kind === 'revoke') {
          const { device, id } = tokens[step.index].record;
          book.apply({ kind: 'revoke', device, id });
          held.delete(step.index);
        } else {
          book.apply({ kind: 'revoke', device: step.device, id: null });
          for (const [index, { record }] of tokens.entries()) if (record.device === step.device) held.delete(index);
        }
      }
      expect(book.size).toBe(held.size);
      for (const [index, { token, record }] of tokens.entries()) {
        expect(book.find(token, now) !== null).toBe(held.has(index));
        expect(book.verify(record.device, token, now) !== null).toBe(held.has(index));
      }
      expect(book.hasTokens('a')).toBe([...held].some((index) => index < 3));
    }),
  );
});
