import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import type { Commit, CommitResult } from '../../src/domain/commit.ts';
import type { RetentionPlan, RollupTier } from '../../src/domain/retention.ts';
import type { Recovered } from '../../src/history/engine.ts';
import type { HistoryReader } from '../../src/history/reader.ts';
import { copyStore } from '../../src/storage/sqlite/safekeeping/backup.ts';
import { readChunk } from '../../src/storage/sqlite/chunks/chunk-rows.ts';
import { type Database, numberIn, Statements } from '../../src/storage/sqlite/database.ts';
import { Doctor } from '../../src/storage/sqlite/safekeeping/doctor.ts';
import type { Finding } from '../../src/storage/sqlite/safekeeping/finding.ts';
import { headsOfAcross } from '../../src/storage/sqlite/asking/reader-across.ts';
import { headsOfAggregate } from '../../src/storage/sqlite/asking/reader-aggregate.ts';
import { headsOfBoundaries } from '../../src/storage/sqlite/asking/reader-boundaries.ts';
import { headsOfDecimate } from '../../src/storage/sqlite/asking/reader-decimate.ts';
import { headsOfEstimate } from '../../src/storage/sqlite/asking/reader-estimate.ts';
import type { HeadSlices, HeadsQuery } from '../../src/storage/sqlite/asking/reader-heads.ts';
import { headsOfPage, keptOnly, sliceHeads } from '../../src/storage/sqlite/asking/reader-heads.ts';
import { readerRole } from '../../src/storage/sqlite/threads/reader-role.ts';
import { recover } from '../../src/storage/sqlite/recovery.ts';
import type { Role } from '../../src/storage/sqlite/threads/role.ts';
import { RollupMaker } from '../../src/storage/sqlite/rollups/rollup-maker.ts';
import { RollupReader, type Span } from '../../src/storage/sqlite/rollups/rollup-reader.ts';
import { openForExamination, openForMaintenance, openForWriting } from '../../src/storage/sqlite/schema.ts';
import { Writer, type WriterOptions } from '../../src/storage/sqlite/writer.ts';
import type { LongAnswer } from '../../src/storage/sqlite/threads/worker-messages.ts';
import { crashImage } from './storage-commits.ts';
import { tempFolder } from './temp-folder.ts';

export type RigQueries = Pick<
  HistoryReader,
  'page' | 'text' | 'aggregate' | 'across' | 'decimate' | 'boundaries' | 'estimate' | 'log'
>;

/** How far a series is purged and summed up. */
export interface KeptFacts {
  readonly rawFrom: number;
  readonly told: Readonly<Record<RollupTier, Span>>;
}

/**
 * The SQLite engine without its threads: writer, reader and maintenance take turns in this one, so that a test decides
 * what happens between any two of their steps, and a kill falls exactly there. The parts are those of the engine.
 */
export class HistoryRig {
  writer!: Writer;
  recovered!: Recovered;
  readonly reader: RigQueries;
  /** Called where other threads could get in: between the copy of the heads and the snapshot, and between snapshots. */
  between: () => void = () => undefined;
  readonly #options: WriterOptions;
  #folder = tempFolder();
  #database!: Database;
  #maintenance!: Database;
  #maker!: RollupMaker;
  #role!: Role;
  #plan: RetentionPlan | null = null;
  #now = 0;
  #task = 0;
  #epochs = 0;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.reader = this.#makeReader();
    this.#open();
  }

  get path(): string {
    return join(this.#folder.path, 'pulsegate.db');
  }

  commit(commit: Commit): CommitResult {
    return this.writer.commit(commit, this.#now);
  }

  /** Time passes: what is old enough becomes due. */
  pass(ms: number): void {
    this.#now += ms;
    this.writer.tick(this.#now);
  }

  /** One turn of the work between two commits; false when nothing is left. */
  work(): boolean {
    return this.writer.work();
  }

  /** One round of summing up; false when nothing is to be summed up. `meanwhile` happens before the sums are written. */
  rollUp(meanwhile: () => void = () => undefined): boolean {
    const tasks = this.writer.rollupTasks();
    if (tasks.length === 0) return false;
    const results = this.#maker.run(tasks);
    meanwhile();
    this.writer.acceptRollups(results);
    return true;
  }

  retain(plan: RetentionPlan): void {
    this.#plan = plan;
    this.writer.retain(plan);
  }

  checkpoint(): void {
    this.#maintenance.checkpoint();
    this.writer.checkpoint();
  }

  /** The store as a kill at this moment leaves it, opened again. */
  kill(): void {
    const image = crashImage(this.#folder.path);
    this.#shut();
    this.#folder.remove();
    this.#folder = image;
    this.#open();
  }

  /** Closed in order and opened again. */
  reopen(): void {
    this.writer.seal(Math.ceil(this.#options.sealCount / 8));
    this.#shut();
    this.#open();
  }

  /** A copy made while the store is open, opened in its place. */
  restore(): void {
    const copy = tempFolder();
    copyStore(this.#maintenance, join(copy.path, 'pulsegate.db'));
    this.#shut();
    this.#folder.remove();
    this.#folder = copy;
    this.#open();
  }

  facts(series: number): KeptFacts {
    const { rawFrom, minute, hour } = new RollupReader(this.#database).facts(series);
    return { rawFrom, told: { minute, hour } };
  }

  /** Times of the readings that are in memory alone. */
  unsealed(series: number): readonly number[] {
    const head = this.writer.state.series[series]?.head;
    return head ? [...head.view().times] : [];
  }

  /** What is wrong with the files. */
  findings(): Finding[] {
    const database = openForExamination(this.path);
    try {
      return [...new Doctor(database, { isQuiet: true }).examine()].filter((finding) => finding !== null);
    } finally {
      database.close();
    }
  }

  /** Every time that some chunk of the series holds, hidden ones too. */
  chunkTimes(series: number): Set<number> {
    const statements = new Statements(this.#database);
    const numbers = statements.get('SELECT id & 2147483647 FROM chunk WHERE series = ?').all(series);
    const times = new Set<number>();
    for (const row of numbers) {
      const stretch = readChunk(statements, series, numberIn(row, 0));
      for (let at = 0; at < stretch.count; at++) times.add(stretch.times[at]);
    }
    return times;
  }

  /** Pairs of chunks in order that overlap; there must be none. */
  overlaps(): number {
    return this.#database.number(
      `SELECT count(*) FROM kept_chunk a JOIN kept_chunk b
       ON b.series = a.series AND b.id > a.id AND b.late = 0 AND b.time_min <= a.time_max AND b.time_max >= a.time_min
       WHERE a.late = 0`,
    );
  }

  /** Rows of a table. */
  rows(table: 'erasure' | 'rollup' | 'rollup_due' | 'chunk'): number {
    return this.#database.number(`SELECT count(*) FROM ${table}`);
  }

  close(): void {
    this.#shut();
    this.#folder.remove();
  }

  #open(): void {
    this.#database = openForWriting(this.path, { busyTimeoutMs: 0, pagesMax: null });
    const { quarantineBytesMax } = this.#options;
    const newEpoch = `epoch${++this.#epochs}`;
    const { state, recovered } = recover(this.#database, { now: this.#now, newEpoch, quarantineBytesMax });
    this.recovered = recovered;
    this.writer = new Writer(this.#database, state, this.#options, systemClock);
    if (this.#plan) this.writer.retain(this.#plan);
    this.#maintenance = openForMaintenance(this.path);
    this.#maker = new RollupMaker(this.#maintenance);
    this.#role = readerRole(this.path);
    this.#role.answer('open', null);
  }

  #shut(): void {
    this.#role.answer('close', null);
    this.#maintenance.close();
    this.#database.close();
  }

  #heads(query: HeadsQuery): HeadSlices {
    const { state } = this.writer;
    const kept = keptOnly(query, state.rollups.rawFrom);
    const slices = sliceHeads((series) => state.series[series]?.head, state.seq, kept);
    this.between();
    return slices;
  }

  #ask<T>(name: string, question: unknown): T {
    return this.#role.answer(name, question).answer as T;
  }

  #askLong<T>(name: string, query: unknown, needed: HeadsQuery): T {
    const task = ++this.#task;
    for (let left = needed, question = query; ; question = null) {
      const found: LongAnswer<T> = this.#ask(name, { task, query: question, heads: this.#heads(left) });
      if (found.isDone) return found.answer;
      left = found.left;
      this.between();
    }
  }

  #makeReader(): RigQueries {
    return {
      page: async (query) => this.#ask('page', { query, heads: this.#heads(headsOfPage(query)) }),
      text: async (query) => this.#ask('text', { query, heads: this.#heads(headsOfPage(query)) }),
      aggregate: async (query) => this.#askLong('aggregate', query, headsOfAggregate(query)),
      across: async (query) => this.#askLong('across', query, headsOfAcross(query)),
      decimate: async (query) => this.#askLong('decimate', query, headsOfDecimate(query)),
      boundaries: async (ranges) => this.#askLong('boundaries', ranges, headsOfBoundaries(ranges)),
      estimate: async (ranges) => this.#askLong('estimate', ranges, headsOfEstimate(ranges)),
      log: async (query) => this.#ask('log', query),
    };
  }
}
