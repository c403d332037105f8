import type { Random } from '../base/random.ts';
import type { KeyRecord, KeyScope } from '../domain/key.ts';
import type { TopicRights } from '../domain/principal.ts';
import { hashOf, isSameHash, newSecret, readSecret } from './secret-text.ts';

/** What a person decides about a key; the rest of its record is made here. */
export interface KeyFacts {
  readonly name: string;
  /** RFC 3339. */
  readonly createdAt: string;
  /** Left out: `admin`. */
  readonly scopes?: readonly KeyScope[] | undefined;
  /** Left out: nothing on MQTT, which an `admin` key does not need to be given. */
  readonly mqtt?: TopicRights | undefined;
  /** RFC 3339; left out or null: never. */
  readonly expiresAt?: string | null | undefined;
}

const nothing: TopicRights = { publish: [], subscribe: [] };
const everything: TopicRights = { publish: ['#'], subscribe: ['#'] };

/** Makes a key, `pulse_…` (see `secret-text.ts`). The key itself is shown once and kept nowhere. */
export function newKey(random: Random, facts: KeyFacts): { readonly key: string; readonly record: KeyRecord } {
  const { text, id, hash } = newSecret('pulse', random);
  const { name, createdAt, scopes = ['admin'], mqtt = nothing, expiresAt = null } = facts;
  return { key: text, record: { id, hash, name, createdAt, scopes, mqtt, expiresAt } };
}

/**
 * The record of a secret that the operator chose (`access.adminKey`), so that a gateway without a shell has its first key.
 * It may be a generated key or any text; nothing but `access.failuresPerMinute` protects a short one.
 */
export function adminKeyRecord(secret: string, createdAt: string): KeyRecord {
  const name = 'admin key of the configuration';
  return { id: 'admin', hash: hashOf(secret), name, createdAt, scopes: ['admin'], mqtt: everything, expiresAt: null };
}

/** Whether a text can be a key at all, known without looking anything up. */
export type KeyShape = { readonly kind: 'key'; readonly id: string } | { readonly kind: 'mistyped' | 'other' };

export function readKey(text: string): KeyShape {
  const shape = readSecret('pulse', text);
  return shape.kind === 'whole' ? { kind: 'key', id: shape.id } : { kind: shape.kind };
}

/** The record that the presented text belongs to, or null. Takes the same time whichever record it is. */
export function verifyKey(presented: string, records: readonly KeyRecord[]): KeyRecord | null {
  const hash = hashOf(presented);
  let found: KeyRecord | null = null;
  for (const record of records) {
    if (isSameHash(record.hash, hash)) found = record;
  }
  return found;
}

/** Whether the key has run out at `now`, epoch ms. A date that cannot be read has. */
export function isExpired(record: Pick<KeyRecord, 'expiresAt'>, now: number): boolean {
  return record.expiresAt !== null && !(Date.parse(record.expiresAt) > now);
}

/** `admin` is every scope. */
export function hasScope(record: Pick<KeyRecord, 'scopes'>, scope: KeyScope): boolean {
  return record.scopes.includes(scope) || record.scopes.includes('admin');
}

/** What the key may do on MQTT; null where it may not even connect. */
export function mqttRights(record: KeyRecord): TopicRights | null {
  if (record.scopes.includes('admin')) return everything;
  return record.scopes.includes('mqtt') ? record.mqtt : null;
}

/** Whether it could connect to the broker, and neither publish nor subscribe to anything there. */
export function isOfNoUse(record: Pick<KeyRecord, 'scopes' | 'mqtt'>): boolean {
  if (record.scopes.includes('admin') || !record.scopes.includes('mqtt')) return false;
  return record.mqtt.publish.length + record.mqtt.subscribe.length === 0;
}
