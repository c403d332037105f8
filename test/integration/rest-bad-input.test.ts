// What is refused, over HTTP and over MQTT, and that nothing around it is lost.
import { describe, expect, test } from 'vitest';
import { DeviceDetail, DeviceList, FleetLatest } from '../../src/contract/device.ts';
import type { ErrorCode } from '../../src/contract/error-codes.ts';
import { Quarantined, QuarantineList } from '../../src/contract/quarantine.ts';
import { Ingested } from '../../src/contract/reading.ts';
import { expectProblem } from '../support/api-problem.ts';
import { GatewayPerTest, publish, type RestClient } from '../support/gateway.ts';

const rig = new GatewayPerTest();
const { http, noon } = rig;

function postText(body: string | Uint8Array, type = 'application/json', query = ''): ReturnType<RestClient['ask']> {
  const bytes = Buffer.from(body);
  const headers = { 'content-type': type, 'content-length': String(bytes.length) };
  return http.ask(`/api/v1/readings${query}`, { method: 'POST', headers, body: [bytes] });
}

describe('POST /readings', () => {
  const good = { device: 'mill-1', metric: 'power', time: noon, value: 1 };

  test('takes one object, an array and NDJSON with any line ends', async () => {
    expect(await http.post(Ingested, '/api/v1/readings', good)).toMatchObject({ stored: 1 });
    await rig.post([{ ...good, time: rig.at(1_000), value: 2 }]);
    const fault = await http.send('POST', '/api/v1/readings', { ...good, value: null });
    expect(expectProblem(fault, 'validation_failed').errors).toMatchObject([
      { pointer: '/value', code: 'value_invalid' },
    ]);
    const lines = [2_000, 3_000].map((offset) => JSON.stringify({ ...good, time: noon + offset, value: offset }));
    const answer = await postText(`${lines.join('\r\n')}\r\n\r\n`, 'application/x-ndjson; charset=utf-8');
    expect(Ingested.parse(answer.json())).toMatchObject({ stored: 2, replaced: 0, identical: 0 });
    expect(await rig.raw('mill-1', 'power')).toEqual([
      [0, 1],
      [1_000, 2],
      [2_000, 2_000],
      [3_000, 3_000],
    ]);
  });

  test('refuses the whole request for one bad reading, and names every fault', async () => {
    const answer = await http.send('POST', '/api/v1/readings', [
      good,
      { ...good, device: 'mill 1' },
      { ...good, metric: '__proto__' },
      { ...good, time: 1_790_000_000 },
      { ...good, time: 'yesterday' },
      { ...good, value: { deep: 1 } },
      { ...good, value: null },
      { ...good, value: 'x'.repeat(257) },
      { ...good, colour: 'red' },
      'power=1',
    ]);
    const problem = expectProblem(answer, 'validation_failed');
    expect(problem.errors?.map(({ pointer, code }) => `${pointer} ${code}`)).toEqual([
      '/1/device device_invalid',
      '/2/metric metric_invalid',
      '/3/time time_looks_like_seconds',
      '/4/time time_invalid',
      '/5/value value_invalid',
      '/6/value value_invalid',
      '/7/value value_too_long',
      '/8/colour payload_shape',
      '/9 payload_shape',
    ]);
    expect((await http.get(DeviceList, '/api/v1/devices')).items).toEqual([]);
    expect((await http.get(FleetLatest, '/api/v1/latest')).items).toEqual([]);
  });

  test('stores the good ones with partial=true, and says what it left out', async () => {
    const body = [{ ...good, value: [] }, good, { ...good, time: 0 }, { ...good, time: Date.UTC(2099, 0) }, good];
    const answer = await http.post(Ingested, '/api/v1/readings?partial=true', body);
    expect(answer).toMatchObject({ stored: 1, replaced: 0, identical: 1 });
    expect(answer.refused?.map(({ pointer, code }) => `${pointer} ${code}`)).toEqual([
      '/0/value value_invalid',
      '/2/time time_looks_like_seconds',
      '/3/time time_implausible',
    ]);
    const ndjson = await postText(`{"broken\n${JSON.stringify(good)}`, 'application/x-ndjson', '?partial=true');
    expect(Ingested.parse(ndjson.json())).toMatchObject({
      identical: 1,
      refused: [{ pointer: '/0', code: 'payload_not_json' }],
    });
  });

  const body = (value: string): string => `[{"device":"mill-1","metric":"power","time":${noon},"value":${value}}]`;
  const json = 'application/json';
  const bad: readonly (readonly [string, string | Uint8Array, ErrorCode, string])[] = [
    ['nothing', '', 'payload_empty', json],
    ['an empty array', '[]', 'payload_empty', json],
    ['blank lines', '\n\n', 'payload_empty', 'application/x-ndjson'],
    ['half an object', '[{"device":', 'payload_not_json', json],
    ['NaN', body('NaN'), 'payload_not_json', json],
    ['a number beyond the range of doubles', body('1e400'), 'validation_failed', json],
    ['bytes that are not UTF-8', Buffer.from([0x5b, 0xff, 0xfe, 0x5d]), 'payload_not_utf8', json],
    ['a number', '7', 'payload_shape', json],
    ['null', 'null', 'payload_shape', json],
    ['half a character', body('"\\ud83d"'), 'validation_failed', json],
    ['arrays in arrays, 100,000 deep', '['.repeat(100_000) + ']'.repeat(100_000), 'validation_failed', json],
    [
      'an object in place of a value, 100,000 deep',
      body('{"a":'.repeat(100_000) + '1' + '}'.repeat(100_000)),
      'validation_failed',
      json,
    ],
    ['a type that is not taken', body('1'), 'unsupported_media_type', 'text/csv'],
    ['another charset', body('1'), 'unsupported_media_type', 'application/json; charset=utf-16'],
  ];
  test.each(bad)('refuses %s, and the next request is served', async (_what, text, code, type) => {
    expectProblem(await postText(text, type), code);
    await rig.post([good]);
    expect(await rig.raw('mill-1', 'power')).toEqual([[0, 1]]);
  });

  test('refuses a body beyond the bound, with its length told or not', async () => {
    await rig.restart({ 'http.bodyBytesMax': '1kb' });
    expectProblem(await postText(body(`"${'x'.repeat(1_500)}"`)), 'payload_too_large');
    const headers = { 'content-type': 'application/json' };
    const chunked = { method: 'POST', headers, body: [' '.repeat(800), ' '.repeat(800)] };
    expectProblem(await http.ask('/api/v1/readings', chunked), 'payload_too_large');
    await rig.post([good]);
    expect(rig.running.gateway.ledger.messages).toMatchObject({ received: 1, accepted: 1 });
  });

  test('refuses more series than there may be, and keeps none of them', async () => {
    await rig.restart({ 'device.metricsMax': 2 });
    const many = ['a', 'b', 'c'].map((metric) => ({ ...good, metric }));
    const problem = expectProblem(await http.send('POST', '/api/v1/readings', many), 'validation_failed');
    expect(problem.errors).toMatchObject([{ pointer: '/2', code: 'series_limit' }]);
    expect(
      await rig.post([
        { ...good, metric: 'd' },
        { ...good, metric: 'e' },
      ]),
    ).toMatchObject({ stored: 2 });
  });
});

describe('quarantine', () => {
  const bad: readonly (readonly [string, string | Buffer, ErrorCode, string])[] = [
    ['devices/mill-1/telemetry', '{"power":', 'payload_not_json', ''],
    ['devices/mill-1/telemetry', '{"power":NaN}', 'payload_not_json', ''],
    ['devices/mill-1/telemetry', '{"power":1e400}', 'value_not_finite', '/power'],
    ['devices/mill-1/telemetry', '{"power":1,"mode":{"a":{"b":1}}}', 'value_invalid', '/mode'],
    ['devices/mill-1/telemetry', '[{"power":1},{"power":[]}]', 'value_invalid', '/1/power'],
    ['devices/mill-1/telemetry', '{"__proto__":1}', 'metric_invalid', '/__proto__'],
    ['devices/mill-1/telemetry', '{"ts":0,"power":1}', 'time_looks_like_seconds', '/ts'],
    ['devices/mill-1/telemetry', '{"ts":4070908800000,"values":{"power":1}}', 'time_implausible', '/ts'],
    ['devices/mill-1/telemetry', '', 'payload_empty', ''],
    ['devices/mill-1/telemetry', '{"power":null}', 'payload_empty', ''],
    ['devices/mill-1/telemetry', '7', 'payload_shape', ''],
    ['devices/mill-1/telemetry', '['.repeat(50_000) + ']'.repeat(50_000), 'payload_shape', '/0'],
    ['devices/mill-1/telemetry', Buffer.from([0x7b, 0xc3, 0x28, 0x7d]), 'payload_not_utf8', ''],
    ['devices/mill-1/telemetry', `{"mode":"${'x'.repeat(257)}"}`, 'value_too_long', '/mode'],
    ['devices/mill-1/telemetry', '{"mode":"\\ud83d"}', 'value_invalid', '/mode'],
    ['devices/mill-1/telemetry/mode', '"\\ude00"', 'value_invalid', ''],
    ['devices/mill-1/attributes', '{"\\ud83d":1}', 'payload_shape', '/\ufffd'],
    ['devices/mill-1/telemetry/power', 'NaN', 'value_not_finite', ''],
    ['devices/mill-1/telemetry/po wer', '1', 'metric_invalid', ''],
    ['devices/mill 1/telemetry', '{"power":1}', 'device_invalid', ''],
    ['devices//telemetry', '{"power":1}', 'device_invalid', ''],
    ['devices/mill-1/telemetri', '{"power":1}', 'topic_invalid', ''],
    ['devices/mill-1/status', 'asleep', 'value_invalid', ''],
    ['devices/mill-1/attributes', '{"firmware":{}}', 'value_invalid', '/firmware'],
  ];

  test('keeps every refused message with its reason and place, acknowledges it, and loses nothing around it', async () => {
    const client = await rig.running.mqtt.connect('mill-1');
    // All at once: a bad message between two good ones in the same commit.
    await Promise.all(
      bad.flatMap(([topic, payload], index) => [
        publish(client, topic, payload),
        publish(client, 'devices/mill-1/telemetry', { ts: noon + index, serial: index }),
      ]),
    );
    const kept: Quarantined[] = [];
    for await (const page of http.pages(QuarantineList, '/api/v1/quarantine?limit=4')) kept.push(...page.items);
    expect(kept.map(({ topic, reason, pointer }) => [topic, reason, pointer]).reverse()).toEqual(
      bad.map(([topic, , reason, pointer]) => [topic, reason, pointer]),
    );
    for (const [index, { id, ...entry }] of kept.toReversed().entries()) {
      expect(entry).toMatchObject({ client: 'mill-1', receivedAt: rig.at(0) });
      const bytes = Buffer.from(bad[index]?.[1] ?? '');
      const whole = await http.get(Quarantined, `/api/v1/quarantine/${id}`);
      expect(Buffer.from(whole.payload, whole.encoding === 'base64' ? 'base64' : 'utf8').equals(bytes)).toBe(true);
      expect(whole).toMatchObject({ payloadBytes: bytes.length, truncated: false });
    }
    expect(await rig.raw('mill-1', 'serial')).toEqual(bad.map((_, index) => [index, index]));
    expect(await http.get(DeviceDetail, '/api/v1/devices/mill-1')).toMatchObject({ metrics: ['serial'] });
    expect(rig.running.gateway.ledger.messages).toMatchObject({ accepted: bad.length, refused: bad.length });
    expectProblem(await http.ask('/api/v1/quarantine/99999'), 'not_found');
    expectProblem(await http.ask('/api/v1/quarantine/first'), 'not_found');
  });

  test('holds nothing of topics that are not ours', async () => {
    const client = await rig.running.mqtt.connect('other');
    await publish(client, 'homeassistant/config', 'anything');
    await publish(client, 'device/mill-1/telemetry', '{"power":1}');
    expect((await http.get(QuarantineList, '/api/v1/quarantine')).items).toEqual([]);
    expect(rig.running.gateway.ledger.messages).toMatchObject({ received: 2, relayed: 2 });
  });
});
