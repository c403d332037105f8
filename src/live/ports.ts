import type { Alert } from '../domain/alert.ts';
import type { LogPage } from '../domain/commit.ts';
import type { Glob } from '../domain/glob.ts';
import type { Value } from '../domain/reading.ts';

/** The newest reading of a series. */
export interface LatestValue {
  readonly series: number;
  readonly device: string;
  readonly metric: string;
  /** Epoch ms. */
  readonly time: number;
  readonly value: Value;
}

/** The current values as of the last published commit; read to the end before the next commit is published. */
export interface LatestValues {
  select(device: Glob, metric: Glob): Iterable<LatestValue>;
  /** Greatest time of the series, epoch ms; -Infinity when it has no reading. */
  newestTime(series: number): number;
}

/** The alerts that are firing as of the last published commit. */
export type OpenAlerts = () => Iterable<Alert>;

/**
 * The commit log after `after`: whole commits in order, at most about `readingsMax` readings, one commit at least.
 * It may already hold commits that were not published yet. `firstKept > after + 1` shows that some were trimmed.
 */
export type ReadLog = (query: { readonly after: number; readonly readingsMax: number }) => Promise<LogPage>;

/** UCUM code of a metric of a device; null when nobody says. Asked when a series is named, not for each reading. */
export type UnitOf = (device: string, metric: string) => string | null;
