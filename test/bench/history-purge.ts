/**
 * Readings whose time is over: how fast they go, beside a DELETE of as many rows, and how long a commit waits meanwhile.
 *
 *   node test/bench/history-purge.ts [seconds of the fleet]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { tempFolder } from '../support/temp-folder.ts';
import { commitOf } from '../support/storage-commits.ts';
import { report } from './figure.ts';
import { begin, fleetData } from './history-data.ts';
import { fillEngine, RowStore } from './history-store.ts';
import { mustEqual, quantile, shown } from './statistics.ts';

const seconds = Number(process.argv[2] ?? 1_200);
const fleet = fleetData({ devices: 1_000, seconds, seed: 5 });
const later = begin + 40 * 86_400_000;

const folder = tempFolder();
const { engine, clock } = await fillEngine(folder.path, fleet);
let { seq, chunkReadings } = await engine.reader.stats();
// All of it is sealed, and its time is over for everybody.
for (let before = -1; before !== chunkReadings || chunkReadings < fleet.readings; ) {
  clock.advance(600_000);
  before = chunkReadings;
  await sleep(20);
  ({ chunkReadings } = await engine.reader.stats());
}
mustEqual('readings in chunks', chunkReadings, fleet.readings);
await engine.retain({
  policies: [{ raw: 86_400_000, minute: 0, hour: 0 }],
  ofSeries: new Uint16Array(fleet.series.length + 1),
});
const waits: number[] = [];
const began = performance.now();
let purged = 0;
while (purged < fleet.readings) {
  const sent = performance.now();
  await engine.commit(commitOf(++seq, [[1, later + seq, 1]], { at: later + seq }));
  waits.push(performance.now() - sent);
  clock.advance(1_000);
  ({ purgedReadings: purged } = await engine.reader.stats());
}
const took = performance.now() - began;
await engine.close();

const rows = new RowStore(folder.path);
rows.fill(fleet);
const deleting = performance.now();
mustEqual('rows deleted', rows.deleteBefore(later), fleet.readings);
const rowsTook = performance.now() - deleting;
rows.close();
folder.remove();

const ratio = rowsTook / took;
console.log(`${shown(fleet.readings)} readings, gone in ${took.toFixed(0)} ms beside ${shown(waits.length)} commits`);
report({
  what: 'history: purge, readings/s / rows deleted in SQLite',
  aim: '≥ 20',
  measured: `${ratio.toFixed(0)} (${shown((fleet.readings * 1_000) / took)} readings/s)`,
  met: ratio >= 20,
});
report({
  what: 'history: longest commit beside the purge, p50',
  aim: '',
  measured: `${Math.max(...waits).toFixed(1)} ms, ${quantile(waits, 0.5).toFixed(1)} ms`,
  met: null,
});
