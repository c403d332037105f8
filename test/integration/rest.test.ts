// A whole gateway over REST: its devices, its document, its metrics, and what nobody offers.
import { connectAsync } from 'mqtt';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { DeviceDetail, DeviceList, FleetLatest } from '../../src/contract/device.ts';
import { StreamPage } from '../../src/contract/reading.ts';
import { expectProblem } from '../support/api-problem.ts';
import { expectBalanced, readMetrics, sample } from '../support/ledger-check.ts';
import { GatewayPerTest, publish } from '../support/gateway.ts';

const rig = new GatewayPerTest();
const { clock, http, noon } = rig;

/** What a device has that nobody registered. */
const unregistered = {
  name: '',
  profile: null,
  tags: {},
  timeZone: null,
  approval: 'approved',
  registered: false,
} as const;

describe('devices', () => {
  test('are those that were heard of, whichever way, with what they said of themselves', async () => {
    const client = await rig.running.mqtt.connect('pump-2');
    await publish(client, 'devices/pump-2/status', 'online');
    await publish(client, 'devices/pump-2/attributes', { firmware: '1.4.2', cells: 4 });
    await publish(client, 'devices/pump-2/telemetry', { pressure: 4.5, 'flow/in': 3 });
    clock.wall += 5_000;
    await rig.post([{ device: 'pump-1', metric: 'pressure', time: noon, value: 4 }]);
    await publish(client, 'devices/pump-2/attributes', { firmware: '1.4.3' });

    const { items } = await http.get(DeviceList, '/api/v1/devices');
    expect(items).toEqual([
      {
        id: 'pump-1',
        ...unregistered,
        state: 'unknown',
        stateSince: null,
        stateCause: null,
        firstSeen: rig.at(5_000),
        lastSeen: rig.at(5_000),
        attributes: {},
        clockCorrected: 0,
        metricCount: 1,
      },
      {
        id: 'pump-2',
        ...unregistered,
        state: 'online',
        stateSince: rig.at(0),
        stateCause: 'reported',
        firstSeen: rig.at(0),
        lastSeen: rig.at(5_000),
        attributes: { firmware: '1.4.3', cells: 4 },
        clockCorrected: 0,
        metricCount: 2,
      },
    ]);
    expect(await http.get(DeviceDetail, '/api/v1/devices/pump-2')).toEqual({
      ...items[1],
      metrics: ['flow.in', 'pressure'],
      metricFacts: {
        'flow.in': { unit: null, kind: null, interval: null, min: null, max: null },
        pressure: { unit: 'hPa', kind: null, interval: null, min: null, max: null },
      },
    });
    expect((await http.get(DeviceList, '/api/v1/devices?state=online')).items).toEqual([items[1]]);
    expect((await http.get(DeviceList, '/api/v1/devices?device=*-1')).items).toEqual([items[0]]);
    const first = await http.get(DeviceList, '/api/v1/devices?limit=1');
    expect(first.items).toEqual([items[0]]);
    expect(await http.get(DeviceList, `/api/v1/devices?limit=1&page=${first.next}`)).toEqual({
      items: [items[1]],
      next: null,
    });
    expectProblem(await http.ask('/api/v1/devices/pump-3'), 'not_found');
  });

  test('that vanish are offline by their last will', async () => {
    const { url } = rig.running.mqtt;
    const will = { topic: 'devices/pump-1/status', payload: Buffer.from('offline'), qos: 1 as const, retain: true };
    const client = await connectAsync(url, { clientId: 'pump-1', reconnectPeriod: 0, will });
    await publish(client, 'devices/pump-1/status', 'online');
    await publish(client, 'devices/pump-1/telemetry/level', '7');
    const { cursor } = await http.get(FleetLatest, '/api/v1/latest');
    client.stream.destroy();
    let state = 'online';
    while (state === 'online') ({ state } = await http.get(DeviceDetail, '/api/v1/devices/pump-1'));
    expect(state).toBe('offline');
    // A status is no reading.
    expect((await http.get(StreamPage, `/api/v1/stream?since=${cursor}`)).readings).toEqual([]);
    await client.endAsync(true);
  });
});

const Document = z.object({
  openapi: z.string(),
  paths: z.record(z.string(), z.record(z.string(), z.object({ operationId: z.string().optional() }))),
});

test('the document describes what is served: every GET that needs nothing answers what it says', async () => {
  const { openapi, paths } = await http.get(Document, '/openapi.json');
  expect(openapi).toMatch(/^3\.1\.\d$/);
  const plain = Object.entries(paths).flatMap(([path, item]) => (item.get && !path.includes('{') ? [path] : []));
  expect(plain.length).toBeGreaterThan(10);
  // Clients of InfluxDB look there whether anybody is at home.
  for (const path of plain) expect((await http.ask(path)).status, path).toBe(path === '/ping' ? 204 : 200);
  for (const path of ['/api/v1/devices', '/api/v1/stream', '/api/v1/readings', '/metrics', '/readyz']) {
    expect(paths).toHaveProperty([path, 'get']);
  }
});

test('the metrics hold both ledger equations and what was done', async () => {
  const client = await rig.running.mqtt.connect('mill-1');
  await publish(client, 'devices/mill-1/status', 'online');
  await publish(client, 'devices/mill-1/telemetry', { ts: noon, power: 1, speed: 2 });
  await publish(client, 'devices/mill-1/telemetry', { ts: noon, power: 1, speed: 3 });
  await publish(client, 'devices/mill-1/telemetry', 'power=1');
  await publish(client, 'elsewhere', '1');
  await rig.post([{ device: 'mill-2', metric: 'power', time: noon, value: 4 }]);
  await http.send('POST', '/api/v1/readings', [{ device: 'mill-2' }]);
  const metrics = await readMetrics(http.port);
  expectBalanced(metrics);
  const expected = {
    pulsegate_messages_received_total: 7,
    'pulsegate_messages_total{outcome="accepted"}': 3,
    'pulsegate_messages_total{outcome="control"}': 1,
    'pulsegate_messages_total{outcome="relayed"}': 1,
    'pulsegate_messages_total{outcome="refused"}': 2,
    'pulsegate_readings_total{disposition="stored"}': 3,
    'pulsegate_readings_total{disposition="replaced"}': 1,
    'pulsegate_readings_total{disposition="identical"}': 1,
    pulsegate_quarantine_messages: 1,
  };
  for (const [name, count] of Object.entries(expected)) expect(sample(metrics, name), name).toBe(count);
});

test('what nobody offers is refused alike everywhere', async () => {
  expectProblem(await http.ask('/api/v1/nothing'), 'not_found');
  expectProblem(await http.send('POST', '/api/v1/devices/mill-1/readings', {}), 'method_not_allowed');
  expectProblem(await http.ask('/api/v1/devices?limit=0'), 'parameter_invalid');
  expectProblem(await http.ask('/api/v1/devices?limt=1'), 'parameter_invalid');
  expectProblem(await http.ask('/api/v1/stream?since=abc'), 'cursor_invalid');
  expectProblem(await http.ask('/api/v1/stream?wait=soon'), 'duration_invalid');
  expectProblem(await http.ask('/api/v1/devices', { headers: { accept: 'text/html' } }), 'not_acceptable');
  expectProblem(
    await http.ask('/api/v1/devices', { headers: { origin: 'https://evil.example' } }),
    'origin_not_allowed',
  );
  expectProblem(await http.ask('/api/v1/devices', { headers: { host: 'evil.example' } }), 'host_not_allowed');
  const forwarded = { 'x-forwarded-for': '203.0.113.9' };
  expectProblem(await http.ask('/api/v1/devices', { headers: forwarded }), 'proxy_not_allowed');
  await rig.post([{ device: 'mill-1', metric: 'power', time: noon, value: 1 }]);
  const readings = '/api/v1/devices/mill-1/readings';
  expectProblem(await http.ask(readings), 'parameter_invalid');
  expectProblem(await http.ask(`${readings}?metric=speed`), 'not_found');
  expectProblem(await http.ask(`${readings}?metric=power&from=now&to=-1h`), 'parameter_invalid');
  expectProblem(await http.ask(`${readings}?metric=power&bucket=1mo`), 'duration_invalid');
  expectProblem(await http.ask(`${readings}?metric=power&agg=avg`), 'parameter_invalid');
  expectProblem(await http.ask(`${readings}?metric=power&page=bm90aGluZw`), 'page_invalid');
});
