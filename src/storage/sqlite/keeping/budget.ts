import type { RollupTier } from '../../../domain/retention.ts';
import { rollupTiers } from '../../../domain/retention.ts';
import type { Database } from '../database.ts';
import { numberIn, Statements } from '../database.ts';
import { readMeta } from '../rows/meta.ts';
import type { PurgeOrder, Purger } from './purge.ts';
import { windowBegin } from '../rollups/rollup-key.ts';
import type { WriterState } from '../writer-state.ts';

/** When there is too much, so much more goes that the next readings find room. */
const leftShare = 0.98;
/** Beyond this share of the budget the oldest rollups go before readings that are newer. */
const rollupsShare = 0.5;
/** Readings of the last minutes stay, whatever the budget says, ms. */
const sparedMs = 15 * 60_000;
/** Chunks that begin within this time of the oldest are as good as the oldest, ms. */
const togetherMs = 10 * 60_000;
const seriesPerStep = 64;
const hoursOnly: readonly RollupTier[] = ['hour'];

/** `too_small`: nothing is left that could go, and yet it is too much. */
export type BudgetState = 'kept' | 'purging' | 'too_small';

/**
 * Keeps the pages in use below a number of bytes: the oldest readings of the whole store go first, window by window once
 * they are summed up, as far as their policy wants that; then rollups. Where not even one window fits, chunks go before
 * they are summed up.
 */
export class Budget {
  readonly #database: Database;
  readonly #statements: Statements;
  readonly #state: WriterState;
  readonly #purger: Purger;
  readonly #bytesMax: number;
  #isOver = false;
  #isTooSmall = false;

  /** `bytesMax` 0: no bound. */
  constructor(database: Database, state: WriterState, purger: Purger, bytesMax: number) {
    this.#database = database;
    this.#statements = new Statements(database);
    this.#state = state;
    this.#purger = purger;
    this.#bytesMax = bytesMax;
  }

  get state(): BudgetState {
    if (this.#isTooSmall) return 'too_small';
    return this.#isOver ? 'purging' : 'kept';
  }

  /** Some time has passed: is it too much? */
  look(): void {
    if (this.#bytesMax === 0) return;
    this.#isOver = this.usedBytes() > this.#bytesMax;
    if (!this.#isOver) this.#isTooSmall = false;
  }

  /** Deletes a little; true when there is more. Throws `TransactionError`; then nothing was deleted. */
  step(): boolean {
    if (!this.#isOver) return false;
    if (this.usedBytes() <= this.#bytesMax * leftShare) {
      this.#isOver = false;
      return false;
    }
    const rollupBytes = Number(readMeta(this.#statements, 'rollup_bytes') ?? 0);
    if (rollupBytes > this.#bytesMax * rollupsShare && this.#purgeOldestRollup()) return true;
    const orders = this.#oldest();
    if (orders === null) {
      this.#isTooSmall = !this.#purgeOldestRollup();
      return !this.#isTooSmall;
    }
    this.#isTooSmall = false;
    // What has to be summed up first is asked for, and is there before the next look.
    this.#purger.purge(orders);
    return orders.length > 0;
  }

  /** Bytes of the pages that hold something. */
  usedBytes(): number {
    const pages = this.#database.number('PRAGMA page_count') - this.#database.number('PRAGMA freelist_count');
    return pages * this.#database.number('PRAGMA page_size');
  }

  /** Orders for the oldest readings of all that are ready to go, perhaps none yet; null when no reading is to go. */
  #oldest(): PurgeOrder[] | null {
    const { rollups, series: all, lastCommitAt } = this.#state;
    const { oldest, firstEnd, rawFrom } = rollups;
    // What reaches across the time that is purged is as old as that; what lies before it was not reached by the last step.
    const age = (id: number): number =>
      rawFrom[id] > oldest[id] && firstEnd[id] >= rawFrom[id] ? rawFrom[id] : oldest[id];
    let least = Number.POSITIVE_INFINITY;
    for (let id = 1; id < all.length; id++) if (age(id) < least) least = age(id);
    const spared = lastCommitAt - sparedMs;
    if (least >= spared) return null;
    const windowEnd = windowBegin('minute', least) + rollupTiers.minute.windowMs;
    const isWindowOver = windowEnd <= windowBegin('minute', lastCommitAt);
    const before = isWindowOver ? windowEnd : Math.min(least + togetherMs, spared);
    const orders: PurgeOrder[] = [];
    for (let id = 1; id < all.length && orders.length < seriesPerStep; id++) {
      const series = age(id) < before ? all[id] : undefined;
      if (!series) continue;
      const end = isWindowOver ? windowEnd : Math.min(this.#endOfOldest(series.id, age(series.id)), spared);
      const order = { series, cutoff: Math.max(end, rawFrom[id] || end) };
      // Minutes of a slow series take more room than its readings: only hours are made of them.
      const wanted = rollups.minute.isEmpty(series.id) ? hoursOnly : undefined;
      if (!isWindowOver || this.#purger.isReady(order, wanted)) orders.push(order);
    }
    return orders;
  }

  /** Where the oldest chunk of a series that is not yet purged ends. */
  #endOfOldest(series: number, from: number): number {
    const row = this.#statements
      .get('SELECT time_max FROM kept_chunk WHERE series = ? AND late = 0 AND time_max >= ? ORDER BY time_max LIMIT 1')
      .get(series, from);
    return row ? numberIn(row, 0) + 1 : from + togetherMs;
  }

  #purgeOldestRollup(): boolean {
    for (const tier of ['minute', 'hour'] as const) {
      const series = this.#oldestRollup(tier);
      if (series === null) continue;
      const { from, to } = this.#state.rollups.tier(tier);
      const end = windowBegin(tier, from[series]) + rollupTiers[tier].windowMs;
      this.#purger.purgeRollups(series, tier, Math.min(end, to[series]));
      return true;
    }
    return false;
  }

  #oldestRollup(tier: RollupTier): number | null {
    const told = this.#state.rollups.tier(tier);
    let found: number | null = null;
    for (const series of this.#state.series) {
      if (!series || told.isEmpty(series.id)) continue;
      if (found === null || told.from[series.id] < told.from[found]) found = series.id;
    }
    return found;
  }
}
