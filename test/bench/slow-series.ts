/**
 * What 100,000 slow series weigh: one reading a minute each, in batches as a gateway commits them, over hours of a clock
 * that runs fast; the process is this one, so the engine's threads are in it. The log must stay bounded meanwhile.
 *
 *   node test/bench/slow-series.ts [series] [minutes]
 */
import { readFileSync } from 'node:fs';
import { silentLog } from '../../src/base/log.ts';
import { ReadingBuilder } from '../../src/domain/reading-builder.ts';
import { createSqliteEngine } from '../../src/storage/sqlite/engine.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { commitOf } from '../support/storage-commits.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { report } from './figure.ts';
import { begin } from './history-data.ts';
import { mustEqual, shown } from './statistics.ts';

const seriesCount = Number(process.argv[2] ?? 100_000);
const minutes = Number(process.argv[3] ?? 180);
const batches = 20;
const perBatch = seriesCount / batches;

const folder = tempFolder();
const clock = new FakeClock();
const engine = createSqliteEngine({ dir: folder.path, clock, log: silentLog });
await engine.open();
let seq = 0;
let logMax = 0;
for (let minute = 0; minute < minutes; minute++) {
  for (let batch = 0; batch < batches; batch++) {
    const at = begin + minute * 60_000 + batch * 3_000;
    const readings = new ReadingBuilder(perBatch);
    const first = batch * perBatch + 1;
    for (let series = first; series < first + perBatch; series++) {
      readings.add(series, at + (series % 2_900), 20 + ((minute * 7 + series) % 300) / 10);
    }
    const newSeries =
      minute > 0
        ? []
        : Array.from({ length: perBatch }, (_, index) => ({
            id: first + index,
            device: `slow-${Math.floor((first + index) / 4)}`,
            metric: `metric-${(first + index) % 4}`,
          }));
    await engine.commit(commitOf(++seq, [], { at, newSeries, readings: readings.build() }));
    clock.advance(3_000);
  }
  const { logReadings } = await engine.reader.stats();
  logMax = Math.max(logMax, logReadings);
}
const rss = Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1_024;
const { chunkReadings, headReadings, chunks, usedBytes, sealedBytes, mergedBytes } = await engine.reader.stats();
mustEqual('readings in chunks and heads', chunkReadings + headReadings, seriesCount * minutes);
await engine.close();
folder.remove();

console.log(
  `${shown(seriesCount)} series, ${shown(minutes)} minutes: ${shown(chunks)} chunks of ${(chunkReadings / chunks).toFixed(0)} readings, at most ${shown(logMax)} readings in the log, written again ${(mergedBytes / sealedBytes).toFixed(2)} times`,
);
report({
  what: `history: resident, ${shown(seriesCount)} series at one reading a minute`,
  aim: '≤ 300 MiB',
  measured: `${shown(rss / 1_048_576)} MiB`,
  met: rss <= 300 * 1_048_576,
});
report({
  what: 'history: bytes a reading of slow series, the whole file',
  aim: '',
  measured: (usedBytes / (seriesCount * minutes)).toFixed(2),
  met: null,
});
