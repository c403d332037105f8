import type { Delivery } from '../contract/webhook.ts';

/** What became of some deliveries. */
export interface DeliveryTally {
  readonly succeeded: number;
  readonly failed: number;
  readonly pending: number;
  /** Succeeded among those decided; null while none is. */
  readonly success: number | null;
}

export function tallyDeliveries(deliveries: readonly Pick<Delivery, 'state'>[]): DeliveryTally {
  const count = (state: Delivery['state']): number => deliveries.filter((delivery) => delivery.state === state).length;
  const succeeded = count('succeeded');
  const failed = count('failed');
  const decided = succeeded + failed;
  return { succeeded, failed, pending: count('pending'), success: decided === 0 ? null : succeeded / decided };
}
