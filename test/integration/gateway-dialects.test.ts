// Foreign devices at a whole gateway with keys: each comes in with a credential of its own, as its own clients do, is
// understood, and every message is in the ledger.
import { gzipSync } from 'node:zlib';
import type { MqttClient } from 'mqtt';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { Command } from '../../src/contract/command.ts';
import { DeviceDetail } from '../../src/contract/device.ts';
import { QuarantineList, Retried } from '../../src/contract/quarantine.ts';
import { readSparkplug, type SparkplugMetric, writeSparkplug } from '../../src/decode/sparkplug-payload.ts';
import { datatype } from '../../src/decode/sparkplug-value.ts';
import { publish } from '../support/gateway.ts';
import { adminKey, Inbox, KeyedGateway } from '../support/gateway-keyed.ts';
import { type Answer, ask } from '../support/http-client.ts';
import { loadMappings } from '../support/mapping-files.ts';

let gateway: KeyedGateway;
beforeEach(async () => {
  gateway = await KeyedGateway.start();
});
// Both equations of the ledger are held there.
afterEach(() => gateway.stop());

/** Sends a command; it is kept when this resolves. */
function command(device: string, name: string, params: unknown): Promise<Command> {
  return gateway.read(Command, 202, 'POST', `/devices/${device}/commands`, { name, params });
}

const final = (device: string, id: string): Promise<Command> =>
  gateway.read(Command, 200, 'GET', `/devices/${device}/commands/${id}?wait=10s`);

async function as(device: string, facts: object = {}): Promise<MqttClient> {
  return gateway.connectDevice(device, await gateway.createDevice(device, facts));
}

describe('a mapping', () => {
  const mapping = { topic: 'zigbee2mqtt/{device}', metrics: [{ path: '/temperatur', metric: 'temperature' }] };

  test('that is made while running, is broken and mended takes in what it refused meanwhile', async () => {
    await gateway.createDevice('hall');
    const bridge = await gateway.connect({ username: 'bridge', password: adminKey });
    await publish(bridge, 'zigbee2mqtt/hall', { temperature: 20 });
    expect(gateway.gateway.ledger.messages).toMatchObject({ relayed: 1, refused: 0 });
    await gateway.read(z.unknown(), 201, 'POST', '/mappings', { name: 'z2m', ...mapping });
    await publish(bridge, 'zigbee2mqtt/hall', { temperature: 21 });
    const { items } = await gateway.read(QuarantineList, 200, 'GET', '/quarantine');
    expect(items).toMatchObject([{ topic: 'zigbee2mqtt/hall', reason: 'mapping_mismatch', pointer: '/temperatur' }]);
    const mended = { ...mapping, metrics: [{ path: '/temperature', metric: 'temperature', unit: 'Cel' }] };
    await gateway.read(z.unknown(), 200, 'PUT', '/mappings/z2m', mended);
    const retried = await gateway.read(Retried, 200, 'POST', '/quarantine/retry', { topic: 'zigbee2mqtt/#' });
    expect(retried).toMatchObject({ accepted: 1, refused: 0, stored: 1 });
    expect(await gateway.latest('hall')).toEqual({ temperature: 21 });
  });

  test('with one whole level for the device lets that device publish there, and no other', async () => {
    const hall = await as('hall');
    await gateway.createDevice('attic');
    await gateway.read(z.unknown(), 201, 'POST', '/mappings', { name: 'z2m', topic: 'zigbee2mqtt/{device}' });
    await publish(hall, 'zigbee2mqtt/hall', { temperature: 21 });
    await publish(hall, 'zigbee2mqtt/attic', { temperature: 99 });
    expect([await gateway.latest('hall'), await gateway.latest('attic')]).toEqual([{ temperature: 21 }, {}]);
  });

  test.each([
    [
      'zigbee2mqtt',
      'hall',
      'zigbee2mqtt/hall',
      '{"temperature":21.4,"linkquality":120}',
      { temperature: 21.4, linkquality: 120 },
    ],
    ['zigbee2mqtt', 'hall', 'zigbee2mqtt/hall/availability', '{"state":"online"}', {}],
  ])(
    'of config/mappings/%s.yaml in the configuration reads what %s says on %s',
    async (file, device, topic, payload, values) => {
      const configured = await KeyedGateway.start({ 'ingest.mappings': loadMappings(file) });
      const client = await configured.connectDevice(device, await configured.createDevice(device));
      await publish(client, topic, payload);
      expect(await configured.latest(device)).toEqual(values);
      expect(configured.gateway.ledger.messages).toMatchObject({ relayed: 0, refused: 0 });
      await configured.stop();
    },
  );
});

/** As its clients connect: the token is the user name, and there is no password. */
async function thing(device: string, token: string): Promise<MqttClient> {
  return gateway.connect({ clientId: `tb-${device}`, username: token });
}

describe('a ThingsBoard device', () => {
  test('comes in with its token alone, sends telemetry and attributes, and asks for them back', async () => {
    const client = await thing('tb', await gateway.createDevice('tb'));
    const inbox = new Inbox(client);
    await client.subscribeAsync(['v1/devices/me/attributes/response/+', 'v1/devices/me/rpc/response/+'], { qos: 1 });
    await publish(client, 'v1/devices/me/telemetry', { temperature: 42.5, running: true });
    await publish(client, 'v1/devices/me/attributes', { firmware: '1.2', floor: 3 });
    await publish(client, 'v1/devices/me/attributes/request/7', { clientKeys: 'firmware' });
    await inbox.came(1);
    expect(inbox.messages[0]).toMatchObject({ topic: 'v1/devices/me/attributes/response/7' });
    expect(JSON.parse(inbox.texts[0] ?? '')).toEqual({ client: { firmware: '1.2' }, shared: {} });
    expect(await gateway.latest('tb')).toEqual({ temperature: 42.5, running: true });
    expect(await gateway.read(DeviceDetail, 200, 'GET', '/devices/tb')).toMatchObject({
      attributes: { firmware: '1.2', floor: 3 },
      state: 'online',
    });
    // A call of the device's is answered, if only to say that nobody serves it.
    await publish(client, 'v1/devices/me/rpc/request/5', { method: 'getTime', params: {} });
    await inbox.came(2);
    expect(inbox.messages[1]).toMatchObject({ topic: 'v1/devices/me/rpc/response/5' });
    expect(JSON.parse(inbox.texts[1] ?? '')).toHaveProperty('error');
  });

  test('is called by a command, which another one does not hear, and its answer ends it', async () => {
    const one = await thing('one', await gateway.createDevice('one'));
    const two = await thing('two', await gateway.createDevice('two'));
    const [heardByOne, heardByTwo] = [new Inbox(one), new Inbox(two)];
    for (const client of [one, two]) {
      await client.subscribeAsync('v1/devices/me/rpc/request/+', { qos: 1 });
      await publish(client, 'v1/devices/me/telemetry', { x: 1 });
    }
    const { id } = await command('one', 'setGpio', { pin: 4 });
    await heardByOne.came(1);
    const [{ topic, text }] = heardByOne.messages;
    expect(JSON.parse(text)).toEqual({ method: 'setGpio', params: { pin: 4 } });
    await publish(one, topic.replace('request', 'response'), { done: true });
    expect(await final('one', id)).toMatchObject({ state: 'succeeded', result: { done: true } });
    expect(heardByTwo.messages).toEqual([]);
  });
});

const float = (value: number) => ({ datatype: datatype.float, value: { kind: 'float', value } }) as const;

describe('an edge node of Sparkplug B', () => {
  let seq = 0;
  const none = {
    name: null,
    alias: null,
    timestamp: null,
    datatype: null,
    isTransient: false,
    isNull: false,
    value: null,
  };

  function payload(metrics: readonly Partial<SparkplugMetric>[], withSeq = true): Buffer {
    const timestamp = BigInt(Date.now());
    const whole = metrics.map((metric) => ({ ...none, ...metric }));
    return Buffer.from(writeSparkplug({ timestamp, metrics: whole, seq: withSeq ? BigInt(seq++ % 256) : null }));
  }

  const bdSeq = { name: 'bdSeq', datatype: datatype.int64, value: { kind: 'long', value: 0n } } as const;
  const rebirth = {
    name: 'Node Control/Rebirth',
    datatype: datatype.boolean,
    value: { kind: 'boolean', value: false },
  } as const;

  test('is born, sends, is asked to be born again after a gap, is, and dies by its will', async () => {
    seq = 0;
    const token = await gateway.createDevice('edge');
    const will = {
      topic: 'spBv1.0/plant/NDEATH/edge',
      payload: payload([bdSeq], false),
      qos: 1 as const,
      retain: false,
    };
    const node = await gateway.connectDevice('edge', token, { will });
    const inbox = new Inbox(node);
    const asked: Buffer[] = [];
    node.on('message', (_topic, bytes) => void asked.push(bytes));
    await node.subscribeAsync('spBv1.0/plant/NCMD/edge', { qos: 1 });
    await publish(
      node,
      'spBv1.0/plant/NBIRTH/edge',
      payload([bdSeq, rebirth, { name: 'Temp', alias: 1n, ...float(20.5) }]),
    );
    await publish(node, 'spBv1.0/plant/NDATA/edge', payload([{ alias: 1n, ...float(21.5) }]));
    expect(await gateway.latest('edge')).toMatchObject({ Temp: 21.5 });
    seq++;
    await publish(node, 'spBv1.0/plant/NDATA/edge', payload([{ alias: 1n, ...float(22.5) }]));
    await inbox.came(1);
    const [request] = asked.map((bytes) => readSparkplug(bytes).metrics[0]);
    expect(request).toMatchObject({ name: 'Node Control/Rebirth', value: { kind: 'boolean', value: true } });
    seq = 0;
    await publish(
      node,
      'spBv1.0/plant/NBIRTH/edge',
      payload([bdSeq, rebirth, { name: 'Temp', alias: 9n, ...float(23.5) }]),
    );
    await publish(node, 'spBv1.0/plant/NDATA/edge', payload([{ alias: 9n, ...float(24.5) }]));
    expect(await gateway.latest('edge')).toMatchObject({ Temp: 24.5 });
    node.stream.destroy();
    await until(async () => (await gateway.read(DeviceDetail, 200, 'GET', '/devices/edge')).state === 'offline');
    expect(gateway.gateway.ledger.messages).toMatchObject({ refused: 0 });
  });
});

test('a Homie 5 device is understood by its description, and is set by a command', async () => {
  const client = await as('hall');
  const inbox = new Inbox(client);
  await client.subscribeAsync('homie/5/hall/+/+/set', { qos: 2 });
  const say = (topic: string, text: string): Promise<unknown> =>
    client.publishAsync(`homie/5/hall/${topic}`, text, { qos: 2, retain: true });
  await say('$state', 'init');
  await say(
    '$description',
    JSON.stringify({
      homie: '5.0',
      version: 1,
      nodes: {
        climate: {
          properties: { temp: { datatype: 'float', unit: '°C' }, on: { datatype: 'boolean', settable: true } },
        },
      },
    }),
  );
  await say('climate/temp', '21.5');
  await say('climate/on', 'false');
  await say('$state', 'ready');
  expect(await gateway.latest('hall')).toEqual({ 'climate.temp': 21.5, 'climate.on': false });
  const { id } = await command('hall', 'climate.on', true);
  await inbox.came(1);
  expect(inbox.messages).toMatchObject([{ topic: 'homie/5/hall/climate/on/set', text: 'true' }]);
  expect((await gateway.read(Command, 200, 'GET', `/devices/hall/commands/${id}`)).id).toBe(id);
});

describe('InfluxDB line protocol', () => {
  const cores = 'cpu,cpu=cpu0,host=pi usage_idle=90\ncpu,cpu=cpu1,host=pi usage_idle=80\n';

  test('comes in as clients of InfluxDB 2 and 1 send it, also compressed, and keeps the cores of a host apart', async () => {
    await gateway.createDevice('pi');
    const two = {
      authorization: `Token ${adminKey}`,
      'content-encoding': 'gzip',
      'content-type': 'text/plain; charset=utf-8',
    };
    const written = await write('/api/v2/write?org=o&bucket=b&precision=ms', two, gzipSync(cores));
    expect(written.status, written.text).toBe(204);
    expect(await gateway.latest('pi')).toEqual({ 'cpu.cpu0.usage_idle': 90, 'cpu.cpu1.usage_idle': 80 });
    const one = { authorization: `Basic ${Buffer.from(`telegraf:${adminKey}`).toString('base64')}` };
    const again = await write('/write?db=telegraf&precision=s', one, Buffer.from('mem,host=pi used=7i 1790000000\n'));
    expect(again.status, again.text).toBe(204);
    expect(await gateway.latest('pi')).toHaveProperty(['mem.used'], 7);
    const bad = await write('/api/v2/write', two, gzipSync(`${cores}cpu,host=pi usage_idle=oops\n`));
    expect([bad.status, bad.json()]).toMatchObject([400, { line: 3 }]);
    expect(gateway.gateway.ledger.messages).toMatchObject({ accepted: 2, refused: 1 });
  });

  test('comes in with the token of a device, for that device alone', async () => {
    const token = await gateway.createDevice('pi');
    await gateway.createDevice('other');
    const headers = { authorization: `Token ${token}` };
    expect((await write('/api/v2/write', headers, Buffer.from('mem used=7i\n'))).status).toBe(204);
    expect((await write('/api/v2/write', headers, Buffer.from('mem,device=other used=8i\n'))).status).toBe(400);
    expect([await gateway.latest('pi'), await gateway.latest('other')]).toEqual([{ 'mem.used': 7 }, {}]);
  });

  test('comes in over MQTT for a device whose profile says so, with the tags of the configuration', async () => {
    const configured = await KeyedGateway.start({ 'ingest.influxMetricTags': 'core' });
    await configured.read(z.unknown(), 201, 'POST', '/profiles', { id: 'host', dialect: 'influx' });
    const client = await configured.connectDevice('pi', await configured.createDevice('pi', { profile: 'host' }));
    await publish(client, 'devices/pi/telemetry', 'cpu,core=0,cpu=x idle=90\ncpu,core=1,cpu=x idle=80');
    expect(await configured.latest('pi')).toEqual({ 'cpu.0.idle': 90, 'cpu.1.idle': 80 });
    await configured.stop();
  });
});

async function until(reached: () => Promise<boolean>): Promise<void> {
  while (!(await reached())) await new Promise((resolve) => setTimeout(resolve, 10));
}

function write(path: string, headers: Readonly<Record<string, string>>, body: Uint8Array): Promise<Answer> {
  return ask(gateway.httpPort, path, { method: 'POST', headers, body: [body] });
}
