// Answers without an end: every form of text holds what JSON holds, pages and streams alike, and a download that was cut goes on.
import { get } from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { Ingested, ManyReadings } from '../../src/contract/reading.ts';
import { expectProblem } from '../support/api-problem.ts';
import { type RunningGateway, SetClock, startGateway } from '../support/gateway.ts';

const clock = new SetClock();
const noon = clock.wall;
const range = `from=${noon - 86_400_000}&to=${noon}`;
/** More readings than one page of the store holds. */
const long = 60_000;

let running: RunningGateway;
/** Every reading, in the order of the answer, as `POST /readings` takes it. */
const readings: { device: string; metric: string; time: number; value: number | boolean | string }[] = [];

beforeAll(async () => {
  running = await startGateway({}, { clock });
  for (let index = 0; index < 40; index++) {
    const device = `cell-${String(index).padStart(2, '0')}`;
    readings.push({ device, metric: 'state', time: noon - 7_000 + index, value: index % 2 === 0 ? 'up, "on"' : true });
  }
  for (let index = 0; index < long; index++) {
    readings.push({ device: 'meter-1', metric: 'power', time: noon - 80_000_000 + index * 1_000, value: index / 8 });
  }
  readings.push({ device: 'meter-1', metric: 'voltage', time: noon - 1_000, value: -230.5 });
  const all = readings.toReversed();
  for (let at = 0; at < all.length; at += 10_000) {
    await running.http.post(Ingested, '/api/v1/readings', all.slice(at, at + 10_000));
  }
});
afterAll(() => running.stop());

const line = z.object({ device: z.string(), metric: z.string(), time: z.string(), value: z.unknown() });

async function textOf(query: string): Promise<string> {
  const answer = await running.http.ask(`/api/v1/readings?${range}&${query}`);
  expect(answer.status, answer.text.slice(0, 300)).toBe(200);
  return answer.text;
}

function parsedLines(text: string): unknown[] {
  return text
    .trim()
    .split('\n')
    .map((row) => line.parse(JSON.parse(row)))
    .map(({ time, ...row }) => ({ ...row, time: Date.parse(time) }));
}

describe('without a limit', () => {
  test('NDJSON holds every reading once, series by series, and says before how many there are about', async () => {
    const answer = await running.http.ask(`/api/v1/readings?${range}&format=ndjson`);
    expect(answer.headers).toMatchObject({ 'content-type': 'application/x-ndjson', 'x-total-estimate': '60041' });
    expect(answer.headers).not.toHaveProperty('content-length');
    expect(parsedLines(answer.text)).toEqual(
      readings.map(({ device, metric, value, time }) => ({ device, metric, value, time })),
    );
  });

  test('what one page holds is counted instead of being estimated, also when it is nothing', async () => {
    const ask = async (query: string): Promise<readonly [unknown, number]> => {
      const answer = await running.http.ask(`/api/v1/readings?${range}&format=ndjson&${query}`);
      return [answer.headers['x-total-estimate'], answer.text.split('\n').length - 1];
    };
    expect(await ask('metric=state')).toEqual(['40', 40]);
    expect(await ask(`metric=state&after=cell-09/state/${noon - 7_000 + 9}`)).toEqual(['30', 30]);
    const none = await running.http.ask(
      '/api/v1/readings?from=2001-01-01T00:00:00Z&to=2001-01-02T00:00:00Z&format=ndjson',
    );
    expect([none.headers['x-total-estimate'], none.text]).toEqual(['0', '']);
  });

  test('CSV has its header once, and the form is found by Accept as well', async () => {
    const answer = await running.http.ask(`/api/v1/readings?${range}`, { headers: { accept: 'text/csv' } });
    expect(answer.headers['content-type']).toMatch(/^text\/csv/);
    const rows = answer.text.split('\r\n');
    expect(rows).toHaveLength(readings.length + 2);
    expect(rows.filter((row) => row.startsWith('device,'))).toEqual(['device,metric,time,value,unit']);
    expect(rows[1]).toBe(`cell-00,state,${new Date(noon - 7_000).toISOString()},"up, ""on""",`);
    expect(rows.at(-2)).toBe(`meter-1,voltage,${new Date(noon - 1_000).toISOString()},-230.5,V`);
  });

  test('SenML is one list, and line protocol has a line for each', async () => {
    const pack = z
      .array(z.looseObject({ n: z.string(), t: z.number() }))
      .parse(JSON.parse(await textOf('format=senml')));
    expect(pack).toHaveLength(readings.length);
    expect(pack.at(-1)).toEqual({ n: 'meter-1/voltage', u: 'V', t: (noon - 1_000) / 1_000, v: -230.5 });
    expect((await textOf('format=influx')).trim().split('\n')).toHaveLength(readings.length);
  });

  test('JSON is the same envelope as on pages; in columns a long series comes in parts', async () => {
    const rows = ManyReadings.parse(JSON.parse(await textOf('limit=all')));
    expect(rows.next).toBeNull();
    const flat = rows.series.flatMap(({ device, metric, readings }) =>
      readings.map(({ time, value }) => ({ device, metric, time: Date.parse(time), value })),
    );
    expect(flat).toEqual(readings);
    expect(rows.series).toHaveLength(42);
    const part = z.looseObject({ device: z.string(), times: z.array(z.number()), values: z.array(z.unknown()) });
    const columns = z
      .looseObject({ series: z.array(part) })
      .parse(JSON.parse(await textOf('limit=all&format=columns')));
    expect(columns.series.flatMap(({ times }) => times)).toEqual(readings.map(({ time }) => time));
    expect(columns.series.flatMap(({ values }) => values)).toEqual(readings.map(({ value }) => value));
  });

  test('one series is streamed as well, newest first where that was asked for', async () => {
    const path = `/api/v1/devices/meter-1/readings?metric=power&${range}`;
    const rows = await running.http.ask(`${path}&limit=all&order=desc`);
    const answer = z.looseObject({ readings: z.array(z.object({ value: z.number() })), next: z.null() });
    const values = answer.parse(rows.json()).readings.map(({ value }) => value);
    expect(values).toEqual(Array.from({ length: long }, (_, index) => (long - 1 - index) / 8));
  });

  test('buckets and picks come as text of all series, too', async () => {
    const csv = await textOf('bucket=1d&tz=UTC&agg=count,last&format=csv');
    const rows = csv.trim().split('\r\n');
    expect(rows[0]).toBe('device,metric,time,count,last,unit');
    const counts = rows.slice(1).map((row) => Number(row.split(',')[3]));
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(readings.length);
    const picked = parsedLines(await textOf('pick=last&format=ndjson'));
    expect(picked).toHaveLength(42);
    expect(picked.at(-2)).toEqual({
      device: 'meter-1',
      metric: 'power',
      value: (long - 1) / 8,
      time: noon - 80_000_000 + (long - 1) * 1_000,
    });
  });
});

describe('with a limit', () => {
  test.each(['ndjson', 'csv', 'influx'])('pages of %s joined are the stream', async (format) => {
    const whole = await textOf(`format=${format}&device=cell-*`);
    let joined = '';
    let page: string | undefined;
    do {
      const query = `format=${format}&device=cell-*&limit=7${page === undefined ? '' : `&page=${page}`}`;
      const answer = await running.http.ask(`/api/v1/readings?${range}&${query}`);
      joined += joined !== '' && format === 'csv' ? answer.text.slice(answer.text.indexOf('\n') + 1) : answer.text;
      const next = answer.headers['x-next-page'];
      page = typeof next === 'string' ? next : undefined;
    } while (page !== undefined);
    expect(joined).toBe(whole);
  });
});

describe('a download that was cut', () => {
  test('goes on behind any reading with what was not yet told, in either order', async () => {
    for (const order of ['asc', 'desc']) {
      const whole = (await textOf(`format=ndjson&order=${order}`)).split('\n');
      for (const index of [0, 5, 39, 40, 41, 55_555, readings.length - 1]) {
        const { device, metric, time } = line.parse(JSON.parse(whole[index] ?? ''));
        const rest = await textOf(`format=ndjson&order=${order}&after=${device}/${metric}/${time}`);
        expect(rest, `${order} ${index}`).toBe(whole.slice(index + 1).join('\n'));
      }
    }
  });

  test('goes on where its series would stand when that is gone', async () => {
    const rest = parsedLines(await textOf(`format=ndjson&after=meter-1/size/${new Date(noon).toISOString()}`));
    expect(rest).toEqual([readings.at(-1)]);
  });

  test('gives its place back within a moment, also when the client leaves before it read anything', async () => {
    const path = `/api/v1/readings?${range}&format=ndjson`;
    for (let round = 0; round < 3; round++) {
      // As many as one asker may have of eight; what one more is told says that his places are taken.
      const downloads = await Promise.all(Array.from({ length: 5 }, () => unread(path)));
      const refused = await running.http.ask(path);
      expectProblem(refused, 'rate_limited');
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
      for (const leave of downloads) leave();
      let status = 429;
      for (let turns = 0; status === 429 && turns < 100_000; turns++) {
        await turn();
        status = (await running.http.ask(`${path}&device=cell-00`)).status;
      }
      expect(status).toBe(200);
    }
  });
});

/** Begins a download and reads none of it; what comes back leaves it. */
function unread(path: string): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const request = get({ host: '127.0.0.1', port: running.http.port, path, agent: false }, (response) => {
      response.pause();
      response.on('error', () => undefined);
      resolve(() => request.destroy());
    });
    request.on('error', reject);
  });
}
