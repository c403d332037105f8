import type { RollupTier } from '../../../domain/retention.ts';

/** What the maintenance thread is to find out about the chunks of a series. Times are epoch ms, whole buckets. */
export interface RollupTask {
  readonly id: number;
  /** Which windows in `[from, to)` are worth a rollup, or what the rollup of `[from, to)` is. */
  readonly kind: 'look' | 'make';
  readonly series: number;
  readonly tier: RollupTier;
  readonly from: number;
  readonly to: number;
}

export type RollupResult =
  | {
      readonly id: number;
      readonly kind: 'look';
      /** What was looked at ends here. */
      readonly to: number;
      /** From the first window worth it to the end of the last; null without one. */
      readonly worth: { readonly from: number; readonly to: number } | null;
    }
  | { readonly id: number; readonly kind: 'make'; readonly rows: readonly RollupRow[] };

/** A window as it has to be from now on; null: it has no readings. */
export interface RollupRow {
  readonly id: number;
  readonly bytes: Uint8Array | null;
}
