import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import type { Commit, CommitResult } from '../../domain/commit.ts';
import type { DeviceRecord } from '../../domain/device.ts';
import type { RetentionPlan } from '../../domain/retention.ts';
import { valueKind } from '../../domain/reading.ts';
import { Budget, type BudgetState } from './keeping/budget.ts';
import { ChunkLookup } from './chunks/chunk-lookup.ts';
import { ChunkStore } from './chunks/chunk-store.ts';
import { Compactor } from './chunks/compactor.ts';
import type { Classified } from './classifier.ts';
import { Classifier, RefusedCommitError } from './classifier.ts';
import { encodeCommitRecord } from './rows/commit-record.ts';
import { CommitRows } from './rows/commit-rows.ts';
import type { Database } from './database.ts';
import { faultOf, Statements } from './database.ts';
import { DeviceRows } from './rows/device-rows.ts';
import type { ErasedRanges } from './erasing/erased-ranges.ts';
import type { Erasing } from './erasing/eraser.ts';
import { Eraser } from './erasing/eraser.ts';
import { ErasureWork } from './erasing/erasure-work.ts';
import { LogTrimmer } from './keeping/log-trimmer.ts';
import { readMeta } from './rows/meta.ts';
import type { QuarantineSize } from './rows/quarantine-rows.ts';
import { QuarantineRows } from './rows/quarantine-rows.ts';
import { FreeingTransaction, Reserve } from './keeping/reserve.ts';
import { Purger } from './keeping/purge.ts';
import { Retirer } from './keeping/retirer.ts';
import { RollupBook } from './rollups/rollup-book.ts';
import { RollupDesk } from './rollups/rollup-desk.ts';
import type { RollupResult, RollupTask } from './rollups/rollup-task.ts';
import { Sealer } from './chunks/sealer.ts';
import { BackgroundTransaction, StorageTransaction, TransactionError } from './transaction.ts';
import type { WriterState } from './writer-state.ts';

/** Log that a start after a kill reads at most, about: some five million readings, a second's work. */
const replayBytesMax = 64 << 20;
/** Frames (4 KB) of write-ahead log beyond which a reader is waited for. */
const framesMax = 4_096;
/** Series of which one look sees whether something is to be summed up or purged: about a millisecond. */
const seriesPerLook = 8_192;
/** Once this long was worked between two commits, what is left waits for the next time, ms. */
const workMs = 1;
/**
 * Frames of write-ahead log that work writes before it waits for the next tick or checkpoint: 64 MB. Without commits nobody
 * asks for a checkpoint between two ticks, and what removes very much would fill the disk first.
 */
const workFramesMax = 16_384;
/** Nobody waits for a commit while the store closes. */
const closingChunksPerStep = 256;

export interface WriterOptions {
  readonly sealAfterMs: number;
  readonly sealCount: number;
  readonly resumeWindow: { readonly ms: number; readonly bytes: number };
  readonly quarantineBytesMax: number;
  /** Bytes of pages in use beyond which the oldest readings go; 0: no bound. */
  readonly bytesMax: number;
  /** How long resolved alerts and settled deliveries are kept, ms; null: for ever. */
  readonly alertsKeptMs: number | null;
  readonly deliveriesKeptMs: number | null;
  /** Size of the file that is given up when there is no room left to delete something; 0: none. */
  readonly reserveBytes: number;
  /** Frames of write-ahead log that work between commits may write until a tick or checkpoint. Default 16,384, 64 MB. */
  readonly workFramesMax?: number;
}

/**
 * The one who writes. Everything it does is synchronous, so whatever asks it sees the state between two commits:
 *
 *   classify ─► BEGIN · log row · other rows · COMMIT (synced) ─► heads and memory ─► answer
 *                         any failure: ROLLBACK, memory untouched
 *
 * Between commits, `work` seals heads that are due and trims the log, each in a transaction of its own.
 */
export class Writer {
  readonly state: WriterState;
  readonly #database: Database;
  readonly #options: WriterOptions;
  readonly #statements: Statements;
  readonly #transaction: StorageTransaction;
  /** For what makes room. */
  readonly #freeing: FreeingTransaction;
  readonly #lookup: ChunkLookup;
  readonly #classifier: Classifier;
  readonly #rows: CommitRows;
  readonly #devices: DeviceRows;
  readonly #quarantine: QuarantineRows;
  readonly #sealer: Sealer;
  readonly #compactor: Compactor;
  readonly #trimmer: LogTrimmer;
  readonly #retirer: Retirer;
  readonly #purger: Purger;
  readonly #budget: Budget;
  readonly #eraser: Eraser;
  readonly #rollups: RollupBook;
  readonly #desk: RollupDesk;
  readonly #erasing: ErasureWork;
  readonly #clock: Pick<Clock, 'monotonic'>;
  /** Beside sealing, what is done between commits, a step at a time and in turn; true when there is more. */
  readonly #jobs: readonly (() => boolean)[];
  #turn = 0;
  #now = 0;
  /** Frames no checkpoint has copied, when work last began anew. */
  #framesBefore = 0;
  /** Up to this series the last look went. */
  #lookedAt = 0;
  /** Frames of the write-ahead log from which on a reader is waited for. */
  #waitFrames = framesMax;

  /** `clock` tells how long a step took. */
  constructor(database: Database, state: WriterState, options: WriterOptions, clock: Pick<Clock, 'monotonic'>) {
    this.state = state;
    this.#database = database;
    this.#options = options;
    this.#statements = new Statements(database);
    this.#transaction = new StorageTransaction(database);
    const reserve = new Reserve(database.path, options.reserveBytes);
    this.#freeing = new FreeingTransaction(this.#transaction, reserve);
    const background = new BackgroundTransaction(database, this.#transaction);
    const freeingBehind = new FreeingTransaction(background, reserve);
    this.#lookup = new ChunkLookup(database, () => state.damagedChunks++);
    const chunks = new ChunkStore(database, state, this.#lookup);
    this.#rollups = new RollupBook(database, state);
    this.#desk = new RollupDesk(database, state, freeingBehind, this.#rollups);
    this.#classifier = new Classifier(state, this.#lookup);
    this.#rows = new CommitRows(database);
    this.#devices = new DeviceRows(database);
    this.#quarantine = new QuarantineRows(database, options.quarantineBytesMax);
    this.#compactor = new Compactor(database, state, {
      chunks,
      transaction: background,
      sealCount: options.sealCount,
    });
    this.#sealer = new Sealer(database, state, background, {
      sealCount: options.sealCount,
      chunks,
      rollups: this.#rollups,
      compactor: this.#compactor,
    });
    // What was full when the gateway was killed.
    this.#sealer.markLarge(options.sealCount);
    this.#retirer = new Retirer(database, state, freeingBehind, options);
    this.#purger = new Purger(database, state, {
      transaction: freeingBehind,
      chunks,
      rollups: this.#rollups,
      desk: this.#desk,
      sealer: this.#sealer,
      clock,
    });
    this.#budget = new Budget(database, state, this.#purger, options.bytesMax);
    this.#trimmer = new LogTrimmer(database, state, background, options.resumeWindow);
    this.#eraser = new Eraser(database, state, { store: chunks, rollups: this.#rollups });
    this.#erasing = new ErasureWork(database, state, { chunks, transaction: freeingBehind, clock });
    this.#clock = clock;
    this.#jobs = [
      () => this.#trimmer.step(),
      () => this.#retirer.step(),
      () => this.#erasing.step(),
      () => this.#purger.step(),
      () => this.#budget.step(),
      // Sealing comes first: what it writes is what is merged.
      () => !this.#sealer.isDue && this.#compactor.step(),
    ];
  }

  /** Commits, or throws `TransactionError` with nothing changed in memory. `now` is monotonic, ms. */
  commit(commit: Commit, now: number): CommitResult {
    this.#now = now;
    const devices = this.state.changedDevices(commit);
    const before = this.state.mark();
    let written: Written;
    try {
      const { classified, erased } = this.#classify(commit, devices);
      written = this.#write(commit, { classified, erased, devices });
    } catch (error) {
      this.state.takeBack(before, devices);
      throw error;
    }
    // Before the commit's own readings, which may be of the same times.
    const deleted = written.erasing ? this.#eraser.apply(written.erasing) : null;
    this.#apply(commit, written, devices);
    if (isErasing(commit)) {
      this.#lookup.hidden();
      this.#erasing.wake();
    }
    return { seq: commit.seq, readings: commit.readings, dispositions: written.dispositions, deleted };
  }

  /**
   * Seals a little and does at least one other thing that is due, and says whether there is more; the caller lets waiting
   * commits through in between. When much was written, only sealing goes on until the next tick or checkpoint. Throws
   * `TransactionError`; what was not done stays due.
   */
  work(): boolean {
    const began = this.#clock.monotonic();
    this.#relieve();
    this.#sealer.step();
    let isMore = this.#sealer.isDue;
    const workFrames = this.#options.workFramesMax ?? workFramesMax;
    if (this.uncopiedFrames() - this.#framesBefore >= workFrames) return isMore;
    for (let asked = 0; asked < this.#jobs.length; asked++) {
      const job = this.#jobs[this.#turn];
      // Before it runs, so that one that fails does not keep the others from theirs.
      this.#turn = (this.#turn + 1) % this.#jobs.length;
      if (!job()) continue;
      isMore = true;
      if (this.#clock.monotonic() - began >= workMs) break;
    }
    return isMore;
  }

  /** Time has passed: heads that have become old are due. */
  tick(now: number): void {
    this.#now = now;
    this.#framesBefore = this.uncopiedFrames();
    this.#sealer.markOld(now - this.#options.sealAfterMs);
    this.#retirer.look();
    this.#compactor.look();
    this.#lookAtKeeping();
    this.#purger.retry();
    this.#budget.look();
  }

  /** From here on this is how long each series is kept. Returns the times before which readings are gone already. */
  retain(plan: RetentionPlan): Float64Array<ArrayBuffer> {
    this.state.retention = plan;
    this.#lookAtKeeping();
    return this.state.rollups.tellRawFrom();
  }

  /** Of very many series some, so that no commit waits for a look at all of them; the others with the next ticks. */
  #lookAtKeeping(): void {
    const { length } = this.state.series;
    const begin = this.#lookedAt < length ? this.#lookedAt : 0;
    this.#lookedAt = Math.min(begin + seriesPerLook, length);
    this.#desk.look(begin, this.#lookedAt);
    this.#purger.look(begin, this.#lookedAt);
  }

  /** Whether the store is as small as it shall be. */
  get budgetState(): BudgetState {
    return this.#budget.state;
  }

  /** Whether `rollupTasks` has something to hand out. */
  get isRollupWanted(): boolean {
    return this.#desk.isWanted;
  }

  /** What the maintenance thread shall sum up next. Throws `TransactionError`. */
  rollupTasks(): RollupTask[] {
    return this.#desk.tasks();
  }

  /** What there is of rollups, and what is no longer there. */
  kept(): { readonly rollups: number; readonly purgedReadings: number; readonly oldestTime: number | null } {
    const { oldest } = this.state.rollups;
    let oldestTime = Number.POSITIVE_INFINITY;
    for (const time of oldest) if (time < oldestTime) oldestTime = time;
    return {
      rollups: Number(readMeta(this.#statements, 'rollups') ?? 0),
      purgedReadings: Number(readMeta(this.#statements, 'purged_readings') ?? 0),
      oldestTime: Number.isFinite(oldestTime) ? oldestTime : null,
    };
  }

  /** Writes what the maintenance thread summed up, unless it was touched meanwhile. Throws `TransactionError`. */
  acceptRollups(results: readonly RollupResult[]): void {
    this.#desk.accept(results);
    // What waited for them may go now.
    this.#purger.retry();
  }

  /** Seals what is worth a chunk of its own, so that the next start reads less. What is left stays in the log. */
  seal(countMin: number): void {
    this.#sealer.markLarge(countMin);
    while (this.#sealer.isDue) this.#sealer.step(closingChunksPerStep);
  }

  /** Frames in the write-ahead log that no checkpoint has copied yet. */
  uncopiedFrames(): number {
    const { frames, copied } = this.#database.walFrames();
    return frames - copied;
  }

  /**
   * Copies the end of the write-ahead log, so that the next commit begins it anew, unless a reader still looks at an
   * older part. Should that have happened too often, it waits for that reader: new ones no longer need the log once all
   * of it is copied, so this is never longer than one page of output.
   */
  checkpoint(): void {
    const { frames } = this.#database.checkpoint();
    if (frames < framesMax) this.#waitFrames = framesMax;
    const isDue = frames >= this.#waitFrames;
    // A program of its own that reads for long is waited for once in a while and not with every checkpoint.
    if (isDue) this.#waitFrames = frames * 2;
    // What was deleted stands in the log until it is cut off.
    if (this.#erasing.isLogStale) this.#erasing.isLogStale = !this.#database.emptyLog();
    if (isDue) this.#database.checkpointAndWait();
    this.#framesBefore = this.uncopiedFrames();
  }

  /**
   * A slow series pins the log that all others fill. When a start would have to read too much, the heads that reach
   * back furthest are sealed, however little they hold.
   */
  #relieve(): void {
    const { meter, replayFrom } = this.state;
    if (this.#sealer.isDue || meter.bytesFrom(replayFrom) < replayBytesMax) return;
    this.#sealer.markBefore(meter.positionBack(replayBytesMax / 2));
  }

  /** Series and devices that the commit brings take part in it; they are taken back when it fails. */
  #classify(
    commit: Commit,
    devices: ReadonlyMap<string, DeviceRecord>,
  ): { readonly classified: Classified; readonly erased: ErasedRanges | null } {
    const { state } = this;
    try {
      if (commit.seq !== state.seq + 1) {
        throw new RefusedCommitError(`commit ${commit.seq} does not follow commit ${state.seq}`);
      }
      for (const [device, record] of devices) if (!state.devices.has(device)) state.addDevice(record);
      for (const { id, device, metric } of commit.newSeries) {
        if (id !== state.series.length)
          throw new RefusedCommitError(`new series ${id} does not continue the numbering`);
        state.addSeries(id, device, metric);
      }
      const erased = this.#eraser.plan(commit);
      return { classified: this.#classifier.classify(commit.readings, erased), erased };
    } catch (error) {
      const reason = faultOf(error) === 'other' ? 'refused' : 'io';
      throw new TransactionError(messageOf(error), 'rolled_back', reason, error);
    }
  }

  #write(commit: Commit, { classified, erased, devices }: Understood): Written {
    const record = encodeCommitRecord(commit.readings, classified.rows, commit.settled);
    const logged = classified.rows?.length ?? commit.readings.count;
    const write = (): Pick<Written, 'quarantine' | 'erasing'> => {
      const erasing = erased ? this.#eraser.write(erased, commit.seq) : null;
      this.#statements
        .get('INSERT INTO commit_log (seq, at, readings, bytes) VALUES (?, ?, ?, ?)')
        .run(commit.seq, commit.at, logged, record);
      for (const series of commit.newSeries) {
        this.#statements
          .get('INSERT INTO series (id, device, metric) VALUES (?, ?, ?)')
          .run(series.id, series.device, series.metric);
      }
      for (const device of commit.forgottenDevices) this.#devices.forget(device);
      for (const device of devices.values()) this.#devices.write(device);
      this.#rows.write(commit);
      const quarantine = this.#writeQuarantine(commit);
      erasing?.edit.finish();
      return { quarantine, erasing };
    };
    const written = isErasing(commit)
      ? this.#database.overwriting(() => this.#freeing.run(write))
      : this.#transaction.run(write);
    return { ...classified, ...written, logged, bytes: record.length };
  }

  #writeQuarantine({ quarantine, quarantineRemoved, erasedDevices }: Commit): QuarantineSize {
    let size = this.state.quarantine;
    for (const device of erasedDevices) size = this.#quarantine.erase(device, size);
    if (quarantineRemoved.length > 0) size = this.#quarantine.remove(quarantineRemoved, size);
    return quarantine.length > 0 ? this.#quarantine.write(quarantine, size) : size;
  }

  #apply(commit: Commit, written: Written, devices: ReadonlyMap<string, DeviceRecord>): void {
    const { state } = this;
    state.quarantine = written.quarantine;
    state.applyDevices(commit, devices);
    state.seq = commit.seq;
    state.lastCommitAt = commit.at;
    state.log.bytes += written.bytes;
    state.log.readings += written.logged;
    state.meter.add(commit.seq, written.bytes);
    this.#applyReadings(commit, written.rows);
  }

  /** For every reading of every commit: what it touches lies in columns, but for the heads. */
  #applyReadings({ readings, seq, at }: Commit, rows: Uint32Array | null): void {
    const { state } = this;
    const { heads } = state;
    const { heardAt } = state.newest;
    const { series, times, values, kinds, texts } = readings;
    const position = { seq, openedAt: this.#now };
    const count = rows ? rows.length : readings.count;
    for (let index = 0; index < count; index++) {
      const row = rows ? rows[index] : index;
      const id = series[row];
      const head = heads[id];
      if (!head) continue;
      const value = values[row];
      const kind = kinds[row];
      state.apply(id, times[row], value, kind, kind === valueKind.text ? texts[value] : '', position);
      heardAt[id] = at;
      this.#sealer.markFull(id, head);
    }
  }
}

function isErasing({ deletions, erasedDevices }: Commit): boolean {
  return deletions.length > 0 || erasedDevices.length > 0;
}

/** A commit as it will be written. */
interface Understood {
  readonly classified: Classified;
  readonly erased: ErasedRanges | null;
  readonly devices: ReadonlyMap<string, DeviceRecord>;
}

interface Written extends Classified {
  readonly erasing: Erasing | null;
  readonly logged: number;
  readonly bytes: number;
  readonly quarantine: QuarantineSize;
}
