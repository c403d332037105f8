import type { Deletion } from '../../src/domain/deletion.ts';
import { disposition, type Value } from '../../src/domain/reading.ts';
import { type RetentionPolicy, type RollupTier, rollupCutoff, rollupTiers } from '../../src/domain/retention.ts';
import type { Sample } from '../../src/history/reader.ts';
import type { KeptFacts } from './history-rig.ts';
import type { Row } from './storage-commits.ts';

export const tiers: readonly RollupTier[] = ['minute', 'hour'];
const keptForever: RetentionPolicy = { raw: null, minute: null, hour: null };
const nothingTold: KeptFacts = {
  rawFrom: Number.NEGATIVE_INFINITY,
  told: { minute: { from: 0, to: 0 }, hour: { from: 0, to: 0 } },
};

/** One commit as the log has to tell it. */
export interface LoggedCommit {
  readonly seq: number;
  readonly at: number;
  rows: Row[];
}

/**
 * A series as plain lists. Readings are kept until their time is purged; then each tier that tells of that time keeps
 * them as what its buckets are made of.
 */
export class SeriesModel {
  readonly kept = new Map<number, Value>();
  readonly purged: Record<RollupTier, Sample[]> = { minute: [], hour: [] };
  /** Readings of purged time that are in memory and become part of the rollups when they are sealed. */
  readonly absorbed = new Map<number, Value>();
  /** Every reading that was ever purged and not deleted: any of them may still be the newest known. */
  readonly forgotten = new Map<number, Value>();
  facts: KeptFacts = nothingTold;
  /** Readings came into buckets of which only sums are left: what depends on the order of readings is not exact. */
  isMixed = false;

  get rawFrom(): number {
    return this.facts.rawFrom;
  }

  /** Ascending. */
  samples(): Sample[] {
    return ascending([...this.kept].map(([time, value]) => ({ time, value })));
  }

  newest(): Sample | null {
    return this.samples().at(-1) ?? null;
  }
}

/** Everything that was ever acknowledged, beside an engine that is told the same. */
export class HistoryModel {
  readonly log: LoggedCommit[] = [];
  /** Receipt time of the newest commit. */
  at = 0;
  /** There is a budget: more may be gone than policies say. */
  isBudgeted = false;
  readonly #series = new Map<number, SeriesModel>();
  #policies = new Map<number, RetentionPolicy>();

  of(series: number): SeriesModel {
    const known = this.#series.get(series);
    if (known) return known;
    const made = new SeriesModel();
    this.#series.set(series, made);
    return made;
  }

  retain(policies: ReadonlyMap<number, RetentionPolicy>): void {
    this.#policies = new Map(policies);
  }

  policyOf(series: number): RetentionPolicy {
    return this.#policies.get(series) ?? keptForever;
  }

  /** Takes readings away; how many are surely gone, and how many more may be counted as well: those of purged time. */
  erase(deletions: readonly Deletion[], seq: number): { readonly surely: number; readonly perhaps: number } {
    let surely = 0;
    let perhaps = 0;
    for (const { series, from, to } of deletions) {
      const of = this.of(series);
      const isIn = (time: number): boolean => time >= from && time < to;
      for (const time of of.kept.keys()) if (isIn(time)) surely += Number(of.kept.delete(time));
      for (const time of of.absorbed.keys()) if (isIn(time)) perhaps += Number(of.absorbed.delete(time));
      for (const time of of.forgotten.keys()) if (isIn(time)) perhaps += Number(of.forgotten.delete(time));
      for (const tier of tiers) {
        const { bucketMs } = rollupTiers[tier];
        of.purged[tier] = of.purged[tier].filter(({ time }) => {
          const begin = bucketOf(tier, time);
          return !(begin >= from && begin + bucketMs <= to);
        });
      }
      for (const commit of this.log) {
        if (commit.seq < seq) commit.rows = commit.rows.filter(([id, time]) => id !== series || !isIn(time));
      }
    }
    return { surely, perhaps };
  }

  /**
   * Readings were deleted, and before `rawFrom` they are gone now. When that is earlier than it was, or nothing was to be
   * left, nothing may be left of what was purged; then old readings may come again, and those in memory count again.
   */
  reopen({ series, from, to }: Deletion, rawFrom: number): void {
    const of = this.of(series);
    const isAll = from === Number.MIN_SAFE_INTEGER && to === Number.MAX_SAFE_INTEGER;
    if (rawFrom >= of.rawFrom) {
      if (isAll && rawFrom > Number.NEGATIVE_INFINITY) throw new Error(`series ${series}: nothing is left of it`);
      return;
    }
    const left = tiers.flatMap((tier) => of.purged[tier]).filter(({ time }) => time < from);
    if (to < of.rawFrom || left.length > 0 || rawFrom !== Number.NEGATIVE_INFINITY) {
      throw new Error(`series ${series}: before ${of.rawFrom} something is left of what was purged`);
    }
    of.facts = { ...of.facts, rawFrom };
    of.purged.minute = [];
    of.purged.hour = [];
    for (const [time, value] of of.absorbed) of.kept.set(time, value);
    of.absorbed.clear();
  }

  /** Takes readings in, in order. Of purged time the engine says what became of them; null: it has to be decided here. */
  write(seq: number, at: number, rows: readonly Row[], found: Uint8Array | null): number[] {
    this.at = at;
    const logged: Row[] = [];
    const expected = rows.map(([series, time, value], row) => {
      const of = this.of(series);
      const said = found?.[row] ?? disposition.stored;
      if (time < of.rawFrom) {
        if (said === disposition.identical) return said;
        logged.push([series, time, value]);
        of.absorbed.set(time, value);
        of.forgotten.set(time, value);
        return said;
      }
      const before = of.kept.get(time);
      if (before !== undefined && Object.is(before, value)) return disposition.identical;
      logged.push([series, time, value]);
      of.kept.set(time, value);
      return before === undefined ? disposition.stored : disposition.replaced;
    });
    this.log.push({ seq, at, rows: logged });
    return expected;
  }

  /** The store as whoever sums up looks at it now. `unsealed`: times that are in memory alone. */
  look(series: number, unsealed: readonly number[]): Looked {
    const { kept, purged, facts } = this.of(series);
    const hidden = new Set(unsealed);
    const sealed = [...kept].filter(([time]) => !hidden.has(time)).map(([time, value]) => ({ time, value }));
    return { sealed, minutes: purged.minute, facts };
  }

  /**
   * The engine worked on a series: `facts` are how far it is purged and summed up now, `unsealed` the times in memory,
   * `looked` what was summed up in that step. Throws when something is gone that its policy keeps.
   */
  follow(series: number, facts: KeptFacts, unsealed: readonly number[], looked: Looked | null): void {
    const of = this.of(series);
    const before = of.facts;
    this.#seal(series, of, before, new Set(unsealed));
    of.facts = facts;
    const gone: Sample[] = [];
    if (facts.rawFrom < before.rawFrom) throw new Error(`series ${series}: what was purged is not gone any more`);
    if (facts.rawFrom > before.rawFrom) {
      for (const [time, value] of of.kept) {
        if (time >= facts.rawFrom) continue;
        of.kept.delete(time);
        of.forgotten.set(time, value);
        gone.push({ time, value });
      }
    }
    if (!this.isBudgeted) this.#check(series, of, gone);
    for (const tier of tiers) {
      const { from, to } = facts.told[tier];
      const isTold = ({ time }: Sample): boolean => bucketOf(tier, time) >= from && bucketOf(tier, time) < to;
      const known = of.purged[tier].filter(isTold);
      const made = looked ? madeOf(looked, tier, facts.rawFrom).filter(isTold) : [];
      of.purged[tier] = ascending([...known, ...made, ...gone.filter(isTold)]);
    }
  }

  /** What the finest tier that tells of it says of purged time, and all that is kept. */
  visible(series: number): Sample[] {
    const of = this.of(series);
    const { minute, hour } = of.facts.told;
    const ofMinutes = of.purged.minute;
    const ofHours = of.purged.hour.filter(({ time }) => {
      const begin = bucketOf('hour', time);
      return (
        minute.from >= minute.to || begin < minute.from || begin >= Math.min(minute.to, of.rawFrom) || begin >= hour.to
      );
    });
    return ascending([...ofHours, ...ofMinutes, ...of.samples()]);
  }

  /** The tiers by which purged time in `[from, to)` is told, in the order of time. */
  purgedTiers(series: number, from: number, to: number): RollupTier[] {
    const { rawFrom, told } = this.of(series).facts;
    const end = Math.min(rawFrom, to);
    const { minute, hour } = told;
    const spans: { readonly tier: RollupTier; readonly from: number; readonly to: number }[] = [];
    const add = (tier: RollupTier, begin: number, until: number): void => {
      if (begin < until) spans.push({ tier, from: begin, to: until });
    };
    const [minuteFrom, minuteTo] = [Math.max(minute.from, from), Math.min(minute.to, end)];
    const hasMinutes = minuteFrom < minuteTo;
    add('minute', minuteFrom, minuteTo);
    const [hourFrom, hourTo] = [Math.max(hour.from, from), Math.min(hour.to, end)];
    if (!hasMinutes) add('hour', hourFrom, hourTo);
    else {
      add('hour', hourFrom, Math.min(hourTo, minuteFrom));
      add('hour', Math.max(hourFrom, minuteTo), hourTo);
    }
    return spans.sort((a, b) => a.from - b.from).map(({ tier }) => tier);
  }

  /** Readings of purged time that left memory are in the rollups that tell of their time, or that shall. */
  #seal(series: number, of: SeriesModel, { rawFrom, told }: KeptFacts, unsealed: ReadonlySet<number>): void {
    const sealed = ascending([...of.absorbed].map(([time, value]) => ({ time, value }))).filter(
      ({ time }) => !unsealed.has(time),
    );
    const reach = { minute: { ...told.minute }, hour: { ...told.hour } };
    const { windowMs } = rollupTiers.minute;
    for (const sample of sealed) {
      of.absorbed.delete(sample.time);
      const from = Math.floor(sample.time / windowMs) * windowMs;
      const to = Math.min(from + windowMs, rawFrom);
      const telling = tiers.filter((tier) => reach[tier].from < reach[tier].to && overlap(reach[tier], { from, to }));
      const wanted = tiers.find((tier) => rollupCutoff(this.policyOf(series), tier, this.at) <= from);
      const into = telling.length > 0 ? telling : wanted ? [wanted] : [];
      for (const tier of into) {
        const bucket = bucketOf(tier, sample.time);
        if (of.purged[tier].some(({ time }) => bucketOf(tier, time) === bucket)) of.isMixed = true;
        of.purged[tier].push(sample);
        const span = reach[tier];
        const isEmpty = span.from >= span.to;
        reach[tier] = {
          from: isEmpty ? from : Math.min(span.from, from),
          to: isEmpty ? to : Math.max(span.to, to),
        };
      }
    }
    for (const tier of tiers) of.purged[tier] = ascending(of.purged[tier]);
  }

  #check(series: number, of: SeriesModel, gone: readonly Sample[]): void {
    const policy = this.policyOf(series);
    const { told } = of.facts;
    for (const { time } of gone) {
      const wanted = tiers.find((tier) => time >= rollupCutoff(policy, tier, this.at));
      if (!wanted) continue;
      const isTold = time >= told[wanted].from && time < told[wanted].to;
      if (!isTold) throw new Error(`series ${series}: the reading at ${time} was purged before its ${wanted} was told`);
    }
  }
}

/** What somebody saw who sums up: readings in chunks, and of purged time the minutes. */
export interface Looked {
  readonly sealed: readonly Sample[];
  readonly minutes: readonly Sample[];
  readonly facts: KeptFacts;
}

/** What became part of a rollup, of time that is purged by now: what it did not tell before. */
function madeOf({ sealed, minutes, facts }: Looked, tier: RollupTier, rawFrom: number): Sample[] {
  const { from, to } = facts.told[tier];
  const source = tier === 'hour' ? [...minutes, ...sealed] : sealed;
  return source.filter(({ time }) => {
    const begin = bucketOf(tier, time);
    return time < rawFrom && (from >= to || begin < from || begin >= to);
  });
}

export function bucketOf(tier: RollupTier, time: number): number {
  const { bucketMs } = rollupTiers[tier];
  return Math.floor(time / bucketMs) * bucketMs;
}

/** Of readings of one time the later one stays behind. */
function ascending(samples: Sample[]): Sample[] {
  return samples.sort((a, b) => a.time - b.time);
}

function overlap(one: { readonly from: number; readonly to: number }, other: { from: number; to: number }): boolean {
  return one.from < other.to && one.to > other.from;
}
