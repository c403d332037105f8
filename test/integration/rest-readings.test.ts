// Readings through a whole gateway: what went in over HTTP and MQTT comes out raw, by bucket and of many series.
import { describe, expect, test } from 'vitest';
import { AlertList } from '../../src/contract/alert-list.ts';
import { FleetLatest } from '../../src/contract/device.ts';
import { Buckets, Ingested, ManyReadings, Readings } from '../../src/contract/reading.ts';
import { Rule } from '../../src/contract/rule.ts';
import { GatewayPerTest, publish, startGateway } from '../support/gateway.ts';
import { tempFolder } from '../support/temp-folder.ts';

const minuteMs = 60_000;
const hourMs = 3_600_000;

const rig = new GatewayPerTest();
const { clock, http, noon } = rig;

const value = (index: number): number => Math.round(Math.sin(index / 50) * 1e6) / 1e4;

describe('readings', () => {
  const rows = Array.from({ length: 2_500 }, (_, index) => ({
    time: noon - hourMs + index * 1_001,
    value: value(index),
  }));
  const sent = rows.map((row) => ({ device: 'mill-1', metric: 'vibration', ...row }));
  const shown = rows.map(({ time, value }) => ({ time: new Date(time).toISOString(), value }));

  test.each(['asc', 'desc'])('come once each, page by page, %s, also while newer ones come in', async (order) => {
    for (let begin = 0; begin < sent.length; begin += 500) await rig.post(sent.slice(begin, begin + 500));
    const path = `/api/v1/devices/mill-1/readings?metric=vibration&from=-1h&to=now&order=${order}&limit=333`;
    const read: unknown[] = [];
    for await (const page of http.pages(Readings, path)) {
      expect(page).toMatchObject({ device: 'mill-1', metric: 'vibration', unit: 'mm/s' });
      read.push(...page.readings);
      clock.wall += 1_000;
      await rig.post([{ device: 'mill-1', metric: 'vibration', time: clock.wall - 1, value: -1 }]);
    }
    expect(read).toEqual(order === 'asc' ? shown : shown.toReversed());
  });

  test('by bucket are what the readings of each bucket say, also over several pages', async () => {
    await rig.post(sent);
    const path = '/api/v1/devices/mill-1/readings?metric=vibration&from=-1h&bucket=7m&limit=2';
    const buckets: Buckets['buckets'] = [];
    for await (const page of http.pages(Buckets, `${path}&agg=avg,min,max,sum,count,first,last`)) {
      buckets.push(...page.buckets);
    }
    const groups = Map.groupBy(rows, ({ time }) => time - (time % (7 * minuteMs)));
    expect(buckets).toHaveLength(groups.size);
    for (const [index, [begin, members]] of [...groups].entries()) {
      const values = members.map((row) => row.value);
      const sum = values.reduce((total, each) => total + each, 0);
      expect(buckets[index]).toEqual({
        time: new Date(begin).toISOString(),
        min: Math.min(...values),
        max: Math.max(...values),
        count: values.length,
        first: values[0],
        last: values.at(-1),
        sum: expect.closeTo(sum, 6),
        avg: expect.closeTo(sum / values.length, 9),
      });
    }
  });

  test('of many series come by device and metric, and a page may end inside a series', async () => {
    const metrics = ['power', 'vibration'];
    const devices = ['mill-2', 'mill-1', 'saw-1'];
    const all = devices.flatMap((device) =>
      metrics.flatMap((metric) => rows.slice(0, 40).map((row) => ({ device, metric, ...row }))),
    );
    await rig.post(all);
    const read: string[] = [];
    for await (const page of http.pages(ManyReadings, '/api/v1/readings?device=mill-*&from=-1h&limit=33')) {
      for (const { device, metric, readings } of page.series) {
        read.push(...readings.map(({ time, value }) => `${device} ${metric} ${time} ${value}`));
      }
    }
    expect(read).toEqual(
      all
        .filter(({ device }) => device !== 'saw-1')
        .map(({ device, metric, time, value }) => `${device} ${metric} ${new Date(time).toISOString()} ${value}`)
        .sort((a, b) => (a.slice(0, 40) < b.slice(0, 40) ? -1 : 1)),
    );
    const some = await http.get(ManyReadings, '/api/v1/readings?device=saw-1,mill-2&metric=p*&from=-1h');
    expect(some.series.map(({ device, metric, unit }) => [device, metric, unit])).toEqual([
      ['mill-2', 'power', 'W'],
      ['saw-1', 'power', 'W'],
    ]);
  });

  test('that are true, false and text come back as such, and are counted but not averaged', async () => {
    const client = await rig.running.mqtt.connect('door-1');
    for (const [second, state] of ['ajar', true, 'wide open', false].entries()) {
      await publish(client, 'devices/door-1/telemetry', { ts: noon + second * 1_000, values: { state } });
    }
    expect(await rig.raw('door-1', 'state')).toEqual([
      [0, 'ajar'],
      [1_000, true],
      [2_000, 'wide open'],
      [3_000, false],
    ]);
    const asked = '/api/v1/devices/door-1/readings?metric=state&from=-1m&to=2100-01-01&bucket=1h';
    expect((await http.get(Buckets, `${asked}&agg=count,min,max,sum,first,last`)).buckets).toEqual([
      { time: rig.at(0), count: 4, min: 0, max: 1, sum: 1, first: 'ajar', last: false },
    ]);
  });
});

test('texts of any characters are the same in memory, from the log after a restart, and identical when sent again', async () => {
  const folder = tempFolder();
  await rig.restart({ 'data.dir': folder.path });
  const texts = ['', 'ü 😀 \u{10ffff}', 'nul\u0000after', '\ufeffmark', '\u2028"\\\n', 'é'.repeat(128)];
  const sent = texts.map((value, index) => ({ device: 'sign-1', metric: 'text', time: noon + index, value }));
  const shown = texts.map((value, index) => [index, value]);
  await rig.post(sent);
  expect(await rig.raw('sign-1', 'text')).toEqual(shown);
  await rig.restart({ 'data.dir': folder.path });
  expect(await rig.raw('sign-1', 'text')).toEqual(shown);
  expect(await rig.post(sent)).toMatchObject({ stored: 0, replaced: 0, identical: texts.length });
  await rig.restart({});
  folder.remove();
});

test('the same readings sent over MQTT and over HTTP give the same answers', async () => {
  const other = await startGateway({}, { clock });
  try {
    const rule = { name: 'Hot', metric: 'temperature', condition: { type: 'threshold', above: 30, clearBelow: 25 } };
    for (const each of [rig.running, other]) await each.http.post(Rule, '/api/v1/rules', rule, 201);
    const client = await rig.running.mqtt.connect('fleet');
    const times = [0, 1_000, 3_000, 2_000, 3_000, 5_000, 1_000, 9_000, 9_000];
    const temperatures = [20, 31.5, 24, 40, 24, 30.000000000000004, -0.1, 35, 1e-7];
    for (const [index, offset] of times.entries()) {
      const ts = noon - hourMs + offset;
      const values = { temperature: temperatures[index], door: index % 2 === 0, mode: `run ${index} ü` };
      for (const device of ['oven-1', 'oven-2']) {
        await publish(client, `devices/${device}/telemetry`, [{ ts, values }]);
        const body = Object.entries(values).map(([metric, value]) => ({ device, metric, time: ts, value }));
        await other.http.post(Ingested, '/api/v1/readings', body);
      }
    }
    // Without a time both have the time of receipt, and two of one moment stay two.
    for (const value of [1, 2]) {
      await publish(client, 'devices/oven-1/telemetry/count', String(value));
      await other.http.post(Ingested, '/api/v1/readings', [{ device: 'oven-1', metric: 'count', value }]);
    }
    expect(await rig.raw('oven-1', 'count')).toEqual([
      [0, 1],
      [1, 2],
    ]);
    expect(other.gateway.ledger.readings).toEqual(rig.running.gateway.ledger.readings);
    const range = 'from=-2h&to=2100-01-01';
    for (const path of [
      '/api/v1/devices',
      '/api/v1/devices/oven-1',
      '/api/v1/devices/oven-1/latest',
      '/api/v1/devices/oven-2/latest?metric=mode',
      `/api/v1/devices/oven-1/readings?metric=temperature&${range}`,
      `/api/v1/devices/oven-2/readings?metric=mode&${range}&order=desc`,
      `/api/v1/devices/oven-1/readings?metric=door&${range}&bucket=2s&agg=avg,min,max,sum,count,first,last`,
      `/api/v1/readings?${range}`,
    ]) {
      const [mine, theirs] = [await http.ask(path), await other.http.ask(path)];
      expect(mine.status, path).toBe(200);
      expect(mine.json(), path).toEqual(theirs.json());
    }
    const fleets = await Promise.all([rig.running, other].map((each) => each.http.get(FleetLatest, '/api/v1/latest')));
    expect(fleets[0]?.items).toEqual(fleets[1]?.items);
    expect(fleets[0]?.items).toHaveLength(7);
    const episodes = await Promise.all([rig.running, other].map((each) => each.http.get(AlertList, '/api/v1/alerts')));
    const told = episodes.map(({ items }) =>
      items.map(({ id: _id, rule: { name }, ...alert }) => ({ name, ...alert })).sort(byDevice),
    );
    expect(told[0]).toEqual(told[1]);
    expect(told[0]).toHaveLength(4);
  } finally {
    await other.stop();
  }
});

function byDevice(a: { device: string; startedAt: string }, b: { device: string; startedAt: string }): number {
  return `${a.device} ${a.startedAt}` < `${b.device} ${b.startedAt}` ? -1 : 1;
}
