import type { MetricKind } from './aggregate.ts';
import { compileGlob, type Glob } from './glob.ts';

/** What a metric means. */
export interface MetricProfile {
  /** UCUM code (ucum.org), "Cel" for example; null where it has none or nobody said. */
  readonly unit: string | null;
  /** `gauge` goes up and down, `counter` only up until it is reset, `state` holds until the next reading. */
  readonly kind: MetricKind;
  /** How often a reading is expected, ms; null when nobody said. */
  readonly interval: number | null;
  /** The plausible range, inclusive; a number outside is refused with `value_implausible`. */
  readonly min: number | null;
  readonly max: number | null;
}

/** What devices of one make have in common; devices inherit it. A person's decision, kept in the catalog. */
export interface Profile {
  /** A name fit for a path: `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`. */
  readonly id: string;
  readonly description: string;
  /** By metric name or glob; the exact name wins, then the first glob that matches. */
  readonly metrics: Readonly<Record<string, MetricProfile>>;
  /** How payloads on `devices/{device}/telemetry` are written. */
  readonly dialect: PayloadDialect;
  /** `always-on` is offline soon after it fell silent; `sleepy` wakes, sends and leaves, and is given a long time. */
  readonly presence: 'always-on' | 'sleepy';
  /** How often the device is heard of when all is well, ms; null: the default of its presence class. */
  readonly interval: number | null;
  /** Whether its devices may speak for other devices (a ThingsBoard or Sparkplug gateway). */
  readonly gateway: boolean;
  /** RFC 3339. */
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** Dialects of a payload whose topic already says which device it is from. */
export const payloadDialects = ['native', 'senml', 'senml-cbor', 'influx', 'bare'] as const;
export type PayloadDialect = (typeof payloadDialects)[number];

/** What tells a profile's globs from its names: a compiled form that lives as long as the profile. */
interface CompiledMetrics {
  readonly exact: ReadonlyMap<string, MetricProfile>;
  readonly globs: readonly { readonly matches: Glob; readonly metric: MetricProfile }[];
}
const compiled = new WeakMap<Profile, CompiledMetrics>();

/** What the profile says about a metric: under its name, else under the first glob that matches; null for nothing. */
export function metricOf(profile: Profile, metric: string): MetricProfile | null {
  let metrics = compiled.get(profile);
  if (!metrics) {
    metrics = compileMetrics(profile);
    compiled.set(profile, metrics);
  }
  const exact = metrics.exact.get(metric);
  if (exact) return exact;
  return metrics.globs.find(({ matches }) => matches(metric))?.metric ?? null;
}

/** Whether any metric of the profile has a plausible range. */
export function hasRanges(profile: Profile): boolean {
  return Object.values(profile.metrics).some(({ min, max }) => min !== null || max !== null);
}

function compileMetrics(profile: Profile): CompiledMetrics {
  const entries = Object.entries(profile.metrics);
  return {
    exact: new Map(entries.filter(([name]) => !/[*?,]/.test(name))),
    globs: entries
      .filter(([name]) => /[*?,]/.test(name))
      .map(([name, metric]) => ({ matches: compileGlob(name), metric })),
  };
}
