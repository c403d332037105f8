// What strangers send that cannot be stored is kept aside with its reason, and costs nobody else anything.
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { QuarantineList } from '../../src/contract/quarantine.ts';
import { type GatewayHere, startGatewayHere } from '../support/gateway-here.ts';
import { ask } from '../support/http-client.ts';
import { Device } from '../support/kill-publisher.ts';
import { readAll } from '../support/kill-model.ts';
import { expectBalanced, readMetrics, sample } from '../support/ledger-check.ts';
import { fixedHeader, WireClient } from '../support/mqtt-wire.ts';
import { tempFolder } from '../support/temp-folder.ts';

let folder: ReturnType<typeof tempFolder>;
let here: GatewayHere;
let device: Device;
beforeEach(async () => {
  folder = tempFolder();
  here = await startGatewayHere(folder.path, { 'mqtt.packetBytesMax': '64kb' });
  device = new Device('stranger');
  await device.connect(here.mqttPort);
});
afterEach(async () => {
  device.disconnect();
  await here.gateway.stop();
  folder.remove();
});

const deep = `{"a":${'['.repeat(20_000)}${']'.repeat(20_000)}}`;
const year2099 = Date.UTC(2099, 0, 1);
/** Topic below `devices/`, payload, reason, pointer. */
const bad: readonly (readonly [topic: string, payload: string | Uint8Array, reason: string, pointer: string])[] = [
  ['d/telemetry', '{"a":1', 'payload_not_json', ''],
  ['d/telemetry', 'not json', 'payload_not_json', ''],
  ['d/telemetry', '{"a":NaN}', 'payload_not_json', ''],
  ['d/telemetry', '7', 'payload_shape', ''],
  ['d/telemetry', '[{"a":1},7]', 'payload_shape', '/1'],
  ['d/telemetry', '{"a":1,"b":{"c":2}}', 'value_invalid', '/b'],
  ['d/telemetry', '{"a":1,"b":[2]}', 'value_invalid', '/b'],
  ['d/telemetry', '{"a":1e400}', 'value_not_finite', '/a'],
  ['d/telemetry', '{"ts":true,"a":1}', 'time_invalid', '/ts'],
  ['d/telemetry', '{"values":7}', 'payload_shape', '/values'],
  ['d/telemetry', '{"__proto__":1}', 'metric_invalid', '/__proto__'],
  ['d/telemetry', '{"a b":1}', 'metric_invalid', '/a b'],
  ['d/telemetry', `{"a":"${'x'.repeat(257)}"}`, 'value_too_long', '/a'],
  ['d/telemetry', '', 'payload_empty', ''],
  ['d/telemetry', '{}', 'payload_empty', ''],
  ['d/telemetry', Uint8Array.of(0x7b, 0xff, 0xfe, 0x7d), 'payload_not_utf8', ''],
  ['d/telemetry', '{"ts":"1970-01-01T00:00:01Z","a":1}', 'time_implausible', '/ts'],
  ['d/telemetry', '{"ts":1000,"a":1}', 'time_looks_like_seconds', '/ts'],
  ['d/telemetry', `{"ts":${year2099},"a":1}`, 'time_implausible', '/ts'],
  ['d/telemetry/a', 'NaN', 'value_not_finite', ''],
  ['d/telemetry/a', '1e400', 'value_not_finite', ''],
  ['d/telemetry/a', '', 'payload_empty', ''],
  ['d/telemetry/a//b', '1', 'metric_invalid', ''],
  ['d/telemetry/__proto__', '1', 'metric_invalid', ''],
  ['', '1', 'device_invalid', ''],
  ['/telemetry', '{"a":1}', 'device_invalid', ''],
  ['with blank/telemetry', '{"a":1}', 'device_invalid', ''],
  [`${'d'.repeat(65)}/telemetry`, '{"a":1}', 'device_invalid', ''],
  ['d', '1', 'topic_invalid', ''],
  ['d/elsewhere', '1', 'topic_invalid', ''],
  ['d/telemetry/', '1', 'metric_invalid', ''],
];

it('every bad message is acknowledged, kept with reason and pointer, counted, and the good ones between are stored', async () => {
  const before = Date.now();
  const told: Promise<void>[] = [];
  for (const [index, [topic, payload]] of bad.entries()) {
    told.push(device.publish(`devices/${topic}`, payload, index % 3 === 0 ? 2 : 1));
    told.push(device.publish('devices/honest/telemetry', `{"ts":${before - 1_000 + index},"count":${index}}`));
  }
  await Promise.all(told);
  await device.settled();

  const { text } = await ask(here.httpPort, '/api/v1/quarantine?limit=1000');
  const kept: QuarantineList = JSON.parse(text);
  const found = kept.items.toReversed().map(({ topic, reason, pointer }) => [topic, reason, pointer]);
  expect(found).toEqual(bad.map(([topic, , reason, pointer]) => [`devices/${topic}`, reason, pointer]));
  for (const [index, { payload, payloadBytes, client, detail }] of kept.items.toReversed().entries()) {
    const sent = Buffer.from(bad[index][1]);
    expect(payloadBytes).toBe(sent.length);
    expect([sent.toString('utf8'), sent.toString('base64')]).toContain(payload);
    expect(client).toBe('stranger');
    expect(detail).not.toBe('');
  }

  const readings = await readAll(here.httpPort);
  expect([...readings.keys()]).toEqual(['honest/count']);
  expect(readings.get('honest/count')?.map(({ value }) => value)).toEqual(bad.map((_, index) => index));
  const metrics = await readMetrics(here.httpPort);
  expectBalanced(metrics);
  expect(sample(metrics, 'pulsegate_messages_total{outcome="refused"}')).toBe(bad.length);
  for (const [reason, of] of Map.groupBy(bad, ([, , reason]) => reason)) {
    expect(sample(metrics, `pulsegate_messages_refused_total{reason="${reason}"}`)).toBe(of.length);
  }
});

it('a payload nested twenty thousand deep is refused and stops nothing', async () => {
  await device.publish('devices/d/telemetry', deep);
  await device.publish('devices/d/telemetry', '{"a":1}');
  const kept: QuarantineList = JSON.parse((await ask(here.httpPort, '/api/v1/quarantine')).text);
  expect(kept.items).toMatchObject([{ topic: 'devices/d/telemetry', payloadBytes: deep.length, truncated: true }]);
  expect(['payload_too_deep', 'value_invalid']).toContain(kept.items[0].reason);
  expect((await readAll(here.httpPort)).get('d/a')).toHaveLength(1);
  expectBalanced(await readMetrics(here.httpPort));
});

it('an oversized packet ends its own connection at the header, and nobody else', async () => {
  const other = await WireClient.open(here.mqttPort, 'giant');
  // Only the header comes: nothing was buffered that could have been waited for.
  other.send(fixedHeader(0x32, 1 << 20));
  await other.closed;
  await device.publish('devices/d/telemetry', '{"a":1}');
  expect((await readAll(here.httpPort)).get('d/a')).toHaveLength(1);
  expectBalanced(await readMetrics(here.httpPort));
});

it('a clock that is a minute and more ahead is set right, spacing kept, and counted', async () => {
  const ahead = Date.now() + 3_600_000;
  await device.publish('devices/d/telemetry', `[{"ts":${ahead - 5_000},"a":1},{"ts":${ahead},"a":2}]`);
  const [first, second] = (await readAll(here.httpPort)).get('d/a') ?? [];
  expect(second.time - first.time).toBe(5_000);
  expect(second.time).toBeLessThan(ahead);
  expect(sample(await readMetrics(here.httpPort), 'pulsegate_clock_corrected_total')).toBe(1);
});
