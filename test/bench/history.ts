/**
 * What history answers, beside a row for every reading in SQLite (in process), and beside VictoriaMetrics and InfluxDB
 * (over HTTP, the same client for all): the same data in each, the same question, asked in turns in one run, and what
 * comes back counted. The questions: a day of one series at 1 Hz; the same in 480 buckets; thirty days in 497; the
 * current value of 5,201 series. Then the bytes that 12 million readings of a fleet take here and in VictoriaMetrics.
 *
 *   node test/bench/history.ts [days] [minutes of the fleet]
 */
import { compileGlob } from '../../src/domain/glob.ts';
import type { AggregateQuery } from '../../src/history/queries.ts';
import type { Engine } from '../../src/history/engine.ts';
import { LatestValues } from '../../src/latest/latest-values.ts';
import { SeriesRegistry } from '../../src/pipeline/series-registry.ts';
import type { FakeClock } from '../support/fake-clock.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { report } from './figure.ts';
import { fleetData, longData, together } from './history-data.ts';
import { get, installPeers, type Peer, startInflux, startVictoriaMetrics } from './history-peers.ts';
import { fillEngine, RowStore } from './history-store.ts';
import { ServerProcess } from './server-process.ts';
import { median, mustEqual, shown } from './statistics.ts';

const days = Number(process.argv[2] ?? 30);
const fleetMinutes = Number(process.argv[3] ?? 40);
const dayMs = 86_400_000;
const rounds = 15;
/** Asked before it counts, so often or so long: servers that run for weeks are warm, and their code is compiled. */
const warmUps = { asks: 200, ms: 3_000 };

const long = longData({ days, seed: 1 });
const fleet = fleetData({ devices: 1_000, seconds: 60, seed: 2, from: long.end - 60_000 });
const data = together(long, fleet);
/** The series at 1 Hz, counted from 0. */
const fast = 0;
const end = long.end;
const day = { from: end - dayMs, to: end };
const all = { from: end - days * dayMs, to: end };
/** Whole minutes, at most 500 of them. */
const dayWidth = 180_000;
const allWidth = Math.ceil((days * dayMs) / 500 / 60_000) * 60_000;
const bucketsIn = (range: { readonly from: number; readonly to: number }, width: number): number =>
  Math.ceil(range.to / width) - Math.floor(range.from / width);

const folder = tempFolder();
console.log(`${shown(data.readings)} readings of ${shown(data.series.length)} series over ${days} days`);
const { engine, clock } = await fillEngine(folder.path, data);
await untilSummedUp(engine, clock);
await inProcess(engine);
await engine.close();
await latestInProcess(engine);
await overHttp();
folder.remove();
await bytes();

/** Rollups are made beside the commits; until no more of them come. */
async function untilSummedUp(engine: Engine, clock: FakeClock): Promise<void> {
  let quiet = 0;
  for (let before = -1; quiet < 12; ) {
    clock.advance(5_000);
    const { rollups } = await engine.reader.stats();
    quiet = rollups === before ? quiet + 1 : 0;
    before = rollups;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const { rollups, chunks, usedBytes } = await engine.reader.stats();
  console.log(
    `${shown(chunks)} chunks, ${shown(rollups)} windows of rollups, ${shown(usedBytes / 1_048_576)} MiB in use`,
  );
}

async function inProcess(engine: Engine): Promise<void> {
  const rows = new RowStore(folder.path);
  rows.fill(data);
  const series = fast + 1;
  const page = async (): Promise<number> => {
    const { parts } = await engine.reader.page({ ranges: [{ series, ...day }], order: 'asc', limit: 100_000 });
    return parts[0]?.columns.count ?? 0;
  };
  const buckets = async (
    range: { readonly from: number; readonly to: number },
    width: number,
    origin: number,
  ): Promise<number> => {
    const query: AggregateQuery = {
      ranges: [{ series, ...range }],
      kinds: ['gauge'],
      grid: { kind: 'fixed', width, origin },
      aggregates: [{ kind: 'min' }, { kind: 'max' }, { kind: 'avg' }, { kind: 'count' }],
      fill: 'none',
      limit: 1_000,
    };
    return (await engine.reader.aggregate(query)).parts[0]?.buckets.count ?? 0;
  };
  const exactDay = dayMs / 500;
  const exactAll = (days * dayMs) / 500;
  await compare('24 h raw', '≥ 10', 10, page, () => rows.raw(series, day.from, day.to));
  await compare(
    '24 h in 500 buckets, from readings',
    '≥ 12',
    12,
    () => buckets(day, exactDay, day.from),
    () => rows.buckets(series, day.from, day.to, exactDay),
  );
  await compare(
    '24 h in 480 buckets, from rollups',
    '≥ 12',
    12,
    () => buckets(day, dayWidth, day.from),
    () => rows.buckets(series, day.from, day.to, dayWidth),
  );
  await compare(
    `${days} d in 500 buckets, edges anywhere`,
    '≥ 100',
    100,
    () => buckets(all, exactAll, all.from),
    () => rows.buckets(series, all.from, all.to, exactAll),
  );
  await compare(
    `${days} d in 497 buckets of whole minutes`,
    '≥ 100',
    100,
    () => buckets(all, allWidth, all.from),
    () => rows.buckets(series, all.from, all.to, allWidth),
  );
  rows.close();
}

/** The current value of every series, as a gateway that was started anew has them, beside the newest row of each. */
async function latestInProcess(engine: Engine): Promise<void> {
  const { series } = await engine.open();
  const registry = new SeriesRegistry({ seriesMax: series.length, metricsMax: series.length });
  registry.load(series);
  const latest = new LatestValues(registry);
  latest.load(series);
  await engine.close();
  const rows = new RowStore(folder.path);
  await compare(
    `latest of ${shown(data.series.length)} series`,
    '≥ 200',
    200,
    () => Promise.resolve(latest.select(compileGlob('*'), compileGlob('*')).length),
    () => rows.latest(data.series.length),
  );
  rows.close();
}

/** Asks both in turns; what they answer must be as many. */
async function compare(
  what: string,
  aim: string,
  least: number,
  ours: () => Promise<number>,
  theirs: () => number,
): Promise<void> {
  mustEqual(`${what}: answered`, await ours(), theirs());
  const our: number[] = [];
  const their: number[] = [];
  await warmUp(ours);
  for (let round = 0; round < rounds; round++) {
    our.push(await timed(ours));
    if (round < 5) their.push(await timed(() => Promise.resolve(theirs())));
  }
  const ratio = median(their) / median(our);
  report({
    what: `history: ${what} / rows in SQLite`,
    aim,
    measured: `${ratio.toFixed(0)} times faster (${median(our).toFixed(2)} ms)`,
    met: ratio >= least,
  });
}

async function warmUp(action: () => Promise<unknown>): Promise<void> {
  let ms = 0;
  for (let asked = 0; asked < warmUps.asks && ms < warmUps.ms; asked++) ms += await timed(action);
}

async function timed(action: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await action();
  return performance.now() - began;
}

interface Asked {
  readonly name: string;
  ask(path: string): Promise<Buffer>;
  readonly raw: string;
  readonly day: string;
  readonly all: string;
  readonly latest: string;
}

async function overHttp(): Promise<void> {
  const server = await ServerProcess.gateway(folder.path);
  const { device, metric } = data.series[fast] ?? { device: '', metric: '' };
  const readings = (range: { readonly from: number; readonly to: number }, more: string): string =>
    `/api/v1/devices/${device}/readings?metric=${metric}&from=${range.from}&to=${range.to}&${more}`;
  const agg = 'agg=min,max,avg,count&limit=1000';
  const ours: Asked = {
    name: 'Pulsegate',
    ask: (path) => get(server.httpPort, path),
    raw: readings(day, 'limit=all&format=columns'),
    day: readings(day, `bucket=${dayWidth}ms&${agg}`),
    all: readings(all, `bucket=${allWidth}ms&${agg}`),
    latest: '/api/v1/latest?limit=10000&format=columns',
  };
  const askedOf = (peer: Peer): Asked => {
    const series = data.series[fast] ?? { device, metric };
    return {
      name: peer.name,
      ask: (path) => peer.ask(path),
      raw: peer.raw(series, day.from, day.to),
      day: peer.buckets(series, day.from, day.to, dayWidth),
      all: peer.buckets(series, all.from, all.to, allWidth),
      latest: peer.latest(end),
    };
  };
  const peers: Peer[] = [];
  if (installPeers()) {
    for (const start of [startVictoriaMetrics, startInflux]) {
      const peer = await start(folder.path);
      await peer.load(data);
      peers.push(peer);
    }
  }
  const questions = [
    ['24 h raw', 'raw', countTimes(86_400)],
    ['24 h in 480 buckets', 'day', countTimes(bucketsIn(day, dayWidth))],
    [`${days} d in 497 buckets`, 'all', countTimes(bucketsIn(all, allWidth))],
    ['latest of 5,201 series', 'latest', countTimes(data.series.length)],
  ] as const;
  for (const [what, key, check] of questions) {
    const asked = [ours, ...peers.map(askedOf)];
    const took = new Map(asked.map(({ name }) => [name, [] as number[]]));
    for (const one of asked) {
      check(`${what} of ${one.name}`, await one.ask(one[key]));
      await warmUp(() => one.ask(one[key]));
    }
    for (let round = 0; round < rounds; round++) {
      for (const one of asked) took.get(one.name)?.push(await timed(() => one.ask(one[key])));
    }
    const our = median(took.get(ours.name) ?? []);
    console.log(`${what}: ${[...took].map(([name, ms]) => `${name} ${median(ms).toFixed(1)} ms`).join(', ')}`);
    for (const peer of peers) {
      const ratio = median(took.get(peer.name) ?? []) / our;
      report({
        what: `history: ${what} over HTTP / ${peer.name}`,
        aim: '≥ 1.5',
        measured: `${ratio.toFixed(1)} times faster (${our.toFixed(1)} ms)`,
        met: ratio >= 1.5,
      });
    }
  }
  for (const peer of peers) await peer.stop();
  await server.stop();
}

/** Counts the readings, buckets or series in an answer by what each product writes once for each of them. */
function countTimes(expected: number): (what: string, body: Buffer) => void {
  return (what, body) => mustBeNear(what, countOf(JSON.parse(firstLine(body))), expected);
}

/** An export of VictoriaMetrics is a JSON text a line; a series is one line. */
function firstLine(body: Buffer): string {
  const text = body.toString();
  return text.trim().includes('\n') && text.startsWith('{"metric"') ? text.slice(0, text.indexOf('\n')) : text;
}

/** The longest list in an answer, or the number of series where each has one value. */
function countOf(answer: unknown): number {
  if (Array.isArray(answer)) return Math.max(answer.length, ...answer.slice(0, 8).map(countOf), 0);
  if (typeof answer !== 'object' || answer === null) return 0;
  return Math.max(0, ...Object.values(answer).map(countOf));
}

/** InfluxDB and VictoriaMetrics cut a range by rules of their own: a bucket more or less at its edges is not counted against them. */
function mustBeNear(what: string, found: number, expected: number): void {
  if (Math.abs(found - expected) > Math.max(2, expected * 0.001)) mustEqual(what, found, expected);
}

async function bytes(): Promise<void> {
  const std = fleetData({ devices: 1_000, seconds: fleetMinutes * 60, seed: 3 });
  const place = tempFolder();
  const { engine } = await fillEngine(place.path, std);
  await engine.close();
  const again = await sizes(place.path);
  mustEqual('readings in chunks and log', again.stored, std.readings);
  const ours = again.bytes / again.chunkReadings;
  console.log(`${shown(std.readings)} readings of a fleet: ${shown(again.chunkReadings)} in chunks`);
  report({
    what: 'history: bytes a sealed reading (chunks, times, index, pages)',
    aim: '',
    measured: `${ours.toFixed(2)}, rollups ${(again.rollupBytes / again.chunkReadings).toFixed(2)}`,
    met: null,
  });
  if (installPeers()) {
    const peer = await startVictoriaMetrics(place.path);
    await peer.load(std);
    const theirs = (await peer.bytes()) / std.readings;
    await peer.stop();
    report({
      what: 'history: bytes on disk / VictoriaMetrics, fleet at 1 Hz',
      aim: '≤ 0.75',
      measured: `${(ours / theirs).toFixed(2)} (${ours.toFixed(2)} / ${theirs.toFixed(2)})`,
      met: ours / theirs <= 0.75,
    });
  }
  place.remove();
}

interface Sizes {
  readonly bytes: number;
  readonly rollupBytes: number;
  readonly chunkReadings: number;
  readonly stored: number;
}

/** Whole pages of the tables that hold sealed readings, their indices included. */
async function sizes(dir: string): Promise<Sizes> {
  const { DatabaseSync } = await import('node:sqlite');
  const database = new DatabaseSync(`${dir}/pulsegate.db`, { readOnly: true });
  const number = (sql: string): number => Number(Object.values(database.prepare(sql).get() ?? {})[0] ?? 0);
  const pages = (names: string): number => number(`SELECT sum(pgsize) FROM dbstat WHERE name IN (${names})`);
  const chunkReadings = number('SELECT sum(count) FROM chunk');
  const rollupBytes = pages("'rollup'");
  const bytes = pages("'chunk', 'chunk_time', 'time_column'");
  database.close();
  return { bytes, rollupBytes, chunkReadings, stored: await storedIn(dir) };
}

async function storedIn(dir: string): Promise<number> {
  const { createSqliteEngine } = await import('../../src/storage/sqlite/engine.ts');
  const { systemClock } = await import('../../src/base/clock.ts');
  const { silentLog } = await import('../../src/base/log.ts');
  const engine = createSqliteEngine({ dir, clock: systemClock, log: silentLog });
  await engine.open();
  const { chunkReadings, headReadings } = await engine.reader.stats();
  await engine.close();
  return chunkReadings + headReadings;
}
