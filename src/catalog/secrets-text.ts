import { z } from 'zod';
import type { KeyRecord } from '../domain/key.ts';
import { Id } from './catalog-text.ts';
import { readVersioned } from './schema-faults.ts';

/** What nobody else may read: `secrets.json`. */
export interface SecretsContents {
  readonly version: 1;
  /** By webhook id; the newest secret first. */
  readonly webhooks: Readonly<Record<string, readonly string[]>>;
  readonly keys: readonly KeyRecord[];
}

export const emptySecrets: SecretsContents = { version: 1, webhooks: {}, keys: [] };

const schema = z.strictObject({
  version: z.literal(1),
  webhooks: z.record(
    Id,
    z.array(z.string().regex(/^whsec_[A-Za-z0-9+/]{32,}={0,2}$/, 'a secret is "whsec_" and base64')).min(1),
  ),
  keys: z.array(
    z.strictObject({
      id: Id,
      hash: z.string().regex(/^[0-9a-f]{64}$/, 'a hash is 64 hexadecimal digits'),
      name: z.string(),
      createdAt: z.string(),
    }),
  ),
});

/** Reads `secrets.json`. Throws `FileFaults`, whose sentences never repeat a value. */
export function readSecretsText(text: string): SecretsContents {
  return readVersioned(text, schema, () => []);
}

export function writeSecretsText(contents: SecretsContents): string {
  return `${JSON.stringify(contents, null, 2)}\n`;
}
