// Readings of many devices, each of which sends the same in another order, through a whole gateway.
import { expect, test } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { FleetLatest } from '../../src/contract/device.ts';
import { GatewayPerTest, publish, type Sent } from '../support/gateway.ts';
import { LiveTestClient } from '../support/live-client.ts';

const rig = new GatewayPerTest();
const { http, noon } = rig;

/** In the order of measuring; of one time the last one counts, so those keep their order. */
const measured = [
  { time: noon - 7 * 3_600_000, value: 1.5 },
  { time: noon - 3_600_000, value: -2 },
  { time: noon - 3_600_000, value: 4 },
  { time: noon - 60_001, value: 3 },
  { time: noon - 1_000, value: 8 },
  { time: noon - 1_000, value: 7.25 },
] as const;

function isKept(order: readonly number[]): boolean {
  return order.indexOf(1) < order.indexOf(2) && order.indexOf(4) < order.indexOf(5);
}

/** All orders in which both pairs of one time keep theirs: 6! / 4. */
function orders(): number[][] {
  const of = (left: readonly number[]): number[][] =>
    left.length === 0
      ? [[]]
      : left.flatMap((at) => of(left.filter((other) => other !== at)).map((rest) => [at, ...rest]));
  return of([0, 1, 2, 3, 4, 5]).filter(isKept);
}

const questions = [
  'limit=1000',
  'order=desc&limit=1000',
  'bucket=1h&agg=count,min,max,avg,sum,first,last,stddev,median,delta,increase,rate,timeWeightedAvg,integral',
  'bucket=7m&agg=p90,duration(4),timeInRange(0,5)&limit=1000',
  'points=3',
  'points=4&method=lttb',
];

/** The device is not part of what is compared. */
async function answer(path: string, device: string): Promise<string> {
  const { status, text } = await http.ask(path);
  expect(status, text).toBe(200);
  return text.replaceAll(`"${device}"`, '"device"');
}

test('every order in which readings of a device come leaves the same latest value, history, snapshot and shape', async () => {
  const random = seededRandom(5);
  const all = orders();
  expect(all).toHaveLength(180);
  const devices = ['in-order', ...all.map((_, index) => `device-${index}`)];
  const arrivals = [measured, ...all.map((order) => order.map((at) => measured[at]))];

  // One commit brings one reading of most devices, several of some; some devices send over MQTT.
  const left = arrivals.map((arrival) => [...arrival]);
  const client = await rig.running.mqtt.connect('stations');
  while (left.some((waiting) => waiting.length > 0)) {
    const batch: Sent[] = [];
    const published: Promise<void>[] = [];
    for (const [index, waiting] of left.entries()) {
      const device = devices[index];
      const rows = waiting.splice(0, Math.floor(random.next() * 3));
      if (index % 5 === 1) {
        const body = rows.map(({ time, value }) => ({ ts: time, level: value }));
        if (body.length > 0) published.push(publish(client, `devices/${device}/telemetry`, body));
      } else {
        batch.push(...rows.map((row) => ({ device, metric: 'level', ...row })));
      }
    }
    if (batch.length > 0) published.push(rig.post(batch).then(() => undefined));
    await Promise.all(published);
  }

  for (const question of questions) {
    const path = (device: string): string => `/api/v1/devices/${device}/readings?metric=level&from=-1d&${question}`;
    const expected = await answer(path('in-order'), 'in-order');
    for (const device of devices) expect(await answer(path(device), device), `${device}: ${question}`).toBe(expected);
  }

  const items: FleetLatest['items'][number][] = [];
  for await (const page of http.pages(FleetLatest, '/api/v1/latest?metric=level&limit=50')) items.push(...page.items);
  const newest = measured[5];
  expect(items.map(({ device }) => device).sort()).toEqual([...devices].sort());
  for (const { device, time, value } of items) {
    expect({ device, time: Date.parse(time), value }).toEqual({ device, time: newest.time, value: newest.value });
  }

  const live = await LiveTestClient.connect(`ws://127.0.0.1:${http.port}/api/v1/live`);
  live.send({ op: 'subscribe', id: 'a', topic: 'readings' });
  const seen = new Map<string, unknown>();
  for (let isDone = false; !isDone; ) {
    const frame = await live.next('snapshot');
    const rows = 'readings' in frame ? frame.readings : [];
    for (const { device, time, value } of rows) seen.set(device, { time: Date.parse(time), value });
    isDone = frame.done;
  }
  expect(seen.size).toBe(devices.length);
  for (const [device, told] of seen) expect(told, device).toEqual({ time: newest.time, value: newest.value });
  live.socket.terminate();
});
