import type { AggregatePage, AggregateQuery, AggregatedSeries, DamagedStretch } from '../../../history/queries.ts';
import { DamageList } from './reader-damage.ts';
import type { FoldOfSeries } from './reader-fold.ts';
import { headsOfFold, SeriesFold } from './reader-fold.ts';
import type { HeadsQuery } from './reader-heads.ts';
import type { ReaderTask, Sources } from './reader-task.ts';
import { runEffortMax } from './reader-task.ts';

/** Series whose heads are asked for at once. */
const seriesAtOnce = 64;

/** Folds of many series, one after the other, over as many snapshots as it takes. */
export class FoldsTask {
  readonly #questions: readonly FoldOfSeries[];
  readonly #done: (index: number, series: AggregatedSeries) => void;
  readonly #damage = new DamageList();
  #at = 0;
  #fold: SeriesFold | null = null;

  /** `done` is called for each question, in their order. */
  constructor(questions: readonly FoldOfSeries[], done: (index: number, series: AggregatedSeries) => void) {
    this.#questions = questions;
    this.#done = done;
  }

  get damaged(): readonly DamagedStretch[] {
    return this.#damage.list();
  }

  run(sources: Sources): boolean {
    const { chunks } = sources;
    const begun = this.#at;
    const end = Math.min(begun + seriesAtOnce, this.#questions.length);
    for (; this.#at < end; this.#at++) {
      if (chunks.effort >= runEffortMax) break;
      this.#fold ??= new SeriesFold(this.#questions[this.#at]);
      if (!this.#fold.run(sources, (this.#at - begun) * headsOfFold)) break;
      if (this.#fold.answer) this.#done(this.#at, this.#fold.answer);
      this.#fold = null;
    }
    this.#damage.add(chunks);
    return this.#at === this.#questions.length;
  }

  left(): HeadsQuery {
    const left = this.#questions.slice(this.#at, this.#at + seriesAtOnce);
    return {
      ranges: left.flatMap((question, index) => ((index === 0 && this.#fold) || new SeriesFold(question)).heads),
      limitAll: Number.POSITIVE_INFINITY,
    };
  }
}

function foldsOfAggregate({ ranges, kinds, ...rest }: AggregateQuery): FoldOfSeries[] {
  return ranges.map((range, index) => ({ ...rest, range, kind: kinds[index] }));
}

/** Aggregates by bucket, series by series. */
export class AggregateTask implements ReaderTask<AggregatePage> {
  readonly #parts: AggregatedSeries[] = [];
  readonly #folds: FoldsTask;

  constructor(query: AggregateQuery) {
    this.#folds = new FoldsTask(foldsOfAggregate(query), (_, series) => this.#parts.push(series));
  }

  run(sources: Sources): boolean {
    return this.#folds.run(sources);
  }

  left(): HeadsQuery {
    return this.#folds.left();
  }

  answer(): AggregatePage {
    return { parts: this.#parts, damaged: this.#folds.damaged };
  }
}

/** What of the heads an aggregation begins with. */
export function headsOfAggregate(query: AggregateQuery): HeadsQuery {
  return new FoldsTask(foldsOfAggregate(query), () => undefined).left();
}
