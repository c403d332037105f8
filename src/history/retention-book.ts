import { formatDuration } from '../base/duration.ts';
import {
  type GoneChanges,
  type RetentionPlan,
  type RetentionPolicy,
  type RetentionRule,
  rawCutoff,
  rollupTiers,
} from '../domain/retention.ts';
import type { Series, SeriesDirectory } from '../domain/series.ts';
import { GoneTimes } from './gone-times.ts';
import { RetentionRules, type TagsOf } from './retention-rules.ts';

export interface RetentionBookParts {
  /** Of series that no rule matches. */
  readonly defaults: RetentionPolicy;
  readonly series: SeriesDirectory & {
    readonly size: number;
    find(device: string, metric: string): number | undefined;
    ofDevice(device: string): readonly Series[];
  };
  readonly tagsOf: TagsOf;
}

/** What holds for a series, and by which rule; null: by none, so the default does. */
export interface EffectivePolicy {
  readonly policy: RetentionPolicy;
  readonly rule: RetentionRule | null;
}

/** Which readings are older than what is kept of their series. */
export interface KeptFrom {
  /** By its policy, epoch ms; -Infinity when it is kept for ever. */
  readonly policy: number;
  /** Earlier ones were deleted already, by a shorter policy or for room, so that none can be put among them again. */
  readonly gone: number;
}

/**
 * Which series is kept how long: people's rules, devices' tags and series made one plan. Series that came since are
 * resolved by themselves, and all of them anew when the rules change. Pure; whoever holds it tells the engine.
 */
export class RetentionBook {
  readonly #parts: RetentionBookParts;
  #rules = new RetentionRules([]);
  /** The default, then that of each rule. */
  #policies: readonly RetentionPolicy[];
  /** By series number: index into the policies. */
  #ofSeries = new Uint16Array(1024);
  /** Series up to this number are resolved. */
  #resolved = 0;
  readonly #gone = new GoneTimes();
  /** What `keptFrom` said last, and for which times that holds. */
  #kept = { from: Number.NEGATIVE_INFINITY, since: Number.POSITIVE_INFINITY, until: Number.NEGATIVE_INFINITY };

  constructor(parts: RetentionBookParts) {
    this.#parts = parts;
    this.#policies = [parts.defaults];
  }

  /**
   * `now`, epoch ms: what the rules before would have deleted by then is taken for gone until the engine says what is. Left
   * out at the start, when none held before.
   */
  setRules(rules: readonly RetentionRule[], now = Number.NEGATIVE_INFINITY): void {
    const cutoffs = this.#policies.map((policy) => rawCutoff(policy, now));
    for (let id = 1; id <= this.#resolved; id++) this.#gone.suspect(id, cutoffs[this.#ofSeries[id]]);
    this.#rules = new RetentionRules(rules);
    this.#policies = [this.#parts.defaults, ...rules.map(({ raw, minute, hour }) => ({ raw, minute, hour }))];
    this.#resolved = 0;
    this.#forgetKept();
  }

  /** The engine took the plan, and these are the times before which readings are gone: see `Engine.retain`. */
  setGone(goneBefore: Float64Array<ArrayBuffer>): void {
    this.#gone.set(goneBefore);
    this.#forgetKept();
  }

  /** Other readings are gone by now: see `Engine.onGone`. */
  changeGone(changes: GoneChanges): void {
    this.#gone.change(changes);
    this.#forgetKept();
  }

  /** Whether tags decide anything: without it a registration changes no series. */
  get looksAtTags(): boolean {
    return this.#rules.looksAtTags;
  }

  /** The tags of these devices may be others now. True when that changes the policy of a series. `now`: see `setRules`. */
  registrationsChanged(devices: readonly string[], now: number): boolean {
    if (!this.looksAtTags) return false;
    let changed = false;
    const resolve = this.#rules.resolver(this.#parts.tagsOf);
    for (const device of devices) {
      for (const series of this.#parts.series.ofDevice(device)) {
        if (series.id > this.#resolved) continue;
        const index = resolve(series);
        if (index === this.#ofSeries[series.id]) continue;
        changed = true;
        this.#gone.suspect(series.id, rawCutoff(this.#policies[this.#ofSeries[series.id]], now));
        this.#ofSeries[series.id] = index;
      }
    }
    if (changed) this.#forgetKept();
    return changed;
  }

  /** Whether there are series that no plan has told of yet. */
  get hasNewSeries(): boolean {
    return this.#resolved < this.#parts.series.size;
  }

  /** The plan as of now; its arrays are the caller's. */
  plan(): RetentionPlan {
    this.#resolveNew();
    return { policies: this.#policies, ofSeries: this.#ofSeries.slice(0, this.#resolved + 1) };
  }

  /** Of series that no rule matches. */
  get defaults(): RetentionPolicy {
    return this.#parts.defaults;
  }

  policyOf(device: string, metric: string): EffectivePolicy {
    const rule = this.#rules.of(device, metric, this.#parts.tagsOf(device));
    return rule
      ? { policy: { raw: rule.raw, minute: rule.minute, hour: rule.hour }, rule }
      : { policy: this.#parts.defaults, rule: null };
  }

  /** The longest that readings of any series may be kept, ms; null: some for ever. */
  get longestRaw(): number | null {
    let longest = 0;
    for (const { raw } of this.#policies) {
      if (raw === null) return null;
      longest = Math.max(longest, raw);
    }
    return longest;
  }

  /**
   * A reading of this time or later is kept whatever its series; -Infinity when everything is kept for ever and nothing is
   * gone. Asked for every message, so it is only worked out when a window of time has passed.
   */
  keptFrom(now: number): number {
    if (now >= this.#kept.since && now < this.#kept.until) return this.#kept.from;
    const { windowMs } = rollupTiers.minute;
    let from = this.#gone.latest;
    let until = Number.POSITIVE_INFINITY;
    for (const policy of this.#policies) {
      if (policy.raw === null) continue;
      const cutoff = rawCutoff(policy, now);
      from = Math.max(from, cutoff);
      until = Math.min(until, cutoff + windowMs + policy.raw);
    }
    this.#kept = { from, since: now, until };
    return from;
  }

  /** From when on readings of a series are kept. */
  keptFromOf(device: string, metric: string, now: number): KeptFrom {
    const known = this.#parts.series.find(device, metric) ?? Number.POSITIVE_INFINITY;
    // Whoever brings old readings asks for each of them: as a rule of series that are resolved already.
    const policy =
      known <= this.#resolved ? this.#policies[this.#ofSeries[known]] : this.policyOf(device, metric).policy;
    return { policy: rawCutoff(policy, now), gone: this.#gone.of(known) };
  }

  /** Why a reading of this time is not taken at `now`, for people; null when it is. */
  expired(device: string, metric: string, time: number, now: number): string | null {
    const from = this.keptFromOf(device, metric, now);
    if (time >= from.policy && time >= from.gone) return null;
    const { policy, rule } = this.policyOf(device, metric);
    const of = new Date(time).toISOString();
    if (policy.raw === null || time >= from.policy) {
      const gone = new Date(from.gone).toISOString();
      return `readings of ${device}/${metric} before ${gone} were deleted, for their age or for room, and none can be put among what is left of them; this one is of ${of}; to have it taken, delete what is left before that time (DELETE /api/v1/readings)`;
    }
    const by = rule ? `by the rule "${rule.name}"` : 'by default (storage.keepRaw)';
    const change = rule ? 'change that rule' : 'make a rule that keeps them longer';
    return `readings of ${device}/${metric} are kept for ${formatDuration(policy.raw)} ${by}, and this one is of ${of}; to have it taken, ${change} (PUT /api/v1/retention)`;
  }

  #forgetKept(): void {
    this.#kept = { ...this.#kept, since: Number.POSITIVE_INFINITY };
  }

  #resolveNew(): void {
    const { series } = this.#parts;
    const { size } = series;
    if (size >= this.#ofSeries.length) {
      const grown = new Uint16Array(Math.max(this.#ofSeries.length * 2, size + 1));
      grown.set(this.#ofSeries);
      this.#ofSeries = grown;
    }
    if (this.#policies.length === 1) {
      this.#ofSeries.fill(0, this.#resolved + 1, size + 1);
    } else {
      const resolve = this.#rules.resolver(this.#parts.tagsOf);
      for (let id = this.#resolved + 1; id <= size; id++) this.#ofSeries[id] = resolve(series.series(id));
    }
    this.#resolved = size;
  }
}
