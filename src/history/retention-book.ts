import { formatDuration } from '../base/duration.ts';
import { compileGlob, type Glob } from '../domain/glob.ts';
import {
  type RetentionPlan,
  type RetentionPolicy,
  type RetentionRule,
  rawCutoff,
  rollupTiers,
} from '../domain/retention.ts';
import type { Series, SeriesDirectory } from '../domain/series.ts';
import { compileTagGlob, type TagGlob } from '../domain/tag-glob.ts';

export interface RetentionBookParts {
  /** Of series that no rule matches. */
  readonly defaults: RetentionPolicy;
  readonly series: SeriesDirectory & {
    readonly size: number;
    find(device: string, metric: string): number | undefined;
    ofDevice(device: string): readonly Series[];
  };
  /** Of the device's registration; undefined without one. */
  tagsOf(device: string): Readonly<Record<string, string>> | undefined;
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

interface Compiled {
  readonly rule: RetentionRule;
  readonly device: Glob;
  readonly metric: Glob;
  readonly tag: TagGlob | null;
}

/** Rules that match one device, and by metric which of them is the first; shared by devices with the same rules. */
interface Candidates {
  readonly rules: readonly number[];
  readonly byMetric: Map<string, number>;
}

const noTags = Object.freeze({});

/**
 * Which series is kept how long: people's rules, devices' tags and series made one plan. Series that came since are
 * resolved by themselves, and all of them anew when the rules change. Pure; whoever holds it tells the engine.
 */
export class RetentionBook {
  readonly #parts: RetentionBookParts;
  #rules: readonly Compiled[] = [];
  /** The default, then that of each rule. */
  #policies: readonly RetentionPolicy[];
  /** By series number: index into the policies. */
  #ofSeries = new Uint16Array(1024);
  /** Series up to this number are resolved. */
  #resolved = 0;
  /** By series number: readings before this time were deleted; NaN where none were. */
  #goneBefore = new Float64Array(0);
  /** The greatest of them. */
  #goneMax = Number.NEGATIVE_INFINITY;
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
    for (let id = 1; id <= this.#resolved; id++) this.#suspectGone(id, cutoffs[this.#ofSeries[id]]);
    this.#rules = rules.map((rule) => ({
      rule,
      device: compileGlob(rule.device),
      metric: compileGlob(rule.metric),
      tag: rule.tag === null ? null : compileTagGlob(rule.tag),
    }));
    this.#policies = [this.#parts.defaults, ...rules.map(({ raw, minute, hour }) => ({ raw, minute, hour }))];
    this.#resolved = 0;
    this.#forgetKept();
  }

  /** The engine took the plan, and these are the times before which readings are gone: see `Engine.retain`. */
  setGone(goneBefore: Float64Array<ArrayBuffer>): void {
    this.#goneBefore = goneBefore;
    this.#goneMax = goneBefore.reduce((max, time) => (time > max ? time : max), Number.NEGATIVE_INFINITY);
    this.#forgetKept();
  }

  /** Whether tags decide anything: without it a registration changes no series. */
  get looksAtTags(): boolean {
    return this.#rules.some(({ tag }) => tag !== null);
  }

  /** The tags of these devices may be others now. True when that changes the policy of a series. `now`: see `setRules`. */
  registrationsChanged(devices: readonly string[], now: number): boolean {
    if (!this.looksAtTags) return false;
    let changed = false;
    const resolve = this.#resolver();
    for (const device of devices) {
      for (const series of this.#parts.series.ofDevice(device)) {
        if (series.id > this.#resolved) continue;
        const index = resolve(series);
        if (index === this.#ofSeries[series.id]) continue;
        changed = true;
        this.#suspectGone(series.id, rawCutoff(this.#policies[this.#ofSeries[series.id]], now));
        this.#ofSeries[series.id] = index;
      }
    }
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
    const tags = this.#parts.tagsOf(device) ?? noTags;
    const rule = this.#rules.find((one) => one.metric(metric) && one.device(device) && (one.tag?.(tags) ?? true))?.rule;
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
    let from = this.#goneMax;
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
    const isGone = known < this.#goneBefore.length && !Number.isNaN(this.#goneBefore[known]);
    return { policy: rawCutoff(policy, now), gone: isGone ? this.#goneBefore[known] : Number.NEGATIVE_INFINITY };
  }

  /** Why a reading of this time is not taken at `now`, for people; null when it is. */
  expired(device: string, metric: string, time: number, now: number): string | null {
    const from = this.keptFromOf(device, metric, now);
    if (time >= from.policy && time >= from.gone) return null;
    const { policy, rule } = this.policyOf(device, metric);
    const of = new Date(time).toISOString();
    if (policy.raw === null || time >= from.policy) {
      const gone = new Date(from.gone).toISOString();
      return `readings of ${device}/${metric} before ${gone} were deleted, for their age or for room, and none can be put among what is left of them; this one is of ${of}`;
    }
    const by = rule ? `by the rule "${rule.name}"` : 'by default (storage.keepRaw)';
    const change = rule ? 'change that rule' : 'make a rule that keeps them longer';
    return `readings of ${device}/${metric} are kept for ${formatDuration(policy.raw)} ${by}, and this one is of ${of}; to have it taken, ${change} (PUT /api/v1/retention)`;
  }

  #suspectGone(id: number, before: number): void {
    if (before === Number.NEGATIVE_INFINITY) return;
    if (id >= this.#goneBefore.length) {
      const grown = new Float64Array(this.#resolved + 1).fill(Number.NaN);
      grown.set(this.#goneBefore);
      this.#goneBefore = grown;
    }
    if (this.#goneBefore[id] >= before) return;
    this.#goneBefore[id] = before;
    if (before > this.#goneMax) {
      this.#goneMax = before;
      this.#forgetKept();
    }
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
    if (this.#rules.length === 0) {
      this.#ofSeries.fill(0, this.#resolved + 1, size + 1);
    } else {
      const resolve = this.#resolver();
      for (let id = this.#resolved + 1; id <= size; id++) this.#ofSeries[id] = resolve(series.series(id));
    }
    this.#resolved = size;
  }

  /** Series to policy. What it remembers lasts as long as the caller keeps it, so that nothing grows. */
  #resolver(): (series: Series) => number {
    const byDevice = new Map<string, Candidates>();
    const byRules = new Map<string, Candidates>();
    return ({ device, metric }) => {
      let candidates = byDevice.get(device);
      if (!candidates) {
        candidates = this.#candidates(device, byRules);
        byDevice.set(device, candidates);
      }
      let index = candidates.byMetric.get(metric);
      if (index === undefined) {
        const found = candidates.rules.find((rule) => this.#rules[rule].metric(metric));
        index = found === undefined ? 0 : found + 1;
        candidates.byMetric.set(metric, index);
      }
      return index;
    };
  }

  #candidates(device: string, byRules: Map<string, Candidates>): Candidates {
    const tags = this.#parts.tagsOf(device) ?? noTags;
    const rules: number[] = [];
    for (const [index, rule] of this.#rules.entries()) {
      if (rule.device(device) && (rule.tag?.(tags) ?? true)) rules.push(index);
    }
    const key = rules.join();
    let candidates = byRules.get(key);
    if (!candidates) {
      candidates = { rules, byMetric: new Map() };
      byRules.set(key, candidates);
    }
    return candidates;
  }
}
