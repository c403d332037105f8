/** How long readings are kept, ms back from now; null: for ever. */
export interface RetentionPolicy {
  /** Readings as they came. */
  readonly raw: number | null;
  /** What remains of them by the minute; 0: nothing. */
  readonly minute: number | null;
  /** What remains of them by the hour; 0: nothing. */
  readonly hour: number | null;
}

/** A policy for some series; of several rules that match, the first in the list holds. A person's decision. */
export interface RetentionRule extends RetentionPolicy {
  /** For people. */
  readonly name: string;
  /** Globs, as everywhere. */
  readonly device: string;
  readonly metric: string;
  /** `key:value`, both globs, of the device's registration; null: whatever its tags. */
  readonly tag: string | null;
}

/** Tells the engine which series is kept how long. */
export interface RetentionPlan {
  readonly policies: readonly RetentionPolicy[];
  /** By series number: index into `policies`. A series beyond its end is kept for ever until the next plan. */
  readonly ofSeries: Uint16Array<ArrayBuffer>;
}

/** Series of which other readings are gone than before: by index, the number of the series and what holds of it now. */
export interface GoneChanges {
  readonly series: Float64Array<ArrayBuffer>;
  /** Readings before this time are gone, epoch ms; NaN: none are, and old ones may come again. */
  readonly before: Float64Array<ArrayBuffer>;
}

/** Rollups are kept in windows of this many buckets; readings are deleted by whole windows, so that none is cut. */
export const rollupTiers = {
  minute: { bucketMs: 60_000, windowMs: 6 * 3_600_000 },
  hour: { bucketMs: 3_600_000, windowMs: 15 * 86_400_000 },
} as const;
export type RollupTier = keyof typeof rollupTiers;

/**
 * Readings of a series before this time are gone, or about to be; -Infinity when they are kept for ever. A whole number
 * of minute windows, so that a reading is accepted, kept and summed up by the same boundary.
 */
export function rawCutoff(policy: RetentionPolicy, now: number): number {
  return cutoff(policy.raw, now, rollupTiers.minute.windowMs);
}

/** The same for what remains by the minute or hour; Infinity where nothing shall remain. */
export function rollupCutoff(policy: RetentionPolicy, tier: RollupTier, now: number): number {
  return policy[tier] === 0 ? Number.POSITIVE_INFINITY : cutoff(policy[tier], now, rollupTiers[tier].windowMs);
}

function cutoff(keep: number | null, now: number, windowMs: number): number {
  return keep === null ? Number.NEGATIVE_INFINITY : Math.floor((now - keep) / windowMs) * windowMs;
}
