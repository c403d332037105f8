import { Buffer } from 'node:buffer';
import { RejectedError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';

const prefix = 'whsec_';
const bytesMin = 24;
const bytesMax = 64;

/** A fresh secret as the receiver gets to see it: `whsec_` and 32 random bytes in base64 (Standard Webhooks 1.0). */
export function newWebhookSecret(random: Random): string {
  return prefix + Buffer.from(random.bytes(32)).toString('base64');
}

/** The key inside a `whsec_` secret. Throws `RejectedError` (`validation_failed`) that says what a secret looks like. */
export function parseWebhookSecret(secret: string): Buffer {
  const encoded = secret.startsWith(prefix) ? secret.slice(prefix.length) : '';
  const key = Buffer.from(encoded, 'base64');
  // Buffer skips what is not base64; encoding again shows whether anything was skipped.
  const exact = key.toString('base64').replace(/=+$/, '') === encoded.replace(/=+$/, '');
  if (!exact || key.length < bytesMin || key.length > bytesMax) {
    throw new RejectedError(
      'validation_failed',
      `a webhook secret is "${prefix}" and the base64 of ${bytesMin} to ${bytesMax} bytes`,
    );
  }
  return key;
}
