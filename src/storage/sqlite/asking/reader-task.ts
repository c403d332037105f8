import { InvariantError } from '../../../base/errors.ts';
import type { SnapshotChunks } from './reader-chunks.ts';
import type { HeadSlices, HeadsQuery } from './reader-heads.ts';
import type { RollupReader } from '../rollups/rollup-reader.ts';
import type { LongAnswer, LongQuestion } from '../threads/worker-messages.ts';

/** What a run reads from: one snapshot, and the heads as they were before it. */
export interface Sources {
  readonly chunks: SnapshotChunks;
  readonly rollups: RollupReader;
  readonly heads: HeadSlices;
}

/**
 * A question that may take several snapshots: each goes on where the one before it ended, so that none is held for long
 * and short questions come in between.
 */
export interface ReaderTask<Answer> {
  /** Works until it is done or has cost enough; true when it is done. */
  run(sources: Sources): boolean;
  /** What of the heads the next run needs. */
  left(): HeadsQuery;
  /** Once it is done. */
  answer(): Answer;
}

/** What one run may cost the thread, µs. */
export const runEffortMax = 5_000;

/** Questions of one kind that were begun and not yet answered. */
export class LongQuestions<Query, Answer> {
  readonly #begin: (query: Query) => ReaderTask<Answer>;
  readonly #begun = new Map<number, ReaderTask<Answer>>();

  constructor(begin: (query: Query) => ReaderTask<Answer>) {
    this.#begin = begin;
  }

  /** Begins or goes on with a question; one that fails is forgotten. */
  goOn({ task: number, query, heads }: LongQuestion<Query>, snapshot: Omit<Sources, 'heads'>): LongAnswer<Answer> {
    const task = query === null ? this.#begun.get(number) : this.#begin(query);
    this.#begun.delete(number);
    if (!task) throw new InvariantError(`no question ${number} was begun`);
    if (task.run({ ...snapshot, heads })) return { isDone: true, answer: task.answer() };
    this.#begun.set(number, task);
    return { isDone: false, left: task.left() };
  }
  /** Nobody goes on with a question. */
  forget(task: number): void {
    this.#begun.delete(task);
  }

  /** Begun and neither answered nor forgotten. */
  get open(): number {
    return this.#begun.size;
  }
}
