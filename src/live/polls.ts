import type { Clock } from '../base/clock.ts';
import { RejectedError } from '../base/errors.ts';
import type { GapReason, LiveReading } from '../contract/live.ts';
import type { CommittedBatch } from '../domain/commit.ts';
import { formatCursor, parseCursor } from '../domain/cursor.ts';
import { isGlob } from '../domain/glob.ts';
import type { SeriesDirectory } from '../domain/series.ts';
import type { CommitStream, Stretch } from './commit-stream.ts';
import type { LiveLimits } from './limits.ts';
import { pickAll, type Rows } from './rows.ts';
import { SeriesFilter } from './series-filter.ts';
import type { LiveStats } from './stats.ts';

/** One `GET /stream`. */
export interface PollQuery {
  /** Globs. */
  readonly device: string;
  readonly metric: string;
  /** Go on after this cursor; left away, from now. */
  readonly since?: string | undefined;
  /** Readings after which the page ends with its commit, at least 1. */
  readonly limit: number;
  /** How long to wait for a matching commit when there is none yet; 0 answers at once. */
  readonly waitMs: number;
  /** Ends the wait; the page so far is the answer. */
  readonly signal?: AbortSignal | undefined;
}

export interface PollPage {
  /** Everything up to here was examined; the next poll begins after it. */
  readonly cursor: string;
  readonly readings: readonly LiveReading[];
  /** Set when commits after `since` cannot be told: the page goes on after `resumed`. */
  readonly gap: { readonly after: string; readonly resumed: string; readonly reason: GapReason } | null;
}

interface Waiting {
  readonly filter: SeriesFilter;
  position: number;
  readonly wake: () => void;
}

/** Stretches of the log one poll examines before it answers, found or not: a narrow filter must not scan for ever. */
const stretchesMax = 16;

/** The stream asked for page by page, with the wait of a long poll. Pages end with whole commits. */
export class Polls {
  readonly #stream: CommitStream;
  readonly #epoch: () => string;
  readonly #directory: SeriesDirectory;
  readonly #clock: Clock;
  readonly #limits: LiveLimits;
  readonly #stats: LiveStats;
  readonly #waiting = new Set<Waiting>();
  #isStopped = false;

  constructor(parts: {
    stream: CommitStream;
    epoch: () => string;
    directory: SeriesDirectory;
    clock: Clock;
    limits: LiveLimits;
    stats: LiveStats;
  }) {
    this.#stream = parts.stream;
    this.#epoch = parts.epoch;
    this.#directory = parts.directory;
    this.#clock = parts.clock;
    this.#limits = parts.limits;
    this.#stats = parts.stats;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * One page. Rejects with `RejectedError`: `cursor_invalid`, `filter_invalid`, `overloaded` (too many polls wait), or
   * with the error of the log.
   */
  async poll(query: PollQuery): Promise<PollPage> {
    if (!isGlob(query.device) || !isGlob(query.metric)) {
      throw new RejectedError('filter_invalid', 'filters hold name characters, *, ? and commas between alternatives');
    }
    this.#stats.polls++;
    const deadline = this.#clock.monotonic() + query.waitMs;
    const filter = new SeriesFilter(this.#directory, query.device, query.metric);
    let { position, gap } = this.#begin(query.since);
    const readings: LiveReading[] = [];
    for (let stretches = 0; stretches < stretchesMax && readings.length < query.limit && !query.signal?.aborted; ) {
      if (position >= this.#stream.position) {
        const left = deadline - this.#clock.monotonic();
        if (readings.length > 0 || gap || left <= 0 || this.#isStopped) break;
        position = await this.#nextMatch(filter, position, left, query.signal);
        continue;
      }
      const stretch = this.#stream.recent(position) ?? (await this.#stream.read(position));
      stretches++;
      if (stretch.resumableFrom === null) {
        position = this.#take(stretch, filter, query.limit, readings);
        if (position < stretch.last) break;
      } else if (readings.length > 0 || gap) {
        // What was found is an unbroken page; the next poll tells the gap.
        break;
      } else {
        gap = this.#gap(query.since ?? this.#cursor(position), stretch.resumableFrom, 'trimmed');
        position = stretch.resumableFrom;
      }
    }
    return { cursor: this.#cursor(position), readings, gap };
  }

  /** Looks at what was published since, and wakes whoever waits for it. */
  examine(stretchAfter: (position: number) => Stretch | null): void {
    for (const waiting of this.#waiting) {
      for (;;) {
        const stretch = stretchAfter(waiting.position);
        if (!stretch || stretch.batches.some((batch) => holdsMatch(batch, waiting.filter))) {
          waiting.wake();
          break;
        }
        waiting.position = stretch.last;
        if (stretch.last >= this.#stream.position) break;
      }
    }
  }

  /** Answers every waiting poll with what it has. */
  stop(): void {
    this.#isStopped = true;
    for (const waiting of this.#waiting) waiting.wake();
  }

  #begin(since: string | undefined): { position: number; gap: PollPage['gap'] } {
    const now = this.#stream.position;
    if (since === undefined) return { position: now, gap: null };
    const { epoch, seq } = parseCursor(since);
    if (epoch !== this.#epoch()) return { position: now, gap: this.#gap(since, now, 'epoch_changed') };
    if (seq > now) return { position: now, gap: this.#gap(since, now, 'ahead') };
    return { position: seq, gap: null };
  }

  /** Waits for a commit that matches; resolves with the position examined so far, match or not. */
  async #nextMatch(
    filter: SeriesFilter,
    position: number,
    waitMs: number,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    if (this.#waiting.size >= this.#limits.pollsMax) {
      throw new RejectedError('overloaded', `${this.#limits.pollsMax} polls are waiting already; try again later`);
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting: Waiting = { filter, position, wake: resolve };
    const timer = this.#clock.after(waitMs, resolve);
    const onAbort = (): void => resolve();
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#waiting.add(waiting);
    try {
      await promise;
      return waiting.position;
    } finally {
      this.#waiting.delete(waiting);
      timer.cancel();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Adds whole commits while the page stays within `limit`, its first in any case. Answers the last one examined. */
  #take(stretch: Stretch, filter: SeriesFilter, limit: number, readings: LiveReading[]): number {
    for (const batch of stretch.batches) {
      const rows = pickAll([batch], filter);
      if (readings.length > 0 && readings.length + rows.count > limit) return batch.seq - 1;
      this.#show(rows, readings);
    }
    return stretch.last;
  }

  #show(rows: Rows, readings: LiveReading[]): void {
    for (let row = 0; row < rows.count; row++) {
      const { device, metric } = this.#directory.series(rows.series[row]);
      readings.push({ device, metric, time: new Date(rows.times[row]).toISOString(), value: rows.values[row] });
    }
  }

  #gap(after: string, resumed: number, reason: GapReason): PollPage['gap'] {
    this.#stats.gaps++;
    return { after, resumed: this.#cursor(resumed), reason };
  }

  #cursor(seq: number): string {
    return formatCursor(this.#epoch(), seq);
  }
}

function holdsMatch({ readings }: CommittedBatch, filter: SeriesFilter): boolean {
  for (let row = 0; row < readings.count; row++) {
    if (filter.matches(readings.series[row])) return true;
  }
  return false;
}
