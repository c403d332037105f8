import { describe, expect, it } from 'vitest';
import { randomId, seededRandom } from '../../src/base/random.ts';
import { AlertWebhookBody } from '../../src/contract/webhook-body.ts';
import type { Delivery } from '../../src/domain/delivery.ts';
import { type DeliveryPlan, planDeliveries } from '../../src/webhooks/plan.ts';
import { sampleTransition, sampleWebhook } from '../support/webhook-samples.ts';

const random = seededRandom(7);

function plan(change: Partial<DeliveryPlan>): Delivery[] {
  return planDeliveries({
    transitions: [sampleTransition()],
    webhooks: [sampleWebhook()],
    cursor: 'k3J9:42',
    at: 1_790_000_000_000,
    publicUrl: 'https://gateway.example/',
    nameOf: () => '',
    newId: (prefix) => randomId(prefix, random),
    ...change,
  });
}

it('calls a device by the name that people gave it, and by its id where they gave none', () => {
  const [named] = plan({ nameOf: (device) => `Fridge, not ${device}` });
  const [unnamed] = plan({});
  const device = sampleTransition().alert.device;
  expect(JSON.parse(named.body)).toMatchObject({ data: { alert: { device, deviceName: `Fridge, not ${device}` } } });
  expect(JSON.parse(unnamed.body)).toMatchObject({ data: { alert: { device, deviceName: device } } });
});

describe('a plan', () => {
  it('makes one delivery for every transition and every enabled webhook that wants its type', () => {
    const deliveries = plan({
      transitions: [sampleTransition(1), sampleTransition(2)],
      webhooks: [
        sampleWebhook({ id: 'wh_all' }),
        sampleWebhook({ id: 'wh_firing', events: ['alert.firing'] }),
        sampleWebhook({ id: 'wh_both', events: ['alert.resolved', '*.firing'] }),
        sampleWebhook({ id: 'wh_other', events: ['device.*'] }),
        sampleWebhook({ id: 'wh_none', events: [] }),
        sampleWebhook({ id: 'wh_off', enabled: false }),
      ],
    });
    expect(deliveries.map((delivery) => `${delivery.webhookId} ${delivery.type} ${delivery.sequence}`)).toEqual([
      'wh_all alert.firing 1',
      'wh_firing alert.firing 1',
      'wh_both alert.firing 1',
      'wh_all alert.resolved 2',
      'wh_both alert.resolved 2',
    ]);
  });

  it('without transitions or without webhooks makes nothing', () => {
    expect(plan({ transitions: [] })).toEqual([]);
    expect(plan({ webhooks: [] })).toEqual([]);
  });

  it('writes the alert as REST shows it, with the device, a link, the sequence and the cursor', () => {
    const [delivery] = plan({});
    const body = AlertWebhookBody.parse(JSON.parse(delivery?.body ?? ''));
    expect(body).toEqual({
      type: 'alert.firing',
      timestamp: '2026-09-21T12:00:01.000Z',
      data: {
        alert: {
          id: 'alr_1',
          rule: { id: 'rule_1', name: 'Racing heart' },
          device: 'wearable-01',
          deviceName: 'wearable-01',
          metric: 'heart_rate',
          unit: '/min',
          severity: 'critical',
          state: 'firing',
          value: 131,
          threshold: 120,
          startedAt: '2026-09-21T12:00:01.000Z',
          firedAt: '2026-09-21T12:00:01.000Z',
          resolvedAt: null,
          reason: null,
          url: 'https://gateway.example/#/alerts/alr_1',
        },
        sequence: 1,
        cursor: 'k3J9:42',
      },
    });
    expect(delivery).toMatchObject({ createdAt: 1_790_000_000_000, orderKey: 'rule_1/wearable-01/heart_rate' });
    expect(JSON.parse(plan({ publicUrl: null })[0]?.body ?? '')).toMatchObject({ data: { alert: { url: null } } });
  });

  it('gives different rules and series different order keys, and one rule and series always the same', () => {
    const keys = plan({
      transitions: [
        sampleTransition(1),
        sampleTransition(2),
        sampleTransition(1, { device: 'wearable-02' }),
        sampleTransition(1, { rule: 'rule_2' }),
      ],
    }).map((delivery) => delivery.orderKey);
    expect(keys[0]).toBe(keys[1]);
    expect(new Set(keys).size).toBe(3);
  });

  it('hands out ids without a dot that ascend in the order of what happened', () => {
    const ids = plan({ transitions: Array.from({ length: 200 }, (_, index) => sampleTransition(index + 1)) }).map(
      (delivery) => delivery.id,
    );
    expect(new Set(ids).size).toBe(200);
    expect(ids).toEqual(ids.toSorted());
    expect(ids.filter((id) => !/^dlv_[A-Za-z0-9]{20}$/.test(id))).toEqual([]);
  });
});
