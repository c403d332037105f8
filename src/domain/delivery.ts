import type { WebhookEventType } from './webhook.ts';

/** One occurrence for one endpoint. Born in the commit of its transition. */
export interface Delivery {
  /** The `webhook-id`: stable over retries and restarts. Never contains a dot. */
  readonly id: string;
  readonly webhookId: string;
  readonly type: WebhookEventType;
  /** Deliveries of one endpoint with the same key (rule and series) are sent in order. */
  readonly orderKey: string;
  readonly sequence: number;
  /** The exact body that is signed and sent. */
  readonly body: string;
  /** Receipt time of the commit, epoch ms. */
  readonly createdAt: number;
}

export type DeliveryState = 'pending' | 'succeeded' | 'failed' | 'cancelled';

/** A delivery with what has become of it. */
export interface DeliveryRecord extends Delivery {
  /** The commit that made it. */
  readonly seq: number;
  readonly state: DeliveryState;
  readonly attempts: number;
  /** When it is tried next (epoch ms); null unless pending. 0 means now. */
  readonly nextAttemptAt: number | null;
}

/** One try of a delivery, and what it means for the delivery. */
export interface Attempt {
  readonly deliveryId: string;
  readonly webhookId: string;
  /** From 1. */
  readonly number: number;
  /** Epoch ms. */
  readonly startedAt: number;
  readonly durationMs: number;
  /** `retry`: it stays pending and is tried again at `nextAttemptAt`; `failed`: given up. */
  readonly outcome: 'succeeded' | 'retry' | 'failed';
  /** HTTP status, or null when none came. */
  readonly status: number | null;
  /** A class (`timeout`, `connection_refused`, `target_not_allowed`, …), never an inner detail of the network. */
  readonly error: string | null;
  /** The first 4 KiB of the answer as text; null when there was none. */
  readonly excerpt: string | null;
  readonly nextAttemptAt: number | null;
}
