import type { Transition } from '../../src/domain/alert.ts';
import type { Webhook } from '../../src/domain/webhook.ts';

/** An enabled webhook for every alert; `change` says what is different. */
export function sampleWebhook(change: Partial<Webhook> = {}): Webhook {
  return {
    id: 'wh_1',
    url: 'http://127.0.0.1:9/hook',
    events: ['alert.*'],
    format: 'standard',
    enabled: true,
    description: '',
    createdAt: '2026-09-21T12:00:00.000Z',
    updatedAt: '2026-09-21T12:00:00.000Z',
    ...change,
  };
}

/** The transition number `sequence` of a rule on a device's heart rate: odd ones fire, even ones resolve. */
export function sampleTransition(
  sequence = 1,
  change: { readonly rule?: string; readonly device?: string } = {},
): Transition {
  const firing = sequence % 2 === 1;
  const at = Date.UTC(2026, 8, 21, 12, 0, sequence);
  return {
    id: `trn_${sequence}`,
    type: firing ? 'alert.firing' : 'alert.resolved',
    sequence,
    at,
    alert: {
      id: `alr_${Math.ceil(sequence / 2)}`,
      rule: { id: change.rule ?? 'rule_1', name: 'Racing heart' },
      device: change.device ?? 'wearable-01',
      metric: 'heart_rate',
      severity: 'critical',
      state: firing ? 'firing' : 'resolved',
      value: firing ? 131 : 110,
      threshold: 120,
      startedAt: firing ? at : at - 1_000,
      firedAt: firing ? at : at - 1_000,
      resolvedAt: firing ? null : at,
      reason: firing ? null : 'cleared',
    },
  };
}
