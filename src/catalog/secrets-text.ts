import { z } from 'zod';
import { type KeyRecord, keyScopes } from '../domain/key.ts';
import type { ProvisioningKey } from '../domain/registration.ts';
import { Name } from '../contract/profile.ts';
import { Id } from './catalog-text.ts';
import { readVersioned } from './schema-faults.ts';

/** What nobody else may read: `secrets.json`. */
export interface SecretsContents {
  readonly version: 1;
  /** By webhook id; the newest secret first. */
  readonly webhooks: Readonly<Record<string, readonly string[]>>;
  readonly keys: readonly KeyRecord[];
  readonly provisioningKeys: readonly ProvisioningKey[];
}

export const emptySecrets: SecretsContents = { version: 1, webhooks: {}, keys: [], provisioningKeys: [] };

const hash = z.string().regex(/^[0-9a-f]{64}$/, 'a hash is 64 hexadecimal digits');
const filters = z.array(z.string().min(1).max(65_535));

const schema = z.strictObject({
  version: z.literal(1),
  webhooks: z.record(
    Id,
    z.array(z.string().regex(/^whsec_[A-Za-z0-9+/]{32,}={0,2}$/, 'a secret is "whsec_" and base64')).min(1),
  ),
  keys: z.array(
    z.strictObject({
      id: Id,
      hash,
      name: z.string(),
      createdAt: z.string(),
      // Keys from before there were scopes could do everything, and still can.
      scopes: z.array(z.enum(keyScopes)).default(['admin']),
      mqtt: z.strictObject({ publish: filters, subscribe: filters }).default({ publish: ['#'], subscribe: ['#'] }),
      expiresAt: z.string().nullable().default(null),
    }),
  ),
  provisioningKeys: z
    .array(
      z.strictObject({
        id: Id,
        name: z.string(),
        hash,
        profile: Name,
        approval: z.boolean(),
        devicesMax: z.int().min(1),
        createdAt: z.string(),
        expiresAt: z.string().nullable(),
      }),
    )
    .default([]),
});

/** Reads `secrets.json`. Throws `FileFaults`, whose sentences never repeat a value. */
export function readSecretsText(text: string): SecretsContents {
  return readVersioned(text, schema, () => []);
}

export function writeSecretsText(contents: SecretsContents): string {
  return `${JSON.stringify(contents, null, 2)}\n`;
}
