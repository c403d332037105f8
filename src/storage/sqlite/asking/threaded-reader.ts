import { statSync } from 'node:fs';
import type { Log } from '../../../base/log.ts';
import type { DamagedStretch, ReadingsPage, TextPage } from '../../../history/queries.ts';
import { checkBuckets, checkPage, checkPoints, checkRanges } from '../../../history/question-bounds.ts';
import type { HistoryReader } from '../../../history/reader.ts';
import type { WorkerLink } from '../threads/worker-link.ts';
import type { LongAnswer, LongQuestion, ReaderCalls, WriterCalls } from '../threads/worker-messages.ts';
import { QuestionTurns } from './question-turns.ts';
import { headsOfAcross } from './reader-across.ts';
import { headsOfAggregate } from './reader-aggregate.ts';
import { headsOfBoundaries } from './reader-boundaries.ts';
import { headsOfDecimate } from './reader-decimate.ts';
import { headsOfEstimate } from './reader-estimate.ts';
import type { HeadSlices, HeadsQuery } from './reader-heads.ts';
import { headsOfPage } from './reader-heads.ts';

/** The two threads that a question needs; throws while the engine is not open. */
export type AskedThreads = () => {
  readonly writer: WorkerLink<WriterCalls>;
  readonly reader: WorkerLink<ReaderCalls>;
};

type Question<Name extends keyof HistoryReader> = Parameters<HistoryReader[Name]>[0];
type Answer<Name extends keyof HistoryReader> = Awaited<ReturnType<HistoryReader[Name]>>;

export interface ThreadedReaderParts {
  /** The database file. */
  readonly path: string;
  readonly log: Log;
}

/** Questions that take more than one run and are gone on with at the same time. */
const longAtOnce = 8;
/** Runs of such questions, and pages of downloads, that wait in the reader's thread at the same time. */
const runsAtOnce = 2;
/** Readings of a page up to which it is one that somebody waits for, and no part of a download. */
const shortPage = 10_000;
/** Damaged chunks that are logged one by one. */
const damageLoggedMax = 1_000;

/**
 * The main thread's side of asking: the writer is asked for what its heads hold, then the reader's thread for the answer.
 * The head first, the snapshot second: the other way round, a head sealed in between would be in neither.
 */
export class ThreadedReader implements HistoryReader {
  readonly #threads: AskedThreads;
  readonly #path: string;
  readonly #log: Log;
  #lastTask = 0;
  readonly #turns = new QuestionTurns(longAtOnce);
  readonly #runs = new QuestionTurns(runsAtOnce);
  readonly #damageLogged = new Set<string>();

  constructor(threads: AskedThreads, { path, log }: ThreadedReaderParts) {
    this.#threads = threads;
    this.#path = path;
    this.#log = log;
  }

  async page(query: Question<'page'>): Promise<ReadingsPage> {
    checkPage(query);
    const question = { query, heads: await this.#heads(headsOfPage(query)) };
    const ask = (): Promise<ReadingsPage> => this.#reader().ask('page', question);
    return this.#damageSeen(await (query.limit > shortPage ? this.#inTurn(ask) : ask()));
  }

  async text(query: Question<'text'>): Promise<TextPage> {
    checkPage(query);
    const question = { query, heads: await this.#heads(headsOfPage(query)) };
    const ask = (): Promise<TextPage> => this.#reader().ask('text', question);
    return this.#damageSeen(await (query.limit > shortPage ? this.#inTurn(ask) : ask()));
  }

  async boundaries(ranges: Question<'boundaries'>): Promise<Answer<'boundaries'>> {
    checkRanges(ranges);
    return this.#askLong((question) => this.#reader().ask('boundaries', question), ranges, headsOfBoundaries(ranges));
  }

  async estimate(ranges: Question<'estimate'>): Promise<Answer<'estimate'>> {
    checkRanges(ranges);
    return this.#askLong((question) => this.#reader().ask('estimate', question), ranges, headsOfEstimate(ranges));
  }

  async aggregate(query: Question<'aggregate'>): Promise<Answer<'aggregate'>> {
    checkBuckets(query);
    const ask = this.#askLong((question) => this.#reader().ask('aggregate', question), query, headsOfAggregate(query));
    return this.#damageSeen(await ask);
  }

  async across(query: Question<'across'>): Promise<Answer<'across'>> {
    checkBuckets(query);
    const ask = this.#askLong((question) => this.#reader().ask('across', question), query, headsOfAcross(query));
    return this.#damageSeen(await ask);
  }

  async decimate(query: Question<'decimate'>): Promise<Answer<'decimate'>> {
    checkPoints(query);
    const ask = this.#askLong((question) => this.#reader().ask('decimate', question), query, headsOfDecimate(query));
    return this.#damageSeen(await ask);
  }

  async log(query: Question<'log'>): Promise<Answer<'log'>> {
    return this.#reader().ask('log', query);
  }

  async alerts(query: Question<'alerts'>): Promise<Answer<'alerts'>> {
    return this.#reader().ask('alerts', query);
  }

  async alert(id: Question<'alert'>): Promise<Answer<'alert'>> {
    return this.#reader().ask('alert', id);
  }

  async transitions(alertId: Question<'transitions'>): Promise<Answer<'transitions'>> {
    return this.#reader().ask('transitions', alertId);
  }

  async deliveries(query: Question<'deliveries'>): Promise<Answer<'deliveries'>> {
    return this.#reader().ask('deliveries', query);
  }

  async delivery(id: Question<'delivery'>): Promise<Answer<'delivery'>> {
    return this.#reader().ask('delivery', id);
  }

  async attempts(deliveryId: Question<'attempts'>): Promise<Answer<'attempts'>> {
    return this.#reader().ask('attempts', deliveryId);
  }

  async quarantine(query: Question<'quarantine'>): Promise<Answer<'quarantine'>> {
    return this.#reader().ask('quarantine', query);
  }

  async quarantined(id: Question<'quarantined'>): Promise<Answer<'quarantined'>> {
    return this.#reader().ask('quarantined', id);
  }

  async commands(query: Question<'commands'>): Promise<Answer<'commands'>> {
    return this.#reader().ask('commands', query);
  }

  async command(id: Question<'command'>): Promise<Answer<'command'>> {
    return this.#reader().ask('command', id);
  }

  async stats(): Promise<Answer<'stats'>> {
    const { writer, reader } = this.#threads();
    const [written, read] = await Promise.all([writer.ask('stats', null), reader.ask('stats', null)]);
    const damagedChunks = written.damagedChunks + read.damagedChunks;
    return {
      ...written,
      ...read,
      damagedChunks,
      fileBytes: sizeOf(this.#path),
      walBytes: sizeOf(`${this.#path}-wal`),
    };
  }

  #reader(): WorkerLink<ReaderCalls> {
    return this.#threads().reader;
  }

  async #heads(query: HeadsQuery): Promise<HeadSlices> {
    return this.#threads().writer.ask('heads', query);
  }

  /** Asks until the answer is there, each time with the heads that the next stretch needs. */
  async #askLong<Query, Answer>(
    ask: (question: LongQuestion<Query>) => Promise<LongAnswer<Answer>>,
    query: Query,
    needed: HeadsQuery,
  ): Promise<Answer> {
    const task = ++this.#lastTask;
    let question: Query | null = query;
    let hasTurn = false;
    try {
      for (let left = needed; ; ) {
        const heads = await this.#heads(left);
        const step = { task, query: question, heads };
        const found = await (hasTurn ? this.#inTurn(() => ask(step)) : ask(step));
        if (found.isDone) return found.answer;
        left = found.left;
        question = null;
        // What is answered in one run waits for nobody.
        if (!hasTurn) await this.#turns.take();
        hasTurn = true;
      }
    } finally {
      if (hasTurn) this.#turns.giveBack();
    }
  }

  /** Of what takes long only so much is given to the reader at once, so that whatever is short stands near the front there. */
  async #inTurn<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    await this.#runs.take();
    try {
      return await ask();
    } finally {
      this.#runs.giveBack();
    }
  }

  /** Logs a damaged chunk once. */
  #damageSeen<Page extends { readonly damaged: readonly DamagedStretch[] }>(page: Page): Page {
    for (const { series, firstTime, lastTime, readings } of page.damaged) {
      const key = `${series}/${firstTime}/${lastTime}`;
      if (this.#damageLogged.has(key) || this.#damageLogged.size >= damageLoggedMax) continue;
      this.#damageLogged.add(key);
      this.#log.error(
        { series, from: new Date(firstTime).toISOString(), to: new Date(lastTime).toISOString(), readings },
        'a chunk of readings is damaged and is left out of answers; `pulsegate doctor` says more',
      );
    }
    return page;
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
