import { Buffer } from 'node:buffer';
import { createHash, timingSafeEqual } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { Random } from '../base/random.ts';
import { randomId } from '../base/random.ts';
import type { KeyRecord } from '../domain/key.ts';

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const keyPattern = /^pulse_([0-9A-Za-z]{8})_[0-9A-Za-z]{36}$/;

/**
 * Makes a key, `pulse_<id, 8>_<secret, 30><check, 6>`: a prefix that secret scanners find, no character at which a double
 * click stops, and a CRC-32 (base62) over all before it, so that a mistyped key is told from an unknown one. The key
 * itself is shown once and kept nowhere.
 */
export function newKey(
  random: Random,
  facts: { readonly name: string; readonly createdAt: string },
): { readonly key: string; readonly record: KeyRecord } {
  const id = letters(random, 8);
  const body = `pulse_${id}_${letters(random, 30)}`;
  const key = body + checkOf(body);
  return { key, record: { id, hash: hashOf(key), ...facts } };
}

/**
 * The record of a secret that the operator chose (`access.adminKey`), so that a gateway without a shell has its first key.
 * It may be a generated key or any text; how long it must be is for the configuration to say.
 */
export function adminKeyRecord(secret: string, createdAt: string): KeyRecord {
  return { id: 'admin', hash: hashOf(secret), name: 'admin key of the configuration', createdAt };
}

/** Whether a text can be a key at all, known without looking anything up. */
export type KeyShape = { readonly kind: 'key'; readonly id: string } | { readonly kind: 'mistyped' | 'other' };

export function readKey(text: string): KeyShape {
  const [, id] = keyPattern.exec(text) ?? [];
  if (id === undefined) return { kind: text.startsWith('pulse_') ? 'mistyped' : 'other' };
  return checkOf(text.slice(0, -6)) === text.slice(-6) ? { kind: 'key', id } : { kind: 'mistyped' };
}

/** The record that the presented text belongs to, or null. Takes the same time whichever record it is. */
export function verifyKey(presented: string, records: readonly KeyRecord[]): KeyRecord | null {
  const hash = Buffer.from(hashOf(presented), 'hex');
  let found: KeyRecord | null = null;
  for (const record of records) {
    const kept = Buffer.from(record.hash, 'hex');
    if (kept.length === hash.length && timingSafeEqual(kept, hash)) found = record;
  }
  return found;
}

function hashOf(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

/** CRC-32 as six base62 digits (62^6 > 2^32). */
function checkOf(body: string): string {
  let rest = crc32(body);
  let digits = '';
  for (let place = 0; place < 6; place++) {
    digits = alphabet[rest % 62] + digits;
    rest = Math.floor(rest / 62);
  }
  return digits;
}

function letters(random: Random, count: number): string {
  let text = '';
  while (text.length < count) text += randomId('', random).slice(1);
  return text.slice(0, count);
}
