import { afterEach, beforeEach, expect, it } from 'vitest';
import { Statements } from '../../src/storage/sqlite/database.ts';
import { SnapshotChunks } from '../../src/storage/sqlite/asking/reader-chunks.ts';
import { SeriesFold } from '../../src/storage/sqlite/asking/reader-fold.ts';
import { DecimateTask } from '../../src/storage/sqlite/asking/reader-decimate.ts';
import { runEffortMax } from '../../src/storage/sqlite/asking/reader-task.ts';
import { RollupReader } from '../../src/storage/sqlite/rollups/rollup-reader.ts';
import { openForReading } from '../../src/storage/sqlite/schema.ts';
import { samplesOf } from '../support/history-columns.ts';
import { HistoryRig } from '../support/history-rig.ts';
import { commitOf, newSeries, type Row } from '../support/storage-commits.ts';

// A run of a question ends when it has cost enough, so that others have their turn however much was asked for.

const begin = 1_700_000_000_000;
const count = 28_000;
const none = { count: 0, times: new Float64Array(0), values: new Float64Array(0), kinds: null, texts: [] };
let rig: HistoryRig;

function rigOf(sealCount: number): HistoryRig {
  return new HistoryRig({
    sealAfterMs: 600_000,
    sealCount,
    resumeWindow: { ms: 900_000, bytes: 1 << 20 },
    quarantineBytesMax: 1 << 20,
    bytesMax: 0,
    alertsKeptMs: null,
    deliveriesKeptMs: null,
    reserveBytes: 0,
  });
}

beforeEach(() => {
  rig = rigOf(2);
  const rows = Array.from(
    { length: count },
    (_, at): Row => [1, begin + at * 1_000, at === 5_001 ? -9 : at === 9_004 ? 9 : 0],
  );
  rig.commit(commitOf(1, rows, { newSeries: newSeries(1) }));
  while (rig.work());
});

afterEach(() => rig.close());

it('no run of the shape of very many chunks costs much more than a run may, and it shows what stands out', () => {
  const task = new DecimateTask({
    ranges: [{ series: 1, from: begin, to: begin + count * 1_000 }],
    points: 2,
    method: 'minmax',
  });
  const heads = { seq: 1, ends: Uint32Array.of(0), columns: none };
  const database = openForReading(rig.path);
  try {
    let runs = 0;
    for (let isDone = false; !isDone; runs++) {
      const chunks = new SnapshotChunks(new Statements(database));
      isDone = task.run({ chunks, rollups: new RollupReader(database), heads });
      expect(chunks.effort).toBeLessThan(runEffortMax * 1.5);
    }
    // Fourteen thousand rows, a microsecond each, are looked at twice.
    expect(runs).toBeGreaterThanOrEqual(5);
  } finally {
    database.close();
  }
  expect(task.answer().parts.map(({ columns }) => samplesOf(columns))).toEqual([
    [
      { time: begin + 5_001_000, value: -9 },
      { time: begin + 9_004_000, value: 9 },
    ],
  ]);
});

it('a percentile comes to an end, also where each run costs enough before its numbers are looked at', () => {
  const many = 80_000;
  const other = rigOf(4_096);
  const database = openForReading(other.path);
  try {
    const rows = Array.from({ length: many }, (_, at): Row => [1, begin + at, (at * 7_919) % 80_021]);
    other.commit(commitOf(1, rows, { newSeries: newSeries(1) }));
    while (other.work());
    const fold = new SeriesFold({
      range: { series: 1, from: begin, to: begin + many },
      kind: 'gauge',
      grid: { kind: 'fixed', width: 1 << 30, origin: begin },
      aggregates: [{ kind: 'median' }],
      fill: 'none',
      limit: 1,
    });
    let runs = 0;
    for (let isDone = false; !isDone && runs < 1_000; runs++) {
      const chunks = new SnapshotChunks(new Statements(database));
      // As of thousands of late chunks, which each run has to look through.
      chunks.effort = runEffortMax;
      const heads = { seq: 1, ends: Uint32Array.of(0, 0, 0), columns: none };
      isDone = fold.run({ chunks, rollups: new RollupReader(database), heads }, 0);
    }
    const sorted = rows.map(([, , value]) => Number(value)).toSorted((a, b) => a - b);
    expect(fold.answer?.buckets.columns[0][0]).toBe((sorted[many / 2 - 1] + sorted[many / 2]) / 2);
    expect(runs).toBeLessThan(150);
  } finally {
    database.close();
    other.close();
  }
});
