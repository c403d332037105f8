import { showAlert } from '../contract/alert.ts';
import type { AlertWebhookBody } from '../contract/webhook-body.ts';
import type { Transition } from '../domain/alert.ts';
import type { Delivery } from '../domain/delivery.ts';
import type { Webhook } from '../domain/webhook.ts';
import { takersOf } from './takers.ts';

export interface DeliveryPlan {
  /** In the order in which they happened. */
  readonly transitions: readonly Transition[];
  readonly webhooks: readonly Webhook[];
  /** Of the commit that the transitions are part of. */
  readonly cursor: string;
  /** Receipt time of that commit, epoch ms. */
  readonly at: number;
  /** What people call the device; "" when nobody named it. */
  readonly nameOf: (device: string) => string;
  /** Where people reach the dashboard, or null when nobody said. */
  readonly publicUrl: string | null;
  /** Gives an id without a dot. */
  readonly newId: (prefix: 'dlv') => string;
}

/**
 * The deliveries that transitions make: one for every enabled webhook whose `events` match. Pure; what it returns exists
 * once the commit does.
 *
 * Ids are handed out ascending within the plan. The store lists pending deliveries by (commit, id), so its order is the
 * order in which things happened also within one commit, and a page never ends between two deliveries in the wrong order.
 */
export function planDeliveries(plan: DeliveryPlan): Delivery[] {
  if (plan.transitions.length === 0) return [];
  const takersFor = takersOf(plan.webhooks);
  const drafts: Omit<Delivery, 'id'>[] = [];
  for (const transition of plan.transitions) {
    const takers = takersFor(transition.type);
    if (takers.length === 0) continue;
    const body = JSON.stringify(bodyOf(transition, plan));
    for (const webhookId of takers) {
      drafts.push({
        webhookId,
        type: transition.type,
        orderKey: orderKeyOf(transition),
        sequence: transition.sequence,
        body,
        createdAt: plan.at,
      });
    }
  }
  const ids = drafts.map(() => plan.newId('dlv')).sort();
  return drafts.map((draft, index) => ({ id: ids[index] ?? '', ...draft }));
}

function bodyOf(transition: Transition, plan: DeliveryPlan): AlertWebhookBody {
  const { alert } = transition;
  return {
    type: transition.type,
    timestamp: new Date(transition.at).toISOString(),
    data: {
      alert: {
        ...showAlert(alert),
        deviceName: plan.nameOf(alert.device) || alert.device,
        url: alertUrl(plan.publicUrl, alert.id),
      },
      sequence: transition.sequence,
      cursor: plan.cursor,
    },
  };
}

/** Rule and series. Neither a rule id nor a device id contains a slash. */
function orderKeyOf({ alert }: Transition): string {
  return `${alert.rule.id}/${alert.device}/${alert.metric}`;
}

function alertUrl(publicUrl: string | null, id: string): string | null {
  return publicUrl === null ? null : `${publicUrl.replace(/\/+$/, '')}/#/alerts/${id}`;
}
