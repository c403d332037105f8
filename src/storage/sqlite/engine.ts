import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock, Timer } from '../../base/clock.ts';
import { InvariantError, messageOf } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { randomId, systemRandom } from '../../base/random.ts';
import type { Commit, CommitResult } from '../../domain/commit.ts';
import { type ReadingColumns, readingBuffers } from '../../domain/reading.ts';
import type { GoneChanges, RetentionPlan } from '../../domain/retention.ts';
import type { BackupFacts, Engine, Recovered } from '../../history/engine.ts';
import { CommitFailedError, EngineOpenError } from '../../history/engine.ts';
import type { HistoryReader } from '../../history/reader.ts';
import { ThreadedReader } from './asking/threaded-reader.ts';
import type { BudgetState } from './keeping/budget.ts';
import { CallFailedError, WorkerLink } from './threads/worker-link.ts';
import type { MaintenanceCalls, ReaderCalls, WriterCalls } from './threads/worker-messages.ts';

export interface SqliteEngineOptions {
  /** Data folder; made when it is missing. */
  readonly dir: string;
  /** Default `pulsegate.db`. */
  readonly fileName?: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly random?: Random;
  /** Age at which a head is sealed, ms of monotonic time. Default 10 minutes. */
  readonly sealAfterMs?: number;
  /** Readings in a full chunk, 1 … 4,096. Default 1,024. */
  readonly sealCount?: number;
  /** How much of the sealed commit log is kept for resuming: whichever is less. Default 15 minutes, 256 MB. */
  readonly resumeWindow?: { readonly ms: number; readonly bytes: number };
  /** Default 64 MB. */
  readonly quarantineBytesMax?: number;
  /** Bytes of the file in use beyond which the oldest readings go first; 0, the default: no bound. */
  readonly maxBytes?: number;
  /** How long alerts are kept after they were resolved, ms; null, the default: for ever. */
  readonly alertsKeptMs?: number | null;
  /** How long deliveries are kept after they were settled, ms; null, the default: for ever. */
  readonly deliveriesKeptMs?: number | null;
  /** Room kept free beside the database, so that deletions are possible on a full disk. Default: none. */
  readonly reserveBytes?: number;
  /** How long a commit waits for another program's lock, ms. Default 2 s. */
  readonly busyTimeoutMs?: number;
  /** Largest size of the file in pages of 4 KB; beyond it commits fail as on a full disk. Default: none. */
  readonly pagesMax?: number;
}

/** A checkpoint is due when this many frames (4 KB each) wait for one … */
const checkpointFrames = 1_024;
/** … or after this long. */
const checkpointAfterMs = 30_000;
/** A budget that is not kept is told of this often at most. */
const budgetToldEveryMs = 3_600_000;
/** How often age is looked at: heads for sealing, the write-ahead log for a checkpoint. */
const tickMs = 5_000;

/** The embedded engine; `README.md` beside this file says how it keeps its promise. */
export function createSqliteEngine(options: SqliteEngineOptions): Engine {
  return new SqliteEngine(options);
}

interface Threads {
  readonly writer: WorkerLink<WriterCalls>;
  readonly reader: WorkerLink<ReaderCalls>;
  readonly maintenance: WorkerLink<MaintenanceCalls>;
}

class SqliteEngine implements Engine {
  readonly reader: HistoryReader;
  readonly #options: SqliteEngineOptions;
  readonly #path: string;
  readonly #goneListeners: ((changes: GoneChanges) => void)[] = [];
  #threads: Threads | null = null;
  #closing: Promise<void> | null = null;
  #timer: Timer | null = null;
  #isCommitting = false;
  #isCheckpointing = false;
  #isRollingUp = false;
  #budgetToldAt = Number.NEGATIVE_INFINITY;
  #isReserveWhole = true;
  #checkpointedAt = 0;

  constructor(options: SqliteEngineOptions) {
    this.#options = options;
    this.#path = join(options.dir, options.fileName ?? 'pulsegate.db');
    this.reader = new ThreadedReader(() => this.#opened(), { path: this.#path, log: options.log });
  }

  async open(): Promise<Recovered> {
    if (this.#threads) throw new InvariantError('the storage engine is already open');
    const { clock, random, dir } = this.#options;
    try {
      mkdirSync(dir, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw new EngineOpenError(`The data folder ${dir} cannot be made: ${messageOf(error)}.`);
    }
    const threads = this.#startThreads();
    this.#threads = threads;
    try {
      const recovered = await threads.writer.ask('open', {
        now: clock.monotonic(),
        newEpoch: randomId('e', random ?? systemRandom).slice(2),
        busyTimeoutMs: this.#options.busyTimeoutMs ?? 2_000,
        pagesMax: this.#options.pagesMax ?? null,
        options: {
          sealAfterMs: this.#options.sealAfterMs ?? 600_000,
          sealCount: this.#options.sealCount ?? 1_024,
          resumeWindow: this.#options.resumeWindow ?? { ms: 900_000, bytes: 256 << 20 },
          quarantineBytesMax: this.#options.quarantineBytesMax ?? 64 << 20,
          bytesMax: this.#options.maxBytes ?? 0,
          alertsKeptMs: this.#options.alertsKeptMs ?? null,
          deliveriesKeptMs: this.#options.deliveriesKeptMs ?? null,
          reserveBytes: this.#options.reserveBytes ?? 0,
        },
      });
      await Promise.all([threads.reader.ask('open', null), threads.maintenance.ask('open', null)]);
      this.#checkpointedAt = clock.monotonic();
      this.#planTick();
      return recovered;
    } catch (error) {
      this.#threads = null;
      await stopThreads(threads);
      throw new EngineOpenError(
        error instanceof CallFailedError && error.failure?.kind === 'refused_open'
          ? error.message
          : `The database ${this.#path} cannot be opened: ${messageOf(error)}.`,
      );
    }
  }

  async commit(commit: Commit): Promise<CommitResult> {
    if (this.#isCommitting) throw new InvariantError(`commit ${commit.seq} came while another was in flight`);
    this.#isCommitting = true;
    try {
      const writer = this.#opened().writer;
      const crossing = readyToCross(commit);
      const question = { commit: crossing.commit, now: this.#options.clock.monotonic() };
      const { uncopiedFrames, gone, ...result } = await writer.ask('commit', question, crossing.transfer);
      this.#tellGone(gone);
      if (uncopiedFrames >= checkpointFrames) this.#checkpoint();
      return result;
    } catch (error) {
      throw commitFailure(error, commit);
    } finally {
      this.#isCommitting = false;
    }
  }

  async retain(plan: RetentionPlan): Promise<Float64Array<ArrayBuffer>> {
    return await this.#opened().writer.ask('retain', plan);
  }

  onGone(listener: (changes: GoneChanges) => void): void {
    this.#goneListeners.push(listener);
  }

  backup(path: string): Promise<BackupFacts> {
    return this.#opened().maintenance.ask('backup', { path });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close().finally(() => {
      this.#closing = null;
    });
    return this.#closing;
  }

  async #close(): Promise<void> {
    const threads = this.#threads;
    if (!threads) return;
    this.#timer?.cancel();
    this.#threads = null;
    // The writer's connection last: closing it empties the write-ahead log into the file.
    await Promise.all([threads.maintenance.ask('close', null), threads.reader.ask('close', null)]).catch(() => null);
    await threads.writer.ask('close', null).catch((error: unknown) => {
      this.#options.log.warn({ error: messageOf(error) }, 'the storage writer did not close in order');
    });
    await stopThreads(threads);
  }

  #startThreads(): Threads {
    const path = this.#path;
    const onGone = (error: Error): void => {
      this.#options.log.error({ error: messageOf(error) }, 'a storage thread ended by itself');
    };
    return {
      writer: new WorkerLink<WriterCalls>({ role: 'writer', path }, onGone),
      reader: new WorkerLink<ReaderCalls>({ role: 'reader', path }, onGone),
      maintenance: new WorkerLink<MaintenanceCalls>({ role: 'maintenance', path }, onGone),
    };
  }

  #opened(): Threads {
    if (!this.#threads) throw new CallFailedError('the storage engine is not open', null, null);
    return this.#threads;
  }

  #planTick(): void {
    this.#timer = this.#options.clock.after(tickMs, () => {
      this.#tick();
      this.#planTick();
    });
  }

  #tick(): void {
    const now = this.#options.clock.monotonic();
    const run = async (): Promise<void> => {
      const answer = await this.#threads?.writer.ask('tick', { now });
      const frames = answer?.uncopiedFrames ?? 0;
      this.#tellGone(answer?.gone ?? null);
      if (answer?.workFailure) {
        this.#options.log.warn(
          { error: answer.workFailure },
          'sealing or trimming failed; nothing is lost, it is tried again',
        );
      }
      const isLongAgo = now - this.#checkpointedAt >= checkpointAfterMs;
      if (frames >= checkpointFrames || (frames > 0 && isLongAgo)) this.#checkpoint();
      if (answer?.isRollupWanted) this.#rollUp();
      if (answer) this.#tellBudget(answer.budgetState, now);
      await this.#fillReserve();
    };
    run().catch((error: unknown) => this.#warn(error, 'the writer did not answer'));
  }

  #tellGone(changes: GoneChanges | null): void {
    if (changes) for (const listener of this.#goneListeners) listener(changes);
  }

  /** Once an hour at most. */
  #tellBudget(state: BudgetState, now: number): void {
    if (state === 'kept' || now - this.#budgetToldAt < budgetToldEveryMs) return;
    this.#budgetToldAt = now;
    const { log, maxBytes } = this.#options;
    if (state === 'purging')
      log.warn({ maxBytes }, 'the database is larger than storage.maxBytes: its oldest readings go');
    else log.warn({ maxBytes }, 'storage.maxBytes is too small for what has to be kept: nothing is left that could go');
  }

  /**
   * The maintenance thread sums up readings, some milliseconds at a time, and the writer writes the sums between commits
   * unless readings of that time came meanwhile. Until nothing is left to be summed up.
   */
  #rollUp(): void {
    const threads = this.#threads;
    if (!threads || this.#isRollingUp) return;
    this.#isRollingUp = true;
    const run = async (): Promise<void> => {
      while (this.#threads === threads) {
        const tasks = await threads.writer.ask('rollupTasks', null);
        if (tasks.length === 0) return;
        await threads.writer.ask('acceptRollups', await threads.maintenance.ask('rollUp', tasks));
      }
    };
    run()
      .catch((error: unknown) => this.#warn(error, 'summing up readings failed; it is tried again'))
      .finally(() => {
        this.#isRollingUp = false;
      });
  }

  /** Tells once when there is no room for the reserve, and once when there is again. */
  async #fillReserve(): Promise<void> {
    const answer = await this.#threads?.maintenance.ask('reserve', { bytes: this.#options.reserveBytes ?? 0 });
    if (!answer || answer.isWhole === this.#isReserveWhole) return;
    this.#isReserveWhole = answer.isWhole;
    const { log } = this.#options;
    if (answer.isWhole) log.info({}, 'there is room again for the reserve that deletions on a full disk need');
    else log.warn({}, 'the disk has no room for the reserve that deletions on a full disk need; make room');
  }

  /**
   * The maintenance thread copies most of the write-ahead log while commits go on; what came meanwhile is little, and
   * the writer copies it itself between two commits. Only then is the log copied as a whole and begun anew by the next
   * commit; a checkpoint from outside alone never catches up with a writer that does not pause.
   */
  #checkpoint(): void {
    const threads = this.#threads;
    if (!threads || this.#isCheckpointing) return;
    this.#isCheckpointing = true;
    const run = async (): Promise<void> => {
      await threads.maintenance.ask('checkpoint', null);
      await threads.writer.ask('checkpoint', null);
    };
    run()
      .catch((error: unknown) => this.#warn(error, 'a checkpoint failed'))
      .finally(() => {
        this.#isCheckpointing = false;
        this.#checkpointedAt = this.#options.clock.monotonic();
      });
  }

  #warn(error: unknown, message: string): void {
    // During close the questions of timers fail, which is nobody's concern.
    if (this.#threads) this.#options.log.warn({ error: messageOf(error) }, message);
  }
}

async function stopThreads(threads: Threads): Promise<void> {
  await Promise.all([threads.writer.stop(), threads.reader.stop(), threads.maintenance.stop()]);
}

function commitFailure(error: unknown, commit: Commit): unknown {
  if (!(error instanceof CallFailedError)) return error;
  const { failure } = error;
  // Columns that were never sent are still here; what was sent came back, or was lost with the thread.
  const sent = commit.readings.times.buffer.detached;
  const readings = sent ? (error.returned as ReadingColumns | null) : commit.readings;
  const message = `commit ${commit.seq} failed: ${error.message}`;
  if (failure?.kind === 'transaction') {
    return new CommitFailedError(message, { ...failure, readings, cause: error });
  }
  return new CommitFailedError(message, { outcome: 'unknown', reason: 'io', readings, cause: error });
}

/**
 * The commit as it goes to the writer's thread. Payloads and session rows are views into what came from a socket, and a
 * view would drag all of its buffer along: their own bytes are copied, side by side, into one that is handed over.
 */
function readyToCross(commit: Commit): { readonly commit: Commit; readonly transfer: readonly ArrayBuffer[] } {
  const { readings, settled, quarantine, sessions } = commit;
  const transfer = [
    ...readingBuffers(readings),
    settled.client.buffer,
    settled.packetIds.buffer,
    settled.hashes.buffer,
  ];
  if (quarantine.length === 0 && sessions.length === 0) return { commit, transfer };
  let length = 0;
  for (const { payload } of quarantine) length += payload.length;
  for (const change of sessions) if (change.op === 'put') length += change.row.bytes.length;
  const all = new Uint8Array(length);
  let at = 0;
  const copied = (bytes: Uint8Array): Uint8Array => {
    all.set(bytes, at);
    at += bytes.length;
    return all.subarray(at - bytes.length, at);
  };
  return {
    commit: {
      ...commit,
      quarantine: quarantine.map((entry) => ({ ...entry, payload: copied(entry.payload) })),
      sessions: sessions.map((change) =>
        change.op === 'put' ? { op: 'put', row: { ...change.row, bytes: copied(change.row.bytes) } } : change,
      ),
    },
    transfer: [...transfer, all.buffer],
  };
}
