import { statSync } from 'node:fs';
import { FairTurns } from '../../../base/fair-turns.ts';
import type { Log } from '../../../base/log.ts';
import type { Asker, DamagedStretch, ReadingsPage, TextPage } from '../../../history/queries.ts';
import { checkBuckets, checkPage, checkPoints, checkRanges } from '../../../history/question-bounds.ts';
import type { HistoryReader } from '../../../history/reader.ts';
import type { WorkerLink } from '../threads/worker-link.ts';
import type { LongAnswer, LongQuestion, ReaderCalls, WriterCalls } from '../threads/worker-messages.ts';
import { headsOfAcross } from './reader-across.ts';
import { headsOfAggregate } from './reader-aggregate.ts';
import { headsOfBoundaries } from './reader-boundaries.ts';
import { headsOfDecimate } from './reader-decimate.ts';
import { headsOfEstimate } from './reader-estimate.ts';
import type { HeadSlices, HeadsQuery } from './reader-heads.ts';
import { headsOfPage } from './reader-heads.ts';

/** The two threads that a question needs; throws while the engine is not open. */
export type AskedThreads = () => {
  readonly writer: Pick<WorkerLink<WriterCalls>, 'ask'>;
  readonly reader: Pick<WorkerLink<ReaderCalls>, 'ask'>;
};

type Question<Name extends keyof HistoryReader> = Parameters<HistoryReader[Name]>[0];
type Answer<Name extends keyof HistoryReader> = Awaited<ReturnType<HistoryReader[Name]>>;

export interface ThreadedReaderParts {
  /** The database file. */
  readonly path: string;
  readonly log: Log;
}

/**
 * Questions that take more than one run and are gone on with at the same time: each holds what it has added up so far, up
 * to 32 MB where percentiles are asked for.
 */
const longAtOnce = 8;
/** Runs of such questions, and pages of downloads, that wait in the reader's thread at the same time. */
const runsAtOnce = 2;
/** The same of short pages and of first runs: what a short question may find before it in the thread. */
const firstsAtOnce = 4;
/** Readings of a page up to which it is one that somebody waits for, and no part of a download. */
const shortPage = 10_000;
/** Whose turns those questions take that the gateway asks by itself. */
const own = '';
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
  readonly #firsts = new FairTurns(firstsAtOnce);
  readonly #longs = new FairTurns(longAtOnce);
  readonly #runs = new FairTurns(runsAtOnce);
  readonly #damageLogged = new Set<string>();

  constructor(threads: AskedThreads, { path, log }: ThreadedReaderParts) {
    this.#threads = threads;
    this.#path = path;
    this.#log = log;
  }

  async page(query: Question<'page'>, asker?: Asker): Promise<ReadingsPage> {
    checkPage(query);
    const heads = await this.#heads(headsOfPage(query), asker);
    const ask = (): Promise<ReadingsPage> => this.#reader().ask('page', { query, heads });
    return this.#damageSeen(await this.#inTurn(this.#turnsOfPage(query), asker, ask));
  }

  async text(query: Question<'text'>, asker?: Asker): Promise<TextPage> {
    checkPage(query);
    const heads = await this.#heads(headsOfPage(query), asker);
    const ask = (): Promise<TextPage> => this.#reader().ask('text', { query, heads });
    return this.#damageSeen(await this.#inTurn(this.#turnsOfPage(query), asker, ask));
  }

  async boundaries(ranges: Question<'boundaries'>, asker?: Asker): Promise<Answer<'boundaries'>> {
    checkRanges(ranges);
    return this.#askLong((step) => this.#reader().ask('boundaries', step), ranges, headsOfBoundaries(ranges), asker);
  }

  async estimate(ranges: Question<'estimate'>, asker?: Asker): Promise<Answer<'estimate'>> {
    checkRanges(ranges);
    return this.#askLong((step) => this.#reader().ask('estimate', step), ranges, headsOfEstimate(ranges), asker);
  }

  async aggregate(query: Question<'aggregate'>, asker?: Asker): Promise<Answer<'aggregate'>> {
    checkBuckets(query);
    const ask = this.#askLong((step) => this.#reader().ask('aggregate', step), query, headsOfAggregate(query), asker);
    return this.#damageSeen(await ask);
  }

  async across(query: Question<'across'>, asker?: Asker): Promise<Answer<'across'>> {
    checkBuckets(query);
    const ask = this.#askLong((step) => this.#reader().ask('across', step), query, headsOfAcross(query), asker);
    return this.#damageSeen(await ask);
  }

  async decimate(query: Question<'decimate'>, asker?: Asker): Promise<Answer<'decimate'>> {
    checkPoints(query);
    const ask = this.#askLong((step) => this.#reader().ask('decimate', step), query, headsOfDecimate(query), asker);
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

  #reader(): ReturnType<AskedThreads>['reader'] {
    return this.#threads().reader;
  }

  /** What the heads hold; nobody is asked where nobody waits for the answer. */
  async #heads(query: HeadsQuery, asker: Asker | undefined): Promise<HeadSlices> {
    asker?.signal.throwIfAborted();
    return this.#threads().writer.ask('heads', query);
  }

  /** Asks until the answer is there, or nobody waits for it any more, each time with the heads that the next stretch needs. */
  async #askLong<Query, Answer>(
    ask: (step: LongQuestion<Query>) => Promise<LongAnswer<Answer>>,
    query: Query,
    needed: HeadsQuery,
    asker: Asker | undefined,
  ): Promise<Answer> {
    const task = ++this.#lastTask;
    const run = async (turns: FairTurns, query: Query | null, left: HeadsQuery): Promise<LongAnswer<Answer>> => {
      const heads = await this.#heads(left, asker);
      return this.#inTurn(turns, asker, () => ask({ task, query, heads }));
    };
    let found = await run(this.#firsts, query, needed);
    try {
      // What is answered in one run waits for no long one.
      if (found.isDone) return found.answer;
      return await this.#inTurn(this.#longs, asker, async () => {
        while (!found.isDone) found = await run(this.#runs, null, found.left);
        return found.answer;
      });
    } finally {
      if (!found.isDone) this.#forget(task);
    }
  }

  /** What the reader's thread keeps of a question that nobody goes on with. */
  #forget(task: number): void {
    const forget = async (): Promise<void> => void (await this.#reader().ask('forget', task));
    // A thread that is gone has forgotten all.
    forget().catch(() => undefined);
  }

  /** Of what takes long only so much is given to the reader at once, so that whatever is short stands near the front there. */
  #turnsOfPage({ limit }: { readonly limit: number }): FairTurns {
    return limit > shortPage ? this.#runs : this.#firsts;
  }

  #inTurn<Answer>(turns: FairTurns, asker: Asker | undefined, ask: () => Promise<Answer>): Promise<Answer> {
    return turns.use(asker?.name ?? own, asker?.signal, ask);
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
