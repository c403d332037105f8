// Commands that waited for a device of another dialect: how to reach it is known only once it speaks, which is after it
// connected and subscribed.
import type { MqttClient } from 'mqtt';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Command } from '../../src/contract/command.ts';
import { readSparkplug, type SparkplugMetric, writeSparkplug } from '../../src/decode/sparkplug-payload.ts';
import { datatype } from '../../src/decode/sparkplug-value.ts';
import { publish } from '../support/gateway.ts';
import { Inbox, KeyedGateway } from '../support/gateway-keyed.ts';

let gateway: KeyedGateway;
beforeEach(async () => {
  gateway = await KeyedGateway.start();
});
// Both equations of the ledger are held there.
afterEach(() => gateway.stop());

function command(device: string, name: string, params: unknown): Promise<Command> {
  return gateway.read(Command, 202, 'POST', `/devices/${device}/commands`, { name, params });
}

const none = {
  name: null,
  alias: null,
  timestamp: null,
  datatype: null,
  isTransient: false,
  isNull: false,
  value: null,
} as const;
const bdSeq = { name: 'bdSeq', datatype: datatype.int64, value: { kind: 'long', value: 0n } } as const;
const lamp = { name: 'Lamp', datatype: datatype.boolean, value: { kind: 'boolean', value: false } } as const;

function born(client: MqttClient, topic: string, seq: number, metrics: readonly Partial<SparkplugMetric>[]) {
  const whole = metrics.map((metric) => ({ ...none, ...metric }));
  const payload = writeSparkplug({ timestamp: BigInt(Date.now()), metrics: whole, seq: BigInt(seq) });
  return publish(client, topic, Buffer.from(payload));
}

test('a ThingsBoard device gets what waited for it once it speaks, as a call', async () => {
  const token = await gateway.createDevice('tb');
  const { id } = await command('tb', 'restart', { in: 5 });
  const device = await gateway.connectDevice('tb', token);
  const inbox = new Inbox(device);
  await device.subscribeAsync('v1/devices/me/rpc/request/+', { qos: 1 });
  await publish(device, 'v1/devices/me/telemetry', { x: 1 });
  await inbox.came(1);
  const [{ topic, text }] = inbox.messages;
  expect(JSON.parse(text)).toEqual({ method: 'restart', params: { in: 5 } });
  await publish(device, topic.replace('request', 'response'), { done: true });
  const ended = await gateway.read(Command, 200, 'GET', `/devices/tb/commands/${id}?wait=10s`);
  expect(ended).toMatchObject({ state: 'succeeded', result: { done: true } });
});

test('an edge node of Sparkplug B, and a device behind it, get what waited for them once they are born', async () => {
  const token = await gateway.createDevice('edge');
  await gateway.createDevice('edge:dev');
  await command('edge', 'Lamp', true);
  await command('edge:dev', 'Lamp', true);
  const node = await gateway.connectDevice('edge', token);
  const inbox = new Inbox(node);
  const asked: [string, Buffer][] = [];
  node.on('message', (topic, bytes) => void asked.push([topic, bytes]));
  await node.subscribeAsync(['spBv1.0/plant/NCMD/edge', 'spBv1.0/plant/DCMD/edge/+'], { qos: 1 });
  await born(node, 'spBv1.0/plant/NBIRTH/edge', 0, [bdSeq, lamp]);
  await inbox.came(1);
  await born(node, 'spBv1.0/plant/DBIRTH/edge/dev', 1, [lamp]);
  await inbox.came(2);
  expect(asked.map(([topic, bytes]) => [topic, readSparkplug(bytes).metrics[0]])).toMatchObject([
    ['spBv1.0/plant/NCMD/edge', { name: 'Lamp', value: { kind: 'boolean', value: true } }],
    ['spBv1.0/plant/DCMD/edge/dev', { name: 'Lamp', value: { kind: 'boolean', value: true } }],
  ]);
});
