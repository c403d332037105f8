import { compileGlob, type Glob } from '../domain/glob.ts';
import type { Mapping } from '../domain/mapping.ts';
import { type MetricProfile, metricOf, type Profile } from '../domain/profile.ts';
import { unitOf } from '../domain/unit.ts';

export interface UnitsParts {
  profileOf(device: string): Profile | null;
  /** In the order in which they are looked through: the catalog's, then those of the configuration. */
  mappings(): readonly Mapping[];
}

/** A mapping's metric that has a unit. */
interface MappedUnit {
  readonly device: Glob;
  readonly metric: Glob;
  readonly unit: string;
}

/** What a metric of a device is measured in. */
export class Units {
  readonly #parts: UnitsParts;
  #mappings: readonly Mapping[] = [];
  #mapped: readonly MappedUnit[] = [];

  constructor(parts: UnitsParts) {
    this.#parts = parts;
  }

  /**
   * A UCUM code: what the device's profile says, else a mapping that makes such a metric for such a device, else what the
   * name tells; null when nobody says.
   */
  of(device: string, metric: string): string | null {
    const said = this.metric(device, metric)?.unit ?? null;
    if (said !== null) return said;
    return this.#mappedUnits().find((one) => one.metric(metric) && one.device(device))?.unit ?? unitOf(metric);
  }

  /** What the device's profile says about the metric; null for nothing. */
  metric(device: string, metric: string): MetricProfile | null {
    const profile = this.#parts.profileOf(device);
    return profile && metricOf(profile, metric);
  }

  #mappedUnits(): readonly MappedUnit[] {
    const mappings = this.#parts.mappings();
    if (mappings === this.#mappings) return this.#mapped;
    this.#mappings = mappings;
    this.#mapped = mappings.flatMap(({ device, metrics }) =>
      metrics.flatMap(({ metric, unit }) =>
        unit === null ? [] : { device: globOf(device), metric: globOf(metric), unit },
      ),
    );
    return this.#mapped;
  }
}

/** What `shelly-{channel}` may become. */
function globOf(template: string): Glob {
  return compileGlob(template.replaceAll(/\{[^{}]*\}/g, '*').replaceAll('/', '.'));
}
