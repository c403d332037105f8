// A whole gateway on a real Mosquitto: both are killed while devices go on publishing, and nothing is missing afterwards.
import { connectAsync, type MqttClient } from 'mqtt';
import { afterEach, describe, expect, it } from 'vitest';
import { GatewayProcess } from '../support/gateway-process.ts';
import { RestClient } from '../support/gateway.ts';
import { Readings } from '../../src/contract/reading.ts';
import { Mosquitto } from '../support/mosquitto.ts';
import { tempFolder } from '../support/temp-folder.ts';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const devices = 8;
const messagesEach = 400;
const begin = Date.parse('2026-09-21T12:00:00Z');

interface Rig {
  readonly broker: Mosquitto;
  readonly rest: RestClient;
  /** Resolves when everything has been sent and acknowledged by the broker. */
  readonly sending: Promise<unknown>;
  killGateway(): Promise<void>;
  startGateway(): Promise<void>;
}

/** Devices that publish through a broker, and a gateway behind it that has stored the first of it. */
async function underway(options: Readonly<Record<string, string>>): Promise<Rig> {
  const broker = await Mosquitto.start({ persistent: true });
  cleanups.push(() => broker.remove());
  const folder = tempFolder();
  cleanups.push(() => folder.remove());
  const env = {
    PULSEGATE_MQTT_MODE: 'external',
    PULSEGATE_MQTT_EXTERNAL_URL: broker.url,
    PULSEGATE_DEVICE_MESSAGES_PER_SECOND: '0',
    ...options,
  };
  let gateway = await GatewayProcess.start({ dir: folder.path, env });
  cleanups.push(() => gateway.kill());
  const rest = new RestClient(() => gateway.httpPort);
  await until(async () => (await rest.ask('/readyz')).status === 200);
  const clients = await Promise.all(
    Array.from({ length: devices }, (_, device) =>
      connectAsync(broker.url, { clientId: `device-${device}`, clean: false, reconnectPeriod: 50 }),
    ),
  );
  for (const client of clients) {
    client.on('error', () => {});
    cleanups.push(() => client.endAsync(true));
  }
  const sending = Promise.all(clients.map((client, device) => send(client, `device-${device}`)));
  await until(async () => (await stored(rest)) > 100);
  return {
    broker,
    rest,
    sending,
    async killGateway() {
      await gateway.kill();
    },
    async startGateway() {
      gateway = await GatewayProcess.start({ dir: folder.path, env });
    },
  };
}

/** Every message of every device, each once, in order. */
async function expectEverything(rest: RestClient): Promise<void> {
  await until(async () => (await stored(rest)) === devices * messagesEach);
  for (let device = 0; device < devices; device++) {
    const { readings } = await rest.get(Readings, pathOf(device));
    expect(readings.map(({ value }) => value)).toEqual(Array.from({ length: messagesEach }, (_, index) => index));
  }
}

describe.each(['4', '5'])('over MQTT %s', (protocol) => {
  it('a kill of the gateway and restarts of the broker lose nothing that devices had acknowledged', async () => {
    const rig = await underway({ PULSEGATE_MQTT_EXTERNAL_PROTOCOL: protocol });
    await rig.killGateway();
    await rig.broker.end('SIGTERM');
    await rig.broker.resume();
    await rig.startGateway();
    await until(async () => (await rig.rest.ask('/readyz')).status === 200);
    await rig.broker.end('SIGTERM');
    await until(async () => (await rig.rest.ask('/readyz')).status === 503);
    expect((await rig.rest.ask('/readyz')).json()).toMatchObject({ code: 'broker_unavailable' });
    await rig.broker.resume();
    await rig.sending;
    await expectEverything(rig.rest);
  });

  it('a kill of the gateway loses nothing of a subscription that four connections share', async () => {
    const group = { PULSEGATE_MQTT_EXTERNAL_GROUP: 'pulsegate', PULSEGATE_MQTT_EXTERNAL_CONNECTIONS: '4' };
    const rig = await underway({ PULSEGATE_MQTT_EXTERNAL_PROTOCOL: protocol, ...group });
    await rig.killGateway();
    await rig.startGateway();
    await rig.sending;
    await expectEverything(rig.rest);
  });
});

function pathOf(device: number): string {
  return `/api/v1/devices/device-${device}/readings?metric=n&from=${begin}&to=${begin + messagesEach}&limit=1000`;
}

async function send(client: MqttClient, device: string): Promise<void> {
  for (let index = 0; index < messagesEach; index += 20) {
    await Promise.all(
      Array.from({ length: 20 }, (_, step) =>
        client.publishAsync(
          `devices/${device}/telemetry`,
          JSON.stringify({ ts: begin + index + step, n: index + step }),
          { qos: 1 },
        ),
      ),
    );
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Counted where it is kept: the counters begin anew with each gateway. */
async function stored(rest: RestClient): Promise<number> {
  let count = 0;
  for (let device = 0; device < devices; device++) {
    const answer = await rest.ask(pathOf(device));
    if (answer.status === 200) count += Readings.parse(answer.json()).readings.length;
  }
  return count;
}

async function until(reached: () => Promise<boolean>): Promise<void> {
  while (!(await reached())) await new Promise((resolve) => setTimeout(resolve, 50));
}
