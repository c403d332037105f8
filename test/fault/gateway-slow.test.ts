// Nobody slow hurts anybody else: one who does not read, or does not answer, and everybody else gets all of it.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type GatewayHere, startGatewayHere } from '../support/gateway-here.ts';
import { send } from '../support/http-client.ts';
import { Device } from '../support/kill-publisher.ts';
import { readAll } from '../support/kill-model.ts';
import { Watcher } from '../support/kill-watcher.ts';
import { LiveTestClient } from '../support/live-client.ts';
import { expectBalanced, readMetrics, sample } from '../support/ledger-check.ts';
import { packetType, subscribePacket, WireClient } from '../support/mqtt-wire.ts';
import { patientClock } from '../support/patient-clock.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { WebhookReceiver } from '../support/webhook-receiver.ts';

const count = 3_000;
/** Enough in all to fill every buffer between the gateway and somebody who does not read. */
const padding = 'x'.repeat(5_000);

let folder: ReturnType<typeof tempFolder>;
let here: GatewayHere;
let devices: Device[];
let cleanups: (() => unknown)[];
beforeEach(async () => {
  folder = tempFolder();
  here = await startGatewayHere(folder.path, { 'live.heartbeat': '200ms' }, { clock: patientClock });
  devices = ['pump-1', 'pump-2', 'pump-3'].map((name) => new Device(name, { inFlightMax: 20 }));
  for (const device of devices) await device.connect(here.mqttPort);
  cleanups = [() => folder.remove(), () => here.gateway.stop(), () => devices.map((device) => device.disconnect())];
});
afterEach(async () => {
  for (const cleanup of cleanups.toReversed()) await cleanup();
});

/** Publishes, and waits for every acknowledgement; the text beside the count makes frames long. */
async function publishAll(): Promise<void> {
  const begin = Date.now() - 3_600_000;
  const texts = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`text${index}`, padding.slice(0, 250)]));
  const told: Promise<void>[] = [];
  for (let serial = 0; serial < count; serial++) {
    const payload = JSON.stringify({ ts: begin + serial, count: serial, flow: serial % 100, ...texts });
    const name = `pump-${(serial % devices.length) + 1}`;
    told.push(devices[serial % devices.length].publish(`devices/${name}/telemetry`, payload));
  }
  await Promise.all(told);
}

async function expectAllThere(watcher: Watcher): Promise<void> {
  const metrics = await readMetrics(here.httpPort);
  expectBalanced(metrics);
  await watcher.reached(sample(metrics, 'pulsegate_engine_sequence'));
  const serials = Array.from({ length: count }, (_, serial) => serial);
  const seen = watcher.readings.map(({ value }) => Number(value)).toSorted((a, b) => a - b);
  expect(seen).toEqual(serials);
  const kept = [...(await readAll(here.httpPort))].filter(([name]) => name.endsWith('/count'));
  const values = kept.flatMap(([, rows]) => rows.map(({ value }) => Number(value))).toSorted((a, b) => a - b);
  expect(values).toEqual(serials);
}

async function watch(): Promise<Watcher> {
  const watcher = new Watcher({ metric: 'count' });
  await watcher.connect(here.httpPort);
  cleanups.push(() => watcher.disconnect());
  return watcher;
}

it('an MQTT subscriber that stops reading is ended; every device is acknowledged, every other subscriber served', async () => {
  const frozen = await WireClient.open(here.mqttPort, 'frozen');
  const other = await WireClient.open(here.mqttPort, 'other');
  cleanups.push(
    () => frozen.end(),
    () => other.end(),
  );
  for (const client of [frozen, other]) {
    client.send(subscribePacket(1, 'devices/#'));
    expect((await client.next()).type).toBe(packetType.suback);
  }
  frozen.socket.pause();
  const watcher = await watch();
  const heard = (async (): Promise<number> => {
    for (let publishes = 0; ; )
      if ((await other.next()).type === packetType.publish && ++publishes === count) return publishes;
  })();
  await publishAll();
  await expectAllThere(watcher);
  expect(await heard).toBe(count);
  expect(sample(await readMetrics(here.httpPort), 'pulsegate_mqtt_forwards_shed_total')).toBeGreaterThan(0);
  // Whoever is cut off learns of it when it reads again.
  frozen.socket.resume();
  await frozen.closed;
});

it('a dashboard that stops reading is ended as too slow, the others get every reading', async () => {
  const frozen = await LiveTestClient.connect(here.liveUrl);
  cleanups.push(() => frozen.socket.terminate());
  frozen.send({ op: 'subscribe', id: 'everything' });
  await frozen.next('snapshot');
  frozen.socket.pause();
  const watcher = await watch();
  await publishAll();
  await expectAllThere(watcher);
  expect(sample(await readMetrics(here.httpPort), 'pulsegate_live_closed_total{reason="slow"}')).toBe(1);
  frozen.socket.resume();
  expect(await frozen.closing()).toMatchObject({ code: 4008 });
});

it('a webhook receiver that never answers holds up neither the devices nor another receiver', async () => {
  const hanging = await WebhookReceiver.open(() => {});
  const answering = await WebhookReceiver.open();
  cleanups.push(
    () => hanging.close(),
    () => answering.close(),
  );
  const rule = { name: 'flow', metric: 'flow', condition: { type: 'threshold', above: 50 } };
  expect((await send(here.httpPort, 'POST', '/api/v1/rules', rule)).status).toBe(201);
  for (const { url } of [hanging, answering]) {
    expect((await send(here.httpPort, 'POST', '/api/v1/webhooks', { url })).status).toBe(201);
  }
  const watcher = await watch();
  await publishAll();
  await expectAllThere(watcher);
  // Every device rises over the threshold once in a hundred serials, and falls below it after all but the last of them.
  const transitions = devices.length * ((2 * count) / 100 - 1);
  await answering.received(transitions);
  expect(new Set(answering.ids).size).toBe(transitions);
  expect(hanging.requests.length).toBeLessThanOrEqual(8);
});
