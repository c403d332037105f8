// What a profile says of a device holds for what it sends, from the next message on; and what one device may send is
// bounded without harm to another.
import type { MqttClient } from 'mqtt';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { FleetLatest } from '../../src/contract/device.ts';
import { QuarantineList, Retried } from '../../src/contract/quarantine.ts';
import { Ingested, Readings } from '../../src/contract/reading.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { publish, SetClock } from '../support/gateway.ts';
import { Inbox, KeyedGateway } from '../support/gateway-keyed.ts';
import { sample } from '../support/ledger-check.ts';

describe('a profile', () => {
  const clock = new SetClock();
  const noon = clock.wall;
  let gateway: KeyedGateway;
  beforeEach(async () => {
    clock.wall = noon;
    gateway = await KeyedGateway.start({}, { clock });
  });
  afterEach(() => gateway.stop());

  const inherit = (id: string, profile: object): Promise<unknown> =>
    gateway.read(z.unknown(), 201, 'POST', '/profiles', { id, ...profile });

  test('with the dialect senml reads packs on devices/{id}/telemetry, with its units', async () => {
    await inherit('probe', { dialect: 'senml', metrics: { voltage: { unit: 'mV' }, 'temp*': { unit: 'K' } } });
    const client = await gateway.connectDevice('p', await gateway.createDevice('p', { profile: 'probe' }));
    const pack = [
      { bn: 'urn:dev:ow:1:', bt: noon / 1_000 - 60, n: 'temp', u: 'K', v: 290 },
      { n: 'voltage', t: 30, v: 3300 },
    ];
    await publish(client, 'devices/p/telemetry', pack);
    const { items } = await gateway.read(FleetLatest, 200, 'GET', '/latest?device=p');
    expect(items.map(({ metric, time, value, unit }) => [metric, Date.parse(time) - noon, value, unit])).toEqual([
      ['temp', -60_000, 290, 'K'],
      ['voltage', -30_000, 3300, 'mV'],
    ]);
    // It is the dialect of this device's payloads, not one among several.
    await publish(client, 'devices/p/telemetry', { temp: 1 });
    expect(await gateway.quarantined()).toHaveLength(1);
  });

  test.each([
    ['influx', 'climate temperature=21.5,humidity=48i', { 'climate.temperature': 21.5, 'climate.humidity': 48 }],
    ['bare', '21.5', { value: 21.5 }],
    ['senml-cbor', Buffer.from('81a200646c6f616402182a', 'hex'), { load: 42 }],
  ])('with the dialect %s reads it', async (dialect, payload, values) => {
    await inherit('probe', { dialect });
    const client = await gateway.connectDevice('p', await gateway.createDevice('p', { profile: 'probe' }));
    await publish(client, 'devices/p/telemetry', payload);
    expect(await gateway.latest('p')).toEqual(values);
  });

  test('refuses what is not plausible, and once it is mended takes it in at the time at which it came', async () => {
    await inherit('oven', { metrics: { temperature: { unit: 'Cel', min: 0, max: 60 } } });
    const client = await gateway.connectDevice('o', await gateway.createDevice('o', { profile: 'oven' }));
    await publish(client, 'devices/o/telemetry', { temperature: 20 });
    clock.wall += 1_000;
    await publish(client, 'devices/o/telemetry', { door: 1, temperature: 180 });
    const { items } = await gateway.read(QuarantineList, 200, 'GET', '/quarantine');
    expect(items).toMatchObject([
      { reason: 'value_implausible', pointer: '/temperature', topic: 'devices/o/telemetry' },
    ]);
    // One bad value refuses the message whole.
    expect(await gateway.latest('o')).toEqual({ temperature: 20 });
    expect(await gateway.read(Retried, 200, 'POST', '/quarantine/retry', {})).toMatchObject({
      accepted: 0,
      refused: 1,
    });
    clock.wall += 60_000;
    await gateway.read(z.unknown(), 200, 'PATCH', '/profiles/oven', {
      metrics: { temperature: { unit: 'Cel', min: 0, max: 300 } },
    });
    expect(await gateway.read(Ingested, 200, 'POST', `/quarantine/${items[0]?.id}/retry`, {})).toMatchObject({
      stored: 2,
    });
    const path = '/devices/o/readings?metric=temperature&from=0&to=2100-01-01';
    const { readings } = await gateway.read(Readings, 200, 'GET', path);
    expect(readings.map(({ time, value }) => [Date.parse(time) - noon, value])).toEqual([
      [0, 20],
      [1_000, 180],
    ]);
  });
});

test('a device above its rate is slowed and told so, loses nothing of QoS 1, and holds nobody up', async () => {
  const clock = new FakeClock();
  const gateway = await KeyedGateway.start({ 'device.messagesPerSecond': 50, 'device.burst': '1s' }, { clock });
  const loud = await gateway.connectDevice('loud', await gateway.createDevice('loud'));
  const calm = await gateway.connectDevice('calm', await gateway.createDevice('calm'));
  const told = new Inbox(loud);
  await loud.subscribeAsync('devices/loud/throttle', { qos: 1 });
  const serials = Array.from({ length: 300 }, (_, serial) => serial);
  const through = sendInTwenties(loud, serials);
  await told.came(1);
  expect(JSON.parse(told.texts[0] ?? '')).toMatchObject({ state: 'throttled', messagesPerSecond: 50 });
  // The clock stands, so nobody can pay a debt: what the other one sends is taken all the same.
  for (let n = 0; n < 20; n++) await publish(calm, 'devices/calm/telemetry', { n });
  expect(await isSettled(through, gateway)).toBe(false);
  const waited = await advanceUntil(through, clock, gateway);
  // Fifty at once, and fifty each second.
  expect(waited).toBeGreaterThanOrEqual(4_000);
  expect(gateway.gateway.ledger.messages).toMatchObject({ accepted: 320, shed: 0, refused: 0 });
  const path = '/devices/loud/readings?metric=n&from=0&to=2100-01-01&limit=1000';
  const { readings } = await gateway.read(Readings, 200, 'GET', path);
  expect(readings.map(({ value }) => value)).toEqual(serials);

  // QoS 0 is shed, and that is counted.
  for (const n of serials) loud.publish('devices/loud/telemetry/zero', String(n), { qos: 0 });
  const last = publish(loud, 'devices/loud/telemetry', { last: 1 });
  await advanceUntil(last, clock, gateway);
  const { accepted, shed } = gateway.gateway.ledger.messages;
  expect([accepted + shed, shed > 0]).toEqual([320 + 301, true]);
  const metrics = await gateway.metrics();
  expect(sample(metrics, 'pulsegate_mqtt_rate_shed_total')).toBe(shed);
  expect(sample(metrics, 'pulsegate_mqtt_rate_slowed_total')).toBeGreaterThan(0);
  await gateway.stop();
});

/** Twenty under way at a time. */
async function sendInTwenties(client: MqttClient, serials: readonly number[]): Promise<void> {
  for (let from = 0; from < serials.length; from += 20) {
    const some = serials.slice(from, from + 20);
    await Promise.all(some.map((n) => publish(client, 'devices/loud/telemetry/n', String(n))));
  }
}

/** Whether it settles before the gateway has answered a question. */
function isSettled(promise: Promise<unknown>, gateway: KeyedGateway): Promise<boolean> {
  return Promise.race([promise.then(() => true), gateway.ask('GET', '/readyz').then(() => false)]);
}

/** Turns the hands until it settles, and never while something waits for the disk, which has no hands; by how much, ms. */
async function advanceUntil(promise: Promise<unknown>, clock: FakeClock, gateway: KeyedGateway): Promise<number> {
  let waited = 0;
  while (!(await isSettled(promise, gateway))) {
    if (sample(await gateway.metrics(), 'pulsegate_window_messages') > 0) continue;
    clock.advance(100);
    waited += 100;
  }
  return waited;
}
