// What one who may only read can ask of memory and time, whatever he asks: over the route table, with a store in lists.
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { GroupedBuckets, ManyReadings } from '../../src/contract/reading.ts';
import type { HttpServer } from '../../src/api/server.ts';
import type { AcrossQuery, HistoryQueries } from '../../src/history/queries.ts';
import { expectProblem } from '../support/api-problem.ts';
import { startApi, Strangers } from '../support/api-strangers.ts';
import { ask } from '../support/http-client.ts';

let strangers: Strangers;
let server: HttpServer;
let port: number;
/** A whole minute. */
let end: number;

beforeEach(async () => {
  strangers = new Strangers();
  end = Math.floor(strangers.clock.now() / 60_000) * 60_000;
  await start({});
});
afterEach(() => server.stop(1_000));

async function start(changes: Partial<HistoryQueries>): Promise<void> {
  await server?.stop(1_000);
  const { reader } = strangers.ports();
  ({ server, port } = await startApi(strangers, { reader: { ...reader, ...changes } }));
}

/** Series `s-000`, `s-001` … as they would have been stored, `count` readings each at times of their own. */
function fill(series: number, count: number): void {
  for (let index = 0; index < series; index++) {
    const device = `s-${String(index).padStart(3, '0')}`;
    strangers.put(device, 'v', end - count * series, index);
    const samples = strangers.series.get(`${device}/v`)?.samples;
    for (let row = 0; row < count; row++) {
      const sample = { time: end - (count - row) * series + index, value: row };
      if (row === 0) samples?.splice(0, 1, sample);
      else samples?.push(sample);
    }
  }
}

interface ManyRows {
  readonly series: readonly { readonly device: string; readonly buckets?: object[]; readonly readings?: object[] }[];
  readonly next: string | null;
}

async function pagesOf<T extends { readonly next: string | null }>(path: string): Promise<T[]> {
  const pages: T[] = [];
  for (let page = ''; ; ) {
    const answer = await ask(port, `/api/v1/readings?${path}${page}`);
    expect(answer.status, answer.text.slice(0, 300)).toBe(200);
    const shown = answer.json() as T;
    pages.push(shown);
    if (shown.next === null) return pages;
    page = `&page=${shown.next}`;
  }
}

test.each(['bucket=100ms&agg=avg,min,max,count,sum,p50,p99,first,last,stddev', 'points=8000'])(
  'a page of many series with %s ends when it is full, and the pages hold every series once and whole',
  async (shape) => {
    fill(40, 8_000);
    const range = `from=${end - 40 * 8_000}&to=${end}`;
    const pages = await pagesOf<ManyRows>(`${range}&${shape}&limit=10000`);
    expect(pages.length).toBeGreaterThan(1);
    const values = pages.map(({ series }) =>
      series
        .flatMap(({ buckets, readings = [] }) => buckets ?? readings)
        .reduce((sum, row) => sum + Object.keys(row).length - 1, 0),
    );
    // As much as a page holds, and what was asked for at once beyond it.
    expect(Math.max(...values)).toBeLessThan(300_000);
    expect(pages.flatMap(({ series }) => series.map(({ device }) => device))).toEqual(
      Array.from({ length: 40 }, (_, index) => `s-${String(index).padStart(3, '0')}`),
    );
    for (const { series } of pages) {
      for (const { buckets, readings } of series) expect((buckets ?? readings)?.length).toBeGreaterThanOrEqual(3_200);
    }
  },
);

test('series whose buckets are all at times of their own are grouped a few at a time, and the pages add up', async () => {
  fill(30, 600);
  const asked: AcrossQuery[] = [];
  const { reader } = strangers.ports();
  await start({
    across(query) {
      asked.push(query);
      return reader.across(query);
    },
  });
  const path = `from=${end - 30 * 600}&to=${end}&bucket=1ms&agg=last&groupBy=metric&reduce=sum&limit=7000`;
  const pages = await pagesOf<GroupedBuckets>(path);
  expect(pages.map(({ series: [group] }) => group.buckets.length)).toEqual([7_000, 7_000, 4_000]);
  const rows = pages.flatMap(({ series: [group] }) => group.buckets);
  expect(rows.map(({ time }) => Date.parse(time))).toEqual(
    Array.from({ length: 30 * 600 }, (_, index) => end - 30 * 600 + index),
  );
  expect(rows.map(({ sum }) => sum)).toEqual(Array.from({ length: 30 * 600 }, (_, index) => Math.floor(index / 30)));
  for (const { ranges, limit } of asked) expect(ranges.length * limit).toBeLessThanOrEqual(100_000);
});

test.each([
  [[-1e300, 1e300], null],
  [[1e300, 1e301], null],
  [[0, 8.64e15 + 1], null],
  [[0.5, 1], null],
  [[1, 0], null],
  [[0, 1], 1e300],
])('a page token that somebody made up of %j and %j is refused as such', async (range, at) => {
  fill(1, 3);
  const first = await ask(port, `/api/v1/readings?from=${end - 3}&to=${end}&limit=1`);
  const { next } = first.json() as ManyReadings;
  const [hash] = JSON.parse(Buffer.from(next ?? '', 'base64url').toString()) as [string];
  const forged = Buffer.from(JSON.stringify([hash, [range, 's-000', 'v', at]])).toString('base64url');
  const path = `/api/v1/readings?from=${end - 3}&to=${end}&limit=1&page=${forged}`;
  expectProblem(await ask(port, path), 'page_invalid');
});

test.each(['now', '-1h', 'now-5m'])(
  'a download does not go on behind %s, which is when no reading came',
  async (time) => {
    fill(1, 3);
    const problem = expectProblem(await ask(port, `/api/v1/readings?after=s-000/v/${time}`), 'parameter_invalid');
    expect(problem.errors).toMatchObject([{ parameter: 'after' }]);
  },
);
