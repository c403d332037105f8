import type { DeviceWebhookBody } from '../contract/webhook-body.ts';
import type { Delivery } from '../domain/delivery.ts';
import type { StatusChange } from '../domain/device.ts';
import type { Webhook } from '../domain/webhook.ts';
import { takersOf } from './takers.ts';

export interface DevicePlan {
  readonly changes: readonly StatusChange[];
  readonly webhooks: readonly Webhook[];
  /** The commit that the changes are part of: its number, its cursor, and its time of receipt, epoch ms. */
  readonly seq: number;
  readonly cursor: string;
  readonly at: number;
  /** What else is known of a device: `name` is "" where nobody gave it one, `lastSeen` in epoch ms, null when nothing ever came. */
  readonly describe: (device: string) => { readonly name: string; readonly lastSeen: number | null };
  /** Gives an id without a dot. */
  readonly newId: (prefix: 'dlv') => string;
}

/**
 * The deliveries that devices make which came or went: one for every enabled webhook whose `events` match. Pure. A device
 * changes at most once in a commit, so the number of the commit serves as its sequence.
 */
export function planDeviceDeliveries(plan: DevicePlan): Delivery[] {
  if (plan.changes.length === 0) return [];
  const takers = takersOf(plan.webhooks);
  return plan.changes.flatMap((change) => {
    const type = `device.${change.status}` as const;
    const endpoints = takers(type);
    if (endpoints.length === 0) return [];
    const body = JSON.stringify(bodyOf(change, plan));
    return endpoints.map((webhookId) => ({
      id: plan.newId('dlv'),
      webhookId,
      type,
      // No rule id is empty, so this is the line of no alert.
      orderKey: `/${change.device}`,
      sequence: plan.seq,
      body,
      createdAt: plan.at,
    }));
  });
}

function bodyOf({ device, status, cause, at }: StatusChange, { describe, seq, cursor }: DevicePlan): DeviceWebhookBody {
  const { name, lastSeen } = describe(device);
  const since = new Date(at).toISOString();
  return {
    type: `device.${status}`,
    timestamp: since,
    data: {
      device: {
        id: device,
        name: name === '' ? device : name,
        state: status,
        since,
        cause,
        lastSeen: lastSeen === null ? null : new Date(lastSeen).toISOString(),
      },
      sequence: seq,
      cursor,
    },
  };
}
