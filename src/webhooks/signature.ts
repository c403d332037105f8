import { createHmac } from 'node:crypto';
import { parseWebhookSecret } from '../domain/webhook-secret.ts';

/** What a signature covers. */
export interface Signed {
  /** `webhook-id`. Contains no dot, or the parts could be shifted against each other. */
  readonly id: string;
  /** `webhook-timestamp`: Unix seconds of this attempt. */
  readonly timestamp: number;
  /** The exact body that is sent. */
  readonly body: string;
}

/**
 * The `webhook-signature` header of Standard Webhooks 1.0: `v1,` and the base64 of HMAC-SHA256 over
 * `id.timestamp.body`, one for every secret with a space between, so that a receiver finds its own while secrets rotate.
 * Throws `RejectedError` for a malformed secret.
 */
export function signDelivery(signed: Signed, secrets: readonly string[]): string {
  const content = `${signed.id}.${signed.timestamp}.${signed.body}`;
  return secrets
    .map((secret) => `v1,${createHmac('sha256', parseWebhookSecret(secret)).update(content).digest('base64')}`)
    .join(' ');
}
