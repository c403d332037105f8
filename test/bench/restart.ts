/**
 * From starting the process to its being ready, after a kill with a full resume window: 1,000 devices sent 5 metrics at
 * 1 Hz for longer than the window, so the log holds fifteen minutes, of which heads that were not yet sealed are read
 * back. The store is made by the engine on a clock that runs fast; the start is that of the whole gateway.
 *
 *   node test/bench/restart.ts [minutes]
 */
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { silentLog } from '../../src/base/log.ts';
import { ReadingBuilder } from '../../src/domain/reading-builder.ts';
import { createSqliteEngine } from '../../src/storage/sqlite/engine.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { commitOf, crashImage } from '../support/storage-commits.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { report } from './figure.ts';
import { GatewayFacts } from './gateway-facts.ts';
import { ServerProcess } from './server-process.ts';
import { median, mustEqual, shown } from './statistics.ts';

const devices = 1_000;
const metrics = ['temperature', 'heart_rate', 'pressure', 'steps', 'battery'];
const rounds = 3;
const aimMs = 1_000;

const minutes = Number(process.argv[2] ?? 34);
const ticks = minutes * 60;
const { image, logReadings, headReadings } = await fullWindow();
const empty = tempFolder();
const full: number[] = [];
const nothing: number[] = [];
for (let round = 0; round < rounds; round++) {
  nothing.push(await timeToReady(empty.path, 0));
  full.push(await timeToReady(image.path, ticks));
}
image.remove();
empty.remove();

const took = median(full);
const added = took - median(nothing);
console.log(
  `${shown(logReadings)} readings in the log, ${shown(headReadings)} of them not sealed; medians of ${rounds}`,
);
console.log(`  an empty store is ready after ${median(nothing).toFixed(0)} ms, this one after ${took.toFixed(0)} ms`);
report({
  what: `start to ready after a kill, ${shown(ticks * devices * metrics.length)} readings stored`,
  aim: `≤ ${aimMs} ms`,
  measured: `${took.toFixed(0)} ms, ${added.toFixed(0)} more than empty`,
  met: took <= aimMs,
});

/** The store as a kill would leave it, and what was in it. */
async function fullWindow(): Promise<{
  image: ReturnType<typeof tempFolder>;
  logReadings: number;
  headReadings: number;
}> {
  const folder = tempFolder();
  const clock = new FakeClock();
  const engine = createSqliteEngine({ dir: folder.path, clock, log: silentLog });
  await engine.open();
  const newSeries = Array.from({ length: devices * metrics.length }, (_, index) => ({
    id: index + 1,
    device: `bench-${Math.floor(index / metrics.length)}`,
    metric: metrics[index % metrics.length],
  }));
  const begin = Date.now() - ticks * 1_000;
  for (let tick = 0; tick < ticks; tick++) {
    const readings = new ReadingBuilder(newSeries.length);
    for (const { id } of newSeries)
      readings.add(id, begin + tick * 1_000 + (id % 41), 20 + ((tick * 7 + id) % 500) / 10);
    const at = begin + tick * 1_000;
    await engine.commit(
      commitOf(tick + 1, [], { at, newSeries: tick === 0 ? newSeries : [], readings: readings.build() }),
    );
    clock.advance(1_000);
  }
  const { logReadings, headReadings } = await engine.reader.stats();
  const image = crashImage(folder.path);
  await engine.close();
  folder.remove();
  return { image, logReadings, headReadings };
}

/** A copy each time, because a gateway that stops in order leaves another store behind. */
async function timeToReady(from: string, expectedEach: number): Promise<number> {
  const folder = tempFolder();
  mkdirSync(folder.path, { recursive: true });
  if (expectedEach > 0) {
    for (const name of ['pulsegate.db', 'pulsegate.db-wal']) copyFileSync(join(from, name), join(folder.path, name));
  }
  const server = await ServerProcess.gateway(folder.path);
  if (expectedEach > 0) {
    const facts = new GatewayFacts(server.httpPort);
    mustEqual('readings of the last device', await facts.count(`bench-${devices - 1}`, 'battery'), expectedEach);
  }
  await server.kill();
  folder.remove();
  return server.readyMs;
}
