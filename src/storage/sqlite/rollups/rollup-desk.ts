import { type RollupTier, rollupCutoff, rollupTiers } from '../../../domain/retention.ts';
import type { Database } from '../database.ts';
import { numberIn, Statements } from '../database.ts';
import { extend, type RollupBook, want } from './rollup-book.ts';
import { rollupId, rollupOf, windowBegin } from './rollup-key.ts';
import { RollupRows } from './rollup-rows.ts';
import type { RollupResult, RollupTask } from './rollup-task.ts';
import type { Transaction } from '../transaction.ts';
import type { WriterState } from '../writer-state.ts';

/** Windows handed out at a time: what comes back is written in one transaction, some hundred kilobytes at most. */
const windowsMax = 48;
/** Windows in one task. */
const spanWindows: Readonly<Record<RollupTier, number>> = { minute: 16, hour: 2 };
/** Series of which the oldest chunk is looked up at a time. */
const surveyMax = 4_096;

const tiers: readonly RollupTier[] = ['minute', 'hour'];

/** No chunk of a series holds an older reading, none ends before; infinite without chunks. */
export interface ChunkSpan {
  readonly oldest: number;
  readonly firstEnd: number;
}

const noChunks: ChunkSpan = { oldest: Number.POSITIVE_INFINITY, firstEnd: Number.POSITIVE_INFINITY };

/**
 * Says what is to be summed up, hands it out to the maintenance thread and writes what comes back.
 *
 * Windows that all chunks have passed are looked at once, and summed up where that saves much; other windows when their
 * readings are about to be purged; windows that were touched after that again. A rollup of a series has no gaps: from the
 * first window made to the last, all are. Nothing of this is needed for being right, so nothing of it is kept beyond what
 * the rows of series say.
 */
export class RollupDesk {
  readonly #state: WriterState;
  readonly #statements: Statements;
  readonly #rows: RollupRows;
  readonly #book: RollupBook;
  readonly #transaction: Transaction;
  #nextTask = 1;
  #surveyed = 0;

  constructor(database: Database, state: WriterState, transaction: Transaction, book: RollupBook) {
    this.#state = state;
    this.#statements = new Statements(database);
    this.#rows = new RollupRows(database);
    this.#book = book;
    this.#transaction = transaction;
  }

  /** Some time has passed: finds series with windows that nobody has looked at, among those from `begin` to `end`. */
  look(begin: number, end: number): void {
    const { rollups, series: all, rollupsWanted } = this.#state;
    rollups.reach(all.length);
    this.#survey();
    for (let id = begin; id < end; id++) {
      if (tiers.some((tier) => this.#lookSpan(id, tier) !== null)) rollupsWanted.add(id);
    }
  }

  /** Whether `tasks` would have something to hand out. */
  get isWanted(): boolean {
    return this.#book.hasDue || this.#state.rollupsWanted.size > 0;
  }

  /**
   * Asks for the rollups that shall outlive the readings of a series before `cutoff`, and says whether they are all
   * there. `wanted`: in which tiers. What else there is of them, though it shall not stay for long, must be made anew
   * where it is due: nobody could once the readings are gone.
   */
  isToldBefore(series: number, cutoff: number, wanted = tiers): boolean {
    const { lastCommitAt, rollups } = this.#state;
    const policy = this.#book.policyOf(series);
    if (Number.isNaN(rollups.oldest[series])) this.measure(series);
    const oldest = Math.max(rollups.oldest[series], rollups.rawFrom[series] || Number.NEGATIVE_INFINITY);
    let isTold = true;
    let to = cutoff;
    for (const tier of wanted) {
      const kept = rollupCutoff(policy, tier, lastCommitAt);
      const from = Math.max(oldest, kept);
      if (from < to && !this.#tells(series, tier, windowBegin(tier, from), to)) isTold = false;
      // Hours are made of minutes as long as there are any; for what is older they are made of readings.
      to = Math.min(to, kept);
    }
    return isTold && !tiers.some((tier) => this.#book.isDueBefore(series, tier, cutoff));
  }

  /** The same before minutes are purged, which the hours are made of. */
  areHoursToldBefore(series: number, cutoff: number): boolean {
    const { lastCommitAt, rollups } = this.#state;
    const kept = rollupCutoff(this.#book.policyOf(series), 'hour', lastCommitAt);
    const from = windowBegin('hour', Math.max(rollups.minute.from[series], kept));
    return kept >= cutoff || from >= cutoff || this.#tells(series, 'hour', from, cutoff);
  }

  /** What the maintenance thread is to do next. What was handed out before and did not come back is forgotten. */
  tasks(): RollupTask[] {
    this.#book.forgetTasks();
    const tasks: RollupTask[] = [];
    let windows = this.#dueTasks(tasks);
    for (const series of this.#state.rollupsWanted) {
      if (windows >= windowsMax) break;
      let isIdle = true;
      for (const tier of tiers) {
        const task = this.#wantedTask(series, tier) ?? this.#lookTask(series, tier);
        if (!task) continue;
        isIdle = false;
        // A row is written whole: what is due in it comes first, or would be written over by what it was.
        if (task.kind === 'make' && this.#touchesDue(task)) continue;
        tasks.push(task);
        windows += (task.to - task.from) / rollupTiers[tier].windowMs;
      }
      if (isIdle) this.#state.rollupsWanted.delete(series);
    }
    for (const task of tasks) this.#book.handOut(task);
    return tasks;
  }

  /** Writes what came back, unless it was touched meanwhile. Throws `TransactionError`; then nothing was. */
  accept(results: readonly RollupResult[]): void {
    const { rollups } = this.#state;
    const accepted: { task: RollupTask; result: RollupResult }[] = [];
    for (const result of results) {
      const task = this.#book.takeBack(result.id);
      if (task) accepted.push({ task, result });
    }
    if (accepted.length === 0) return;
    const before = new Map<number, readonly number[]>();
    const { minute, hour } = rollups;
    const columns = [minute.from, minute.to, minute.looked, minute.wantedFrom, minute.wantedTo];
    columns.push(hour.from, hour.to, hour.looked, hour.wantedFrom, hour.wantedTo);
    for (const { task } of accepted)
      before.set(
        task.series,
        columns.map((column) => column[task.series]),
      );
    try {
      this.#transaction.run(() => {
        for (const { task, result } of accepted) this.#apply(task, result);
        for (const series of before.keys()) this.#rows.note(series, rollups);
      });
    } catch (error) {
      for (const [series, values] of before) for (const [at, value] of values.entries()) columns[at][series] = value;
      throw error;
    }
  }

  #apply(task: RollupTask, result: RollupResult): void {
    const { series, tier, from, to } = task;
    const told = this.#state.rollups.tier(tier);
    if (result.kind === 'look') {
      told.looked[series] = result.to;
      if (result.worth) want(told, series, told.isEmpty(series) ? result.worth.from : told.to[series], result.worth.to);
      return;
    }
    for (const { id, bytes } of result.rows) {
      this.#rows.put(id, bytes);
      this.#rows.removeDue(id, id);
    }
    if (from >= to) return;
    extend(told, series, from, to);
    if (told.wantedFrom[series] >= told.from[series] && told.wantedTo[series] <= told.to[series]) {
      told.wantedFrom[series] = Number.NaN;
      told.wantedTo[series] = Number.NaN;
    }
  }

  #tells(series: number, tier: RollupTier, from: number, cutoff: number): boolean {
    if (from >= cutoff || this.#book.tells(series, tier, from, cutoff)) return true;
    want(this.#state.rollups.tier(tier), series, from, cutoff);
    this.#state.rollupsWanted.add(series);
    return false;
  }

  /** Windows that were touched; returns how many. */
  #dueTasks(tasks: RollupTask[]): number {
    if (!this.#book.hasDue) return 0;
    const due = this.#rows.due(0, windowsMax);
    const idle: number[] = [];
    for (const id of due) {
      const { series, tier, begin } = rollupOf(id);
      const { rollups } = this.#state;
      const told = rollups.tier(tier);
      const from = Math.max(begin, told.from[series], rollups.rawFrom[series] || begin);
      const to = Math.min(begin + rollupTiers[tier].windowMs, told.to[series]);
      if (from < to) tasks.push({ id: this.#nextTask++, kind: 'make', series, tier, from, to });
      else idle.push(id);
    }
    if (idle.length > 0) this.#transaction.run(() => idle.forEach((id) => this.#rows.removeDue(id, id)));
    if (due.length === 0) this.#book.noDue();
    return tasks.length;
  }

  /** Whether a window that the task writes was touched. */
  #touchesDue({ series, tier, from, to }: RollupTask): boolean {
    const first = rollupId(series, tier, windowBegin(tier, from));
    return this.#book.hasDue && this.#rows.hasDue(first, rollupId(series, tier, to - 1));
  }

  #wantedTask(series: number, tier: RollupTier): RollupTask | null {
    const told = this.#state.rollups.tier(tier);
    const wantedFrom = told.wantedFrom[series];
    const wantedTo = told.wantedTo[series];
    if (Number.isNaN(wantedFrom)) return null;
    const span = spanWindows[tier] * rollupTiers[tier].windowMs;
    let from = wantedFrom;
    let to = Math.min(wantedTo, windowBegin(tier, from) + span);
    if (!told.isEmpty(series)) {
      if (wantedFrom < told.from[series]) {
        to = told.from[series];
        from = Math.max(wantedFrom, windowBegin(tier, to - 1) - span);
      } else {
        from = told.to[series];
        to = Math.min(wantedTo, windowBegin(tier, from) + span);
      }
    }
    if (from < to) return { id: this.#nextTask++, kind: 'make', series, tier, from, to };
    told.wantedFrom[series] = Number.NaN;
    told.wantedTo[series] = Number.NaN;
    return null;
  }

  #lookTask(series: number, tier: RollupTier): RollupTask | null {
    const span = this.#lookSpan(series, tier);
    if (!span) return null;
    const to = Math.min(span.to, span.from + spanWindows[tier] * rollupTiers[tier].windowMs);
    return { id: this.#nextTask++, kind: 'look', series, tier, from: span.from, to };
  }

  /** Windows that chunks have passed and nobody has looked at; null when there are none. */
  #lookSpan(series: number, tier: RollupTier): { readonly from: number; readonly to: number } | null {
    const { rollups, series: all, lastCommitAt } = this.#state;
    const sealedTime = all[series]?.sealedTime ?? Number.NEGATIVE_INFINITY;
    if (sealedTime === Number.NEGATIVE_INFINITY) return null;
    const looked = rollups.tier(tier).looked[series];
    const to = windowBegin(tier, sealedTime);
    if (looked >= to) return null;
    const begin = Number.isNaN(looked) ? windowBegin(tier, rollups.oldest[series]) : looked;
    const from = Math.max(begin, rollupCutoff(this.#book.policyOf(series), tier, lastCommitAt));
    return from < to ? { from, to } : null;
  }

  /** Learns the oldest chunk of series of which that is not known; after a start that is all of them. */
  #survey(): void {
    const { rollups, series: all } = this.#state;
    let asked = 0;
    for (let seen = 0; seen < all.length && asked < surveyMax; seen++) {
      this.#surveyed = this.#surveyed + 1 < all.length ? this.#surveyed + 1 : 0;
      const series = all[this.#surveyed];
      if (!series || !Number.isNaN(rollups.oldest[series.id])) continue;
      if (series.chunks > 0) asked++;
      this.measure(series.id, series.chunks > 0);
    }
  }

  /** Learns where the chunks of a series begin. */
  measure(series: number, hasChunks = true): void {
    const { rollups } = this.#state;
    const { oldest, firstEnd } = hasChunks ? this.spanOf(series) : noChunks;
    rollups.oldest[series] = oldest;
    rollups.firstEnd[series] = firstEnd;
  }

  /** Where the chunks of a series begin, as the database says it now. */
  spanOf(series: number): ChunkSpan {
    const inOrder = this.#statements
      .get('SELECT time_min, time_max FROM kept_chunk WHERE series = ? AND late = 0 ORDER BY time_max LIMIT 1')
      .get(series);
    const late = this.#statements
      .get('SELECT min(time_min), min(time_max) FROM kept_chunk WHERE series = ? AND late = 1')
      .get(series);
    const ofLate = late && late[0] !== null ? { oldest: numberIn(late, 0), firstEnd: numberIn(late, 1) } : noChunks;
    if (!inOrder) return ofLate;
    // Late chunks go with those in order that they overlap.
    return { oldest: Math.min(numberIn(inOrder, 0), ofLate.oldest), firstEnd: numberIn(inOrder, 1) };
  }
}
