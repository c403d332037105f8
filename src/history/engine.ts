import type { AlertState } from '../domain/alert.ts';
import type { Commit, CommitResult, SettledMessage } from '../domain/commit.ts';
import type { Command } from '../domain/command.ts';
import type { DeviceRecord } from '../domain/device.ts';
import type { DeviceToken } from '../domain/device-token.ts';
import type { ReadingColumns, Value } from '../domain/reading.ts';
import type { GoneChanges, RetentionPlan } from '../domain/retention.ts';
import type { Series } from '../domain/series.ts';
import type { SessionRow } from '../domain/session-row.ts';
import type { HistoryReader } from './reader.ts';

/**
 * The contract that a storage engine signs; every engine sits the exam in `test/contract/engine-exam.ts`.
 *
 * One commit is in flight at a time. A commit is on disk, synced and atomic before its promise resolves. When it
 * rejects with `CommitFailedError`, `outcome` says whether anything can have been written:
 * `rolled_back` — nothing was, the same `seq` may be used again; `unknown` — COMMIT itself failed, the engine must be
 * closed and opened again and what it then recovers is the truth.
 *
 * The arrays of `commit.readings` belong to the engine until the promise settles (they may cross threads); they come
 * back in the result, and on rejection in the error. Those of `commit.settled` belong to it for good.
 */
export interface Engine {
  /**
   * Opens or creates the store and replays what a crash left; may come again after `close`. The caller holds the lock of
   * the data folder. Throws `EngineOpenError` with a sentence for people.
   */
  open(): Promise<Recovered>;
  commit(commit: Commit): Promise<CommitResult>;
  readonly reader: HistoryReader;
  /**
   * Which series is kept how long; holds until the next one. Until the first, everything is kept. Resolves with what former
   * plans, and the bound on the bytes, have deleted already: by series number, the time before which readings are gone, epoch
   * ms; NaN, or no entry, where none are.
   */
  retain(plan: RetentionPlan): Promise<Float64Array<ArrayBuffer>>;
  /**
   * Hears where the answer of `retain` is another by now: readings went by the plan or for room; or nothing is left of those
   * that had gone, not even sums, because that time was deleted as well: then old readings may come again.
   * What a commit brings about is told before its promise resolves, the rest with the next commit or within seconds.
   */
  onGone(listener: (changes: GoneChanges) => void): void;
  /**
   * Copies the store as it is after the last commit into the new file `path`, while commits go on. Rejects, with nothing left at `path`, when there is no room or the store is damaged as a whole.
   */
  backup(path: string): Promise<BackupFacts>;
  /** Seals what is worth sealing, closes the file. May come twice. */
  close(): Promise<void>;
}

/** What a copy holds. */
export interface BackupFacts {
  readonly epoch: string;
  /** The last commit in it. */
  readonly seq: number;
  readonly bytes: number;
}

/** What an engine remembers when it opens. */
export interface Recovered {
  /** Random, made with the store; changes only by a restore or reset. */
  readonly epoch: string;
  /** The last commit; 0 in a new store. */
  readonly seq: number;
  /** Receipt time of the last commit, epoch ms; 0 in a new store. */
  readonly lastCommitAt: number;
  /** Every series with its newest reading. */
  readonly series: readonly SeriesHead[];
  readonly devices: readonly DeviceRecord[];
  /** Every state ever written, so that sequences go on where they were. */
  readonly alertStates: readonly AlertState[];
  /** Messages settled lately, oldest first. */
  readonly settled: readonly SettledMessage[];
  readonly tokens: readonly DeviceToken[];
  /** In the order in which their rows were first put. */
  readonly sessions: readonly SessionRow[];
  /** Commands that are not in a final state, oldest first. */
  readonly commands: readonly Command[];
}

export interface SeriesHead extends Series {
  /** Greatest time of the series, epoch ms; null when it has no reading. */
  readonly time: number | null;
  readonly value: Value | null;
}

export class CommitFailedError extends Error {
  override readonly name = 'CommitFailedError';
  readonly outcome: 'rolled_back' | 'unknown';
  /** `full` and `busy` pass by themselves; `refused` fails again for the same batch; `io` needs a reopen. */
  readonly reason: 'full' | 'busy' | 'refused' | 'io';
  /** The commit's columns, handed back; null when they were lost with the thread that held them. */
  readonly readings: ReadingColumns | null;

  constructor(
    message: string,
    options: {
      outcome: 'rolled_back' | 'unknown';
      reason: 'full' | 'busy' | 'refused' | 'io';
      readings: ReadingColumns | null;
      cause?: unknown;
    },
  ) {
    super(message, { cause: options.cause });
    this.outcome = options.outcome;
    this.reason = options.reason;
    this.readings = options.readings;
  }
}

/** The store cannot be opened; the message says why and what to do, without a stack. */
export class EngineOpenError extends Error {
  override readonly name = 'EngineOpenError';
}
