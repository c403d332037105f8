/** The spans a chart offers. */
export const ranges = ['5m', '1h', '6h', '24h', '7d', '30d', '1y'] as const;
export type Range = (typeof ranges)[number];

const rangeMs: Readonly<Record<Range, number>> = {
  '5m': 300_000,
  '1h': 3_600_000,
  '6h': 21_600_000,
  '24h': 86_400_000,
  '7d': 604_800_000,
  '30d': 2_592_000_000,
  '1y': 31_536_000_000,
};

/** Length of a range in ms. */
export function spanOf(range: Range): number {
  return rangeMs[range];
}

export function isRange(text: string | null | undefined): text is Range {
  return ranges.some((range) => range === text);
}

/** Bucket widths that a person can read off an axis, in ms; the longest for a year on a phone. */
const widths = [
  1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000, 1_800_000, 3_600_000,
  7_200_000, 21_600_000, 43_200_000, 86_400_000,
];
const widest = 86_400_000;

/**
 * The bucket for a range on a chart of `pixels` width: the smallest readable one that gives no more than one bucket
 * for two pixels. 0 when single readings are fine, which is up to ten minutes.
 */
export function bucketFor(range: Range, pixels: number): number {
  const span = rangeMs[range];
  if (span <= 600_000) return 0;
  const least = (span / Math.max(pixels, 100)) * 2;
  return widths.find((width) => width >= least) ?? widest;
}

/** A bucket width as the REST API writes durations: 900,000 is `15m`. */
export function durationText(ms: number): string {
  if (ms % 3_600_000 === 0) return `${ms / 3_600_000}h`;
  if (ms % 60_000 === 0) return `${ms / 60_000}m`;
  if (ms % 1_000 === 0) return `${ms / 1_000}s`;
  return `${ms}ms`;
}
