/**
 * The SQLite engine beside the plainest thing that could be done with SQLite, a row for every reading, in the same run:
 * the same batches, the same durability (WAL, synchronous = FULL, one synced transaction a batch). Every reading is
 * distinct, and at the end every reading is counted back out of both stores. And beside the least that a durable store of
 * this kind can do: append to columns in memory, write the batch to a file, sync it (the bare loop; it has no seals, no
 * queries and no second thread).
 *
 * Then what has no counterpart: nanoseconds a reading to start after a kill, bytes a reading on disk once sealed, and
 * bytes written to disk in a day at ten small messages a second.
 *
 *   node test/bench/engine.ts [ticks] [seed]
 */
import { closeSync, fdatasyncSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { silentLog } from '../../src/base/log.ts';
import { type Random, seededRandom } from '../../src/base/random.ts';
import type { Commit } from '../../src/domain/commit.ts';
import type { ReadingColumns } from '../../src/domain/reading.ts';
import { settledColumns } from '../../src/domain/settled-columns.ts';
import type { Engine } from '../../src/history/engine.ts';
import { createSqliteEngine } from '../../src/storage/sqlite/engine.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { commitOf, crashImage, plainBuckets } from '../support/storage-commits.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { report } from './figure.ts';
import { median, mustEqual, quantile, shown } from './statistics.ts';

const deviceCount = 1_000;
const metrics = ['temperature', 'heart_rate', 'humidity', 'steps', 'battery'];
const seriesCount = deviceCount * metrics.length;
const roundCount = 3;
/** The row store is far slower and slows down as it grows; it gets the first of the same batches, which favours it. */
const rowStoreTicks = 160;
const begin = 1_790_000_000_000;

/** A thousand devices of five metrics at 1 Hz with ±20 ms of jitter: one batch of 5,000 readings a tick. */
class Fleet {
  readonly #random: Random;
  readonly #levels: Float64Array;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    this.#levels = Float64Array.from({ length: seriesCount }, (_, series) => 20 + (series % 97));
  }

  /** Fills the columns with the readings of one second. */
  fill(columns: ReadingColumns, tick: number): void {
    let row = 0;
    for (let device = 0; device < deviceCount; device++) {
      const time = begin + tick * 1_000 + Math.floor(this.#random.next() * 41) - 20;
      for (let metric = 0; metric < metrics.length; metric++) {
        columns.series[row] = row + 1;
        columns.times[row] = time;
        columns.values[row] = this.#next(row, metric);
        row++;
      }
    }
  }

  #next(series: number, metric: number): number {
    const step = this.#random.next();
    const level = this.#levels[series] ?? 0;
    const moved = metric === 3 ? level + Math.floor(step * 3) : level + (step - 0.5) / (metric === 1 ? 1 : 10);
    this.#levels[series] = moved;
    const decimals = [100, 1, 10, 1, 100][metric] ?? 1;
    return Math.round(moved * decimals) / decimals;
  }
}

function columns(): ReadingColumns {
  return {
    count: seriesCount,
    series: new Uint32Array(seriesCount),
    times: new Float64Array(seriesCount),
    values: new Float64Array(seriesCount),
    kinds: new Uint8Array(seriesCount),
    texts: [],
  };
}

const fleetSeries: Commit['newSeries'] = Array.from({ length: seriesCount }, (_, index) => ({
  id: index + 1,
  device: `device-${Math.floor(index / metrics.length)}`,
  metric: metrics[index % metrics.length] ?? '',
}));

function tickCommit(seq: number, readings: ReadingColumns): Commit {
  return { ...commitOf(seq, []), readings, newSeries: seq === 1 ? fleetSeries : [] };
}

interface Ingest {
  readonly readingsPerSecond: number;
  readonly commitMs: readonly number[];
}

/** Commits `ticks` batches, making each while the one before is on its way, as the pipeline does. */
async function ingestIntoEngine(engine: Engine, ticks: number, seed: number): Promise<Ingest> {
  const fleet = new Fleet(seed);
  const commitMs: number[] = [];
  let [next, spare] = [columns(), columns()];
  fleet.fill(next, 0);
  const started = performance.now();
  for (let tick = 0; tick < ticks; tick++) {
    const sent = performance.now();
    const commit = engine.commit(tickCommit(tick + 1, next));
    if (tick + 1 < ticks) fleet.fill(spare, tick + 1);
    next = spare;
    spare = (await commit).readings;
    commitMs.push(performance.now() - sent);
  }
  return { readingsPerSecond: (ticks * seriesCount * 1_000) / (performance.now() - started), commitMs };
}

function ingestIntoRows(dir: string, ticks: number, seed: number): Ingest {
  const database = new DatabaseSync(join(dir, 'rows.db'));
  database.exec('PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
  database.exec(
    'CREATE TABLE reading (series INTEGER, time INTEGER, value REAL, PRIMARY KEY (series, time)) STRICT, WITHOUT ROWID',
  );
  const rowsEach = 100;
  const insert = database.prepare(`INSERT INTO reading VALUES ${Array(rowsEach).fill('(?, ?, ?)').join(', ')}`);
  const fleet = new Fleet(seed);
  const batch = columns();
  const commitMs: number[] = [];
  const started = performance.now();
  for (let tick = 0; tick < ticks; tick++) {
    fleet.fill(batch, tick);
    const sent = performance.now();
    database.exec('BEGIN');
    for (let row = 0; row < seriesCount; row += rowsEach) {
      const inputs: number[] = [];
      for (let at = row; at < row + rowsEach; at++) {
        inputs.push(batch.series[at] ?? 0, batch.times[at] ?? 0, batch.values[at] ?? 0);
      }
      insert.run(...inputs);
    }
    database.exec('COMMIT');
    commitMs.push(performance.now() - sent);
  }
  const readingsPerSecond = (ticks * seriesCount * 1_000) / (performance.now() - started);
  const counted = database.prepare('SELECT count(*) AS count FROM reading').get()?.['count'];
  database.close();
  mustEqual('readings in the row store', Number(counted), ticks * seriesCount);
  return { readingsPerSecond, commitMs };
}

/** Head append, log, sync: as many readings a durable batch as the others. */
function ingestIntoBareLoop(dir: string, ticks: number, seed: number): Ingest {
  const file = openSync(join(dir, 'bare.log'), 'w');
  const heads = Array.from({ length: seriesCount }, () => ({
    count: 0,
    times: new Float64Array(1_024),
    values: new Float64Array(1_024),
  }));
  const record = new Uint8Array(seriesCount * 20);
  const asSeries = new Uint32Array(record.buffer, 0, seriesCount);
  const asNumbers = new Float64Array(record.buffer, seriesCount * 4, seriesCount * 2);
  const fleet = new Fleet(seed);
  const batch = columns();
  const commitMs: number[] = [];
  let appended = 0;
  for (let tick = 0; tick < ticks; tick++) {
    fleet.fill(batch, tick);
    const sent = performance.now();
    asSeries.set(batch.series);
    asNumbers.set(batch.times);
    asNumbers.set(batch.values, seriesCount);
    writeSync(file, record);
    fdatasyncSync(file);
    for (let row = 0; row < seriesCount; row++) {
      const head = heads[(batch.series[row] ?? 1) - 1];
      if (!head) continue;
      const at = head.count === 1_024 ? 0 : head.count;
      head.times[at] = batch.times[row] ?? 0;
      head.values[at] = batch.values[row] ?? 0;
      head.count = at + 1;
      appended++;
    }
    commitMs.push(performance.now() - sent);
  }
  // The engine has its batches made while it works; here the making does not count.
  const readingsPerSecond = (ticks * seriesCount * 1_000) / commitMs.reduce((sum, ms) => sum + ms, 0);
  closeSync(file);
  mustEqual('readings in the bare loop', appended, ticks * seriesCount);
  return { readingsPerSecond, commitMs };
}

async function countBack(engine: Engine, ticks: number): Promise<void> {
  let counted = 0;
  for (let series = 1; series <= seriesCount; series++) {
    const query = { series, from: 0, to: Number.MAX_SAFE_INTEGER, width: 1e15, limit: 10 };
    for (const { values } of await plainBuckets(engine, query)) counted += Number(values[0]);
  }
  mustEqual('readings in the engine', counted, ticks * seriesCount);
}

function engineIn(dir: string, clock = new FakeClock()): Engine {
  return createSqliteEngine({ dir, clock, log: silentLog, resumeWindow: { ms: 900_000, bytes: 256 << 20 } });
}

async function compareIngest(ticks: number, seed: number): Promise<void> {
  const engineRounds: Ingest[] = [];
  const rowRounds: Ingest[] = [];
  const bareRounds: Ingest[] = [];
  let walMax = 0;
  for (let round = 0; round < roundCount; round++) {
    const folder = tempFolder();
    const engine = engineIn(folder.path);
    await engine.open();
    engineRounds.push(await ingestIntoEngine(engine, ticks, seed + round));
    walMax = Math.max(walMax, statSync(join(folder.path, 'pulsegate.db-wal')).size);
    await countBack(engine, ticks);
    await engine.close();
    bareRounds.push(ingestIntoBareLoop(folder.path, ticks, seed + round));
    rowRounds.push(ingestIntoRows(folder.path, Math.min(ticks, rowStoreTicks), seed + round));
    folder.remove();
  }
  const engineRate = median(engineRounds.map(({ readingsPerSecond }) => readingsPerSecond));
  const rowRate = median(rowRounds.map(({ readingsPerSecond }) => readingsPerSecond));
  const bareRate = median(bareRounds.map(({ readingsPerSecond }) => readingsPerSecond));
  const delays = engineRounds.flatMap(({ commitMs }) => commitMs);
  console.log(`ingest, batches of ${seriesCount} readings of ${seriesCount} series, medians of ${roundCount} rounds`);
  console.log(`  engine           ${shown(engineRate)} readings/s, ${shown(ticks * seriesCount)} readings a round`);
  console.log(
    `  a row a reading  ${shown(rowRate)} readings/s, ${shown(Math.min(ticks, rowStoreTicks) * seriesCount)} readings a round`,
  );
  report({
    what: 'engine: durable ingest / a row for every reading',
    aim: '≥ 20',
    measured: `${(engineRate / rowRate).toFixed(1)} (${shown(engineRate)} readings/s)`,
    met: engineRate / rowRate >= 20,
  });
  report({
    what: 'engine: durable ingest / bare loop (columns, log, sync)',
    aim: '≥ 0.65',
    measured: `${(engineRate / bareRate).toFixed(2)} (bare ${shown(bareRate)} readings/s)`,
    met: engineRate / bareRate >= 0.65,
  });
  console.log(
    `  commit           p50 ${quantile(delays, 0.5).toFixed(2)} ms, p99 ${quantile(delays, 0.99).toFixed(2)} ms`,
  );
  console.log(`  largest write-ahead log ${shown(walMax / 1024)} KiB`);
}

async function measureStart(readings: number, seed: number): Promise<void> {
  const folder = tempFolder();
  const ticks = Math.floor(readings / seriesCount);
  // Chunks as large as they get and a clock that stands still, so that nothing is sealed and all of it is in the log.
  const engine = createSqliteEngine({ dir: folder.path, clock: new FakeClock(), log: silentLog, sealCount: 4_096 });
  await engine.open();
  await ingestIntoEngine(engine, ticks, seed);
  const { logReadings, headReadings } = await engine.reader.stats();
  mustEqual('readings in the heads', headReadings, logReadings);
  const image = crashImage(folder.path);
  await engine.close();
  const empty = tempFolder();
  const rounds: number[] = [];
  const nothing: number[] = [];
  for (let round = 0; round < roundCount; round++) {
    nothing.push(await timeToOpen(empty.path, 0));
    rounds.push(await timeToOpen(image.path, headReadings));
  }
  const each = ((median(rounds) - median(nothing)) * 1e6) / headReadings;
  console.log(`start after a kill with ${shown(headReadings)} readings in the log, median of ${roundCount}`);
  console.log(`  ${median(rounds).toFixed(0)} ms, an empty store ${median(nothing).toFixed(0)} ms`);
  report({
    what: 'engine: replay at start, ns a reading in the log',
    aim: '≤ 170',
    measured: each.toFixed(0),
    met: each <= 170,
  });
  for (const each of [folder, image, empty]) each.remove();
}

async function timeToOpen(dir: string, readings: number): Promise<number> {
  // A copy each time, because closing would seal what shall be read from the log.
  const image = crashImage(dir);
  const engine = createSqliteEngine({ dir: image.path, clock: new FakeClock(), log: silentLog, sealCount: 4_096 });
  const started = performance.now();
  await engine.open();
  const took = performance.now() - started;
  mustEqual('readings after the start', (await engine.reader.stats()).headReadings, readings);
  await engine.close();
  image.remove();
  return took;
}

async function measureBytes(ticks: number, seed: number): Promise<void> {
  const folder = tempFolder();
  const engine = engineIn(folder.path);
  await engine.open();
  await ingestIntoEngine(engine, ticks, seed);
  await engine.close();
  const database = new DatabaseSync(join(folder.path, 'pulsegate.db'), { readOnly: true });
  const size = (what: string): number =>
    Number(database.prepare(`SELECT sum(pgsize) AS size FROM dbstat WHERE name IN (${what})`).get()?.['size']);
  const [sealed, log] = [size("'chunk', 'chunk_time', 'time_column'"), size("'commit_log'")];
  const stored = Number(database.prepare('SELECT sum(count) AS count FROM chunk').get()?.['count']);
  const chunks = Number(database.prepare('SELECT count(*) AS count FROM chunk').get()?.['count']);
  const logged = Number(database.prepare('SELECT sum(readings) AS count FROM commit_log').get()?.['count']);
  database.close();
  console.log(`bytes on disk, pages and index included (${shown(stored)} readings in ${shown(chunks)} chunks)`);
  report({
    what: 'engine: bytes a reading, sealed and in the log',
    aim: '',
    measured: `${(sealed / stored).toFixed(2)} and ${(log / logged).toFixed(2)}`,
    met: null,
  });
  folder.remove();
}

async function measureWear(seed: number): Promise<void> {
  const folder = tempFolder();
  const clock = new FakeClock();
  const engine = engineIn(folder.path, clock);
  await engine.open();
  const random = seededRandom(seed);
  const devices = 16;
  const newSeries = fleetSeries.slice(0, devices * 3);
  await engine.commit(commitOf(1, [], { newSeries, at: begin }));
  const commits = 12_000;
  const before = bytesWritten();
  for (let index = 0; index < commits; index++) {
    const device = index % devices;
    const at = begin + index * 100;
    const rows = [1, 2, 3].map((metric) => [device * 3 + metric, at, Math.round(random.next() * 1_000) / 10] as const);
    const settled = settledColumns([{ client: `device-${device}`, packetId: 1 + (index % 65_535), hash: index }]);
    await engine.commit(commitOf(index + 2, rows, { at, settled }));
    // Ten messages a second, each a commit of its own, for twenty minutes: sealing and checkpoints come as they would.
    clock.advance(100);
  }
  await engine.reader.stats();
  const written = bytesWritten() - before;
  await engine.close();
  const perDay = (written / commits) * 10 * 86_400;
  console.log(
    `bytes written to disk at 10 messages/s of 3 readings, each committed by itself (${shown(commits)} commits)`,
  );
  report({
    what: 'engine: written to disk at 10 commits/s, sealing included',
    aim: '',
    measured: `${(perDay / 1e9).toFixed(1)} GB a day`,
    met: null,
  });
  folder.remove();
}

/** What this process had the kernel write to storage so far (Linux). */
function bytesWritten(): number {
  return Number(/^write_bytes: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1]);
}

const ticks = Number(process.argv[2] ?? 1_300);
const seed = Number(process.argv[3] ?? 1);
console.log(`seed ${seed}, Node ${process.version}`);
await compareIngest(ticks, seed);
await measureStart(4_000_000, seed);
await measureBytes(Math.max(ticks, 2_100), seed);
if (process.platform === 'linux') await measureWear(seed);
