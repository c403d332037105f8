import type { Rule } from '../domain/rule.ts';
import type { Series } from '../domain/series.ts';
import type { AlertCell } from './standing.ts';
import type { CompiledRule } from './threshold.ts';
import { compileRule } from './threshold.ts';

/** A rule that watches a series, with where it stands. */
export interface Watch {
  readonly rule: CompiledRule;
  readonly cell: AlertCell;
}

type CellOf = (ruleId: string, device: string, metric: string) => AlertCell;

const none: readonly Watch[] = [];

/**
 * The enabled rules, found by series. The first reading of a series looks among the rules that could match (by exact
 * device, else by exact metric, else the ones with wildcards in both); every further one costs a single lookup.
 */
export class RuleSet {
  readonly #rules = new Map<string, CompiledRule>();
  readonly #byDevice = new Map<string, CompiledRule[]>();
  readonly #byMetric = new Map<string, CompiledRule[]>();
  readonly #anywhere: CompiledRule[] = [];
  /** By series number: whom the watches are of, and the watches. Empty as long as there are no rules. */
  readonly #series: (Series | undefined)[] = [];
  readonly #watches: (readonly Watch[] | undefined)[] = [];
  readonly #cellOf: CellOf;

  /** `previous` lends what it compiled for rules that are the same object still. */
  constructor(rules: readonly Rule[], cellOf: CellOf, previous?: RuleSet) {
    this.#cellOf = cellOf;
    for (const rule of rules) {
      if (!rule.enabled) continue;
      const known = previous?.rule(rule.id);
      const compiled = known?.rule === rule ? known : compileRule(rule);
      this.#rules.set(rule.id, compiled);
      this.#index(compiled);
    }
  }

  rule(id: string): CompiledRule | undefined {
    return this.#rules.get(id);
  }

  watches(series: Series): readonly Watch[] {
    if (this.#rules.size === 0) return none;
    const { id } = series;
    const known = this.#series[id];
    // The number of a series whose commit failed may come again for another one, so the number alone proves nothing.
    if (known && known.device === series.device && known.metric === series.metric) return this.#watches[id] ?? none;
    const watches = this.#find(series);
    this.#series[id] = series;
    this.#watches[id] = watches;
    return watches;
  }

  #find(series: Series): readonly Watch[] {
    const watches: Watch[] = [];
    for (const rules of [this.#byDevice.get(series.device), this.#byMetric.get(series.metric), this.#anywhere]) {
      for (const rule of rules ?? []) {
        if (!rule.device(series.device) || !rule.metric(series.metric)) continue;
        watches.push({ rule, cell: this.#cellOf(rule.rule.id, series.device, series.metric) });
      }
    }
    return watches.length === 0 ? none : watches.sort((a, b) => (a.rule.rule.id < b.rule.rule.id ? -1 : 1));
  }

  #index(compiled: CompiledRule): void {
    const devices = exactNames(compiled.rule.device);
    const metrics = exactNames(compiled.rule.metric);
    if (devices) for (const device of devices) push(this.#byDevice, device, compiled);
    else if (metrics) for (const metric of metrics) push(this.#byMetric, metric, compiled);
    else this.#anywhere.push(compiled);
  }
}

/** The names a glob lists, or null when a wildcard lets in more. */
function exactNames(glob: string): ReadonlySet<string> | null {
  return /[*?]/.test(glob) ? null : new Set(glob.split(',').map((name) => name.trim()));
}

function push(index: Map<string, CompiledRule[]>, name: string, rule: CompiledRule): void {
  const rules = index.get(name);
  if (rules) rules.push(rule);
  else index.set(name, [rule]);
}
