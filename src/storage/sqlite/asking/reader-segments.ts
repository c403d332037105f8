import type { RollupTier } from '../../../domain/retention.ts';
import { rollupTiers } from '../../../domain/retention.ts';
import type { SampleColumns } from '../../../domain/sample-columns.ts';
import type { SeriesRange } from '../../../history/queries.ts';
import { firstAtOrAfter } from '../chunks/head.ts';
import type { RollupFacts, RollupReader, Span } from '../rollups/rollup-reader.ts';

/** A stretch of time and what tells of it: rollups of this tier, or the readings (null). */
export interface Segment extends Span {
  readonly tier: RollupTier | null;
  /** The readings are purged: rollups are all there is. */
  readonly isPurged: boolean;
}

export interface SegmentQuestion {
  readonly facts: RollupFacts;
  /** Unsealed readings in the range: a rollup does not know of them. */
  readonly head: SampleColumns | null;
  /** Tiers that may stand for readings that are there, the one to take first in front. */
  readonly tiers: readonly RollupTier[];
}

const allTiers: readonly RollupTier[] = ['minute', 'hour'];

/**
 * Cuts a range into segments, ascending. Where readings are kept they may be told by rollups, bucket by whole bucket and
 * where nothing unsealed lies over them; where they are purged the finest rollup tells, and what none tells is left out.
 */
export function segmentsOf(rollups: RollupReader, range: SeriesRange, question: SegmentQuestion): Segment[] {
  const { series, from, to } = range;
  const { facts, head, tiers } = question;
  const segments: Segment[] = [];
  const rawFrom = Math.min(Math.max(facts.rawFrom, from), to);
  let purged: Span[] = [{ from, to: rawFrom }];
  for (const tier of allTiers) {
    purged = purged.flatMap((span) => {
      const told = rollups.covered(series, tier, span.from, span.to, facts);
      for (const part of told) segments.push({ ...part, tier, isPurged: true });
      return without(span, told);
    });
  }
  let kept: Span[] = [{ from: rawFrom, to }];
  for (const tier of tiers) {
    kept = kept.flatMap((span) => {
      const told = rollups
        .covered(series, tier, span.from, span.to, facts)
        .flatMap((part) => sealedBuckets(part, rollupTiers[tier].bucketMs, head));
      for (const part of told) segments.push({ ...part, tier, isPurged: false });
      return without(span, told);
    });
  }
  for (const span of kept) segments.push({ ...span, tier: null, isPurged: false });
  return segments.filter((segment) => segment.from < segment.to).sort((a, b) => a.from - b.from);
}

/** The whole buckets in a stretch, before and after what the head holds in it. */
function sealedBuckets({ from, to }: Span, bucketMs: number, head: SampleColumns | null): Span[] {
  const begin = Math.ceil(from / bucketMs) * bucketMs;
  const end = Math.floor(to / bucketMs) * bucketMs;
  if (begin >= end) return [];
  const first = head ? firstAtOrAfter(head.times, head.count, begin) : 0;
  const last = head ? firstAtOrAfter(head.times, head.count, end) - 1 : -1;
  if (!head || last < first) return [{ from: begin, to: end }];
  const spans = [
    { from: begin, to: Math.floor(head.times[first] / bucketMs) * bucketMs },
    { from: Math.floor(head.times[last] / bucketMs) * bucketMs + bucketMs, to: end },
  ];
  return spans.filter((span) => span.from < span.to);
}

/** What of `span` is in none of `parts`, which lie in it, ascending. */
function without(span: Span, parts: readonly Span[]): Span[] {
  const left: Span[] = [];
  let at = span.from;
  for (const { from, to } of parts) {
    if (at < from) left.push({ from: at, to: from });
    at = to;
  }
  if (at < span.to) left.push({ from: at, to: span.to });
  return left;
}
