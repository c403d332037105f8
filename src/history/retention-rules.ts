import { compileGlob, type Glob } from '../domain/glob.ts';
import type { RetentionRule } from '../domain/retention.ts';
import type { Series } from '../domain/series.ts';
import { compileTagGlob, type TagGlob } from '../domain/tag-glob.ts';

/** Of a device's registration; undefined without one. */
export type TagsOf = (device: string) => Readonly<Record<string, string>> | undefined;

interface Compiled {
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

/** People's rules in their order: of those that match a series, the first holds. */
export class RetentionRules {
  readonly #rules: readonly RetentionRule[];
  readonly #compiled: readonly Compiled[];

  constructor(rules: readonly RetentionRule[]) {
    this.#rules = rules;
    this.#compiled = rules.map((rule) => ({
      device: compileGlob(rule.device),
      metric: compileGlob(rule.metric),
      tag: rule.tag === null ? null : compileTagGlob(rule.tag),
    }));
  }

  /** Whether tags decide anything: without it a registration changes no series. */
  get looksAtTags(): boolean {
    return this.#compiled.some(({ tag }) => tag !== null);
  }

  /** The rule that holds for a series; null where none matches. */
  of(device: string, metric: string, tags: Readonly<Record<string, string>> = noTags): RetentionRule | null {
    const found = this.#compiled.findIndex(
      (rule) => rule.metric(metric) && rule.device(device) && (rule.tag?.(tags) ?? true),
    );
    return found === -1 ? null : this.#rules[found];
  }

  /**
   * For many series: the number of the rule that holds, counted from 1; 0 where none matches. What it remembers lasts as
   * long as the caller keeps it, so that nothing grows.
   */
  resolver(tagsOf: TagsOf): (series: Series) => number {
    const byDevice = new Map<string, Candidates>();
    const byRules = new Map<string, Candidates>();
    return ({ device, metric }) => {
      let candidates = byDevice.get(device);
      if (!candidates) {
        candidates = this.#candidates(device, tagsOf(device) ?? noTags, byRules);
        byDevice.set(device, candidates);
      }
      let number = candidates.byMetric.get(metric);
      if (number === undefined) {
        const found = candidates.rules.find((rule) => this.#compiled[rule].metric(metric));
        number = found === undefined ? 0 : found + 1;
        candidates.byMetric.set(metric, number);
      }
      return number;
    };
  }

  #candidates(device: string, tags: Readonly<Record<string, string>>, byRules: Map<string, Candidates>): Candidates {
    const rules: number[] = [];
    for (const [index, rule] of this.#compiled.entries()) {
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
