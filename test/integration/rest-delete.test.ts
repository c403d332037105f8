// Readings that are deleted are gone everywhere at once: rows, buckets, latest values, whatever asks.
import { describe, expect, test } from 'vitest';
import { ReadingsDeleted } from '../../src/contract/deletion.ts';
import { DeviceDetail, DeviceLatest, DeviceList } from '../../src/contract/device.ts';
import { QuarantineList } from '../../src/contract/quarantine.ts';
import { Ingested } from '../../src/contract/reading.ts';
import { Problem } from '../../src/contract/rest.ts';
import { parseCursor } from '../../src/domain/cursor.ts';
import { CommitFailedError } from '../../src/history/engine.ts';
import { GatewayPerTest, publish, startGateway } from '../support/gateway.ts';
import { tempFolder } from '../support/temp-folder.ts';

const world = new GatewayPerTest();
const { http } = world;
const minute = 60_000;
const asDelete = { method: 'DELETE', headers: { 'content-type': 'application/json' } };

async function remove(query: string): Promise<ReadingsDeleted> {
  const answer = await http.ask(`/api/v1/readings?${query}`, asDelete);
  expect(answer.status, answer.text).toBe(200);
  return ReadingsDeleted.parse(answer.json());
}

async function refused(query: string): Promise<Problem> {
  const answer = await http.ask(`/api/v1/readings?${query}`, asDelete);
  expect(answer.status, answer.text).toBe(400);
  return Problem.parse(answer.json());
}

/** Ten readings a minute apart, of the values 0 to 9, the last at noon. */
async function tenOf(device: string, metric: string): Promise<void> {
  await world.post(
    Array.from({ length: 10 }, (_, index) => ({
      device,
      metric,
      time: world.noon + (index - 9) * minute,
      value: index,
    })),
  );
}

async function buckets(device: string, metric: string): Promise<unknown> {
  const path = `/api/v1/devices/${device}/readings?metric=${metric}&from=-1h&to=%2B1m&bucket=1d&agg=count,max,sum`;
  const answer = await http.ask(path);
  expect(answer.status, answer.text).toBe(200);
  return answer.json();
}

describe('DELETE /readings', () => {
  test('takes a range of a series, and rows, buckets and the latest value follow', async () => {
    await tenOf('a', 'x');
    await tenOf('a', 'y');
    const from = world.noon - 2 * minute;
    const deleted = await remove(`device=a&metric=x&from=${from}&to=${world.noon + 1}`);
    expect(deleted).toMatchObject({ series: 1, readings: 3, dryRun: false });
    expect((await world.raw('a', 'x')).length).toBe(7);
    expect(await world.latest('a', 'x')).toEqual([-3 * minute, 6]);
    expect(await world.latest('a', 'y')).toEqual([0, 9]);
    expect(await buckets('a', 'x')).toMatchObject({ buckets: [{ count: 7, max: 6, sum: 21 }] });
    expect(await remove(`device=a&metric=x&from=${from}&to=${world.noon + 1}`)).toMatchObject({ readings: 0 });
  });

  test('deletes nothing in a dry run, and says how much it would be', async () => {
    await tenOf('a', 'x');
    await tenOf('b', 'x');
    const query = `device=*&from=${world.noon - minute}&to=${world.noon + 1}`;
    expect(await remove(`${query}&dryRun=true`)).toMatchObject({ series: 2, readings: 4, dryRun: true });
    expect((await world.raw('a', 'x')).length).toBe(10);
    expect(await remove(query)).toMatchObject({ series: 2, readings: 4 });
  });

  test('takes many series in several commits, and tells them as one', async () => {
    const rows = Array.from({ length: 1_100 }, (_, index) => ({
      device: `d${index >> 2}`,
      metric: `m${index & 3}`,
      time: world.noon,
      value: index,
    }));
    const { cursor } = await world.post(rows);
    const deleted = await remove('device=d*&all=true');
    expect(deleted).toMatchObject({ series: 1_100, readings: 1_100 });
    expect(parseCursor(deleted.cursor).seq).toBe(parseCursor(cursor).seq + 3);
    expect(await remove('device=d*&all=true')).toMatchObject({ series: 1_100, readings: 0 });
  });

  test('finds devices by their tags', async () => {
    await http.send('POST', '/api/v1/devices', { id: 'a', tags: { site: 'north-1' } });
    await tenOf('a', 'x');
    await tenOf('b', 'x');
    expect(await remove('device=*&tag=site:north*&all=true')).toMatchObject({ series: 1, readings: 10 });
    expect((await world.raw('b', 'x')).length).toBe(10);
  });

  test.each([
    ['metric=x&all=true', 'device', /is required/],
    ['device=a', 'from', /all=true/],
    ['device=a&from=-1h', 'to', /all=true/],
    ['device=a&from=now&to=-1h', 'from', /before/],
    ['device=a&all=true&from=-1h', 'from', /leave "from" out/],
    ['device=a%20b&all=true', 'device', /name characters/],
    ['device=a&tag=north&all=true', 'tag', /key:value/],
  ])('refuses ?%s, which deletes nothing for want of a parameter', async (query, parameter, detail) => {
    await tenOf('a', 'x');
    const { errors } = await refused(query);
    expect(errors?.map((fault) => fault.parameter)).toEqual([parameter]);
    expect(errors?.[0].detail).toMatch(detail);
    expect((await world.raw('a', 'x')).length).toBe(10);
  });

  test('lets the same reading be stored anew, and older ones be the latest', async () => {
    await tenOf('a', 'x');
    await remove('device=a&all=true');
    expect((await http.ask('/api/v1/devices/a/latest')).json()).toEqual({ device: 'a', values: {} });
    const time = world.noon - 5 * minute;
    expect(await world.post([{ device: 'a', metric: 'x', time, value: 4 }])).toMatchObject({ stored: 1, replaced: 0 });
    expect(await world.latest('a', 'x')).toEqual([-5 * minute, 4]);
  });

  test('holds after a restart, also for what was only in memory and in the log', async () => {
    const folder = tempFolder();
    const { clock } = world;
    const query = `device=a&from=${world.noon - minute}&to=${world.noon + 1}`;
    try {
      const first = await startGateway({ 'data.dir': folder.path }, { clock });
      const rows = [-2, -1, 0].map((at) => ({ device: 'a', metric: 'x', time: world.noon + at * minute, value: at }));
      await first.http.post(Ingested, '/api/v1/readings', rows);
      const deleted = ReadingsDeleted.parse((await first.http.ask(`/api/v1/readings?${query}`, asDelete)).json());
      expect(deleted.readings).toBe(2);
      await first.stop();
      const second = await startGateway({ 'data.dir': folder.path }, { clock });
      const { values } = await second.http.get(DeviceLatest, '/api/v1/devices/a/latest');
      expect(values.x.value).toBe(-2);
      await second.stop();
    } finally {
      folder.remove();
    }
  });
});

describe('a deletion of which the store could not tell whether it was written', () => {
  test('is answered once the store was opened anew, and the latest values are what is on disk', async () => {
    let isDoubtful = false;
    const gateway = await startGateway(
      {},
      {
        clock: world.clock,
        wrapEngine(engine) {
          return {
            open: () => engine.open(),
            reader: engine.reader,
            retain: (plan) => engine.retain(plan),
            onGone: (listener) => engine.onGone(listener),
            backup: (path) => engine.backup(path),
            close: () => engine.close(),
            async commit(commit) {
              const result = await engine.commit(commit);
              if (!isDoubtful || commit.deletions.length === 0) return result;
              isDoubtful = false;
              const failure = { outcome: 'unknown', reason: 'io', readings: null } as const;
              throw new CommitFailedError('nobody can say', failure);
            },
          };
        },
      },
    );
    const rows = [-2, -1, 0].map((at) => ({ device: 'a', metric: 'x', time: world.noon + at * minute, value: at }));
    await gateway.http.post(Ingested, '/api/v1/readings', rows);
    isDoubtful = true;
    const query = `device=a&from=${world.noon - minute}&to=${world.noon + 1}`;
    const answer = await gateway.http.ask(`/api/v1/readings?${query}`, asDelete);
    expect(ReadingsDeleted.parse(answer.json())).toMatchObject({ readings: null, dryRun: false });
    const { values } = await gateway.http.get(DeviceLatest, '/api/v1/devices/a/latest');
    expect(values.x.value).toBe(-2);
    await gateway.stop();
  });
});

describe('a correction', () => {
  test('is the same reading with another value: latest, rows and buckets follow', async () => {
    await tenOf('a', 'x');
    const corrected = [
      { device: 'a', metric: 'x', time: world.noon, value: 100 },
      { device: 'a', metric: 'x', time: world.noon - 9 * minute, value: -1 },
    ];
    expect(await world.post(corrected)).toMatchObject({ stored: 0, replaced: 2, identical: 0 });
    expect(await world.latest('a', 'x')).toEqual([0, 100]);
    const rows = await world.raw('a', 'x');
    expect([rows.length, rows[0], rows[9]]).toEqual([10, [-9 * minute, -1], [0, 100]]);
    expect(await buckets('a', 'x')).toMatchObject({ buckets: [{ count: 10, max: 100, sum: 45 - 9 + 100 - 1 }] });
  });
});

describe('DELETE /devices/{id}?readings=true', () => {
  test('takes the registration, the readings and the refused messages, and leaves those of others', async () => {
    await http.send('POST', '/api/v1/devices', { id: 'a', name: 'one' });
    await tenOf('a', 'x');
    await tenOf('a', 'y');
    await tenOf('b', 'x');
    const client = await world.running.mqtt.connect('plain');
    await publish(client, 'devices/a/telemetry', 'not json');
    await publish(client, 'devices/b/telemetry', 'not json');
    const answer = await http.ask('/api/v1/devices/a?readings=true', asDelete);
    expect(answer.status, answer.text).toBe(204);
    expect((await http.get(DeviceList, '/api/v1/devices')).items.map(({ id }) => id)).toEqual(['b']);
    expect((await http.ask('/api/v1/devices/a/latest')).status).toBe(404);
    const { items } = await http.get(QuarantineList, '/api/v1/quarantine');
    expect(items.map(({ topic }) => topic)).toEqual(['devices/b/telemetry']);
    expect((await world.raw('b', 'x')).length).toBe(10);
    await world.post([{ device: 'a', metric: 'x', time: world.noon, value: 7 }]);
    expect(await world.raw('a', 'x')).toEqual([[0, 7]]);
    expect(await http.get(DeviceDetail, '/api/v1/devices/a')).toMatchObject({
      name: '',
      registered: false,
      metricCount: 1,
    });
  });

  test('takes the readings of a device that was forgotten before, and is 404 for one that never was', async () => {
    await tenOf('a', 'x');
    const drop = (path: string) => http.ask(`/api/v1/devices/${path}`, asDelete);
    expect((await drop('a')).status).toBe(204);
    expect((await world.raw('a', 'x')).length).toBe(10);
    expect((await drop('a?readings=true')).status).toBe(204);
    expect((await http.ask('/api/v1/devices/a/latest')).status).toBe(404);
    expect((await drop('nobody?readings=true')).status).toBe(404);
  });
});
