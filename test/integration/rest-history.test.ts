// Questions of history through a whole gateway: what each form of an answer says, and what is told when it cannot be given.
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { FleetLatest } from '../../src/contract/device.ts';
import {
  Buckets,
  ColumnReadings,
  GroupedBuckets,
  LatestColumns,
  ManyBuckets,
  ManyReadings,
  Readings,
} from '../../src/contract/reading.ts';
import { expectProblem } from '../support/api-problem.ts';
import { GatewayPerTest, type Sent } from '../support/gateway.ts';
import { tempFolder } from '../support/temp-folder.ts';

const minuteMs = 60_000;
const hourMs = 3_600_000;
const dayMs = 86_400_000;
const anything = z.looseObject({});

const rig = new GatewayPerTest();
const { http, noon } = rig;

/** Readings of one series at so many ms from noon. */
function sent(device: string, metric: string, rows: readonly (readonly [number, unknown])[]): Sent[] {
  return rows.map(([offset, value]) => ({ device, metric, time: noon + offset, value }));
}

/** A reading each minute of the last hour: 0, 1 … 59. */
const minutes = Array.from({ length: 60 }, (_, index) => [(index - 60) * minuteMs, index] as const);

async function problemOf(query: string, code: 'parameter_invalid' | 'duration_invalid' = 'parameter_invalid') {
  const path = `/api/v1/devices/oven-1/readings?metric=heat&${query}`;
  const { detail, errors } = expectProblem(await http.ask(path), code);
  return { detail, parameters: errors?.map(({ parameter }) => parameter) ?? [] };
}

describe('one series', () => {
  const path = '/api/v1/devices/oven-1/readings?metric=heat';

  test('is asked for in a half-open range: a reading at its begin is in it, one at its end is not', async () => {
    await rig.post(sent('oven-1', 'heat', minutes));
    const { readings } = await http.get(Readings, `${path}&from=-30m&to=-20m`);
    expect(readings.map(({ value }) => value)).toEqual([30, 31, 32, 33, 34, 35, 36, 37, 38, 39]);
    const { buckets } = await http.get(Buckets, `${path}&from=-30m&to=-20m&bucket=10m&agg=first,last,count`);
    expect(buckets).toEqual([{ time: rig.at(-30 * minuteMs), first: 30, last: 39, count: 10 }]);
  });

  test('shows the readings on either side of the range where they are asked for, by bucket and by points too', async () => {
    await rig.post(sent('oven-1', 'heat', minutes));
    const sides = {
      before: { time: rig.at(-31 * minuteMs), value: 29 },
      after: { time: rig.at(-20 * minuteMs), value: 40 },
    };
    for (const form of ['limit=3', 'bucket=1m', 'points=4', 'format=columns']) {
      const answer = await http.get(anything, `${path}&from=-30m&to=-20m&boundary=true&${form}`);
      const series = form === 'format=columns' ? z.array(anything).parse(answer.series)[0] : answer;
      expect(series, form).toMatchObject(sides);
    }
    const quiet = await http.get(Readings, `${path}&from=now&to=%2B1h&boundary=true`);
    expect(quiet).toMatchObject({ before: { value: 59 }, after: null, readings: [] });
  });

  test('picks its first or last reading of a range', async () => {
    await rig.post(sent('oven-1', 'heat', minutes));
    expect(await readingsOf('pick=first&from=-90s')).toEqual([{ time: rig.at(-minuteMs), value: 59 }]);
    expect(await readingsOf('pick=last&from=-2h&to=-30m')).toEqual([{ time: rig.at(-31 * minuteMs), value: 29 }]);
    expect(await readingsOf('pick=last&from=-30s')).toEqual([]);
    expect(await readingsOf('pick=first&from=-3h&to=-2h')).toEqual([]);
  });

  test('keeps its extremes in few points, and its first and last with the other method', async () => {
    const wave = minutes.map(
      ([offset, index]) => [offset, index === 17 ? 99 : index === 40 ? -99 : index % 3] as const,
    );
    await rig.post(sent('oven-1', 'heat', wave));
    const extremes = await http.get(Readings, `${path}&from=-2h&points=10`);
    expect(extremes).toMatchObject({ method: 'minmax', resolution: 'raw', next: null });
    expect(extremes.readings.length).toBeLessThanOrEqual(10);
    expect(extremes.readings.map(({ value }) => value)).toEqual(expect.arrayContaining([99, -99]));
    const triangles = await http.get(Readings, `${path}&from=-2h&points=10&method=lttb`);
    expect(triangles.readings).toHaveLength(10);
    expect([triangles.readings[0]?.time, triangles.readings[9]?.time]).toEqual([
      rig.at(-60 * minuteMs),
      rig.at(-minuteMs),
    ]);
  });

  test('stands beside an earlier period whose times are moved onto this one', async () => {
    await rig.post(sent('oven-1', 'heat', minutes));
    await rig.post(
      sent(
        'oven-1',
        'heat',
        minutes.map(([offset, value]) => [offset - dayMs, value + 100] as const),
      ),
    );
    const raw = await http.get(Readings, `${path}&from=-10m&offset=1d&limit=4`);
    expect(raw.compare?.offset).toBe('1d');
    expect(raw.compare?.readings).toEqual(
      raw.readings.map(({ time, value }) => ({ time, value: Number(value) + 100 })),
    );
    const next = await http.get(Readings, `${path}&from=-10m&offset=1d&limit=4&page=${raw.next}`);
    expect(next.compare?.readings.map(({ value }) => value)).toEqual([154, 155, 156, 157]);

    const buckets = await http.get(Buckets, `${path}&from=-1h&bucket=7m&agg=last&offset=1d&limit=3`);
    expect(buckets.buckets).toHaveLength(3);
    const moved = buckets.compare?.buckets.map(({ time, last }) => [time, Number(last) - 100]);
    expect(moved).toEqual(buckets.buckets.map(({ time, last }) => [time, last]));

    const points = await http.get(Readings, `${path}&from=-1h&points=6&offset=1d`);
    expect(points.compare?.readings.map(({ time }) => time)).toEqual(points.readings.map(({ time }) => time));
  });

  test.each(['asc', 'desc'])(
    'beside the day before, over the night in which clocks go forward, is in order in pages that make up the whole, %s',
    async (order) => {
      const change = Date.UTC(2026, 2, 29, 1);
      const range = `from=${change - 3 * hourMs}&to=${change + 3 * hourMs}&offset=1d&tz=Europe/Berlin`;
      const rows = Array.from({ length: 220 }, (_, index) => [change - noon + (index - 190) * 10 * minuteMs, index]);
      await rig.post(sent('oven-1', 'heat', rows as [number, number][]));
      const query = `${path}&order=${order}&${range}`;
      const whole = await http.get(Readings, `${query}&limit=1000`);
      expect(whole.readings).toHaveLength(36);
      const times = whole.compare?.readings.map(({ time }) => Date.parse(time)) ?? [];
      // The same wall time the day before: the hour that was not yet skipped comes on top.
      expect(times).toHaveLength(42);
      expect(times).toEqual(times.toSorted((a, b) => (order === 'asc' ? a - b : b - a)));
      const [own, compared]: unknown[][] = [[], []];
      for await (const page of http.pages(Readings, `${query}&limit=5`)) {
        own.push(...page.readings);
        compared.push(...(page.compare?.readings ?? []));
      }
      expect(own).toEqual(whole.readings);
      expect(compared).toEqual(whole.compare?.readings);
    },
  );

  test.each([
    ['1d', '30m'],
    ['1d', '7m'],
    ['1month', '6h'],
    ['1w', '1d'],
  ])('with offset=%s by bucket of %s is in order in pages that make up the whole', async (offset, bucket) => {
    const change = Date.UTC(2026, 2, 29, 1);
    const rows = Array.from({ length: 2_000 }, (_, index) => [change - noon + (index - 1_900) * 40 * minuteMs, index]);
    await rig.post(sent('oven-1', 'heat', rows as [number, number][]));
    const days = bucket.endsWith('m') ? 1 : 5;
    // What was registered says the zone: 7 minutes do not divide its day.
    await http.post(anything, '/api/v1/devices', { id: 'oven-1', timeZone: 'Europe/Berlin' }, 201);
    const range = `from=${change - days * dayMs}&to=${change + days * dayMs}&offset=${offset}`;
    const query = `${path}&${range}&bucket=${bucket}&agg=count,first,integral&fill=null`;
    const whole = await http.get(Buckets, `${query}&limit=10000`);
    const [own, compared]: unknown[][] = [[], []];
    for await (const page of http.pages(Buckets, `${query}&limit=7`)) {
      own.push(...page.buckets);
      compared.push(...(page.compare?.buckets ?? []));
    }
    expect(own).toEqual(whole.buckets);
    expect(compared).toEqual(whole.compare?.buckets);
    const times = whole.compare?.buckets.map(({ time }) => Date.parse(time)) ?? [];
    expect(times.length).toBeGreaterThan(8);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  });

  test('of numbers and texts by bucket says in pages what it says at once', async () => {
    const values = [1, 2, 'off', 'off', 'off', 5, 9, 'off', true, 'off'];
    const rows = values.map((value, index) => [(index * 5 - 50) * minuteMs, value] as const);
    await rig.post(sent('oven-1', 'heat', rows));
    for (const fill of ['none', 'null', 'previous', 'linear']) {
      const query = `${path}&from=-1h&bucket=2m&agg=avg,integral,delta,rate,last&fill=${fill}`;
      const whole = await http.get(Buckets, `${query}&limit=1000`);
      for (const limit of [1, 2, 7]) {
        const told: unknown[] = [];
        for await (const page of http.pages(Buckets, `${query}&limit=${limit}`)) told.push(...page.buckets);
        expect(told, `${fill}, ${limit}`).toEqual(whole.buckets);
      }
      const group = `/api/v1/readings?from=-1h&bucket=2m&agg=integral&groupBy=metric`;
      const groups = await http.get(GroupedBuckets, `${group}&limit=1000`);
      const told: unknown[] = [];
      for await (const page of http.pages(GroupedBuckets, `${group}&limit=2`)) {
        told.push(...page.series.flatMap(({ buckets }) => buckets));
      }
      expect(told).toEqual(groups.series.flatMap(({ buckets }) => buckets));
    }
  });

  test('has days of its own time zone where it is registered with one, and those that are asked for otherwise', async () => {
    // Local midnight in Kathmandu is 18:15 UTC.
    await http.post(anything, '/api/v1/devices', { id: 'oven-1', timeZone: 'Asia/Kathmandu' }, 201);
    const rows = ['2026-09-19T18:14:59.999Z', '2026-09-19T18:15:00.000Z', '2026-09-20T18:14:00.000Z'].map(
      (time, index) => [Date.parse(time) - noon, index] as const,
    );
    await rig.post(sent('oven-1', 'heat', rows));
    const days = async (query: string) =>
      (await http.get(Buckets, `${path}&from=-1w&bucket=1d&agg=count&${query}`)).buckets.map(({ time, count }) => [
        time,
        count,
      ]);
    expect(await days('')).toEqual([
      ['2026-09-18T18:15:00.000Z', 1],
      ['2026-09-19T18:15:00.000Z', 2],
    ]);
    expect(await days('tz=UTC')).toEqual([
      ['2026-09-19T00:00:00.000Z', 2],
      ['2026-09-20T00:00:00.000Z', 1],
    ]);
    expect(await days('fill=null&tz=UTC&limit=2')).toEqual([
      ['2026-09-14T00:00:00.000Z', 0],
      ['2026-09-15T00:00:00.000Z', 0],
    ]);
  });

  test('holds its last value until now, and not on into a range that is yet to come', async () => {
    await rig.post(sent('oven-1', 'heat', [[-90 * minuteMs, true]]));
    const hours = '&from=-2h&to=%2B2h&bucket=1h&tz=UTC&fill=previous&agg=last,duration(on)';
    const { buckets } = await http.get(Buckets, path + hours);
    expect(buckets.map(({ last, 'duration(on)': held }) => [last, held])).toEqual([
      [true, 30 * minuteMs],
      [true, 60 * minuteMs],
      [null, null],
      [null, null],
    ]);
    const groups = await http.get(
      GroupedBuckets,
      '/api/v1/readings?device=*&metric=heat&groupBy=device&from=-2h&to=%2B2h&bucket=4h&agg=duration(on)&reduce=sum',
    );
    expect(groups.series[0]?.buckets.map(({ sum }) => sum)).toEqual([90 * minuteMs]);
  });

  test('says by its kind what a bucket says when nobody asks for more', async () => {
    const metrics = { heat: {}, steps: { kind: 'counter' }, mode: { kind: 'state' } };
    await http.post(anything, '/api/v1/profiles', { id: 'oven', metrics }, 201);
    await http.post(anything, '/api/v1/devices', { id: 'oven-1', profile: 'oven' }, 201);
    await rig.post(
      sent('oven-1', 'heat', [
        [-3_000, 1],
        [-2_000, 5],
      ]),
    );
    await rig.post(
      sent('oven-1', 'steps', [
        [-3_000, 10],
        [-2_000, 14],
        [-1_000, 3],
      ]),
    );
    await rig.post(
      sent('oven-1', 'mode', [
        [-3_000, 'warm'],
        [-2_000, 'hot'],
      ]),
    );
    await rig.post(sent('oven-1', 'lit', [[-3_000, true]]));
    expect(await bucketOf('heat')).toEqual(['gauge', 'raw', { avg: 3, min: 1, max: 5, count: 2 }]);
    expect(await bucketOf('steps')).toEqual(['counter', 'raw', { increase: 7, last: 3, count: 3 }]);
    expect(await bucketOf('mode')).toEqual(['state', 'raw', { last: 'hot', count: 2 }]);
    // Nobody says what it is, but true and false are no gauge.
    expect(await bucketOf('lit')).toEqual(['state', 'raw', { last: true, count: 1 }]);
  });

  test('names aggregates with parameters as they were asked for, commas within brackets and all', async () => {
    await rig.post(
      sent('oven-1', 'heat', [
        [-40_000, 10],
        [-30_000, 20],
        [-20_000, 30],
      ]),
    );
    await rig.post(
      sent('oven-1', 'mode', [
        [-40_000, 'on'],
        [-30_000, 'off'],
        [-10_000, 'on'],
      ]),
    );
    expect(await firstBucket('heat', 'p50, p95,timeInRange(5,25)')).toMatchObject({ p50: 20, p95: 29 });
    expect(Object.keys((await firstBucket('heat', 'timeInRange(5,25),count')) ?? {}).toSorted()).toEqual([
      'count',
      'time',
      'timeInRange(5,25)',
    ]);
    expect(await firstBucket('mode', 'duration(on),duration(off)')).toMatchObject({
      'duration(on)': 20_000,
      'duration(off)': 20_000,
    });
  });
});

test('what is kept by the minute answers for readings that are gone, says so, and still does after a restart', async () => {
  const folder = tempFolder();
  await rig.restart({ 'data.dir': folder.path });
  const begin = -3 * dayMs;
  const rows = Array.from({ length: 1_440 }, (_, index) => [begin + index * 5_000, index % 60] as const);
  await rig.post(sent('oven-1', 'heat', rows));
  const range = `from=${noon + begin}&to=${noon + begin + 2 * hourMs}`;
  const path = `/api/v1/devices/oven-1/readings?metric=heat&${range}`;
  const agg = 'agg=avg,min,max,count,sum,first,last,stddev,increase,timeWeightedAvg';
  const before = await http.get(Buckets, `${path}&bucket=15m&${agg}`);
  expect(before).toMatchObject({ resolution: 'raw', buckets: { length: 8 } });

  const rule = { name: 'short', raw: '1d', minute: '1y', hour: 'forever' };
  expect((await http.send('PUT', '/api/v1/retention', { rules: [rule] })).status).toBe(200);
  await expect.poll(async () => (await http.get(Readings, path)).readings).toEqual([]);
  for (const restart of [false, true]) {
    if (restart) await rig.restart({ 'data.dir': folder.path });
    const after = await http.get(Buckets, `${path}&bucket=15m&${agg},p95`);
    expect(after.resolution).toBe('1m');
    expect(after.buckets.map(({ p95, ...bucket }) => [p95, bucket])).toEqual(
      before.buckets.map((bucket) => [null, closeTo(bucket)]),
    );
    const many = await http.get(ManyBuckets, `/api/v1/readings?${range}&bucket=15m&agg=count`);
    expect(many.series).toMatchObject([{ resolution: '1m', buckets: before.buckets.map(({ count }) => ({ count })) }]);
  }
  await rig.restart({});
  folder.remove();
});

describe('many series', () => {
  const path = '/api/v1/readings';
  const sites = { 'oven-1': 'north-1', 'oven-2': 'north-2', 'oven-3': 'south' } as const;

  async function threeOvens(): Promise<void> {
    for (const [id, site] of Object.entries(sites)) {
      await http.post(anything, '/api/v1/devices', { id, tags: { site, floor: id.slice(-1) } }, 201);
    }
    await rig.post(
      [1, 2, 3].flatMap((number) => [
        ...sent(
          `oven-${number}`,
          'heat',
          minutes.map(([offset, value]) => [offset, value * number] as const),
        ),
        ...sent(`oven-${number}`, 'power', [[-minuteMs, number]]),
      ]),
    );
    // Registered nowhere, so without tags.
    await rig.post(sent('oven-4', 'heat', [[-minuteMs, 4]]));
  }

  test.each([
    ['tag=site:north*', ['oven-1', 'oven-2']],
    ['tag=site:south,floor:1', ['oven-1', 'oven-3']],
    ['tag=s*:*th*', ['oven-1', 'oven-2', 'oven-3']],
    ['tag=site:north', []],
    ['tag=device:oven-4', []],
    ['device=*-4,*-3', ['oven-3', 'oven-4']],
  ])('with %s are those of %j, raw, by bucket, as points and as their latest', async (query, devices) => {
    await threeOvens();
    const names = async (schema: z.ZodType<{ series: { device: string; metric: string }[] }>, form: string) =>
      (await http.get(schema, `${path}?${query}&metric=heat&from=-1h&${form}`)).series.map(({ device }) => device);
    expect(await names(ManyReadings, 'limit=1000')).toEqual(devices);
    expect(await names(ManyReadings, 'points=5')).toEqual(devices);
    expect(await names(ManyReadings, 'pick=last')).toEqual(devices);
    expect(await names(ManyBuckets, 'bucket=10m')).toEqual(devices);
    const { items } = await http.get(FleetLatest, `/api/v1/latest?${query}&metric=heat`);
    expect(items.map(({ device }) => device)).toEqual(devices);
  });

  test('come by bucket, as points and picked in pages of whole series', async () => {
    await threeOvens();
    for (const [schema, form] of [
      [ManyBuckets, 'bucket=10m'],
      [ManyReadings, 'points=5'],
      [ManyReadings, 'pick=first'],
    ] as const) {
      const whole = await http.get(schema, `${path}?from=-1h&${form}`);
      expect(whole.series, form).toHaveLength(7);
      const series: unknown[] = [];
      for await (const page of http.pages<z.ZodType<{ next: string | null; series: unknown[] }>>(
        schema,
        `${path}?from=-1h&${form}&limit=2`,
      )) {
        expect(page.series.length).toBeLessThanOrEqual(2);
        series.push(...page.series);
      }
      expect(series, form).toEqual(whole.series);
    }
  });

  test('become one by what they have in common, each value of a bucket made of one aggregate a series', async () => {
    await threeOvens();
    const ask = async (query: string) =>
      (await http.get(GroupedBuckets, `${path}?metric=heat&from=-1h&to=-30m&bucket=15m&${query}`)).series;
    // Of each oven the last values of the quarters are 14 n and 29 n.
    const bySite = await ask('groupBy=site&agg=last&reduce=sum&tag=site:*');
    expect(bySite.map(({ group, metric, of, aggregate, reduce }) => [group, metric, of, aggregate, reduce])).toEqual([
      [{ site: 'north-1' }, 'heat', 1, 'last', 'sum'],
      [{ site: 'north-2' }, 'heat', 1, 'last', 'sum'],
      [{ site: 'south' }, 'heat', 1, 'last', 'sum'],
    ]);
    const values = async (reduce: string) =>
      (await ask(`groupBy=metric&agg=last&reduce=${reduce}&tag=site:*`))[0]?.buckets.map((bucket) => bucket[reduce]);
    expect(await values('sum')).toEqual([84, 174]);
    expect(await values('avg')).toEqual([28, 58]);
    expect(await values('min')).toEqual([14, 29]);
    expect(await values('max')).toEqual([42, 87]);
    expect(await values('count')).toEqual([3, 3]);
    const untagged = await ask('groupBy=nothing&agg=max&reduce=max');
    expect(untagged.map(({ group, of, buckets }) => [group, of, buckets.map(({ max }) => max)])).toEqual([
      [{ nothing: null }, 4, [42, 87]],
    ]);
    const all = await http.get(GroupedBuckets, `${path}?from=-1h&bucket=1h&groupBy=device&agg=count&reduce=sum`);
    expect(all.series.map(({ group, metric, of, buckets }) => [group.device, metric, of, buckets[0]?.sum])).toEqual([
      ['oven-1', null, 2, 61],
      ['oven-2', null, 2, 61],
      ['oven-3', null, 2, 61],
      ['oven-4', 'heat', 1, 1],
    ]);
  });

  test('that are made one come in pages of so many buckets, of which none is told twice or half', async () => {
    await threeOvens();
    const asked = `${path}?metric=heat&from=-1h&bucket=7m&groupBy=site&agg=avg&reduce=max`;
    const whole = await http.get(GroupedBuckets, asked);
    const read = new Map<string, unknown[]>();
    for await (const page of http.pages(GroupedBuckets, `${asked}&limit=2`)) {
      for (const { group, buckets } of page.series) {
        expect(buckets.length).toBeLessThanOrEqual(2);
        read.set(`${group.site}`, [...(read.get(`${group.site}`) ?? []), ...buckets]);
      }
    }
    expect([...read]).toEqual(whole.series.map(({ group, buckets }) => [`${group.site}`, buckets]));
  });

  test('that were quiet throughout are there with their value in force, once', async () => {
    await rig.post(sent('door-1', 'open', [[-2 * hourMs, true]]));
    await rig.post(
      sent('door-2', 'open', [
        [-2 * hourMs, false],
        [-60_000, true],
        [-30_000, false],
      ]),
    );
    const plain = await http.get(ManyReadings, `${path}?from=-1h`);
    expect(plain.series.map(({ device }) => device)).toEqual(['door-2']);
    const shown: unknown[] = [];
    for await (const page of http.pages(ManyReadings, `${path}?from=-1h&boundary=true&limit=1`)) {
      shown.push(...page.series.map(({ device, before, readings }) => [device, before?.value, readings.length]));
    }
    expect(shown).toEqual([
      ['door-1', true, 0],
      ['door-2', false, 1],
      ['door-2', false, 1],
    ]);
  });

  test('in columns hold what the rows hold', async () => {
    await threeOvens();
    const rows = await http.get(ManyReadings, `${path}?from=-1h&limit=150`);
    const columns = await http.get(ColumnReadings, `${path}?from=-1h&limit=150&format=columns`);
    expect(
      columns.series.map(({ device, metric, unit, times, values }) => [device, metric, unit, times, values]),
    ).toEqual(
      rows.series.map(({ device, metric, unit, readings }) => [
        device,
        metric,
        unit,
        readings.map(({ time }) => Date.parse(time)),
        readings.map(({ value }) => value),
      ]),
    );
    const latest = await http.get(FleetLatest, '/api/v1/latest');
    const byColumn = await http.get(LatestColumns, '/api/v1/latest?format=columns');
    expect(latest.items.map(({ device }) => device)).toEqual(byColumn.devices);
    expect(latest.items.map(({ time }) => Date.parse(time))).toEqual(byColumn.times);
    expect(latest.items.map(({ value }) => value)).toEqual(byColumn.values);
    expect(latest.items.map(({ unit }) => unit)).toEqual(byColumn.units);
  });
});

describe('a question that cannot be answered names the parameter and the way out', () => {
  test.each([
    ['agg=avg', ['agg'], /needs "bucket"/],
    ['fill=null&method=lttb', ['fill', 'method'], /./],
    ['bucket=1m&points=10', ['points'], /leave one of them away/],
    ['bucket=1m&order=desc', ['order'], /oldest first/],
    ['pick=last&bucket=1m', ['pick'], /leave "bucket"/],
    ['tz=Europe/Berlin', ['tz'], /needs "bucket"/],
    ['bucket=1d&tz=Europe/Berln', ['tz'], /did you mean "Europe\/Berlin"/],
    ['bucket=1d&tz=berlin', ['tz'], /did you mean "Europe\/Berlin"/],
    ['bucket=7m&tz=Europe/Berlin', ['bucket'], /divide a day/],
    ['bucket=1m&agg=averge', ['agg'], /no aggregate/],
    ['bucket=1m&agg=medain', ['agg'], /did you mean "median"/],
    ['bucket=1m&agg=p101', ['agg'], /p0 to p100/],
    ['bucket=1m&agg=timeInRange(24,18)', ['agg'], /the lower one first/],
    ['points=1', ['points'], /from 2 to/],
    ['points=10&limit=5', ['limit'], /leave "limit" away/],
    ['format=csv&boundary=true', ['boundary'], /format=json/],
    ['format=senml&bucket=1m', ['format'], /json, columns, ndjson, csv/],
    ['limit=all&page=x', ['page'], /"after"/],
    ['after=oven-1/heat', ['after'], /device\/metric\/time/],
    ['after=oven-2/heat/2026-11-20T09:30:00Z', ['after'], /another series/],
    ['limit=20000', ['limit'], /1 to 10000, or all/],
    ['from=now&to=-1h', ['from'], /lies after "to"/],
  ])('%s', async (query, parameters, detail) => {
    await rig.post(sent('oven-1', 'heat', minutes));
    const problem = await problemOf(query);
    expect(problem.parameters).toEqual(parameters);
    expect(problem.detail).toMatch(detail);
  });

  test('a width or an offset in units that do not exist is told how they are written', async () => {
    await rig.post(sent('oven-1', 'heat', minutes));
    expect((await problemOf('bucket=1y', 'duration_invalid')).detail).toMatch(/1year/);
    expect((await problemOf('offset=yesterday', 'duration_invalid')).detail).toMatch(/7d/);
  });

  test('many series are not told in more buckets than fit into one answer', async () => {
    await rig.post(sent('oven-1', 'heat', minutes));
    const problem = expectProblem(await http.ask('/api/v1/readings?from=-1d&bucket=1s'), 'parameter_invalid');
    expect(problem.detail).toMatch(/86400 buckets/);
    for (const [query, parameter] of [
      ['groupBy=site', 'groupBy'],
      ['bucket=1h&reduce=sum', 'reduce'],
      ['bucket=1h&groupBy=site&agg=avg,max', 'agg'],
      ['offset=1d', 'offset'],
      ['tag=north', 'tag'],
    ]) {
      const { errors } = expectProblem(await http.ask(`/api/v1/readings?${query}`), 'parameter_invalid');
      expect(
        errors?.map((fault) => fault.parameter),
        query,
      ).toEqual([parameter]);
    }
  });
});

/** What the only bucket of a metric of oven-1 says by itself, behind its kind and what it was made of. */
async function bucketOf(metric: string): Promise<unknown[]> {
  const answer = await http.get(Buckets, `/api/v1/devices/oven-1/readings?metric=${metric}&from=-1m&bucket=1h`);
  const [{ time: _time, ...bucket } = { time: '' }] = answer.buckets;
  return [answer.kind, answer.resolution, bucket];
}

async function firstBucket(metric: string, agg: string): Promise<Buckets['buckets'][number] | undefined> {
  const path = `/api/v1/devices/oven-1/readings?metric=${metric}&from=-40s&bucket=1h&agg=${encodeURIComponent(agg)}`;
  return (await http.get(Buckets, path)).buckets[0];
}

async function readingsOf(query: string): Promise<Readings['readings']> {
  return (await http.get(Readings, `/api/v1/devices/oven-1/readings?metric=heat&${query}`)).readings;
}

/** The same, up to what summing up in another order may change. */
function closeTo(bucket: Buckets['buckets'][number]): object {
  const pairs = Object.entries(bucket);
  return Object.fromEntries(
    pairs.map(([name, value]) => [name, typeof value === 'number' ? expect.closeTo(value, 9) : value]),
  );
}
