import type { Clock } from '../../../base/clock.ts';
import { rawCutoff, type RollupTier, rollupCutoff, rollupTiers } from '../../../domain/retention.ts';
import type { ChunkStore } from '../chunks/chunk-store.ts';
import type { Database } from '../database.ts';
import { Statements } from '../database.ts';
import { addMeta } from '../rows/meta.ts';
import type { RollupBook } from '../rollups/rollup-book.ts';
import type { ChunkSpan, RollupDesk } from '../rollups/rollup-desk.ts';
import { rollupId, windowBegin } from '../rollups/rollup-key.ts';
import { RollupRows } from '../rollups/rollup-rows.ts';
import type { SeriesState } from '../series-state.ts';
import { StepPace } from './step-pace.ts';
import type { Transaction } from '../transaction.ts';
import type { WriterState } from '../writer-state.ts';

/** Chunks of a series that go before a step looks at the clock. */
const chunksAtATime = 16;
/** Series that one step looks at, at least and at most. */
const seriesMin = 32;
const seriesMax = 512;
/** Windows of rollups that one step deletes. */
const windowsPerStep = 64;

const tiers: readonly RollupTier[] = ['minute', 'hour'];

export interface PurgeParts {
  /** The one for what makes room. */
  readonly transaction: Transaction;
  readonly chunks: ChunkStore;
  readonly rollups: RollupBook;
  readonly desk: RollupDesk;
  readonly sealer: { mark(series: SeriesState): void };
  readonly clock: Pick<Clock, 'monotonic'>;
}

/** Chunks of a series whose readings are all before `cutoff` are to go. */
export interface PurgeOrder {
  readonly series: SeriesState;
  readonly cutoff: number;
}

/**
 * Deletes what is kept no longer: whole chunks, never unpacked, once what the policy wants to be left of them is summed
 * up; then rollups. Time is that of the newest commit. From the first chunk that goes on, `raw_from` of the series tells
 * that readings before the cutoff are gone, though a chunk that reaches across it stays until its last reading is out.
 */
export class Purger {
  readonly #state: WriterState;
  readonly #statements: Statements;
  readonly #rows: RollupRows;
  readonly #parts: PurgeParts;
  readonly #due = new Map<number, PurgeOrder>();
  /** Those for which something has to be sealed or summed up before. */
  #waiting: PurgeOrder[] = [];
  readonly #rollupsDue = new Set<number>();
  readonly #pace: StepPace;
  #seriesPerStep = seriesMin;

  constructor(database: Database, state: WriterState, parts: PurgeParts) {
    this.#state = state;
    this.#statements = new Statements(database);
    this.#rows = new RollupRows(database);
    this.#parts = parts;
    this.#pace = new StepPace(parts.clock);
  }

  /** Some time has passed or the plan is another: finds what is to go of the series from `begin` to `end`. */
  look(begin: number, end: number): void {
    const { series: all, rollups, retention, lastCommitAt } = this.#state;
    const cutoffs = retention.policies.map((policy) => rawCutoff(policy, lastCommitAt));
    for (let id = begin; id < end; id++) {
      const series = all[id];
      if (!series) continue;
      const cutoff = cutoffs[retention.ofSeries[id] ?? Number.NaN];
      if (cutoff === undefined) continue;
      // NaN where it is not known: not yet.
      const isOver = rollups.firstEnd[id] < cutoff || (series.head.count > 0 && series.head.firstTime < cutoff);
      if (isOver) this.#due.set(id, { series, cutoff });
      if (this.#isRollupOver(id)) this.#rollupsDue.add(id);
    }
  }

  /** Heads have been sealed or readings summed up: what waited for that is tried again. */
  retry(): void {
    for (const order of this.#waiting) if (!this.#due.has(order.series.id)) this.#due.set(order.series.id, order);
    this.#waiting = [];
  }

  /** Deletes a little; true when there is more. Throws `TransactionError`; then nothing was deleted. */
  step(): boolean {
    const ready: PurgeOrder[] = [];
    let tried = 0;
    for (const [id, order] of this.#due) {
      if (tried++ === this.#seriesPerStep) break;
      this.#due.delete(id);
      if (this.#isVoid(order)) continue;
      if (this.isReady(order)) ready.push(order);
      else this.#waiting.push(order);
    }
    if (tried > 0) {
      const left = this.purge(ready);
      for (const order of left) this.#due.set(order.series.id, order);
      // Not many more than it gets done, each of which would be looked at again.
      this.#seriesPerStep = Math.min(Math.max((tried - left.length) * 2, seriesMin), seriesMax);
    } else this.#stepRollups();
    return this.#due.size > 0 || this.#rollupsDue.size > 0;
  }

  /** Whether the plan changed since: it keeps what was to go. */
  #isVoid({ series: { id }, cutoff }: PurgeOrder): boolean {
    return rawCutoff(this.#parts.rollups.policyOf(id), this.#state.lastCommitAt) < cutoff;
  }

  #stepRollups(): void {
    for (const series of this.#rollupsDue) {
      const isMore = tiers.some((tier) => this.purgeRollups(series, tier, this.#rollupCutoffOf(series, tier)));
      if (!isMore) this.#rollupsDue.delete(series);
      return;
    }
  }

  /** Whether nothing before the cutoff is unsealed, and all is summed up that shall be; if not, that is asked for. */
  isReady({ series, cutoff }: PurgeOrder, wanted?: readonly RollupTier[]): boolean {
    if (series.head.count > 0 && series.head.firstTime < cutoff) {
      this.#parts.sealer.mark(series);
      return false;
    }
    return this.#parts.desk.isToldBefore(series.id, cutoff, wanted);
  }

  /** Carries orders out in one transaction as far as a step goes; returns those not done. */
  purge(orders: readonly PurgeOrder[]): readonly PurgeOrder[] {
    if (orders.length === 0) return [];
    const { transaction, chunks, desk } = this.#parts;
    const { rollups } = this.#state;
    this.#pace.begin();
    const ends: ChunkSpan[] = [];
    const isLastDone = chunks.change(transaction, 'deleted', (edit) => {
      // Anew, should the transaction be run again.
      ends.length = 0;
      let readings = 0;
      let isDone = true;
      for (const { series, cutoff } of orders) {
        // With the first chunk that goes, so that what is left is not taken for all there was.
        if (this.#holdsBefore(series.id, cutoff) && !(rollups.rawFrom[series.id] >= cutoff)) {
          this.#statements
            .get('UPDATE series SET raw_from = ?1 WHERE id = ?2 AND coalesce(raw_from < ?1, 1)')
            .run(cutoff, series.id);
        }
        do {
          const removed = edit.removeBefore(series, cutoff, chunksAtATime);
          readings += removed.readings;
          isDone = removed.chunks < chunksAtATime;
        } while (!isDone && !this.#pace.isOver);
        ends.push(desk.spanOf(series.id));
        if (this.#pace.isOver) break;
      }
      addMeta(this.#statements, 'purged_readings', readings);
      return isDone;
    });
    for (const [at, { oldest, firstEnd }] of ends.entries()) {
      const { series, cutoff } = orders[at];
      if (this.#holdsBefore(series.id, cutoff)) {
        rollups.moveRawFrom(series.id, Math.max(cutoff, rollups.rawFrom[series.id] || cutoff));
      }
      rollups.oldest[series.id] = oldest;
      rollups.firstEnd[series.id] = firstEnd;
    }
    this.#pace.end();
    return orders.slice(isLastDone ? ends.length : ends.length - 1);
  }

  /** Whether chunks may hold readings before `cutoff` that nobody has erased. */
  #holdsBefore(series: number, cutoff: number): boolean {
    // NaN where it is not known.
    return !(this.#state.rollups.oldest[series] >= cutoff);
  }

  /** Deletes a few windows of a rollup before `cutoff`; true when there may be more. */
  purgeRollups(series: number, tier: RollupTier, cutoff: number): boolean {
    const told = this.#state.rollups.tier(tier);
    if (told.isEmpty(series) || told.from[series] >= cutoff) return false;
    const from = told.from[series];
    const to = Math.min(cutoff, told.to[series]);
    const end = this.#rows.beginAfter(series, tier, { from: windowBegin(tier, from), to }, windowsPerStep);
    const last = rollupId(series, tier, end) - (end % rollupTiers[tier].windowMs === 0 ? 1 : 0);
    this.#parts.transaction.run(() => {
      this.#rows.removeBetween(rollupId(series, tier, from), last);
      this.#rows.removeDue(rollupId(series, tier, from), last);
      told.from[series] = end;
      try {
        this.#rows.note(series, this.#state.rollups);
      } finally {
        told.from[series] = from;
      }
    });
    told.from[series] = end;
    return end < to;
  }

  #isRollupOver(series: number): boolean {
    for (const tier of tiers) {
      const told = this.#state.rollups.tier(tier);
      if (!told.isEmpty(series) && told.from[series] < this.#rollupCutoffOf(series, tier)) return true;
    }
    return false;
  }

  /** Minutes stay until the hours are made of them. */
  #rollupCutoffOf(series: number, tier: RollupTier): number {
    const { lastCommitAt } = this.#state;
    const { rollups, desk } = this.#parts;
    const policy = rollups.policyOf(series);
    const cutoff = rollupCutoff(policy, tier, lastCommitAt);
    if (tier === 'hour' || cutoff === Number.NEGATIVE_INFINITY) return cutoff;
    if (rollupCutoff(policy, 'hour', lastCommitAt) >= cutoff) return cutoff;
    const { from, to } = this.#state.rollups.minute;
    const whole = cutoff === Number.POSITIVE_INFINITY ? to[series] : windowBegin('hour', cutoff);
    if (from[series] >= whole) return Number.NEGATIVE_INFINITY;
    return desk.areHoursToldBefore(series, whole) ? whole : Number.NEGATIVE_INFINITY;
  }
}
