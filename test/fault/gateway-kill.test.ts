// What the gateway owes devices, operators and receivers is owed over a kill -9 as well: wills, commands, and the word
// that a device came or went.
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { Webhook as ReferenceWebhook } from 'standardwebhooks';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Command } from '../../src/contract/command.ts';
import { DeviceDetail, DeviceLatest } from '../../src/contract/device.ts';
import { WebhookCreated } from '../../src/contract/webhook.ts';
import { DeviceWebhookBody } from '../../src/contract/webhook-body.ts';
import { publish, RestClient } from '../support/gateway.ts';
import { Inbox } from '../support/gateway-keyed.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import {
  connectPacket,
  packetType,
  pingPacket,
  pubackPacket,
  publishOf,
  subscribePacket,
  WireClient,
} from '../support/mqtt-wire.ts';
import { readMetrics, sample } from '../support/ledger-check.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { WebhookReceiver } from '../support/webhook-receiver.ts';

let folder: ReturnType<typeof tempFolder>;
let gateway: GatewayProcess;
const clients: MqttClient[] = [];
const rest = new RestClient(() => gateway.httpPort);
const env = { PULSEGATE_WEBHOOKS_ALLOW_TARGETS: '127.0.0.0/8', PULSEGATE_DEVICE_OFFLINE_AFTER: '3s' };
beforeEach(async () => {
  folder = tempFolder();
  gateway = await GatewayProcess.start({ dir: folder.path, env });
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.endAsync(true);
  await gateway.kill();
  folder.remove();
});

async function killAndStart(): Promise<void> {
  await gateway.kill();
  gateway = await GatewayProcess.start({ dir: folder.path, env });
}

async function connect(clientId: string, options: object = {}): Promise<MqttClient> {
  const url = `mqtt://127.0.0.1:${gateway.mqttPort}`;
  const client = await connectAsync(url, { clientId, reconnectPeriod: 0, ...options });
  client.on('error', () => {});
  clients.push(client);
  return client;
}

function withWill(topic: string): Pick<IClientOptions, 'will'> {
  return { will: { topic, payload: Buffer.from('gone'), qos: 1, retain: true } };
}

it('the will of a client that was connected at the kill goes out after it, once, and those who said goodbye have none', async () => {
  await connect('lost', withWill('plant/lost'));
  const polite = await connect('polite', withWill('plant/polite'));
  await connect('probe', { will: { topic: 'devices/probe/telemetry', payload: Buffer.from('{"dead":1}'), qos: 1 } });
  const watcher = await WireClient.open(gateway.mqttPort, 'watcher', { clean: false });
  watcher.send(subscribePacket(1, 'plant/#'));
  expect((await watcher.next()).type).toBe(packetType.suback);
  await polite.endAsync();
  // Nothing answers a DISCONNECT: that it is on disk shows what is acknowledged after it was heard.
  while (sample(await readMetrics(gateway.httpPort), 'pulsegate_mqtt_clients') > 3) await roundTrip(watcher);
  await publish(await connect('someone'), 'devices/someone/telemetry', { x: 1 });
  await killAndStart();

  const again = await WireClient.dial(gateway.mqttPort);
  again.send(connectPacket('watcher', { clean: false }));
  const connack = await again.next();
  expect([connack.type, ...connack.body]).toEqual([packetType.connack, 1, 0]);
  const told = publishOf(await again.next());
  expect(told).toMatchObject({ topic: 'plant/lost', payload: 'gone' });
  again.send(pubackPacket(told.id));
  await roundTrip(again);
  await publish(await connect('someone'), 'devices/someone/telemetry', { x: 2 });
  // A will that is a reading is stored like one, and once.
  const { values } = await rest.get(DeviceLatest, '/api/v1/devices/probe/latest');
  expect(values).toMatchObject({ dead: { value: 1 } });
  again.end();

  await killAndStart();
  const third = await WireClient.open(gateway.mqttPort, 'watcher', { clean: false });
  third.send(subscribePacket(2, 'plant/#'));
  const first = await third.next();
  expect(first.type, first.body.toString()).toBe(packetType.suback);
  // Retained it is still there; as a message it does not come again, and nobody else's comes at all.
  expect(publishOf(await third.next())).toMatchObject({ topic: 'plant/lost', payload: 'gone', retain: true });
  await publish(await connect('marker'), 'plant/end', 'end');
  expect(publishOf(await third.next())).toMatchObject({ topic: 'plant/end' });
  third.end();
});

/** Asks something of a device. */
function make(device: string, ttl = '1h'): Promise<Command> {
  return rest.post(Command, `/api/v1/devices/${device}/commands`, { name: 'unlock', ttl }, 202);
}

function look(device: string, { id }: Command, query = ''): Promise<Command> {
  return rest.get(Command, `/api/v1/devices/${device}/commands/${id}${query}`);
}

it('a command outlives the kill, queued or sent, and its answer afterwards ends it', async () => {
  await publish(await connect('lock'), 'devices/lock/telemetry', { x: 1 });
  await publish(await connect('absent'), 'devices/absent/telemetry', { x: 1 });
  for (const client of clients.splice(0)) await client.endAsync();
  const before = await connect('lock');
  const inbox = new Inbox(before);
  await before.subscribeAsync('devices/lock/commands/+', { qos: 1 });
  const sent = await make('lock');
  await inbox.came(1);
  const queued = await make('absent');
  const brief = await make('absent', '1s');
  await killAndStart();

  expect((await look('absent', queued)).state).toBe('queued');
  const after = await connect('lock');
  const again = new Inbox(after);
  await after.subscribeAsync('devices/lock/commands/+', { qos: 1 });
  await again.came(1);
  expect(again.topics).toEqual([`devices/lock/commands/${sent.id}`]);
  await publish(after, `devices/lock/commands/${sent.id}/reply`, { status: 'succeeded', result: 1 });
  expect(await look('lock', sent)).toMatchObject({ state: 'succeeded', result: 1 });
  expect(await look('absent', brief, '?wait=10s')).toMatchObject({ state: 'expired' });
  const late = await connect('absent');
  const heard = new Inbox(late);
  await late.subscribeAsync('devices/absent/commands/+', { qos: 1 });
  await heard.came(1);
  expect(heard.topics).toEqual([`devices/absent/commands/${queued.id}`]);
  // The final state is kept as well.
  await killAndStart();
  expect(await look('lock', sent)).toMatchObject({ state: 'succeeded', result: 1 });
});

it('every coming and going reaches the receiver, signed and in order, with a kill in between', async () => {
  const receiver = await WebhookReceiver.open();
  const hook = await rest.post(WebhookCreated, '/api/v1/webhooks', { url: receiver.url, events: ['device.*'] }, 201);
  const reference = new ReferenceWebhook(hook.secret);
  /** What was told of the device, in the order in which it first arrived. */
  const told = (): string[] => {
    const seen = new Map<string, string>();
    for (const { headers, body } of receiver.requests) {
      reference.verify(body, headers);
      const { device } = DeviceWebhookBody.parse(JSON.parse(body)).data;
      seen.set(headers['webhook-id'] ?? '', `${device.state} ${device.cause}`);
    }
    return [...seen.values()];
  };
  const stateIs = async (state: string): Promise<void> => {
    const path = '/api/v1/devices/pump';
    while ((await rest.get(DeviceDetail, path)).state !== state)
      await new Promise((resolve) => setTimeout(resolve, 20));
  };
  // Known first: in open mode it is its client id that says which device a connection is.
  await publish(await connect('someone'), 'devices/pump/status', 'offline');

  const first = await connect('pump');
  await stateIs('online');
  await first.endAsync();
  await stateIs('offline');
  const second = await connect('pump', {
    will: { topic: 'devices/pump/status', payload: Buffer.from('offline'), qos: 1, retain: false },
  });
  await stateIs('online');
  second.stream.destroy();
  await stateIs('offline');
  // From here on the receiver is away, so what follows is owed over the kill.
  await until(() => told().length >= 5);
  receiver.reply = (response) => void response.writeHead(503).end();
  await connect('pump');
  await stateIs('online');
  await killAndStart();
  receiver.reply = (response) => void response.writeHead(204).end();
  // Nobody is there after the kill, and its silence says so.
  await stateIs('offline');
  await until(() => told().length >= 7);
  expect(told()).toEqual([
    'offline reported',
    'online connected',
    'offline disconnected',
    'online connected',
    'offline reported',
    'online connected',
    'offline silent',
  ]);
  const sequences = receiver.requests.map(({ body }) => DeviceWebhookBody.parse(JSON.parse(body)).data.sequence);
  expect(sequences).toEqual(sequences.toSorted((a, b) => a - b));
  await receiver.close();
});

/** After it the broker has heard what was said before, and has said nothing else. */
async function roundTrip(client: WireClient): Promise<void> {
  client.send(pingPacket);
  expect((await client.next()).type).toBe(packetType.pingresp);
}

async function until(reached: () => boolean): Promise<void> {
  while (!reached()) await new Promise((resolve) => setTimeout(resolve, 20));
}
