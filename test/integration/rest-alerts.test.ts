// Rules, alerts, webhooks and deliveries of a whole gateway.
import { describe, expect, test } from 'vitest';
import { AlertDetail, AlertList } from '../../src/contract/alert-list.ts';
import { StreamPage } from '../../src/contract/reading.ts';
import { Rule, RuleList } from '../../src/contract/rule.ts';
import { AlertWebhookBody } from '../../src/contract/webhook-body.ts';
import { DeliveryDetail, DeliveryList, Webhook, WebhookCreated, WebhookList } from '../../src/contract/webhook.ts';
import { expectProblem } from '../support/api-problem.ts';
import { WebhookReceiver } from '../support/webhook-receiver.ts';
import { GatewayPerTest, type Sent } from '../support/gateway.ts';

const hourMs = 3_600_000;

const rig = new GatewayPerTest();
const { clock, http, noon } = rig;

const heat = (offset: number, value: number): Sent => {
  const time = noon - hourMs + offset;
  return { device: 'oven-1', metric: 'temperature', time, value };
};

describe('rules, alerts and webhooks', () => {
  const draft = {
    name: 'Hot',
    device: 'oven-*',
    metric: 'temperature',
    condition: { type: 'threshold', above: 200, clearBelow: 180 },
    for: '10s',
    severity: 'critical',
  };

  test('a rule is made, changed and deleted, and what it watches follows at once', async () => {
    const answer = await http.send('POST', '/api/v1/rules', draft);
    const rule = Rule.parse(answer.json());
    expect(answer.status).toBe(201);
    expect(answer.headers.location).toBe(`/api/v1/rules/${rule.id}`);
    expect(rule).toEqual({ ...draft, id: rule.id, enabled: true, createdAt: rig.at(0), updatedAt: rig.at(0) });
    const path = `/api/v1/rules/${rule.id}`;
    expect(await http.get(Rule, path)).toEqual(rule);
    expect((await http.get(RuleList, '/api/v1/rules')).items).toEqual([rule]);

    await rig.post([heat(0, 250), heat(9_999, 250)]);
    expect((await http.get(AlertList, '/api/v1/alerts')).items).toEqual([]);
    const patched = await http.send('PATCH', path, { for: '5s' });
    expect(patched.status).toBe(200);
    await rig.post([heat(10_500, 199), heat(11_000, 201), heat(16_000, 230)]);
    const { items } = await http.get(AlertList, `/api/v1/alerts?rule=${rule.id}&device=oven-*&state=firing`);
    expect(items).toMatchObject([
      { startedAt: rig.at(11_000 - hourMs), firedAt: rig.at(16_000 - hourMs), value: 230, threshold: 200, unit: 'Cel' },
    ]);

    clock.wall += 1_000;
    const removed = await http.ask(path, { method: 'DELETE' });
    expect([removed.status, removed.text]).toEqual([204, '']);
    expectProblem(await http.ask(path), 'not_found');
    // The alert ends with the commit that follows; the next reading is behind it.
    await rig.post([heat(20_000, 300)]);
    expect((await http.get(AlertList, '/api/v1/alerts')).items).toEqual([
      { ...items[0], state: 'resolved', resolvedAt: rig.at(1_000), reason: 'rule_deleted' },
    ]);
  });

  test('a rule that cannot work is refused with every fault', async () => {
    const worse = {
      ...draft,
      device: 'oven 1',
      condition: { type: 'threshold', above: 1, clearBelow: 2 },
      for: 'long',
    };
    const problem = expectProblem(await http.send('POST', '/api/v1/rules', worse), 'validation_failed');
    expect(problem.errors?.map(({ pointer }) => pointer)).toEqual(['/device', '/condition/clearBelow', '/for']);
    const shape = { ...draft, condition: { type: 'threshold', above: '1' }, colour: 'red' };
    const refused = expectProblem(await http.send('POST', '/api/v1/rules', shape), 'validation_failed');
    expect(new Set(refused.errors?.map(({ pointer }) => pointer))).toEqual(new Set(['/colour', '/condition/above']));
    expect((await http.get(RuleList, '/api/v1/rules')).items).toEqual([]);
  });

  test('an episode reaches the webhook as it stands in REST, and its deliveries say so', async () => {
    const receiver = await WebhookReceiver.open();
    try {
      await http.post(Rule, '/api/v1/rules', draft, 201);
      const { secret, ...webhook } = await http.post(WebhookCreated, '/api/v1/webhooks', { url: receiver.url }, 201);
      expect(secret).toMatch(/^whsec_/);
      const path = `/api/v1/webhooks/${webhook.id}`;
      expect(await http.get(Webhook, path)).toEqual(webhook);
      expect((await http.get(WebhookList, '/api/v1/webhooks')).items).toEqual([webhook]);

      await rig.post([heat(0, 250), heat(10_000, 260)]);
      const [firing] = (await http.get(AlertList, '/api/v1/alerts')).items;
      await rig.post([heat(20_000, 170)]);
      const [resolved] = (await http.get(AlertList, '/api/v1/alerts')).items;
      await receiver.received(2);
      const bodies = receiver.requests.map(({ body }) => AlertWebhookBody.parse(JSON.parse(body)));
      expect(bodies).toMatchObject([
        { type: 'alert.firing', timestamp: rig.at(10_000 - hourMs), data: { sequence: 1, alert: firing } },
        { type: 'alert.resolved', timestamp: rig.at(20_000 - hourMs), data: { sequence: 2, alert: resolved } },
      ]);
      expect(resolved).toMatchObject({ id: firing?.id, state: 'resolved', value: 170, reason: 'cleared' });
      const { transitions } = await http.get(AlertDetail, `/api/v1/alerts/${resolved?.id}`);
      expect(transitions.map(({ type }) => type)).toEqual(['alert.firing', 'alert.resolved']);

      let items: DeliveryList['items'] = [];
      while (items.length < 2) ({ items } = await http.get(DeliveryList, `${path}/deliveries?state=succeeded`));
      expect(items.map(({ id }) => id)).toEqual(receiver.ids.toReversed());
      for (const [index, { id }] of items.toReversed().entries()) {
        const delivery = await http.get(DeliveryDetail, `/api/v1/deliveries/${id}`);
        expect(delivery).toMatchObject({
          webhook: webhook.id,
          sequence: index + 1,
          state: 'succeeded',
          attemptCount: 1,
          nextAttemptAt: null,
          body: receiver.requests[index]?.body,
          attempts: [{ number: 1, outcome: 'succeeded', status: 204, error: null }],
        });
        expect(bodies[index]?.data.cursor).toBe(delivery.cursor);
      }
      // From the cursor of the first the stream goes on with what resolved it.
      const after = await http.get(StreamPage, `/api/v1/stream?since=${bodies[0]?.data.cursor}`);
      expect(after.readings.map(({ value }) => value)).toEqual([170]);

      expect((await http.send('PATCH', path, { enabled: false })).status).toBe(200);
      await rig.post([heat(30_000, 250), heat(40_000, 250), heat(50_000, 1)]);
      expect((await http.get(DeliveryList, `${path}/deliveries`)).items).toHaveLength(2);
      expect((await http.ask(path, { method: 'DELETE' })).status).toBe(204);
      expectProblem(await http.ask(`${path}/deliveries`), 'not_found');
      expect(receiver.requests).toHaveLength(2);
    } finally {
      await receiver.close();
    }
  });

  test('a webhook is refused for a target that is not allowed', async () => {
    for (const url of ['http://10.0.0.7/hook', 'ftp://example.org/', 'http://169.254.169.254/latest']) {
      const problem = expectProblem(await http.send('POST', '/api/v1/webhooks', { url }), 'target_not_allowed');
      expect(problem.errors).toMatchObject([{ pointer: '/url' }]);
    }
    expect((await http.get(WebhookList, '/api/v1/webhooks')).items).toEqual([]);
  });
});
