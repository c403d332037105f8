import { copyFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Commit } from '../../src/domain/commit.ts';
import type { Value } from '../../src/domain/reading.ts';
import { ReadingBuilder } from '../../src/domain/reading-builder.ts';
import { settledColumns } from '../../src/domain/settled-columns.ts';
import type { Engine } from '../../src/history/engine.ts';
import type { EngineStats, Sample } from '../../src/history/reader.ts';
import { tempFolder } from './temp-folder.ts';

export type Row = readonly [series: number, time: number, value: Value];

/** A commit of `rows`, everything else empty unless given; commits are received a second apart. */
export function commitOf(seq: number, rows: readonly Row[], parts: Partial<Commit> = {}): Commit {
  const builder = new ReadingBuilder();
  for (const [series, time, value] of rows) builder.add(series, time, value);
  return {
    seq,
    at: 1_790_000_000_000 + seq * 1_000,
    newSeries: [],
    readings: builder.build(),
    settled: settledColumns([]),
    deviceFacts: [],
    transitions: [],
    alertStates: [],
    deliveries: [],
    attempts: [],
    cancelledWebhooks: [],
    quarantine: [],
    quarantineRemoved: [],
    tokens: [],
    sessions: [],
    commands: [],
    forgottenDevices: [],
    deletions: [],
    erasedDevices: [],
    ...parts,
  };
}

/** Series 1 to `count`, one a device. */
export function newSeries(count: number): Commit['newSeries'] {
  return Array.from({ length: count }, (_, index) => ({
    id: index + 1,
    device: `device-${index + 1}`,
    metric: 'value',
  }));
}

/** Every reading of a series, ascending. */
export async function allReadings(engine: Engine, series: number): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (let from = Number.MIN_SAFE_INTEGER; ; ) {
    const page = await engine.reader.readings({
      series,
      from,
      to: Number.MAX_SAFE_INTEGER,
      order: 'asc',
      limit: 10_000,
    });
    samples.push(...page);
    const last = page.at(-1);
    if (!last || page.length < 10_000) return samples;
    from = last.time + 1;
  }
}

/** Asks for the stats until they are as wanted; every question is answered after the work before it. */
export async function untilStats(engine: Engine, isWanted: (stats: EngineStats) => boolean): Promise<EngineStats> {
  for (;;) {
    const stats = await engine.reader.stats();
    if (isWanted(stats)) return stats;
  }
}

/**
 * A copy of the store as a `kill -9` at this moment would leave it: the file and its write-ahead log, but not what the
 * process has in memory. The engine must be between two commits.
 */
export function crashImage(dir: string): ReturnType<typeof tempFolder> {
  const image = tempFolder();
  for (const name of ['pulsegate.db', 'pulsegate.db-wal']) {
    if (existsSync(join(dir, name))) copyFileSync(join(dir, name), join(image.path, name));
  }
  return image;
}
