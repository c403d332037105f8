import { afterEach, beforeEach, expect, test } from 'vitest';
import { anySender } from '../../src/domain/principal.ts';
import type { Api } from '../../src/api/app.ts';
import type { HttpServer } from '../../src/api/server.ts';
import type { Alert } from '../../src/domain/alert.ts';
import { expectProblem, expectSafeHeaders } from '../support/api-problem.ts';
import { startApi, Strangers } from '../support/api-strangers.ts';
import { type Answer, type Ask, ask, send } from '../support/http-client.ts';

// Every success is parsed with the schema that the OpenAPI document shows for it, and must hold nothing beside it.

let strangers: Strangers;
let api: Api;
let server: HttpServer;
let port: number;
let now: number;

beforeEach(async () => {
  strangers = new Strangers();
  now = strangers.clock.now();
  ({ api, server, port } = await startApi(strangers));
});
afterEach(() => server.stop(1_000));

test('devices are listed by id with their state, and filtered by pattern and state', async () => {
  for (const device of ['fridge-2', 'wearable-1', 'fridge-1']) strangers.put(device, 'temperature', now, 4);
  const record = strangers.devices.get('fridge-1');
  if (record) {
    const attributes = { firmware: '1.2', cells: 2 };
    strangers.devices.set('fridge-1', { ...record, status: 'offline', statusAt: now - 5_000, attributes });
  }
  const all = await get('listDevices', '/api/v1/devices');
  expect(all.items.map(({ id, state }: { id: string; state: string }) => [id, state])).toEqual([
    ['fridge-1', 'offline'],
    ['fridge-2', 'unknown'],
    ['wearable-1', 'unknown'],
  ]);
  expect(all.items[0]).toMatchObject({
    stateSince: new Date(now - 5_000).toISOString(),
    attributes: { firmware: '1.2', cells: 2 },
    metricCount: 1,
  });
  expect((await get('listDevices', '/api/v1/devices?device=fridge-*&state=unknown')).items).toMatchObject([
    { id: 'fridge-2' },
  ]);
  expect(await get('getDevice', '/api/v1/devices/fridge-1')).toMatchObject({ metrics: ['temperature'] });
});

test('the latest values of a device carry unit and age, and an age is never negative', async () => {
  strangers.put('wearable-1', 'heart_rate', now - 120, 72);
  strangers.put('wearable-1', 'worn', now + 30_000, true);
  const { values } = await get('getDeviceLatest', '/api/v1/devices/wearable-1/latest');
  expect(Object.keys(values)).toEqual(['heart_rate', 'worn']);
  expect(values.heart_rate).toEqual({ value: 72, time: new Date(now - 120).toISOString(), unit: '/min', ageMs: 120 });
  expect(values.worn).toMatchObject({ value: true, unit: null, ageMs: 0 });
  const some = await get('getDeviceLatest', '/api/v1/devices/wearable-1/latest?metric=heart*');
  expect(Object.keys(some.values)).toEqual(['heart_rate']);
});

test('a metric called "__proto__" is a metric like any other', async () => {
  strangers.put('odd', '__proto__', now, 1);
  strangers.put('odd', 'constructor', now, 2);
  const { text } = await ask(port, '/api/v1/devices/odd/latest');
  expect(text).toContain('"values":{"__proto__":{"value":1,');
  expect(text).toContain('"constructor":{"value":2,');
});

test('the fleet latest gives the cursor from which a stream goes on', async () => {
  strangers.put('b', 'x', now, 1);
  strangers.put('a', 'x', now, 2);
  const fleet = await get('getFleetLatest', '/api/v1/latest?metric=x');
  expect(fleet).toMatchObject({ cursor: 'epoch:2', items: [{ device: 'a' }, { device: 'b' }], next: null });
  strangers.put('a', 'x', now + 1, 3);
  const stream = await get('pollStream', `/api/v1/stream?since=${fleet.cursor}`);
  expect(stream).toMatchObject({ cursor: 'epoch:3', readings: [{ device: 'a', value: 3 }], gap: null });
});

test('the range of readings is [from, to), in either order, by any way to write a time', async () => {
  for (let second = 0; second < 10; second++) strangers.put('a', 'x', now - 10_000 + second * 1_000, second);
  expect(await valuesOf('')).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(await valuesOf('from=-8s&to=-5s')).toEqual([2, 3, 4]);
  expect(await valuesOf(`from=${now - 8_000}&to=${new Date(now - 5_000).toISOString()}`)).toEqual([2, 3, 4]);
  expect(await valuesOf(`from=-8s&to=now-5s&order=desc`)).toEqual([4, 3, 2]);
  // 12:00:00Z as seen from Kathmandu, the plus sign not encoded.
  expect(await valuesOf('from=2026-09-21T17:44:58+05:45&order=asc')).toEqual([8, 9]);
  expect(await valuesOf('from=now&to=now')).toEqual([]);
});

test('a bucket shows the aggregates that were asked for, and only with a bucket', async () => {
  for (const [offset, value] of [
    [0, 1],
    [400, 3],
    [1_000, 10],
  ] as const)
    strangers.put('a', 'x', now + offset, value);
  const path = '/api/v1/devices/a/readings?metric=x&to=%2B1m&bucket=1s';
  expect((await get('getDeviceReadings', path)).buckets).toEqual([
    { time: new Date(now).toISOString(), avg: 2, min: 1, max: 3, count: 2 },
    { time: new Date(now + 1_000).toISOString(), avg: 10, min: 10, max: 10, count: 1 },
  ]);
  const some = await get('getDeviceReadings', `${path}&agg=last,sum,first`);
  expect(some.buckets[0]).toEqual({ time: new Date(now).toISOString(), sum: 4, first: 1, last: 3 });
  for (const query of ['bucket=1m&agg=medium', 'agg=avg', 'bucket=1m&order=desc']) {
    expectProblem(await ask(port, `/api/v1/devices/a/readings?metric=x&${query}`), 'parameter_invalid');
  }
  for (const bucket of ['0s', '0.5ms', '1mo', 'wide']) {
    expectProblem(await ask(port, `/api/v1/devices/a/readings?metric=x&bucket=${bucket}`), 'duration_invalid');
  }
});

test('an unknown metric of a known device is 404 and names the metrics that it has', async () => {
  strangers.put('a', 'humidity', now, 1);
  strangers.put('a', 'co2', now, 1);
  const problem = expectProblem(await ask(port, '/api/v1/devices/a/readings?metric=temperature'), 'not_found');
  expect(problem.detail).toContain('co2, humidity');
});

test('posted readings answer with the commit, and a refusal stores nothing', async () => {
  const rows = [1, 2].map((value) => ({ device: 'a', metric: 'x', time: now + value, value }));
  const stored = await valid('postReadings', await send(port, 'POST', '/api/v1/readings', rows), 200);
  expect(stored).toEqual({ cursor: 'epoch:2', stored: 2, replaced: 0, identical: 0 });

  const mixed = [
    { device: 'a', metric: 'x', time: now + 3, value: 'high' },
    { ...rows[0], time: now + 4 },
  ];
  const refused = expectProblem(await send(port, 'POST', '/api/v1/readings', mixed), 'value_invalid');
  expect(refused.errors).toEqual([{ pointer: '/0/value', code: 'value_invalid', detail: 'not a number' }]);
  expect(strangers.seq).toBe(2);

  const lines = mixed.map((row) => JSON.stringify(row)).join('\n');
  const headers = { 'content-type': 'application/x-ndjson' };
  const partial = await ask(port, '/api/v1/readings?partial=true', { method: 'POST', headers, body: lines });
  expect(await valid('postReadings', partial, 200)).toMatchObject({ stored: 1, refused: [{ pointer: '/0/value' }] });
});

test('a rule is made, found, changed and deleted', async () => {
  const draft = { name: ' Hot ', metric: 'temperature', condition: { type: 'threshold', above: 8 } };
  const made = await send(port, 'POST', '/api/v1/rules', draft);
  const rule = await valid('createRule', made, 201);
  expect(made.headers.location).toBe(`/api/v1/rules/${rule.id}`);
  expect(rule).toMatchObject({ name: 'Hot', device: '*', for: '0s', severity: 'warning', enabled: true });
  expect((await get('listRules', '/api/v1/rules')).items).toEqual([rule]);

  const changed = await send(port, 'PATCH', `/api/v1/rules/${rule.id}`, { severity: 'critical' });
  expect(await valid('updateRule', changed, 200)).toEqual({ ...rule, severity: 'critical' });
  expect(await get('getRule', `/api/v1/rules/${rule.id}`)).toEqual({ ...rule, severity: 'critical' });

  const gone = await ask(port, `/api/v1/rules/${rule.id}`, { method: 'DELETE' });
  expect([gone.status, gone.text]).toEqual([204, '']);
  expectProblem(await ask(port, `/api/v1/rules/${rule.id}`), 'not_found');
});

test('a rule that cannot work is refused with the faults, also when a change would make it so', async () => {
  const bad = { name: 'a', device: 'no spaces', metric: 'x', condition: { type: 'threshold' } };
  const problem = expectProblem(await send(port, 'POST', '/api/v1/rules', bad), 'validation_failed');
  expect(problem.errors?.map((fault) => fault.pointer).sort()).toEqual(['/condition', '/device']);
  const good = { name: 'a', metric: 'x', condition: { type: 'threshold', above: 1 } };
  const rule = await valid('createRule', await send(port, 'POST', '/api/v1/rules', good), 201);
  const worse = await send(port, 'PATCH', `/api/v1/rules/${rule.id}`, { condition: { type: 'threshold' } });
  expect(expectProblem(worse, 'validation_failed').errors).toMatchObject([{ pointer: '/condition' }]);
  expect(await get('getRule', `/api/v1/rules/${rule.id}`)).toEqual(rule);
});

test('the secret of a webhook is shown on creation and never again', async () => {
  const url = 'https://example.org/hook';
  const made = await send(port, 'POST', '/api/v1/webhooks', { url, events: ['alert.firing'] });
  const { secret, ...webhook } = await valid('createWebhook', made, 201);
  expect(secret).toMatch(/^whsec_/);
  expect(made.headers.location).toBe(`/api/v1/webhooks/${webhook.id}`);
  const path = `/api/v1/webhooks/${webhook.id}`;
  expect(await get('getWebhook', path)).toEqual(webhook);
  expect((await get('listWebhooks', '/api/v1/webhooks')).items).toEqual([webhook]);
  expect(await valid('updateWebhook', await send(port, 'PATCH', path, { enabled: false }), 200)).toEqual({
    ...webhook,
    enabled: false,
  });
  expect((await ask(port, path, { method: 'DELETE' })).status).toBe(204);
  expectProblem(await ask(port, path), 'not_found');
});

test('a webhook is refused for a target that is not allowed and for events that do not exist', async () => {
  const inner = await send(port, 'POST', '/api/v1/webhooks', { url: 'http://10.0.0.1/' });
  expect(expectProblem(inner, 'target_not_allowed').errors).toMatchObject([{ pointer: '/url' }]);
  const url = 'https://example.org/';
  const typo = await send(port, 'POST', '/api/v1/webhooks', { url, events: ['alert.*', 'alert.fireing'] });
  expect(expectProblem(typo, 'validation_failed').errors).toMatchObject([{ pointer: '/events/1' }]);
});

test('a webhook whose target has become forbidden can be switched off, but not sent elsewhere forbidden', async () => {
  const webhook = await strangers.catalog.createWebhook({
    url: 'http://10.0.0.1/',
    events: ['alert.*'],
    format: 'standard',
    enabled: true,
    description: '',
  });
  const path = `/api/v1/webhooks/${webhook.webhook.id}`;
  expect(await valid('updateWebhook', await send(port, 'PATCH', path, { enabled: false }), 200)).toMatchObject({
    enabled: false,
  });
  expectProblem(await send(port, 'PATCH', path, { url: 'http://10.0.0.1/other' }), 'target_not_allowed');
});

test('a delivery shows its body and every attempt', async () => {
  const url = 'https://example.org/';
  const webhook = await valid('createWebhook', await send(port, 'POST', '/api/v1/webhooks', { url }), 201);
  strangers.deliveries.push({
    id: 'dlv_1',
    webhookId: webhook.id,
    type: 'alert.firing',
    orderKey: 'k',
    sequence: 3,
    body: '{"type":"alert.firing"}',
    createdAt: now,
    seq: 7,
    state: 'pending',
    attempts: 1,
    nextAttemptAt: 0,
  });
  const attempt = { deliveryId: 'dlv_1', webhookId: webhook.id, number: 1, startedAt: now, durationMs: 12.5 };
  const failure = {
    outcome: 'retry',
    status: 500,
    error: 'status',
    excerpt: 'oops',
    nextAttemptAt: now + 5_000,
  } as const;
  strangers.attempts.push({ ...attempt, ...failure });
  const list = await get('listDeliveries', `/api/v1/webhooks/${webhook.id}/deliveries?state=pending`);
  expect(list.items).toMatchObject([{ id: 'dlv_1', cursor: 'epoch:7', nextAttemptAt: new Date(now).toISOString() }]);
  expect((await get('listDeliveries', `/api/v1/webhooks/${webhook.id}/deliveries?state=failed`)).items).toEqual([]);
  expect(await get('getDelivery', '/api/v1/deliveries/dlv_1')).toMatchObject({
    webhook: webhook.id,
    body: '{"type":"alert.firing"}',
    attempts: [{ number: 1, status: 500, nextAttemptAt: new Date(now + 5_000).toISOString() }],
  });
});

test('alerts are filtered by state, rule and device pattern, and one shows its transitions', async () => {
  for (const [id, device] of [
    ['alr_1', 'fridge-1'],
    ['alr_2', 'fridge-2'],
    ['alr_3', 'oven'],
  ] as const) {
    strangers.alerts.push(alertOf(id, device));
  }
  const at = { id: 'trn_1', type: 'alert.firing', sequence: 1, at: now } as const;
  strangers.transitions.push({ ...at, alert: strangers.alerts[0] });
  const ids = async (query: string): Promise<unknown> =>
    (await get('listAlerts', `/api/v1/alerts${query}`)).items.map(({ id }: { id: string }) => id);
  expect(await ids('')).toEqual(['alr_3', 'alr_2', 'alr_1']);
  expect(await ids('?device=fridge-*')).toEqual(['alr_2', 'alr_1']);
  expect(await ids('?device=fridge-1,oven')).toEqual(['alr_3', 'alr_1']);
  expect(await ids('?device=oven')).toEqual(['alr_3']);
  expect(await ids('?state=resolved')).toEqual([]);
  expect(await ids('?rule=rule_x')).toEqual([]);
  const one = await get('getAlert', '/api/v1/alerts/alr_1');
  expect(one).toMatchObject({ unit: 'Cel', transitions: [{ id: 'trn_1', time: new Date(now).toISOString() }] });
});

test('a refused message is shown as text where it is text, else as base64, and cut in lists', async () => {
  const entry = {
    receivedAt: now,
    topic: 'devices/a/telemetry',
    client: 'c',
    sender: anySender,
    reason: 'payload_not_json',
    pointer: '',
  };
  const payloads = [Buffer.from('not json'), Buffer.from([0xff, 0x00]), Buffer.from('é'.repeat(1_000), 'utf8')];
  payloads.forEach((payload, index) =>
    strangers.quarantine.push({ ...entry, id: index + 1, payload, detail: 'is not JSON' }),
  );
  const { items } = await get('listQuarantine', '/api/v1/quarantine');
  expect(items).toMatchObject([
    { id: 3, encoding: 'utf-8', payload: 'é'.repeat(512), payloadBytes: 2_000, truncated: true },
    { id: 2, encoding: 'base64', payload: '/wA=', truncated: false },
    { id: 1, encoding: 'utf-8', payload: 'not json', payloadBytes: 8, truncated: false },
  ]);
  const whole = await get('getQuarantined', '/api/v1/quarantine/3');
  expect(whole).toMatchObject({ payload: 'é'.repeat(1_000), truncated: false });
  expectProblem(await ask(port, '/api/v1/quarantine/4'), 'not_found');
});

test('a payload cut in the middle of a character is still text', async () => {
  const payload = Buffer.from(`x${'é'.repeat(600)}`);
  const entry = {
    receivedAt: now,
    topic: 't',
    client: null,
    sender: anySender,
    reason: 'payload_not_json',
    pointer: '',
    detail: 'd',
  };
  strangers.quarantine.push({ ...entry, id: 1, payload });
  const { items } = await get('listQuarantine', '/api/v1/quarantine');
  expect(items).toMatchObject([{ encoding: 'utf-8', payload: `x${'é'.repeat(511)}`, truncated: true }]);
});

test('readiness is 503 with its reasons until the gateway is ready; health does not care', async () => {
  expect(await get('getReadiness', '/readyz')).toEqual({ status: 'ok' });
  expect(await get('getBroker', '/api/v1/broker')).toMatchObject({ mode: 'embedded', tlsUrl: null });
  strangers.ready = false;
  const problem = expectProblem(await ask(port, '/readyz'), 'storage_unavailable');
  expect(problem.detail).toBe('the database is full');
  expect(await get('getHealth', '/healthz')).toEqual({ status: 'ok' });
});

test('HEAD answers as GET does, without the body', async () => {
  const got = await ask(port, '/api/v1/devices');
  const head = await ask(port, '/api/v1/devices', { method: 'HEAD' });
  expect([head.status, head.text]).toEqual([200, '']);
  expect(head.headers['content-length']).toBe(got.headers['content-length']);
  const missing = await ask(port, '/api/v1/devices/none', { method: 'HEAD' });
  expect([missing.status, missing.headers['content-type']]).toEqual([404, 'application/problem+json']);
});

test('every answer was counted under its operation', async () => {
  await get('getHealth', '/healthz');
  await ask(port, '/nowhere');
  await ask(port, '/');
  expect(strangers.requests.map(({ route, status }) => [route, status])).toEqual([
    ['getHealth', 200],
    ['unmatched', 404],
    ['asset', 200],
  ]);
});

function alertOf(id: string, device: string): Alert {
  const rule = { id: 'rule_1', name: 'Hot' };
  const times = { startedAt: now, firedAt: now + Number(id.slice(-1)), resolvedAt: null };
  const cause = { severity: 'warning', state: 'firing', value: 9, threshold: 8, reason: null } as const;
  return { id, rule, device, metric: 'temperature', ...cause, ...times };
}

/** Values of series a/x. */
async function valuesOf(query: string): Promise<unknown[]> {
  const { readings } = await get('getDeviceReadings', `/api/v1/devices/a/readings?metric=x&${query}`);
  return readings.map((sample: { value: unknown }) => sample.value);
}

async function get(id: string, path: string, options: Ask = {}) {
  return valid(id, await ask(port, path, options), 200);
}

/** The body, once it is what the route promises: the status, the media type, the schema and not one key more. */
async function valid(id: string, answer: Answer, status: number) {
  expect(answer.status, answer.text).toBe(status);
  expectSafeHeaders(answer);
  const route = api.routes.find((route) => route.id === id);
  expect(route?.success).toMatchObject({ status, mediaType: answer.headers['content-type'] });
  const body = answer.json();
  const parsed = await route?.success.schema?.parseAsync(body);
  expect(parsed).toEqual(body);
  // The schema has just been checked; the tests look at single fields.
  return body as ReturnType<typeof JSON.parse>;
}
