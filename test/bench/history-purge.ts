/**
 * Readings whose time is over: how fast they go, by themselves and beside commits, against a DELETE of as many rows, and
 * how long a commit waits meanwhile.
 *
 *   node test/bench/history-purge.ts [seconds of the fleet]
 *
 * A fleet of 5,000 series is filled and sealed, and goes in four parts, a quarter of the series each: one to warm up, one
 * while nothing else is asked of the writer, two beside 500 commits a second of 100 readings. A part ends with a commit,
 * whose sync takes the deletions along. The rows are those of a quarter and go by ranges of their clustered key, series by
 * series, in one transaction; copying the write-ahead log into the file counts for neither.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ReadingBuilder } from '../../src/domain/reading-builder.ts';
import { commitOf } from '../support/storage-commits.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { report } from './figure.ts';
import { begin, fleetData } from './history-data.ts';
import { fillEngine, RowStore } from './history-store.ts';
import { mustEqual, quantile, shown } from './statistics.ts';

const seconds = Number(process.argv[2] ?? 2_400);
const devices = 1_000;
/** 500 commits a second of 100 readings. */
const pace = { everyMs: 2, readings: 100 };
const commitsAlone = 500;

const fleet = fleetData({ devices, seconds, seed: 5 });
const quarter = fleetData({ devices: devices / 4, seconds, seed: 5 });
/** By then the time of all readings of the fleet is over. */
const later = begin + 40 * 86_400_000;
const folder = tempFolder();
const { engine, clock } = await fillEngine(folder.path, fleet);
let { seq, chunkReadings } = await engine.reader.stats();
for (let before = -1; before !== chunkReadings || chunkReadings < fleet.readings; ) {
  clock.advance(600_000);
  before = chunkReadings;
  await sleep(20);
  ({ chunkReadings } = await engine.reader.stats());
}
mustEqual('readings in chunks', chunkReadings, fleet.readings);

/** Readings after those of the fleet, as many as a commit takes. */
const fresh = (function* () {
  const data = fleetData({ devices, seconds: 600, seed: 6, from: later });
  for (const { count, series, times, values } of data.blocks()) {
    for (let first = 0; first < count; first += pace.readings) {
      const readings = new ReadingBuilder(pace.readings);
      for (let row = first; row < first + pace.readings; row++) {
        readings.add((series[row] ?? 0) + 1, times[row] ?? 0, values[row] ?? 0);
      }
      yield { at: Math.round(times[first] ?? 0), readings: readings.build() };
    }
  }
})();
let at = later;

/** How long a commit takes, ms. */
async function commit(): Promise<number> {
  const next = fresh.next().value;
  if (!next) throw new Error('there are no more readings to commit');
  at = Math.max(at, next.at);
  const sent = performance.now();
  await engine.commit(commitOf(++seq, [], { at, readings: next.readings }));
  return performance.now() - sent;
}

/** Commits at an even pace; `isOver` is asked after each. */
async function commitsUntil(isOver: () => Promise<boolean>): Promise<number[]> {
  const waits: number[] = [];
  const began = performance.now();
  for (;;) {
    waits.push(await commit());
    if (await isOver()) return waits;
    const early = began + waits.length * pace.everyMs - performance.now();
    if (early > 0) await sleep(early);
  }
}

interface Purged {
  readonly readings: number;
  readonly ms: number;
  readonly waits: readonly number[];
}

/** From here on the first `parts` quarters of the series are kept for a day; says how many readings went in which time. */
async function purge(parts: number, isCommitting: boolean): Promise<Purged> {
  const { purgedReadings: before } = await engine.reader.stats();
  const isOver = async (): Promise<boolean> => {
    const { purgedReadings } = await engine.reader.stats();
    return purgedReadings >= parts * quarter.readings;
  };
  const began = performance.now();
  await engine.retain({
    policies: [{ raw: 86_400_000, minute: 0, hour: 0 }],
    // A policy that is not there: kept.
    ofSeries: new Uint16Array(fleet.series.length + 1).fill(1).fill(0, 1, parts * quarter.series.length + 1),
  });
  let waits: readonly number[] = [];
  if (isCommitting) waits = await commitsUntil(isOver);
  else while (!(await isOver()));
  // The sync of a commit takes the last deletions along.
  await commit();
  return { readings: parts * quarter.readings - before, ms: performance.now() - began, waits };
}

let looks = 0;
const undisturbed = await commitsUntil(() => Promise.resolve(++looks === commitsAlone));
const first = await purge(1, false);
const alone = await purge(2, false);
const beside = await purge(4, true);
await engine.close();

const rows = new RowStore(folder.path);
rows.fill(quarter);
const deleting = performance.now();
mustEqual('rows deleted', rows.deleteBefore(quarter.series.length, later), quarter.readings);
const rowsRate = quarter.readings / (performance.now() - deleting);
rows.close();
folder.remove();

const rate = ({ readings, ms }: Purged): number => readings / ms;
const inWords = (purged: Purged): string =>
  `${(rate(purged) / rowsRate).toFixed(0)} (${shown(rate(purged) * 1_000)} readings/s)`;
console.log(
  `rows: ${shown(rowsRate * 1_000)} readings/s; the first ${shown(first.readings)} readings went at ${shown(rate(first) * 1_000)}/s`,
);
report({
  what: 'history: purge, readings/s / rows deleted in SQLite',
  aim: '≥ 20',
  measured: inWords(alone),
  met: rate(alone) / rowsRate >= 20,
});
report({
  what: 'history: the same beside 50,000 readings/s in 500 commits/s',
  aim: '≥ 20',
  measured: inWords(beside),
  met: rate(beside) / rowsRate >= 20,
});
const added = quantile(beside.waits, 0.99) - quantile(undisturbed, 0.99);
report({
  what: 'history: what the purge adds to the p99 of a commit',
  aim: '≤ 5 ms',
  measured: `${added.toFixed(1)} ms (${shown(beside.waits.length)} commits)`,
  met: added <= 5,
});
const inMs = (waits: readonly number[]): string =>
  [0.5, 0.99, 1].map((share) => quantile(waits, share).toFixed(1)).join(' / ');
report({
  what: 'history: commit p50 / p99 / longest beside the purge, without it',
  aim: '',
  measured: `${inMs(beside.waits)} ms, ${inMs(undisturbed)} ms`,
  met: null,
});
