/**
 * How cost grows with what is stored: ingest rate and query time at 1, 10 and 100 million readings, and at 1,000, 10,000
 * and 100,000 series. Near flat is the aim. A query is an hour of raw readings, or an hour in 60 buckets, of any series.
 *
 *   node test/bench/growth.ts [most millions of readings]
 */
import { silentLog } from '../../src/base/log.ts';
import { ReadingBuilder } from '../../src/domain/reading-builder.ts';
import type { Engine } from '../../src/history/engine.ts';
import { createSqliteEngine } from '../../src/storage/sqlite/engine.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { commitOf } from '../support/storage-commits.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { report } from './figure.ts';
import { begin } from './history-data.ts';
import { quantile, shown } from './statistics.ts';

const millionsMax = Number(process.argv[2] ?? 100);
const batchReadings = 5_000;
const hourMs = 3_600_000;

interface Point {
  readonly label: string;
  readonly rate: number;
  readonly queryP99: number;
}

report(flatness('readings stored', await byReadings(), 'history: 100 times the readings'));
report(flatness('series', await bySeries(), 'history: 100 times the series'));

async function byReadings(): Promise<Point[]> {
  const points: Point[] = [];
  const store = await openStore(5_000);
  let stored = 0;
  for (const millions of [1, 10, 100].filter((each) => each <= millionsMax)) {
    // The last million of each stage is the one that counts.
    await store.ingest(millions * 1_000_000 - stored - 1_000_000);
    const rate = await store.ingest(1_000_000);
    stored = millions * 1_000_000;
    points.push({ label: `${millions} M readings`, rate, queryP99: await store.queryP99() });
  }
  await store.close();
  return points;
}

async function bySeries(): Promise<Point[]> {
  const points: Point[] = [];
  for (const series of [1_000, 10_000, 100_000]) {
    const store = await openStore(series);
    await store.ingest(9_000_000);
    const rate = await store.ingest(1_000_000);
    points.push({ label: `${shown(series)} series`, rate, queryP99: await store.queryP99() });
    await store.close();
  }
  return points;
}

function flatness(what: string, points: readonly Point[], title: string): Parameters<typeof report>[0] {
  for (const { label, rate, queryP99 } of points) {
    console.log(`  ${label}: ${shown(rate)} readings/s, query p99 ${queryP99.toFixed(2)} ms`);
  }
  const [first, last] = [points[0], points.at(-1)];
  const rate = (last?.rate ?? 0) / (first?.rate ?? 1);
  const query = (last?.queryP99 ?? 0) / (first?.queryP99 ?? 1);
  console.log(`by ${what}`);
  return {
    what: title,
    aim: 'near flat',
    measured: `rate × ${rate.toFixed(2)}, query p99 × ${query.toFixed(2)}`,
    met: null,
  };
}

/** Every series at 1 Hz, so that a batch is a stretch of the fleet's second. */
async function openStore(seriesCount: number): Promise<{
  ingest(readings: number): Promise<number>;
  queryP99(): Promise<number>;
  close(): Promise<void>;
}> {
  const folder = tempFolder();
  const clock = new FakeClock();
  const engine: Engine = createSqliteEngine({ dir: folder.path, clock, log: silentLog });
  await engine.open();
  const newSeries = Array.from({ length: seriesCount }, (_, index) => ({
    id: index + 1,
    device: `device-${Math.floor(index / 5)}`,
    metric: `metric-${index % 5}`,
  }));
  await engine.commit(commitOf(1, [], { at: begin, newSeries }));
  let seq = 1;
  let total = 0;
  const timeOf = (row: number): number => begin + Math.floor(row / seriesCount) * 1_000 + ((row % seriesCount) % 40);
  return {
    async ingest(readings) {
      const began = performance.now();
      for (const end = total + readings; total < end; ) {
        const batch = new ReadingBuilder(batchReadings);
        const last = Math.min(total + batchReadings, end);
        for (; total < last; total++) {
          batch.add(1 + (total % seriesCount), timeOf(total), 20 + ((total * 7) % 900) / 10);
        }
        const at = timeOf(total);
        await engine.commit(commitOf(++seq, [], { at, readings: batch.build() }));
        clock.advance((batchReadings / seriesCount) * 1_000);
      }
      return (readings * 1_000) / (performance.now() - began);
    },
    async queryP99() {
      const end = timeOf(total);
      const took: number[] = [];
      for (let asked = 0; asked < 400; asked++) {
        const series = 1 + ((asked * 7_919) % seriesCount);
        const range = { series, from: end - hourMs, to: end };
        const started = performance.now();
        if (asked % 2 === 0) await engine.reader.page({ ranges: [range], order: 'asc', limit: 10_000 });
        else {
          await engine.reader.aggregate({
            ranges: [range],
            kinds: ['gauge'],
            grid: { kind: 'fixed', width: 60_000, origin: 0 },
            aggregates: [{ kind: 'avg' }, { kind: 'max' }],
            fill: 'none',
            limit: 100,
          });
        }
        took.push(performance.now() - started);
      }
      return quantile(took, 0.99);
    },
    async close() {
      await engine.close();
      folder.remove();
    },
  };
}
