// Foreign devices through a whole gateway: what they publish on a real connection comes out of REST, and what the gateway
// has to say to them comes back.
import type { MqttClient } from 'mqtt';
import { describe, expect, test } from 'vitest';
import { DeviceDetail, DeviceLatest } from '../../src/contract/device.ts';
import { QuarantineList } from '../../src/contract/quarantine.ts';
import { Ingested } from '../../src/contract/reading.ts';
import { readSparkplug, type SparkplugMetric, writeSparkplug } from '../../src/decode/sparkplug-payload.ts';
import { datatype } from '../../src/decode/sparkplug-value.ts';
import { GatewayPerTest, publish, startGateway } from '../support/gateway.ts';
import { tempFolder } from '../support/temp-folder.ts';

const rig = new GatewayPerTest();
const { clock, http } = rig;

const plug = { name: 'plug', topic: 'tele/{device}/SENSOR', metrics: [{ path: '/power', metric: 'power' }] };

function sparkplug(metrics: readonly Partial<SparkplugMetric>[], seq: number | null): Buffer {
  const none = {
    name: null,
    alias: null,
    timestamp: null,
    datatype: null,
    isTransient: false,
    isNull: false,
    value: null,
  };
  const timestamp = BigInt(clock.now());
  const whole = metrics.map((metric) => ({ ...none, ...metric }));
  return Buffer.from(writeSparkplug({ timestamp, metrics: whole, seq: seq === null ? null : BigInt(seq) }));
}

/** The next message that the client gets. */
function nextMessage(client: MqttClient): Promise<readonly [string, Buffer]> {
  return new Promise((resolve) => void client.once('message', (topic, payload) => resolve([topic, payload])));
}

describe('a mapping', () => {
  test('is taken over at once, and given up at once', async () => {
    const client = await rig.running.mqtt.connect('plug');
    await publish(client, 'tele/plug/SENSOR', { power: 1 });
    expect(rig.running.gateway.ledger.messages.relayed).toBe(1);
    expect((await http.send('POST', '/api/v1/mappings', plug)).status).toBe(201);
    await publish(client, 'tele/plug/SENSOR', { power: 2 });
    expect(await rig.latest('plug', 'power')).toEqual([0, 2]);
    expect((await http.ask('/api/v1/mappings/plug', { method: 'DELETE' })).status).toBe(204);
    await publish(client, 'tele/plug/SENSOR', { power: 3 });
    expect(await rig.latest('plug', 'power')).toEqual([0, 2]);
    expect(rig.running.gateway.ledger.messages).toMatchObject({ relayed: 2, accepted: 1 });
  });

  test('that was mended takes in what it refused, at the time at which it came', async () => {
    const client = await rig.running.mqtt.connect('plug');
    await http.send('POST', '/api/v1/mappings', plug);
    await publish(client, 'tele/plug/SENSOR', { watts: 5 });
    clock.wall += 60_000;
    const [refused] = (await http.get(QuarantineList, '/api/v1/quarantine')).items;
    expect(refused).toMatchObject({ topic: 'tele/plug/SENSOR', reason: 'mapping_mismatch', pointer: '/power' });
    const retry = `/api/v1/quarantine/${refused?.id}/retry`;
    expect((await http.send('POST', retry, {})).status).toBe(422);
    await http.send('PATCH', '/api/v1/mappings/plug', { metrics: [{ path: '/watts', metric: 'power' }] });
    expect(await http.post(Ingested, retry, {})).toMatchObject({ stored: 1 });
    expect(await rig.latest('plug', 'power')).toEqual([0, 5]);
    expect((await http.get(QuarantineList, '/api/v1/quarantine')).items).toEqual([]);
  });
});

describe('an edge node of Sparkplug B', () => {
  const born = [
    { name: 'bdSeq', datatype: datatype.int64, value: { kind: 'long', value: 4n } },
    { name: 'Room/Temperature', alias: 1n, datatype: datatype.float, value: { kind: 'float', value: 20.5 } },
  ] as const;

  test('is born, sends by alias, is asked for what is missing, and dies', async () => {
    const client = await rig.running.mqtt.connect('edge');
    await client.subscribeAsync('spBv1.0/+/NCMD/edge', { qos: 1 });
    await publish(client, 'spBv1.0/plant/NBIRTH/edge', sparkplug(born, 0));
    expect(await rig.latest('edge', 'Room.Temperature')).toEqual([0, 20.5]);
    expect(await http.get(DeviceDetail, '/api/v1/devices/edge')).toMatchObject({
      state: 'online',
      attributes: { 'sparkplug.group': 'plant' },
    });
    clock.wall += 1_000;
    const asked = nextMessage(client);
    await publish(
      client,
      'spBv1.0/plant/NDATA/edge',
      sparkplug([{ alias: 1n, value: { kind: 'float', value: 21.5 } }], 7),
    );
    expect(await rig.latest('edge', 'Room.Temperature')).toEqual([1_000, 21.5]);
    const [topic, payload] = await asked;
    expect([topic, readSparkplug(payload).metrics[0]?.name]).toEqual([
      'spBv1.0/plant/NCMD/edge',
      'Node Control/Rebirth',
    ]);
    await publish(client, 'spBv1.0/plant/NDEATH/edge', sparkplug(born.slice(0, 1), null));
    expect(await http.get(DeviceDetail, '/api/v1/devices/edge')).toMatchObject({
      state: 'offline',
      stateCause: 'reported',
    });
  });

  test('that waits for its host finds it online', async () => {
    await rig.restart({ 'ingest.sparkplugHost': 'scada-1' });
    const client = await rig.running.mqtt.connect('edge');
    const state = nextMessage(client);
    await client.subscribeAsync('spBv1.0/STATE/+', { qos: 1 });
    const [topic, payload] = await state;
    expect(topic).toBe('spBv1.0/STATE/scada-1');
    expect(JSON.parse(payload.toString())).toEqual({ online: true, timestamp: rig.noon });
  });
});

test('a Homie device gets commands as values of its properties', async () => {
  const client = await rig.running.mqtt.connect('hall');
  const description = {
    homie: '5.0',
    nodes: { door: { properties: { lock: { datatype: 'boolean', settable: true } } } },
  };
  await publish(client, 'homie/5/hall/$description', description);
  await client.subscribeAsync('homie/5/hall/+/+/set', { qos: 1 });
  const set = nextMessage(client);
  expect((await http.send('POST', '/api/v1/devices/hall/commands', { name: 'door.lock', params: true })).status).toBe(
    202,
  );
  expect(await set).toEqual(['homie/5/hall/door/lock/set', Buffer.from('true')]);
});

test('a Homie device is known by its retained description after a restart', async () => {
  const folder = tempFolder();
  const description = { homie: '5.0', nodes: { door: { properties: { label: { datatype: 'string' } } } } };
  const latest = '/api/v1/devices/hall/latest';
  const first = await startGateway({ 'data.dir': folder.path });
  const before = await first.mqtt.connect('hall');
  await before.publishAsync('homie/5/hall/$description', JSON.stringify(description), { qos: 1, retain: true });
  await publish(before, 'homie/5/hall/door/label', '12');
  expect((await first.http.get(DeviceLatest, latest)).values['door.label']?.value).toBe('12');
  await first.stop();
  const second = await startGateway({ 'data.dir': folder.path });
  const after = await second.mqtt.connect('hall');
  await publish(after, 'homie/5/hall/door/label', '13');
  expect((await second.http.get(DeviceLatest, latest)).values['door.label']?.value).toBe('13');
  await second.stop();
  folder.remove();
});
