import { join } from 'node:path';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import type { Commit } from '../../src/domain/commit.ts';
import type { RollupTier } from '../../src/domain/retention.ts';
import type { Summary } from '../../src/history/summary.ts';
import { readChunk } from '../../src/storage/sqlite/chunks/chunk-rows.ts';
import { type Database, numberIn, Statements } from '../../src/storage/sqlite/database.ts';
import { mergeStretches, stretchOf } from '../../src/storage/sqlite/chunks/merge.ts';
import type { Stretch } from '../../src/storage/sqlite/chunks/head.ts';
import { recover } from '../../src/storage/sqlite/recovery.ts';
import { rollupPart } from '../../src/storage/sqlite/rollups/rollup-columns.ts';
import { RollupMaker } from '../../src/storage/sqlite/rollups/rollup-maker.ts';
import { RollupReader, type Span } from '../../src/storage/sqlite/rollups/rollup-reader.ts';
import { openForMaintenance, openForWriting } from '../../src/storage/sqlite/schema.ts';
import { Writer, type WriterOptions } from '../../src/storage/sqlite/writer.ts';
import { commitOf, crashImage, type Row } from './storage-commits.ts';
import { tempFolder } from './temp-folder.ts';

export const keepingOptions: WriterOptions = {
  sealAfterMs: 60_000,
  sealCount: 64,
  resumeWindow: { ms: 0, bytes: 0 },
  quarantineBytesMax: 1 << 20,
  bytesMax: 0,
  alertsKeptMs: null,
  deliveriesKeptMs: null,
  reserveBytes: 0,
};

/** The writer and the maker of rollups without their threads, so that each of their steps can be looked at. */
export class KeepingRig {
  writer!: Writer;
  /** Receipt time of the next commit, epoch ms. */
  at: number;
  readonly #options: WriterOptions;
  readonly #clock: Pick<Clock, 'monotonic'>;
  #folder = tempFolder();
  #database!: Database;
  #other!: Database;
  #maker!: RollupMaker;
  #now = 0;

  /** `clock` tells the writer how long its steps take. */
  constructor(at: number, options: WriterOptions = keepingOptions, clock: Pick<Clock, 'monotonic'> = systemClock) {
    this.at = at;
    this.#options = options;
    this.#clock = clock;
    this.#open();
  }

  get database(): Database {
    return this.#database;
  }

  get path(): string {
    return this.#folder.path;
  }

  commit(rows: readonly Row[], parts: Partial<Commit> = {}): void {
    this.#now += 1_000;
    this.writer.commit(commitOf(this.writer.state.seq + 1, rows, { at: this.at, ...parts }), this.#now);
  }

  sealAll(): void {
    this.writer.seal(1);
  }

  /** Time passes; `steps` steps of what is due. */
  work(steps = Number.POSITIVE_INFINITY): void {
    this.#now += 5_000;
    this.writer.tick(this.#now);
    for (let step = 0; step < steps && this.writer.work(); step++);
  }

  /** One round of summing up; `meanwhile` happens while the maker is at it. False when nothing is to be summed up. */
  rollUpOnce(meanwhile: () => void = () => {}): boolean {
    const tasks = this.writer.rollupTasks();
    if (tasks.length === 0) return false;
    const results = this.#maker.run(tasks);
    meanwhile();
    this.writer.acceptRollups(results);
    return true;
  }

  rollUp(): void {
    this.work(0);
    while (this.rollUpOnce());
  }

  /** Purging asks for rollups, and rollups let it go on. */
  settle(): void {
    for (let round = 0; round < 5; round++) {
      this.work();
      this.rollUp();
    }
    this.work();
  }

  /** The store as a kill at this moment leaves it, opened again. */
  kill(): void {
    const image = crashImage(this.#folder.path);
    this.#close();
    this.#folder = image;
    this.#open();
  }

  close(): void {
    this.#close();
  }

  /** Readings of a series in its chunks. */
  sealed(series: number): Stretch {
    const statements = new Statements(this.#database);
    const rows = statements
      .get(
        'SELECT id & 2147483647 FROM kept_chunk WHERE series = ? ORDER BY late, CASE late WHEN 0 THEN time_max ELSE id END',
      )
      .all(series);
    const merged = mergeStretches(
      rows.map((row) => readChunk(statements, series, numberIn(row, 0))),
      Number.NEGATIVE_INFINITY,
      Number.POSITIVE_INFINITY,
    );
    return stretchOf(merged, 0, merged.count);
  }

  rollup(series: number, tier: RollupTier): { readonly covered: readonly Span[]; readonly buckets: ToldBucket[] } {
    const reader = new RollupReader(this.#database);
    const [from, to] = [-(2 ** 50), 2 ** 50];
    const covered = reader.covered(series, tier, from, to);
    const buckets: ToldBucket[] = [];
    for (const span of covered) {
      for (const columns of reader.windows(series, tier, span.from, span.to, rollupPart.all)) {
        for (let row = columns.from; row < columns.to; row++) {
          buckets.push({ begin: columns.begins[row], ...columns.summaryAt(row) });
        }
      }
    }
    return { covered, buckets };
  }

  rawFrom(series: number): number {
    return new RollupReader(this.#database).facts(series).rawFrom;
  }

  #open(): void {
    const path = join(this.#folder.path, 'pulsegate.db');
    this.#database = openForWriting(path, { busyTimeoutMs: 0, pagesMax: null });
    const { quarantineBytesMax } = this.#options;
    const { state } = recover(this.#database, { now: this.#now, newEpoch: 'epochepoch', quarantineBytesMax });
    this.writer = new Writer(this.#database, state, this.#options, this.#clock);
    this.#other = openForMaintenance(path);
    this.#maker = new RollupMaker(this.#other);
  }

  #close(): void {
    this.#other.close();
    this.#database.close();
    this.#folder.remove();
  }
}

export interface ToldBucket extends Summary {
  readonly begin: number;
}
