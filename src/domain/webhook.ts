/** A registered webhook URL, as the catalog keeps it; its secret is kept apart. */
export interface Webhook {
  readonly id: string;
  readonly url: string;
  /** Event type globs: `alert.*`, `alert.firing`. */
  readonly events: readonly string[];
  readonly format: 'standard';
  readonly enabled: boolean;
  readonly description: string;
  /** RFC 3339. */
  readonly createdAt: string;
  readonly updatedAt: string;
}

export const alertEventTypes = ['alert.firing', 'alert.resolved'] as const;
export const deviceEventTypes = ['device.online', 'device.offline'] as const;

export const webhookEventTypes = [...alertEventTypes, ...deviceEventTypes] as const;
export type WebhookEventType = (typeof webhookEventTypes)[number];
