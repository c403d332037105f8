/**
 * Reading while 50,000 readings a second come in, and the same while nothing does: 40 minutes of one series every 4 ms
 * from the main thread, batches of 5,000 readings every 100 ms. How late the main loop's timers are is measured beside.
 *
 *   node test/bench/history-load.ts [seconds]
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { ReadingBuilder } from '../../src/domain/reading-builder.ts';
import type { Engine } from '../../src/history/engine.ts';
import { createSqliteEngine } from '../../src/storage/sqlite/engine.ts';
import { commitOf } from '../support/storage-commits.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { report } from './figure.ts';
import { begin, fleetData } from './history-data.ts';
import { fillEngine } from './history-store.ts';
import { median, mustEqual, quantile, shown } from './statistics.ts';

const seconds = Number(process.argv[2] ?? 8);
const rounds = 3;
const fleet = fleetData({ devices: 1_000, seconds: 2_400, seed: 4 });
const seriesCount = fleet.series.length;

const folder = tempFolder();
const filled = await fillEngine(folder.path, fleet);
await filled.engine.close();
const engine = createSqliteEngine({ dir: folder.path, clock: systemClock, log: silentLog });
let { seq } = await engine.open();
let tick = 0;

const idle: number[] = [];
const busy: number[] = [];
const commitP99: number[] = [];
const loopP99: number[] = [];
for (let round = 0; round < rounds; round++) {
  idle.push(quantile(await readFor(engine, seconds), 0.99));
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const [reads, commits] = await Promise.all([readFor(engine, seconds), writeFor(seconds)]);
  delay.disable();
  busy.push(quantile(reads, 0.99));
  commitP99.push(quantile(commits, 0.99));
  // A timer of one millisecond is a millisecond late by itself.
  loopP99.push(delay.percentile(99) / 1e6 - 1);
}
await engine.close();
folder.remove();

const ratio = median(busy) / median(idle);
console.log(`commits of 5,000 readings every 100 ms: p99 ${median(commitP99).toFixed(1)} ms`);
report({
  what: 'history: read p99 at 50,000 readings/s / idle',
  aim: '≤ 1.5',
  measured: `${ratio.toFixed(2)} (${median(busy).toFixed(2)} / ${median(idle).toFixed(2)} ms)`,
  met: ratio <= 1.5,
});
report({
  what: 'history: main-loop delay p99 at 50,000 readings/s',
  aim: '≤ 5 ms',
  measured: `${median(loopP99).toFixed(1)} ms`,
  met: median(loopP99) <= 5,
});

/** 40 minutes raw of one series after the other, ms each. */
async function readFor(engine: Engine, seconds: number): Promise<number[]> {
  const took: number[] = [];
  const end = performance.now() + seconds * 1_000;
  for (let asked = 0; performance.now() < end; asked++) {
    const series = 1 + ((asked * 37) % seriesCount);
    const began = performance.now();
    const { parts } = await engine.reader.page({
      ranges: [{ series, from: begin, to: begin + 2_400_000 + 1_000 }],
      order: 'asc',
      limit: 10_000,
    });
    took.push(performance.now() - began);
    mustEqual('readings of a series', parts[0]?.columns.count ?? 0, 2_400);
    await sleep(4);
  }
  return took;
}

/** Commits as they are due; ms each. */
async function writeFor(seconds: number): Promise<number[]> {
  const took: number[] = [];
  const began = performance.now();
  for (let batch = 0; batch < seconds * 10; batch++) {
    const late = began + batch * 100 - performance.now();
    if (late > 0) await sleep(late);
    const readings = new ReadingBuilder(seriesCount);
    const time = begin + 2_500_000 + tick++ * 1_000;
    for (let series = 1; series <= seriesCount; series++) readings.add(series, time, ((tick * 7 + series) % 500) / 10);
    const sent = performance.now();
    const { dispositions } = await engine.commit(commitOf(++seq, [], { at: time, readings: readings.build() }));
    took.push(performance.now() - sent);
    if (dispositions !== null) throw new Error('a reading was not stored');
  }
  const reached = (seconds * 10 * seriesCount * 1_000) / (performance.now() - began);
  console.log(`  ${shown(reached)} readings/s`);
  return took;
}
