import { describe, expect, it } from 'vitest';
import { randomId, seededRandom } from '../../src/base/random.ts';
import { DeviceWebhookBody, WebhookBody } from '../../src/contract/webhook-body.ts';
import type { StatusChange } from '../../src/domain/device.ts';
import { type DevicePlan, planDeviceDeliveries } from '../../src/webhooks/device-plan.ts';
import { sampleWebhook } from '../support/webhook-samples.ts';

const random = seededRandom(7);
const at = Date.UTC(2026, 8, 21, 12);

const gone: StatusChange = { device: 'fridge-1', status: 'offline', cause: 'silent', at, previous: 'online' };

function plan(change: Partial<DevicePlan>): ReturnType<typeof planDeviceDeliveries> {
  return planDeviceDeliveries({
    changes: [gone],
    webhooks: [sampleWebhook({ events: ['device.*'] })],
    seq: 42,
    cursor: 'k3J9:42',
    at: at + 5,
    describe: () => ({ name: 'Fridge in the hall', lastSeen: at - 300_000 }),
    newId: (prefix) => randomId(prefix, random),
    ...change,
  });
}

describe('a device that came or went', () => {
  it('is told to every enabled webhook that wants its type', () => {
    const deliveries = plan({
      changes: [gone, { ...gone, device: 'fridge-2', status: 'online', cause: 'connected' }],
      webhooks: [
        sampleWebhook({ id: 'wh_all', events: ['*'] }),
        sampleWebhook({ id: 'wh_offline', events: ['device.offline'] }),
        sampleWebhook({ id: 'wh_alerts' }),
        sampleWebhook({ id: 'wh_off', events: ['device.*'], enabled: false }),
      ],
    });
    expect(deliveries.map(({ webhookId, type, orderKey }) => `${webhookId} ${type} ${orderKey}`)).toEqual([
      'wh_all device.offline /fridge-1',
      'wh_offline device.offline /fridge-1',
      'wh_all device.online /fridge-2',
    ]);
    expect(new Set(deliveries.map(({ id }) => id)).size).toBe(3);
  });

  it('is written with its name, state, cause and when it was last seen', () => {
    const [delivery] = plan({});
    const body = JSON.parse(delivery?.body ?? '');
    expect(DeviceWebhookBody.parse(body)).toEqual({
      type: 'device.offline',
      timestamp: '2026-09-21T12:00:00.000Z',
      data: {
        device: {
          id: 'fridge-1',
          name: 'Fridge in the hall',
          state: 'offline',
          since: '2026-09-21T12:00:00.000Z',
          cause: 'silent',
          lastSeen: '2026-09-21T11:55:00.000Z',
        },
        sequence: 42,
        cursor: 'k3J9:42',
      },
    });
    expect(WebhookBody.parse(body).type).toBe('device.offline');
    expect(delivery).toMatchObject({ sequence: 42, createdAt: at + 5 });
    const never = plan({ describe: () => ({ name: 'x', lastSeen: null }) });
    expect(JSON.parse(never[0]?.body ?? '')).toMatchObject({ data: { device: { lastSeen: null } } });
  });

  it('is called by its id where nobody gave it a name', () => {
    const [delivery] = plan({ describe: () => ({ name: '', lastSeen: null }) });
    expect(JSON.parse(delivery?.body ?? '')).toMatchObject({ data: { device: { name: 'fridge-1' } } });
  });

  it('makes nothing without changes or without anybody to tell', () => {
    expect([plan({ changes: [] }), plan({ webhooks: [] })]).toEqual([[], []]);
  });
});
