import { InvariantError, TransientError } from '../base/errors.ts';
import type { CommittedBatch } from '../domain/commit.ts';
import type { ReadingColumns } from '../domain/reading.ts';
import type { LiveLimits } from './limits.ts';
import { LogPages } from './log-pages.ts';
import type { ReadLog } from './ports.ts';

/** Consecutive commits: all after `after` up to and including `last`. Those that hold nothing may be left out. */
export interface Stretch {
  readonly after: number;
  readonly last: number;
  readonly batches: readonly CommittedBatch[];
  /** Set when commits right after `after` are trimmed: the position from which the log can still be read. */
  readonly resumableFrom: number | null;
}

/** Rough cost of a batch in memory beside its columns: four typed arrays, each with a buffer behind it. */
const batchOverhead = 1_500;
const bytesPerReading = 21;

/**
 * The published commits, as one stream that can be read from any position: the recent ones out of memory, at once;
 * older ones out of the commit log.
 *
 *     log:     ├──────────────────────────────┤ (may be ahead: committed, not yet published)
 *     memory:              (floor]├───────────┤ position
 *
 * Nothing after `position` is ever handed out, whatever the log holds: the hand-over from replay to live then has
 * neither a hole nor a duplicate, because both sides count in the same published commits.
 */
export class CommitStream {
  readonly #pages: LogPages;
  readonly #bytesMax: number;
  readonly #pageReadingsMax: number;
  #position: number;
  /** Commit n stands at index `#start + n − #floor − 1`; what stood before `#start` is let go. */
  #recent: (CommittedBatch | undefined)[] = [];
  #start = 0;
  #floor: number;
  #bytes = 0;
  #lastAnswer: { stretch: Stretch; readingsMax: number; position: number } | null = null;

  constructor(options: {
    position: number;
    readLog: ReadLog;
    onLogRead: () => void;
    limits: Pick<LiveLimits, 'recentBytesMax' | 'pageReadingsMax' | 'pagesKept'>;
  }) {
    this.#position = options.position;
    this.#floor = options.position;
    this.#bytesMax = options.limits.recentBytesMax;
    this.#pageReadingsMax = options.limits.pageReadingsMax;
    this.#pages = new LogPages({
      read: options.readLog,
      readingsMax: options.limits.pageReadingsMax,
      pagesKept: options.limits.pagesKept,
      onRead: options.onLogRead,
    });
  }

  /** The last published commit. */
  get position(): number {
    return this.#position;
  }

  /**
   * Takes the next commit and copies its columns, which stay the caller's. Where commits were skipped, memory begins
   * anew after the hole, and readers find what was skipped in the log.
   */
  append(batch: CommittedBatch): void {
    if (batch.seq <= this.#position) {
      throw new InvariantError(`commit ${batch.seq} was published after commit ${this.#position}`);
    }
    if (batch.seq !== this.#position + 1) {
      this.#recent = [];
      this.#start = 0;
      this.#bytes = 0;
      this.#floor = batch.seq - 1;
    }
    this.#recent.push({ ...batch, readings: copied(batch.readings) });
    this.#bytes += cost(batch);
    this.#position = batch.seq;
    while (this.#bytes > this.#bytesMax && this.#start < this.#recent.length - 1) {
      const oldest = this.#recent[this.#start];
      if (oldest) this.#bytes -= cost(oldest);
      this.#recent[this.#start++] = undefined;
      this.#floor++;
    }
    if (this.#start > 512 && this.#start * 2 > this.#recent.length) {
      this.#recent = this.#recent.slice(this.#start);
      this.#start = 0;
    }
  }

  /**
   * What was published after `after`, from memory; null where memory does not reach back so far. Stops after about
   * `readingsMax` readings. Asked the same twice, it answers with the same object, so that answers can be shared.
   */
  recent(after: number, readingsMax = this.#pageReadingsMax): Stretch | null {
    if (after < this.#floor) return null;
    const known = this.#lastAnswer;
    if (known?.stretch.after === after && known.readingsMax === readingsMax && known.position === this.#position) {
      return known.stretch;
    }
    const batches: CommittedBatch[] = [];
    let readings = 0;
    let index = this.#start + after - this.#floor;
    for (; index < this.#recent.length && readings < readingsMax; index++) {
      const batch = this.#recent[index];
      if (!batch) continue;
      readings += batch.readings.count;
      batches.push(batch);
    }
    const stretch = { after, last: batches.at(-1)?.seq ?? after, batches, resumableFrom: null };
    this.#lastAnswer = { stretch, readingsMax, position: this.#position };
    return stretch;
  }

  /** What was published after `after`, from memory or from the log. Rejects when the log cannot be read or is behind. */
  async read(after: number): Promise<Stretch> {
    const recent = this.recent(after);
    if (recent) return recent;
    const page = await this.#pages.page(after);
    if (page.firstKept > after + 1) {
      const resumableFrom = Math.min(page.firstKept - 1, this.#position);
      return { after, last: after, batches: [], resumableFrom };
    }
    const last = Math.min(page.last, this.#position);
    // Published is committed, so the log has it; asking again at once would only spin.
    if (last <= after) throw new TransientError(`the commit log ends at ${last}, behind commit ${this.#position}`);
    const batches = page.batches.filter((batch) => batch.seq > after && batch.seq <= last);
    return { after, last, batches, resumableFrom: null };
  }

  /** Lets go of pages of the log; called when nobody reads behind any more. */
  forgetPages(): void {
    this.#pages.forget();
  }
}

function cost(batch: CommittedBatch): number {
  return batchOverhead + batch.readings.count * bytesPerReading + batch.transitions.length * 500;
}

function copied(columns: ReadingColumns): ReadingColumns {
  const { count } = columns;
  return {
    count,
    series: columns.series.slice(0, count),
    times: columns.times.slice(0, count),
    values: columns.values.slice(0, count),
    kinds: columns.kinds.slice(0, count),
    texts: columns.texts.length === 0 ? columns.texts : [...columns.texts],
  };
}
