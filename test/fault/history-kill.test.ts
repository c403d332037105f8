import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { silentLog } from '../../src/base/log.ts';
import { type Value, valueAt } from '../../src/domain/reading.ts';
import { rawCutoff } from '../../src/domain/retention.ts';
import type { Engine, Recovered } from '../../src/history/engine.ts';
import type { EngineStats } from '../../src/history/reader.ts';
import { Doctor } from '../../src/storage/sqlite/safekeeping/doctor.ts';
import { createSqliteEngine } from '../../src/storage/sqlite/engine.ts';
import { openForExamination } from '../../src/storage/sqlite/schema.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { historyLoad, historyLoadPlan, historyLoadSeries, purgedSeries } from '../support/history-load.ts';
import { HistoryModel } from '../support/history-model.ts';
import { allReadings, type Row } from '../support/storage-commits.ts';
import { tempFolder } from '../support/temp-folder.ts';

/** `PULSEGATE_KILLS=200` kills more often; `KILL_SEED=…` does the same again, and kills after the same commits. */
const kills = Number(process.env.PULSEGATE_KILLS ?? 12);
const seed = Number(process.env.KILL_SEED ?? Math.floor(Math.random() * 2 ** 31));
const script = new URL('../support/history-process.ts', import.meta.url).pathname;
const hour = 3_600_000;

let folder: ReturnType<typeof tempFolder>;
beforeEach(() => {
  folder = tempFolder();
});
afterEach(() => folder.remove());

/** Lets the process work, kills it wherever it is after `count` commits, and gives the last one it acknowledged. */
async function workAndKill(seed: number, count: number): Promise<number> {
  const child = spawn(process.execPath, [script, folder.path, String(seed)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(child, 'exit');
  let last = 0;
  let acknowledged = 0;
  for await (const line of createInterface(child.stdout)) {
    const [word, seq] = line.split(' ');
    expect(word).toBe('ack');
    last = Number(seq);
    if (++acknowledged === count) child.kill('SIGKILL');
  }
  expect(await exit).toEqual([null, 'SIGKILL']);
  return last;
}

function findings(): unknown[] {
  const database = openForExamination(join(folder.path, 'pulsegate.db'));
  try {
    return [...new Doctor(database, { isQuiet: true }).examine()].filter((finding) => finding !== null);
  } finally {
    database.close();
  }
}

/** Plain lists of everything up to commit `to`. */
function advance(model: HistoryModel, seed: number, from: number, to: number): void {
  for (let seq = from + 1; seq <= to; seq++) {
    const { at, readings, deletions } = historyLoad(seed, seq);
    model.erase(deletions, seq);
    const rows = Array.from({ length: readings.count }, (_, row): Row => {
      return [readings.series[row], readings.times[row], valueAt(readings, row)];
    });
    model.write(seq, at, rows, null);
  }
}

it(
  `after each of ${kills} kills while it seals, merges, sums up, purges and deletes, all that was acknowledged is there and nothing that was deleted (KILL_SEED=${seed})`,
  async () => {
    const random = seededRandom(seed);
    const model = new HistoryModel();
    let known = 0;
    let stats: EngineStats | null = null;
    for (let kill = 0; kill < kills; kill++) {
      const acknowledged = await workAndKill(seed, 1 + Math.floor(random.next() * 80));
      expect(findings(), 'what the doctor finds').toEqual([]);
      const engine = createSqliteEngine({
        dir: folder.path,
        clock: new FakeClock(),
        log: silentLog,
        sealAfterMs: 60_000,
        sealCount: 32,
        resumeWindow: { ms: 86_400_000, bytes: 1 << 18 },
      });
      const recovered = await engine.open();
      expect([acknowledged, acknowledged + 1]).toContain(recovered.seq);
      advance(model, seed, known, recovered.seq);
      known = recovered.seq;
      for (const series of historyLoadSeries) await compare(engine, model, recovered, series);
      await compareLog(engine, model);
      stats = await engine.reader.stats();
      await engine.close();
    }
    // All of it was under way when it was killed.
    const { purgedReadings, rollups, mergedBytes, chunks } = stats ?? {};
    for (const done of [purgedReadings, rollups, mergedBytes, chunks]) expect(done).toBeGreaterThan(0);
  },
  60_000 + kills * 30_000,
);

async function compare(engine: Engine, model: HistoryModel, recovered: Recovered, series: number): Promise<void> {
  const expected = model.of(series).samples();
  const found = await allReadings(engine, series);
  // Of some series the oldest are gone, and none that the policy keeps.
  const gone = purgedSeries.includes(series) ? expected.length - found.length : 0;
  expect(found, `readings of series ${series}`).toEqual(expected.slice(gone));
  const { policies, ofSeries } = historyLoadPlan;
  const cutoff = rawCutoff(policies[ofSeries[series]], recovered.lastCommitAt);
  expect(expected.slice(0, gone).filter(({ time }) => time >= cutoff)).toEqual([]);
  const newest = expected.at(-1);
  if (newest) expect(recovered.series[series - 1]).toMatchObject({ time: newest.time, value: newest.value });
  expect(await byTheHour(engine, series), `hours of series ${series}`).toEqual(hoursOf(expected));
}

type Hour = readonly (number | Value | null)[];

/** Count, sum, least and greatest of every hour there was: of purged time the rollups know. */
async function byTheHour(engine: Engine, series: number): Promise<Hour[]> {
  const hours: Hour[] = [];
  let from = 360 * hour * 1_370;
  for (;;) {
    const { parts, damaged } = await engine.reader.aggregate({
      ranges: [{ series, from, to: from + 10_000 * hour }],
      kinds: ['gauge'],
      grid: { kind: 'fixed', width: hour, origin: 0 },
      aggregates: [
        { kind: 'count' },
        { kind: 'sum' },
        { kind: 'min' },
        { kind: 'max' },
        { kind: 'first' },
        { kind: 'last' },
      ],
      fill: 'none',
      limit: 1_000,
    });
    expect(damaged).toEqual([]);
    const [{ buckets, next }] = parts;
    for (let row = 0; row < buckets.count; row++) {
      hours.push([buckets.times[row], ...buckets.columns.map((column) => column[row])]);
    }
    if (next === null) return hours;
    from = next;
  }
}

function hoursOf(samples: readonly { readonly time: number; readonly value: Value }[]): Hour[] {
  const byHour = Map.groupBy(samples, ({ time }) => Math.floor(time / hour) * hour);
  return [...byHour].map(([begin, group]) => {
    const numbers = group.flatMap(({ value }) => (typeof value === 'string' ? [] : [Number(value)]));
    const sums = [numbers.reduce((sum, one) => sum + one, 0), Math.min(...numbers), Math.max(...numbers)];
    const told = numbers.length === 0 ? [null, null, null] : sums;
    return [begin, group.length, ...told, group[0].value, group[group.length - 1].value];
  });
}

async function compareLog(engine: Engine, model: HistoryModel): Promise<void> {
  const { firstKept } = await engine.reader.stats();
  const { batches } = await engine.reader.log({ after: firstKept - 1, readingsMax: Number.MAX_SAFE_INTEGER });
  const told = batches.map(({ seq, at, readings }) => ({
    seq,
    at,
    rows: Array.from({ length: readings.count }, (_, row) => [
      readings.series[row],
      readings.times[row],
      valueAt(readings, row),
    ]),
  }));
  expect(told).toEqual(model.log.filter(({ seq }) => seq >= firstKept));
}
