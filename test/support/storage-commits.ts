import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Commit } from '../../src/domain/commit.ts';
import type { Value } from '../../src/domain/reading.ts';
import { ReadingBuilder } from '../../src/domain/reading-builder.ts';
import type { SampleColumns } from '../../src/domain/sample-columns.ts';
import { sampleValue } from '../../src/domain/sample-columns.ts';
import { settledColumns } from '../../src/domain/settled-columns.ts';
import type { Engine } from '../../src/history/engine.ts';
import type { PageQuery, SeriesRange } from '../../src/history/queries.ts';
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
  let from = Number.MIN_SAFE_INTEGER;
  for (;;) {
    const query = { ranges: [{ series, from, to: Number.MAX_SAFE_INTEGER }], order: 'asc', limit: 10_000 } as const;
    const page = await engine.reader.page(query);
    if (page.damaged.length > 0) throw new Error(`readings are damaged: ${JSON.stringify(page.damaged)}`);
    for (const { columns } of page.parts) samples.push(...samplesIn(columns));
    if (page.next === null) return samples;
    from = page.next.time;
  }
}

/** One page of one series. */
export async function readingsOf(
  engine: Engine,
  { order, limit, ...range }: SeriesRange & Pick<PageQuery, 'order' | 'limit'>,
): Promise<Sample[]> {
  const page = await engine.reader.page({ ranges: [range], order, limit });
  return page.parts.flatMap(({ columns }) => samplesIn(columns));
}

/** A bucket with the aggregates that its readings have by themselves. */
export interface PlainBucket {
  readonly time: number;
  readonly values: readonly (Value | null)[];
}

/** What `plainBuckets` asks for, in this order. */
export const plainBucketAggregates = ['count', 'min', 'max', 'sum', 'avg', 'first', 'last'] as const;

/** Buckets of one series that begin at whole multiples of `width`. */
export async function plainBuckets(
  engine: Engine,
  { width, limit, ...range }: SeriesRange & { readonly width: number; readonly limit: number },
): Promise<PlainBucket[]> {
  const page = await engine.reader.aggregate({
    ranges: [range],
    kinds: ['gauge'],
    grid: { kind: 'fixed', width, origin: 0 },
    aggregates: plainBucketAggregates.map((kind) => ({ kind })),
    fill: 'none',
    limit,
  });
  return page.parts.flatMap(({ buckets: { count, times, columns } }) =>
    Array.from({ length: count }, (_, row) => ({
      time: times[row],
      values: columns.map((column) => column[row]),
    })),
  );
}

/** Columns as objects. */
export function samplesIn(columns: SampleColumns): Sample[] {
  return Array.from({ length: columns.count }, (_, row) => ({
    time: columns.times[row],
    value: sampleValue(columns, row),
  }));
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
 * process has in memory. The engine must be between two commits; its work behind them may go on: should it begin the log
 * anew meanwhile, the copies are of two moments and made again. Read and written, since a copy by the system waits for
 * ever for the rest of a file that became shorter.
 */
export function crashImage(dir: string): ReturnType<typeof tempFolder> {
  const image = tempFolder();
  const [file, log] = ['pulsegate.db', 'pulsegate.db-wal'];
  for (;;) {
    const before = logHeader(join(dir, log));
    for (const name of [file, log]) {
      if (existsSync(join(dir, name))) writeFileSync(join(image.path, name), readFileSync(join(dir, name)));
    }
    // Pages that a checkpoint wrote while they were copied stand in the log as well, as long as it is the same log.
    if (before === logHeader(join(dir, log))) return image;
  }
}

/** What tells one log from the next: its salts, which change whenever it is begun anew. */
function logHeader(path: string): string {
  return existsSync(path) ? readFileSync(path).subarray(0, 32).toString('hex') : '';
}
