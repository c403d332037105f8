import { type RollupTier, rollupTiers } from '../../../domain/retention.ts';

/** Keeps the numbers of windows before the epoch positive. */
const windowBias = 2 ** 29;
const tierStep = 2 ** 30;
const seriesStep = 2 ** 31;

/** Number of the window that holds `time`, epoch ms. */
export function windowNumber(tier: RollupTier, time: number): number {
  return Math.floor(time / rollupTiers[tier].windowMs);
}

/** Begin of the window that holds `time`. */
export function windowBegin(tier: RollupTier, time: number): number {
  return windowNumber(tier, time) * rollupTiers[tier].windowMs;
}

/** Begin of the first window at or after `time`. */
export function windowCeiling(tier: RollupTier, time: number): number {
  const { windowMs } = rollupTiers[tier];
  return Math.ceil(time / windowMs) * windowMs;
}

/** The key of the row of `rollup` and `rollup_due` for the window that begins at `begin`. */
export function rollupId(series: number, tier: RollupTier, begin: number): number {
  return series * seriesStep + (tier === 'hour' ? tierStep : 0) + windowNumber(tier, begin) + windowBias;
}

/** The least and the greatest key that windows of the tier can have. */
export function rollupIds(series: number, tier: RollupTier): { readonly first: number; readonly last: number } {
  const first = series * seriesStep + (tier === 'hour' ? tierStep : 0);
  return { first, last: first + tierStep - 1 };
}

/** What a key stands for. */
export function rollupOf(id: number): { readonly series: number; readonly tier: RollupTier; readonly begin: number } {
  const series = Math.floor(id / seriesStep);
  const rest = id - series * seriesStep;
  const tier = rest >= tierStep ? 'hour' : 'minute';
  const number = rest - (tier === 'hour' ? tierStep : 0) - windowBias;
  return { series, tier, begin: number * rollupTiers[tier].windowMs };
}
