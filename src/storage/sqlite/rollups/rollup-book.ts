import { type RetentionPolicy, type RollupTier, rollupCutoff, rollupTiers } from '../../../domain/retention.ts';
import type { Database } from '../database.ts';
import { CorruptStoreError, Statements } from '../database.ts';
import type { Stretch } from '../chunks/head.ts';
import { firstAtOrAfter } from '../chunks/head.ts';
import { addMeta } from '../rows/meta.ts';
import { decodeRollup, encodeRollup } from './rollup-codec.ts';
import { RollupColumns, rollupPart } from './rollup-columns.ts';
import { RollupFold } from './rollup-fold.ts';
import { rollupId, windowBegin, windowCeiling } from './rollup-key.ts';
import { mixColumns } from './rollup-mix.ts';
import type { Span } from './rollup-reader.ts';
import { RollupRows } from './rollup-rows.ts';
import type { TierState } from './rollup-state.ts';
import type { RollupTask } from './rollup-task.ts';
import type { WriterState } from '../writer-state.ts';

/** Windows that one touch makes due at most; beyond them the rollup ends there and goes on anew. */
const dueMax = 64;

const tiers: readonly RollupTier[] = ['minute', 'hour'];
const keptForever: RetentionPolicy = { raw: null, minute: null, hour: null };

/**
 * Keeps rollups true. What they promise: a bucket that a series' row says is summed up, in a window that is not due, tells
 * exactly what the chunks hold; where readings are purged, what they held. So whoever writes or deletes readings of a
 * time says so here, within the same transaction.
 *
 * ```
 *        rawFrom                              to      sealed
 *   ───────┼──────────────────────────────────┼──────────┼──►
 *    rows  │  rows, made anew when due         │ not yet
 *    alone │
 * ```
 */
export class RollupBook {
  readonly #state: WriterState;
  readonly #statements: Statements;
  readonly #rows: RollupRows;
  /** What was handed out to be summed up and has not come back. */
  readonly #outstanding = new Map<number, Outstanding>();
  readonly #read = new RollupColumns();
  readonly #made = new RollupColumns();
  readonly #mixed = new RollupColumns();
  #hasDue = true;

  constructor(database: Database, state: WriterState) {
    this.#state = state;
    this.#statements = new Statements(database);
    this.#rows = new RollupRows(database);
    this.#rows.recall(state.rollups);
    state.rollups.reach(state.series.length);
  }

  /** Whether windows may be due. */
  get hasDue(): boolean {
    return this.#hasDue;
  }

  noDue(): void {
    this.#hasDue = false;
  }

  policyOf(series: number): RetentionPolicy {
    const { policies, ofSeries } = this.#state.retention;
    return policies[ofSeries[series] ?? Number.NaN] ?? keptForever;
  }

  /** Readings from `timeMin` to `timeMax` (both included) have been written. */
  touch(series: number, timeMin: number, timeMax: number): void {
    const { rollups } = this.#state;
    rollups.reach(series);
    if (timeMin < rollups.oldest[series]) rollups.oldest[series] = timeMin;
    if (timeMin < rollups.firstEnd[series]) rollups.firstEnd[series] = timeMin;
    this.#change(series, timeMin, timeMax);
  }

  /** What is summed up of this time, where its readings are kept, no longer holds. */
  #change(series: number, timeMin: number, timeMax: number): void {
    const { rollups } = this.#state;
    this.#outdate(series, timeMin, timeMax);
    for (const tier of tiers) {
      const told = rollups.tier(tier);
      if (told.isEmpty(series)) continue;
      // NaN where nothing is purged.
      const from = Math.max(timeMin, told.from[series], rollups.rawFrom[series] || Number.NEGATIVE_INFINITY);
      const to = Math.min(timeMax + 1, told.to[series]);
      if (from < to) this.#makeDue(series, tier, from, to);
    }
  }

  /**
   * Readings of a head whose time is purged go into the rollups and nowhere else. Returns how many of the first ones
   * that are. A reading of a time that was summed up with another value counts beside it.
   */
  absorb(series: number, head: Stretch): number {
    const { rollups } = this.#state;
    rollups.reach(series);
    const rawFrom = rollups.rawFrom[series];
    const count = Number.isNaN(rawFrom) ? 0 : firstAtOrAfter(head.times, head.count, rawFrom);
    if (count === 0) return 0;
    this.#outdate(series, head.times[0], head.times[count - 1]);
    const { windowMs } = rollupTiers.minute;
    for (let row = 0; row < count; ) {
      const begin = windowBegin('minute', head.times[row]);
      const span = { from: begin, to: Math.min(begin + windowMs, rawFrom) };
      for (const tier of this.#tiersOf(series, span)) {
        this.#mixIn(series, tier, head, span);
        const told = rollups.tier(tier);
        const toldFrom = told.isEmpty(series) ? rawFrom : told.from[series];
        extend(told, series, span.from, span.to);
        // Readings that are kept lie in between, and nobody has summed them up.
        if (rawFrom < toldFrom) this.#makeDue(series, tier, rawFrom, toldFrom);
      }
      row = firstAtOrAfter(head.times, head.count, span.to);
    }
    this.#rows.note(series, rollups);
    addMeta(this.#statements, 'purged_readings', count);
    return count;
  }

  /**
   * Readings in `[from, to)` have been deleted; buckets of purged readings that lie wholly in it go as well. True when
   * nothing is left of purged readings by that: then nothing forbids old ones any more.
   */
  erase({ id: series }: { readonly id: number }, from: number, to: number): boolean {
    const { rollups } = this.#state;
    rollups.reach(series);
    const rawFrom = rollups.rawFrom[series];
    const isPurgedErased = this.#isPurgedErased(series, from, to);
    // A range without ends says nothing of where readings are.
    this.#change(series, from, to - 1);
    const purgedTo = Math.min(to, rawFrom || Number.NEGATIVE_INFINITY);
    for (const tier of tiers) {
      const told = rollups.tier(tier);
      if (told.isEmpty(series)) continue;
      const { bucketMs } = rollupTiers[tier];
      const begin = Math.max(Math.ceil(from / bucketMs) * bucketMs, told.from[series]);
      const reach = Math.min(purgedTo, told.to[series]) / bucketMs;
      // The last of them may hold readings that are kept, too.
      const end = (isPurgedErased ? Math.ceil(reach) : Math.floor(reach)) * bucketMs;
      if (begin < end) this.#eraseBuckets(series, tier, begin, end);
      const last = Math.min(end, told.to[series]);
      if (isPurgedErased && last > rawFrom) this.#makeDue(series, tier, rawFrom, last);
    }
    return isPurgedErased;
  }

  /** Whether no sums of purged readings are left when `[from, to)` is erased, and no chunk that reaches across. */
  #isPurgedErased(series: number, from: number, to: number): boolean {
    const { rollups } = this.#state;
    // NaN where nothing is purged.
    if (!(to >= rollups.rawFrom[series])) return false;
    for (const tier of tiers) {
      const told = rollups.tier(tier);
      if (!told.isEmpty(series) && told.from[series] < from) return false;
    }
    // A series remembers its newest reading when that is purged, and takes it for kept when it comes again.
    const newest = this.#state.newest.times[series];
    if (newest < from && newest !== Number.NEGATIVE_INFINITY) return false;
    const oldest = rollups.oldest[series];
    if (!Number.isNaN(oldest)) return from <= oldest;
    const before = this.#statements.get('SELECT 1 FROM kept_chunk WHERE series = ? AND time_min < ? LIMIT 1');
    return before.get(series, from) === undefined;
  }

  /** Whether the rollup of this tier tells all of `[from, to)`. */
  tells(series: number, tier: RollupTier, from: number, to: number): boolean {
    const told = this.#state.rollups.tier(tier);
    if (told.isEmpty(series) || told.from[series] > from || told.to[series] < to) return false;
    return !this.#isDue(series, tier, from, to);
  }

  /** Whether what is summed up before `cutoff` waits to be made anew. */
  isDueBefore(series: number, tier: RollupTier, cutoff: number): boolean {
    const told = this.#state.rollups.tier(tier);
    if (told.isEmpty(series)) return false;
    return this.#isDue(series, tier, told.from[series], Math.min(cutoff, told.to[series]));
  }

  /** Hands a task out: from here on it is noted when its time is touched. */
  handOut(task: RollupTask): void {
    this.#outstanding.set(task.id, { task, isOutdated: false });
  }

  /** A task came back; null when it is not known or was outdated meanwhile. */
  takeBack(id: number): RollupTask | null {
    const outstanding = this.#outstanding.get(id);
    this.#outstanding.delete(id);
    return outstanding && !outstanding.isOutdated ? outstanding.task : null;
  }

  /** What is still out will not come back. */
  forgetTasks(): void {
    this.#outstanding.clear();
  }

  /** Whether what is summed up in `[from, to)` waits to be made anew. */
  #isDue(series: number, tier: RollupTier, from: number, to: number): boolean {
    if (!this.#hasDue || from >= to) return false;
    return this.#rows.hasDue(rollupId(series, tier, windowBegin(tier, from)), rollupId(series, tier, to - 1));
  }

  #outdate(series: number, timeMin: number, timeMax: number): void {
    for (const outstanding of this.#outstanding.values()) {
      const { task } = outstanding;
      // An hour is made of minutes, and a window is written whole.
      if (
        task.series === series &&
        timeMin < windowCeiling(task.tier, task.to) &&
        timeMax >= windowBegin(task.tier, task.from)
      ) {
        outstanding.isOutdated = true;
      }
    }
  }

  #makeDue(series: number, tier: RollupTier, from: number, to: number): void {
    const { windowMs } = rollupTiers[tier];
    const begin = windowBegin(tier, from);
    if (to - begin > dueMax * windowMs) {
      this.#endAt(series, tier, Math.max(begin, from));
      return;
    }
    for (let at = begin; at < to; at += windowMs) this.#rows.addDue(rollupId(series, tier, at));
    this.#hasDue = true;
  }

  /** The rollup ends at `end`; what came after it is wanted again. */
  #endAt(series: number, tier: RollupTier, end: number): void {
    const { rollups } = this.#state;
    const told = rollups.tier(tier);
    const last = rollupId(series, tier, told.to[series] - 1);
    const kept = windowCeiling(tier, end);
    this.#rows.removeBetween(rollupId(series, tier, kept), last);
    this.#rows.removeDue(rollupId(series, tier, kept), last);
    want(told, series, end, told.to[series]);
    told.to[series] = end;
    this.#rows.note(series, rollups);
    this.#state.rollupsWanted.add(series);
  }

  /** The tiers that tell of purged times in a window of minutes; where none does, the one that shall. */
  #tiersOf(series: number, { from, to }: Span): readonly RollupTier[] {
    const { rollups, lastCommitAt } = this.#state;
    const telling = tiers.filter((tier) => {
      const told = rollups.tier(tier);
      return !told.isEmpty(series) && told.from[series] < to && told.to[series] > from;
    });
    if (telling.length > 0) return telling;
    const policy = this.policyOf(series);
    const wanted = tiers.find((tier) => rollupCutoff(policy, tier, lastCommitAt) <= from);
    return wanted ? [wanted] : [];
  }

  #mixIn(series: number, tier: RollupTier, head: Stretch, { from, to }: Span): void {
    const begin = windowBegin(tier, from);
    const id = rollupId(series, tier, begin);
    this.#made.clear();
    const fold = new RollupFold(tier, this.#made);
    fold.addSamples(head, from, to);
    fold.finish();
    this.#decode(id, { tier, begin });
    mixColumns(this.#read, this.#made, this.#mixed);
    this.#rows.put(id, encodeRollup(tier, begin, this.#mixed));
  }

  #eraseBuckets(series: number, tier: RollupTier, begin: number, end: number): void {
    const { windowMs } = rollupTiers[tier];
    const whole = { from: windowCeiling(tier, begin), to: windowBegin(tier, end) };
    if (whole.from < whole.to) {
      this.#rows.removeBetween(rollupId(series, tier, whole.from), rollupId(series, tier, whole.to - 1));
    }
    for (const window of new Set([windowBegin(tier, begin), windowBegin(tier, end)])) {
      if (window >= whole.from && window < whole.to) continue;
      if (window >= end || window + windowMs <= begin) continue;
      this.#eraseIn(series, tier, window, { from: begin, to: end });
    }
  }

  #eraseIn(
    series: number,
    tier: RollupTier,
    begin: number,
    span: { readonly from: number; readonly to: number },
  ): void {
    const id = rollupId(series, tier, begin);
    if (!this.#decode(id, { tier, begin })) return;
    const left = this.#mixed;
    left.clear();
    left.digits = this.#read.digits;
    for (let row = 0; row < this.#read.to; row++) {
      const bucket = this.#read.begins[row];
      if (bucket < span.from || bucket >= span.to) left.append(bucket, this.#read.summaryAt(row));
    }
    this.#rows.put(id, left.to === 0 ? null : encodeRollup(tier, begin, left));
  }

  /** Unpacks a row into `#read`; false, and nothing in it, when there is none or it is damaged. */
  #decode(id: number, window: { readonly tier: RollupTier; readonly begin: number }): boolean {
    this.#read.clear();
    const bytes = this.#rows.bytes(id);
    if (bytes === null) return false;
    try {
      decodeRollup(bytes, window, rollupPart.all, this.#read);
      return true;
    } catch (error) {
      if (!(error instanceof CorruptStoreError)) throw error;
      this.#read.clear();
      return false;
    }
  }
}

interface Outstanding {
  readonly task: RollupTask;
  isOutdated: boolean;
}

/** Asks for the rollup of `[from, to)`, whole buckets, beside what was asked for before. */
export function want(told: TierState, series: number, from: number, to: number): void {
  const { wantedFrom, wantedTo } = told;
  wantedFrom[series] = Number.isNaN(wantedFrom[series]) ? from : Math.min(wantedFrom[series], from);
  wantedTo[series] = Number.isNaN(wantedTo[series]) ? to : Math.max(wantedTo[series], to);
}

/** `[from, to)` is summed up, and everything between it and what was before. */
export function extend(told: TierState, series: number, from: number, to: number): void {
  const isEmpty = told.isEmpty(series);
  told.from[series] = isEmpty ? from : Math.min(told.from[series], from);
  told.to[series] = isEmpty ? to : Math.max(told.to[series], to);
}
