import { createHash, timingSafeEqual } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { type Random, randomId } from '../base/random.ts';

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const pattern = /^([a-z]+)_([0-9A-Za-z]{8})_[0-9A-Za-z]{36}$/;

/** A secret as it is shown, once, and what is kept of it. */
export interface NewSecret {
  readonly text: string;
  /** The eight characters after the prefix, which name the secret wherever it is shown. */
  readonly id: string;
  /** SHA-256 of the text, in hex. With 178 random bits a slow hash would protect nothing. */
  readonly hash: string;
}

/**
 * Makes `<prefix>_<id, 8>_<secret, 30><check, 6>`: a prefix that secret scanners find, no character at which a double
 * click stops, and a CRC-32 (base62) over all before it, so that what is mistyped is told from what is unknown.
 */
export function newSecret(prefix: string, random: Random): NewSecret {
  const id = letters(random, 8);
  const body = `${prefix}_${id}_${letters(random, 30)}`;
  const text = body + checkOf(body);
  return { text, id, hash: hashOf(text) };
}

/** Whether a text can be a secret with this prefix at all, known without looking anything up. */
export type SecretShape =
  | { readonly kind: 'whole'; readonly id: string }
  | { readonly kind: 'mistyped' | 'other'; readonly id?: undefined };

export function readSecret(prefix: string, text: string): SecretShape {
  if (!text.startsWith(`${prefix}_`)) return { kind: 'other' };
  const [, before, id] = pattern.exec(text) ?? [];
  if (before !== prefix || checkOf(text.slice(0, -6)) !== text.slice(-6)) return { kind: 'mistyped' };
  return { kind: 'whole', id };
}

/** SHA-256 in hex. */
export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Compares hashes in hex without telling by its duration where they differ. */
export function isSameHash(left: string, right: string): boolean {
  const [one, other] = [Buffer.from(left, 'hex'), Buffer.from(right, 'hex')];
  return one.length === 32 && other.length === 32 && timingSafeEqual(one, other);
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
