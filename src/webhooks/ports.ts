import type { Attempt, DeliveryRecord } from '../domain/delivery.ts';
import type { Webhook } from '../domain/webhook.ts';

/** What the courier needs of the store. */
export interface DeliveryStore {
  /** Pending deliveries of one webhook, ascending by (`seq`, id), strictly after `after`; sees every finished commit. */
  pending(query: PendingQuery): Promise<readonly DeliveryRecord[]>;
  /**
   * Resolves once the attempt, and with it the new state of its delivery, is committed. The same attempt may come twice
   * (delivery id and number), after a rejection that said nothing about what was written.
   */
  record(attempt: Attempt): Promise<void>;
}

export interface PendingQuery {
  readonly webhookId: string;
  readonly after: DeliveryPosition | undefined;
  readonly limit: number;
}

/** Where a delivery stands in the order of commits. */
export interface DeliveryPosition {
  readonly seq: number;
  readonly id: string;
}

/** The webhooks as people have them now. */
export interface WebhookDirectory {
  webhooks(): Iterable<Webhook>;
  webhook(id: string): Webhook | undefined;
  /** The newest first; more than one while secrets rotate, none when it was lost. */
  secrets(webhookId: string): readonly string[];
}

/** Negative when `left` comes first. */
export function comparePositions(left: DeliveryPosition, right: DeliveryPosition): number {
  if (left.seq !== right.seq) return left.seq - right.seq;
  return left.id < right.id ? -1 : left.id > right.id ? 1 : 0;
}
