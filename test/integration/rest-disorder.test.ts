// Readings that are late, repeated or replacing, and clocks that are wrong, through a whole gateway.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AlertList } from '../../src/contract/alert-list.ts';
import { DeviceDetail, DeviceList } from '../../src/contract/device.ts';
import { QuarantineList } from '../../src/contract/quarantine.ts';
import { StreamPage } from '../../src/contract/reading.ts';
import { Rule } from '../../src/contract/rule.ts';
import { expectProblem } from '../support/api-problem.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { GatewayPerTest, publish, type Sent } from '../support/gateway.ts';

const minuteMs = 60_000;
const hourMs = 3_600_000;
const dayMs = 86_400_000;

const rig = new GatewayPerTest();
const { clock, http, noon } = rig;

const level = (offset: number, value: number): Sent => ({
  device: 'tank-1',
  metric: 'level',
  time: noon + offset,
  value,
});

describe('late, repeated and replacing readings', () => {
  test('are each told apart, and the stream has what changed and nothing else', async () => {
    const { cursor: begin } = await rig.post([level(-5_000, 5), level(-3_000, 3), level(-1_000, 1)]);
    expect(await rig.post([level(-3_000, 3)])).toMatchObject({ stored: 0, replaced: 0, identical: 1 });
    expect(await rig.post([level(-4_000, 4)])).toMatchObject({ stored: 1, replaced: 0, identical: 0 });
    expect(await rig.post([level(-3_000, 33), level(-1_000, 1)])).toMatchObject({
      stored: 0,
      replaced: 1,
      identical: 1,
    });
    expect(await rig.post([level(-2_000, 2), level(-2_000, 22), level(-2_000, 22)])).toMatchObject({
      stored: 1,
      replaced: 1,
      identical: 1,
    });
    expect(await rig.raw('tank-1', 'level')).toEqual([
      [-5_000, 5],
      [-4_000, 4],
      [-3_000, 33],
      [-2_000, 22],
      [-1_000, 1],
    ]);
    const { readings } = await http.get(StreamPage, `/api/v1/stream?since=${begin}`);
    expect(readings.map(({ time, value }) => [Date.parse(time) - noon, value])).toEqual([
      [-4_000, 4],
      [-3_000, 33],
      [-2_000, 2],
      [-2_000, 22],
    ]);
  });

  test('leave the latest value to the greatest time, also over a restart', async () => {
    const folder = tempFolder();
    await rig.restart({ 'data.dir': folder.path });
    await rig.post([level(-1_000, 1)]);
    await rig.post([level(-9_000, 9)]);
    expect(await rig.latest('tank-1', 'level')).toEqual([-1_000, 1]);
    await rig.post([level(-1_000, 11)]);
    expect(await rig.latest('tank-1', 'level')).toEqual([-1_000, 11]);
    await rig.post([level(-2_000, 2)]);
    await rig.restart({ 'data.dir': folder.path });
    expect(await rig.latest('tank-1', 'level')).toEqual([-1_000, 11]);
    await rig.post([level(-3_000, 3), level(-1_000, 11)]);
    expect(await rig.latest('tank-1', 'level')).toEqual([-1_000, 11]);
    expect(rig.running.gateway.ledger.readings).toEqual({ decoded: 2, stored: 1, replaced: 0, identical: 1 });
    await rig.restart({});
    folder.remove();
  });

  test('never move an alert', async () => {
    const rule = { name: 'Full', metric: 'level', condition: { type: 'threshold', above: 90 } };
    await http.post(Rule, '/api/v1/rules', rule, 201);
    await rig.post([level(-1_000, 50)]);
    await rig.post([level(-2_000, 99), level(-1_000, 99)]);
    expect((await http.get(AlertList, '/api/v1/alerts')).items).toEqual([]);
    await rig.post([level(0, 95)]);
    await rig.post([level(-500, 10), level(0, 10)]);
    expect((await http.get(AlertList, '/api/v1/alerts')).items).toMatchObject([
      { state: 'firing', value: 95, startedAt: rig.at(0), resolvedAt: null },
    ]);
  });
});

describe('whatever the order in which readings come', () => {
  const reading = fc.record({
    minute: fc.integer({ min: 1, max: 400 }),
    value: fc.oneof(fc.integer({ min: -50, max: 50 }), fc.constantFrom(0.1, 21.4, 1e-7)),
  });
  /** Of two values at one time the one that comes later holds, so each time has one. */
  const rows = fc.uniqueArray(reading, { selector: ({ minute }) => minute, minLength: 1, maxLength: 40 });
  const disorder = fc.record({
    places: fc.array(fc.nat(), { minLength: 40, maxLength: 40 }),
    repeated: fc.array(fc.nat(), { maxLength: 10 }),
    batch: fc.integer({ min: 1, max: 15 }),
  });
  const questions = [
    'limit=1000',
    'order=desc&limit=1000',
    'limit=all&format=columns',
    'bucket=7m&limit=1000&agg=avg,min,max,count,sum,first,last,stddev',
    'bucket=1h&agg=median,p90,delta,increase,rate,timeWeightedAvg,integral,timeInRange(-5,20)&fill=linear',
    'bucket=1d&tz=Asia/Kathmandu',
    'points=10',
    'points=10&method=lttb',
    'pick=first',
    'pick=last',
    'boundary=true&from=-3h&to=-1h',
    'format=csv',
  ];

  test('every question has the same answer, repeated and replaced readings included', async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(rows, disorder, async (rows, { places, repeated, batch }) => {
        const [plain, mixed] = [`plain-${++run}`, `mixed-${run}`];
        await rig.post(rows.toSorted((a, b) => b.minute - a.minute).map((row) => sent(plain, row)));
        const inDisorder = rows
          .map((row, index) => ({ row, place: places[index] ?? 0 }))
          .toSorted((a, b) => a.place - b.place)
          .map(({ row }) => row);
        const again = repeated.map((index) => rows[index % rows.length]).filter((row) => row !== undefined);
        // First other values at the times of some, which are replaced; at the end some once more, which changes nothing.
        const all = [...again.map((row) => ({ ...row, value: row.value + 1_000 })), ...inDisorder, ...again];
        for (let at = 0; at < all.length; at += batch) {
          await rig.post(all.slice(at, at + batch).map((row) => sent(mixed, row)));
        }
        for (const question of questions) {
          const range = question.includes('from=') ? '' : '&from=-1d';
          const ask = async (device: string): Promise<string> => {
            const answer = await http.ask(`/api/v1/devices/${device}/readings?metric=level&${question}${range}`);
            expect(answer.status, answer.text.slice(0, 300)).toBe(200);
            return answer.text.replaceAll(device, 'device');
          };
          expect(await ask(mixed), question).toBe(await ask(plain));
        }
        expect(await rig.latest(mixed, 'level')).toEqual(await rig.latest(plain, 'level'));
      }),
      { numRuns: 12 },
    );
  });
});

describe('clocks of devices that are wrong', () => {
  test('ahead are shifted as a whole to the time of receipt, spacing kept, and counted', async () => {
    const client = await rig.running.mqtt.connect('clock-1');
    const samples = [0, -10_000, -2_500].map((offset) => ({ ts: noon + 2 * hourMs + offset, level: offset }));
    await publish(client, 'devices/clock-1/telemetry', samples);
    await rig.post(samples.map(({ ts, level }) => ({ device: 'clock-2', metric: 'level', time: ts, value: level })));
    for (const device of ['clock-1', 'clock-2']) {
      expect(await rig.raw(device, 'level')).toEqual([
        [-10_000, -10_000],
        [-2_500, -2_500],
        [0, 0],
      ]);
      expect(await http.get(DeviceDetail, `/api/v1/devices/${device}`)).toMatchObject({ clockCorrected: 1 });
    }
    expect(rig.running.gateway.ledger.clockCorrected).toBe(2);
  });

  test('ahead shift their own readings and no others of the same request', async () => {
    await rig.post([
      { device: 'clock-1', metric: 'level', time: noon - 1_000, value: 1 },
      { device: 'clock-2', metric: 'level', time: noon + hourMs, value: 2 },
      { device: 'clock-1', metric: 'level', time: noon - 500, value: 3 },
      { device: 'clock-2', metric: 'level', time: noon + hourMs - 4_000, value: 4 },
    ]);
    expect(await rig.raw('clock-1', 'level')).toEqual([
      [-1_000, 1],
      [-500, 3],
    ]);
    expect(await rig.raw('clock-2', 'level')).toEqual([
      [-4_000, 4],
      [0, 2],
    ]);
    expect(await http.get(DeviceDetail, '/api/v1/devices/clock-1')).toMatchObject({ clockCorrected: 0 });
    expect(await http.get(DeviceDetail, '/api/v1/devices/clock-2')).toMatchObject({ clockCorrected: 1 });
  });

  test('ahead by what is allowed are taken as they are', async () => {
    await rig.post([{ device: 'clock-1', metric: 'level', time: noon + 60_000, value: 1 }]);
    expect(await rig.raw('clock-1', 'level')).toEqual([[60_000, 1]]);
    await rig.post([{ device: 'clock-1', metric: 'level', time: noon + 60_001, value: 2 }]);
    expect(await rig.raw('clock-1', 'level')).toEqual([
      [0, 2],
      [60_000, 1],
    ]);
  });

  test('a day ahead, or before the year 2000, are refused with the place of the time', async () => {
    const client = await rig.running.mqtt.connect('clock-1');
    for (const ts of [noon + dayMs + 1, Date.UTC(2099, 0), Date.UTC(1999, 11, 31, 23, 59, 59, 999), 1e11]) {
      await publish(client, 'devices/clock-1/telemetry', [
        { ts: noon, level: 1 },
        { ts, level: 2 },
      ]);
      const answer = await http.send('POST', '/api/v1/readings', [
        { device: 'clock-1', metric: 'level', time: noon, value: 1 },
        { device: 'clock-1', metric: 'level', time: ts, value: 2 },
      ]);
      expect(expectProblem(answer, 'validation_failed').errors).toMatchObject([
        { pointer: '/1/time', code: 'time_implausible' },
      ]);
    }
    const { items } = await http.get(QuarantineList, '/api/v1/quarantine');
    expect(items.map(({ reason, pointer }) => `${reason} ${pointer}`)).toEqual(Array(4).fill('time_implausible /1/ts'));
    expect((await http.get(DeviceList, '/api/v1/devices')).items).toEqual([]);
    await rig.post([{ device: 'clock-1', metric: 'level', time: noon + dayMs, value: 3 }]);
    await rig.post([{ device: 'clock-1', metric: 'level', time: Date.UTC(2000, 0), value: 4 }]);
    expect(await rig.raw('clock-1', 'level')).toEqual([
      [Date.UTC(2000, 0) - noon, 4],
      [0, 3],
    ]);
  });

  test("are not judged while the gateway's own clock is behind its newest commit", async () => {
    const folder = tempFolder();
    await rig.restart({ 'data.dir': folder.path });
    await rig.post([{ device: 'clock-1', metric: 'level', time: noon, value: 1 }]);
    clock.wall = noon - 3 * dayMs;
    await rig.restart({ 'data.dir': folder.path });
    await rig.post([{ device: 'clock-1', metric: 'level', time: noon + minuteMs, value: 2 }]);
    expect(await rig.raw('clock-1', 'level')).toEqual([
      [0, 1],
      [minuteMs, 2],
    ]);
    expect(rig.running.gateway.ledger.clockCorrected).toBe(0);
    await rig.restart({});
    folder.remove();
  });

  test('the time of receipt does not run backwards when the clock of the gateway does', async () => {
    const client = await rig.running.mqtt.connect('clock-1');
    await publish(client, 'devices/clock-1/telemetry/level', '1');
    clock.wall -= 10_000;
    await publish(client, 'devices/clock-1/telemetry/level', '2');
    clock.wall += 30_000;
    await publish(client, 'devices/clock-1/telemetry/level', '3');
    expect(await rig.raw('clock-1', 'level')).toEqual([
      [0, 1],
      [1, 2],
      [20_000, 3],
    ]);
  });
});

function sent(device: string, { minute, value }: { minute: number; value: number }): Sent {
  return { device, metric: 'level', time: noon - minute * minuteMs, value };
}
