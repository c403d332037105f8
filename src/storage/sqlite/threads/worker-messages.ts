import type { GoneChanges, RetentionPlan } from '../../../domain/retention.ts';
import type { Commit, CommitResult, LogPage } from '../../../domain/commit.ts';
import type { BackupFacts, Recovered } from '../../../history/engine.ts';
import type { EngineStats, HistoryReader } from '../../../history/reader.ts';
import type { HistoryQueries } from '../../../history/queries.ts';
import type { BudgetState } from '../keeping/budget.ts';
import type { HeadSlices, HeadsQuery } from '../asking/reader-heads.ts';
import type { RollupResult, RollupTask } from '../rollups/rollup-task.ts';
import type { FailureOutcome, FailureReason } from '../transaction.ts';
import type { WriterOptions } from '../writer.ts';

/** What a worker is told when it starts. */
export interface WorkerSetup {
  readonly role: 'writer' | 'reader' | 'maintenance';
  readonly path: string;
}

/** What the writer knows; the rest of the stats is the reader's and the file system's. */
export type WriterStats = Omit<
  EngineStats,
  'usedBytes' | 'pendingDeliveries' | 'engineVersion' | 'fileBytes' | 'walBytes' | 'openQuestions' | 'questionRuns'
>;

/** What can be asked of the writer: name → question and answer. Answers come in the order of the questions. */
export interface WriterCalls {
  open: {
    question: {
      readonly now: number;
      readonly newEpoch: string;
      readonly busyTimeoutMs: number;
      readonly pagesMax: number | null;
      readonly options: WriterOptions;
    };
    answer: Recovered;
  };
  commit: { question: { readonly commit: Commit; readonly now: number }; answer: CommitAnswer };
  heads: { question: HeadsQuery; answer: HeadSlices };
  tick: {
    question: { readonly now: number };
    /** `workFailure`: why sealing or trimming failed since the last tick, or null. */
    answer: {
      readonly uncopiedFrames: number;
      readonly workFailure: string | null;
      readonly isRollupWanted: boolean;
      readonly budgetState: BudgetState;
      /** As in the answer to a commit. */
      readonly gone: GoneChanges | null;
    };
  };
  retain: { question: RetentionPlan; answer: Float64Array<ArrayBuffer> };
  /** What the maintenance worker shall sum up next; and what came of it. */
  rollupTasks: { question: null; answer: readonly RollupTask[] };
  acceptRollups: { question: readonly RollupResult[]; answer: null };
  /** Finishes a checkpoint that the maintenance worker has nearly completed. */
  checkpoint: { question: null; answer: null };
  stats: { question: null; answer: WriterStats };
  close: { question: null; answer: null };
}

export interface CommitAnswer extends CommitResult {
  /** Frames of the write-ahead log that wait for a checkpoint. */
  readonly uncopiedFrames: number;
  /** What was not told yet; null when nothing changed. */
  readonly gone: GoneChanges | null;
}

/** A question about readings together with what the heads hold of it, taken before the reader opens its snapshot. */
export interface WithHeads<Query> {
  readonly query: Query;
  readonly heads: HeadSlices;
}

/** What is asked of readings in one call, one page of one snapshot. */
type PageCalls = {
  [Name in 'page' | 'text']: {
    question: WithHeads<Parameters<HistoryQueries[Name]>[0]>;
    answer: Awaited<ReturnType<HistoryQueries[Name]>>;
  };
};

/** What is asked of readings in as many calls as it takes, so that a long question does not hold up the short ones. */
type LongCalls = {
  [Name in 'aggregate' | 'across' | 'decimate' | 'boundaries' | 'estimate']: {
    question: LongQuestion<Parameters<HistoryQueries[Name]>[0]>;
    answer: LongAnswer<Awaited<ReturnType<HistoryQueries[Name]>>>;
  };
};

/** A question that is begun (`query`) or gone on with (null); `task` is the same each time, and nobody else's. */
export interface LongQuestion<Query> {
  readonly task: number;
  readonly query: Query | null;
  readonly heads: HeadSlices;
}

/** The answer, or what the question has to be gone on with. */
export type LongAnswer<Answer> =
  | { readonly isDone: true; readonly answer: Answer }
  | { readonly isDone: false; readonly left: HeadsQuery };

type Rows = Pick<
  HistoryReader,
  | 'alerts'
  | 'alert'
  | 'transitions'
  | 'deliveries'
  | 'delivery'
  | 'attempts'
  | 'quarantine'
  | 'quarantined'
  | 'commands'
  | 'command'
>;

/** The plain questions: those whose answer is a SELECT and no more. */
type RowCalls = {
  [Name in keyof Rows]: { question: Parameters<Rows[Name]>[0]; answer: Awaited<ReturnType<Rows[Name]>> };
};

export interface ReaderCalls extends RowCalls, PageCalls, LongCalls {
  open: { question: null; answer: null };
  /** The number of a long question with which nobody goes on. */
  forget: { question: number; answer: null };
  log: { question: { readonly after: number; readonly readingsMax: number }; answer: LogPage };
  stats: {
    question: null;
    answer: {
      readonly pendingDeliveries: number;
      readonly usedBytes: number;
      readonly damagedChunks: number;
      readonly openQuestions: number;
      readonly questionRuns: number;
      readonly engineVersion: string;
    };
  };
  close: { question: null; answer: null };
}

export interface MaintenanceCalls {
  rollUp: { question: readonly RollupTask[]; answer: readonly RollupResult[] };
  backup: { question: { readonly path: string }; answer: BackupFacts };
  open: { question: null; answer: null };
  checkpoint: { question: null; answer: { readonly frames: number; readonly copied: number } };
  /** Fills the reserve again when there is room; `isWhole` says whether it is there. */
  reserve: { question: { readonly bytes: number }; answer: { readonly isWhole: boolean } };
  close: { question: null; answer: null };
}

/** One entry of a table of calls. */
export interface Call {
  question: unknown;
  answer: unknown;
}

export interface Request {
  readonly id: number;
  readonly name: string;
  readonly question: unknown;
}

export type Response =
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly failure: Failure; readonly returned: unknown };

/** Errors cross threads as plain values. */
export type Failure =
  | { readonly kind: 'refused_open'; readonly message: string }
  | {
      readonly kind: 'transaction';
      readonly message: string;
      readonly outcome: FailureOutcome;
      readonly reason: FailureReason;
    }
  | { readonly kind: 'other'; readonly message: string };
