import type { Aggregate, MetricKind } from '../../../domain/aggregate.ts';
import type { Value } from '../../../domain/reading.ts';
import type { RollupTier } from '../../../domain/retention.ts';
import { rollupTiers } from '../../../domain/retention.ts';
import type { SampleColumns } from '../../../domain/sample-columns.ts';
import { firstAtOrAfter } from '../../../history/buckets/ascending.ts';
import { BucketFold } from '../../../history/buckets/bucket-fold.ts';
import type { Grid } from '../../../history/buckets/bucket-grid.ts';
import { gridOf } from '../../../history/buckets/bucket-grid.ts';
import type { AggregateSource } from '../../../history/buckets/bucket-needs.ts';
import { boundariesNeeded, needsOf, sourceNeeded } from '../../../history/buckets/bucket-needs.ts';
import type {
  AggregatedSeries,
  AggregateQuery,
  BucketColumns,
  Resolution,
  SeriesRange,
} from '../../../history/queries.ts';
import type { Sample } from '../../../history/reader.ts';
import { CorruptStoreError } from '../database.ts';
import { firstFrom, headBefore, headFrom, lastBefore } from './reader-boundaries.ts';
import type { SnapshotChunks } from './reader-chunks.ts';
import type { Rows } from './reader-columns.ts';
import type { HeadRange } from './reader-heads.ts';
import { isCutShort, unsealedOf } from './reader-heads.ts';
import type { RollupUse } from './reader-rollups.ts';
import { NumberBefore } from './reader-number-before.ts';
import { addRollups, rollupBefore, rollupFrom, rollupUse } from './reader-rollups.ts';
import type { Segment } from './reader-segments.ts';
import { segmentsOf } from './reader-segments.ts';
import type { Sources } from './reader-task.ts';
import { runEffortMax } from './reader-task.ts';
import { rowsIn, walk } from './reader-walk.ts';
import { rollupId, windowBegin } from '../rollups/rollup-key.ts';
import type { Span } from '../rollups/rollup-reader.ts';

/** What is asked of one series. */
export interface FoldOfSeries extends Omit<AggregateQuery, 'ranges' | 'kinds'> {
  readonly range: SeriesRange;
  readonly kind: MetricKind;
}

/** How many entries of the heads one series takes: before the range, in it, after it. */
export const headsOfFold = 3;
/** A bucket at least so many times as long as a chunk holds whole chunks, of which the summaries will do. */
const wholeChunks = 2;
/** µs to add a reading to its bucket, and to find its place among those of which a percentile is asked for. */
const foldedCost = 0.01;
const rankedCost = 0.02;
/** µs to look at one of many numbers for a percentile of them. */
const lookCost = 0.02;
/** Numbers that are looked at in any case, or a question of which each run costs enough before would come to no end. */
const looksMin = 10_000;
/** µs to unpack a bucket of a rollup. */
const rollupRowCost = 0.1;

/**
 * The buckets of one series, made over as many snapshots as it takes: of rollups where these say the same as the readings
 * and nothing unsealed lies over them, of the summaries of chunks that lie in one bucket, of readings otherwise. Where the
 * readings are purged rollups are all there is: buckets are no finer than they are, and aggregates that only readings can
 * tell are null.
 */
export class SeriesFold {
  readonly #question: FoldOfSeries;
  readonly #source: AggregateSource;
  readonly #needs: { readonly before: boolean; readonly after: boolean };
  readonly #use: RollupUse;
  /** Begin of the page, or of the range. */
  readonly #from: number;
  /** Of a page: the last number before it, as far as it was looked for. */
  readonly #numberBefore: NumberBefore;
  /** µs for a reading beside unpacking it. */
  readonly #readingCost: number;
  /** Told up to this time. */
  #at: number;
  #grid: Grid;
  #fold: BucketFold | null = null;
  /** Beside a fold that rollups take part in: of the aggregates that only readings can tell, where these are kept. */
  #kept: BucketFold | null = null;
  /** Aggregates in `#fold`; the others are in `#kept`, or nowhere. */
  #folded: readonly Aggregate[];
  #resolution: Resolution = 'raw';
  #answer: AggregatedSeries | null = null;

  constructor(question: FoldOfSeries) {
    const { aggregates, kind, fill, range, page, grid, holdsUntil = range.to } = question;
    this.#question = question;
    this.#grid = gridOf(grid);
    this.#from = Math.max(range.from, page?.from ?? range.from);
    this.#source = sourceNeeded(aggregates, kind, fill);
    this.#needs = boundariesNeeded(aggregates, kind, fill, holdsUntil < range.to);
    const needs = needsOf(aggregates, kind, fill);
    this.#readingCost = foldedCost * (1 + needs.holds.length) + rankedCost * needs.ranks.length;
    this.#use = rollupUse(needs, needs.numbers || this.#source !== 'summary');
    this.#folded = aggregates;
    this.#at = this.#from;
    const isPage = needs.numbers && this.#from > range.from;
    this.#numberBefore = new NumberBefore(range, isPage ? this.#from : range.from);
  }

  /** Of what is left. */
  get heads(): readonly HeadRange[] {
    const { series, to } = this.#question.range;
    const before = this.#numberBefore.isSought ? Number.POSITIVE_INFINITY : 1;
    return [
      { ...headBefore(series, this.#from), limit: this.#needs.before && this.#fold === null ? before : 0 },
      { series, from: this.#at, to, order: 'asc', limit: Number.POSITIVE_INFINITY },
      { ...headFrom(series, to), limit: this.#needs.after ? 1 : 0 },
    ];
  }

  /** Null until `run` said that it is done. */
  get answer(): AggregatedSeries | null {
    return this.#answer;
  }

  /** `headsAt`: where its entries begin among the heads. True when it is done. */
  run(sources: Sources, headsAt: number): boolean {
    const { chunks, rollups, heads } = sources;
    const { series, to } = this.#question.range;
    if (this.#isCutShort(sources, headsAt)) return false;
    if (!this.#fold && !this.#numberBefore.seek(sources, unsealedOf(chunks, series, heads, headsAt))) return false;
    const head = unsealedOf(chunks, series, heads, headsAt + 1);
    const facts = rollups.facts(series);
    const segments = segmentsOf(rollups, { series, from: this.#at, to }, { facts, head, tiers: this.#tiers(chunks) });
    const fold = this.#fold ?? this.#begin(sources, headsAt, segments, facts.rawFrom);
    for (const segment of segments) {
      this.#resolution = coarser(this.#resolution, segment.tier);
      const isTold = segment.tier
        ? this.#addRollups(sources, fold, segment, segment.tier, head)
        : this.#addReadings(sources, fold, segment, head);
      if (!isTold) return false;
      if (fold.isFull) break;
    }
    if (!this.#rank(sources.chunks, fold)) return false;
    this.#answer = this.#close(fold, this.#after(sources, headsAt, facts.rawFrom));
    return true;
  }

  /** Whether a neighbour that was copied was deleted since: the one behind it is not known. */
  #isCutShort({ chunks, heads }: Sources, headsAt: number): boolean {
    const { series } = this.#question.range;
    return this.heads.some(({ limit }, index) => {
      const at = headsAt + index;
      return (
        limit === 1 && isCutShort(chunks, series, heads, at, { limit, left: unsealedOf(chunks, series, heads, at) })
      );
    });
  }

  /**
   * Rollups that say the same as the readings, bucket by bucket: those that lie in one. Where buckets are no whole minutes
   * a minute over an edge is told by its readings, which is worth it where a bucket is longer than what holds them.
   */
  #tiers(chunks: SnapshotChunks): RollupTier[] {
    if (this.#source === 'readings') return [];
    const whole = (['hour', 'minute'] as const).filter((tier) => this.#grid.isOn(rollupTiers[tier].bucketMs));
    if (whole.length > 0) return whole;
    return this.#holdsChunks(chunks, { from: this.#at, to: this.#question.range.to }) ? ['minute'] : [];
  }

  #begin(sources: Sources, headsAt: number, segments: readonly Segment[], rawFrom: number): BucketFold {
    const { range, kind, fill, limit, holdsUntil, aggregates, page } = this.#question;
    const purged = this.#purged(sources, segments, rawFrom);
    for (const { tier } of purged) if (tier) this.#widen(rollupTiers[tier].bucketMs);
    const common = { grid: this.#grid, to: range.to, kind, fill, limit, until: page?.until, holdsUntil };
    const before = this.#before(sources, headsAt, rawFrom);
    if (purged.length > 0 && this.#source === 'readings') {
      const isTellable = (aggregate: Aggregate): boolean => sourceNeeded([aggregate], kind, fill) !== 'readings';
      this.#folded = aggregates.filter(isTellable);
      const rest = aggregates.filter((aggregate) => !isTellable(aggregate));
      const begin = this.#grid.begin(rawFrom);
      const from = begin < rawFrom ? this.#grid.next(begin) : begin;
      const keptFrom = Math.max(from, this.#from);
      const { chunks, heads } = sources;
      const head = unsealedOf(chunks, range.series, heads, headsAt + (keptFrom === this.#from ? 0 : 1));
      if (keptFrom < range.to) {
        const inForce = lastBefore(chunks, range.series, keptFrom, head);
        this.#kept = new BucketFold({ ...common, from: keptFrom, aggregates: rest, before: inForce });
      }
    }
    const numberBefore = this.#numberBefore.found;
    this.#fold = new BucketFold({ ...common, from: this.#from, aggregates: this.#folded, before, numberBefore });
    return this.#fold;
  }

  /** What of the range is told by rollups alone; also a page in which nothing is has the buckets of the others. */
  #purged({ rollups }: Sources, segments: readonly Segment[], rawFrom: number): Segment[] {
    const { series, from, to } = this.#question.range;
    const isAll = this.#from === from || rawFrom <= from;
    const all = isAll
      ? segments
      : segmentsOf(rollups, { series, from, to }, { facts: rollups.facts(series), head: null, tiers: [] });
    return all.filter(({ isPurged }) => isPurged);
  }

  /** Buckets are at least as long as those of a rollup that is all there is. */
  #widen(bucketMs: number): void {
    const { grid } = this.#question;
    if (grid.kind === 'calendar' || grid.width >= bucketMs || this.#grid.isOn(bucketMs)) return;
    this.#grid = gridOf({ kind: 'fixed', width: bucketMs, origin: 0 });
  }

  #before({ chunks, rollups, heads }: Sources, headsAt: number, rawFrom: number): Sample | null {
    const { series } = this.#question.range;
    if (!this.#needs.before) return null;
    const found = lastBefore(chunks, series, this.#from, unsealedOf(chunks, series, heads, headsAt));
    // Rollups tell of purged time alone: where readings are kept, a row may be due.
    return (
      found ??
      (rawFrom > Number.NEGATIVE_INFINITY ? rollupBefore(rollups, series, Math.min(this.#from, rawFrom)) : null)
    );
  }

  #after({ chunks, rollups, heads }: Sources, headsAt: number, rawFrom: number): Sample | null {
    const { series, to } = this.#question.range;
    if (!this.#needs.after) return null;
    const purged = to < rawFrom ? rollupFrom(rollups, series, to) : null;
    // Of what is kept the readings say more.
    return purged !== null && purged.time < rawFrom
      ? purged
      : firstFrom(chunks, series, to, unsealedOf(chunks, series, heads, headsAt + 2));
  }

  /** True when all of the span is told, false when it has cost enough. */
  #addReadings({ chunks }: Sources, fold: BucketFold, span: Span, head: SampleColumns | null): boolean {
    const { series } = this.#question.range;
    const isSummed = this.#source === 'summary' && this.#holdsChunks(chunks, span);
    for (const piece of walk(chunks, { series, from: span.from, to: span.to }, head, !isSummed)) {
      const summary = isSummed && piece.chunk ? chunks.summaryOf(piece.chunk) : null;
      if (!summary || !fold.addSummary(summary)) {
        const rows = piece.rows();
        if (rows && !this.#addRows(chunks, fold, rows)) return false;
      }
      this.#at = piece.to;
      if (fold.isFull) return true;
      if (chunks.effort >= runEffortMax) return false;
    }
    this.#at = span.to;
    return true;
  }

  /** False when a bucket ends among the rows whose percentiles take another run, which goes on behind it. */
  #addRows(chunks: SnapshotChunks, fold: BucketFold, { columns, begin, end }: Rows): boolean {
    chunks.effort += (end - begin) * this.#readingCost;
    const ranked = this.#kept ?? fold;
    const edge = ranked.needs.ranks.length === 0 ? end : firstAtOrAfter(columns.times, begin, end, ranked.edge);
    this.#add(fold, { columns, begin, end: edge });
    if (edge === end) return true;
    if (!this.#rank(chunks, fold)) {
      this.#at = columns.times[edge];
      return false;
    }
    this.#add(fold, { columns, begin: edge, end });
    return true;
  }

  #add(fold: BucketFold, { columns, begin, end }: Rows): void {
    fold.addReadings(columns, begin, end);
    this.#kept?.addReadings(columns, begin, end);
  }

  /** Does what the percentiles of the open bucket take; false when it has cost enough. */
  #rank(chunks: SnapshotChunks, fold: BucketFold): boolean {
    const looks = Math.max(looksMin, (runEffortMax - chunks.effort) / lookCost);
    const left = (this.#kept ?? fold).rank(looks);
    chunks.effort += (looks - Math.max(0, left)) * lookCost;
    return left >= 0;
  }

  /** Whether a bucket holds whole chunks. */
  #holdsChunks(chunks: SnapshotChunks, { from, to }: Span): boolean {
    const length = chunks.typicalSpan(this.#question.range.series, from, to);
    const begin = this.#grid.begin(Math.max(from, -8.64e15));
    return this.#grid.next(begin) - begin >= length * wholeChunks;
  }

  #addRollups(
    sources: Sources,
    fold: BucketFold,
    segment: Segment,
    tier: RollupTier,
    head: SampleColumns | null,
  ): boolean {
    const { windowMs } = rollupTiers[tier];
    let isDamaged = false;
    while (this.#at < segment.to && !fold.isFull) {
      const from = Math.max(this.#at, segment.from);
      // Where one is damaged, window by window: the others are as good as ever.
      const to = isDamaged ? Math.min(windowBegin(tier, from) + windowMs, segment.to) : segment.to;
      try {
        if (!this.#addWindows(sources, fold, tier, { ...segment, from, to })) return false;
      } catch (error) {
        if (!(error instanceof CorruptStoreError)) throw error;
        if (isDamaged && !this.#passDamaged(sources, fold, { ...segment, tier, from, to }, head)) return false;
        isDamaged = true;
      }
    }
    return true;
  }

  #addWindows(sources: Sources, fold: BucketFold, tier: RollupTier, { from, to, isPurged }: Segment): boolean {
    const { chunks, rollups } = sources;
    const { series } = this.#question.range;
    const { bucketMs } = rollupTiers[tier];
    if (!this.#grid.isOn(bucketMs)) chunks.late(series, from, to);
    for (const columns of rollups.windows(series, tier, from, to, this.#use.parts)) {
      chunks.effort += (columns.to - columns.from) * rollupRowCost * (this.#use.isOneByOne ? 4 : 1);
      for (; columns.from < columns.to; columns.from++) {
        columns.from = addRollups(fold, this.#grid, columns, this.#use, isPurged ? null : bucketMs);
        if (columns.from === columns.to || fold.isFull) break;
        const begin = columns.begins[columns.from];
        this.#addOver(chunks, fold, { series, from: begin, to: begin + bucketMs });
      }
      this.#at = Math.min(columns.begins[columns.to - 1] + bucketMs, to);
      if (fold.isFull) return true;
      if (chunks.effort >= runEffortMax) return false;
    }
    this.#at = to;
    return true;
  }

  /** The readings of a bucket of a rollup that lies over an edge. Nothing unsealed lies over it. */
  #addOver(chunks: SnapshotChunks, fold: BucketFold, range: SeriesRange): void {
    for (const rows of rowsOver(chunks, range)) {
      chunks.effort += (rows.end - rows.begin) * this.#readingCost;
      fold.addReadings(rows.columns, rows.begin, rows.end);
    }
  }

  /** A damaged window: its readings tell, if they are kept. */
  #passDamaged(
    sources: Sources,
    fold: BucketFold,
    { tier, isPurged, from, to }: Segment,
    head: SampleColumns | null,
  ): boolean {
    if (!isPurged) return this.#addReadings(sources, fold, { from, to }, head);
    const { series } = this.#question.range;
    const id = tier ? -rollupId(series, tier, windowBegin(tier, from)) : 0;
    sources.chunks.noteDamage({ id, series, timeMin: from, timeMax: to - 1, count: 0 });
    this.#at = to;
    return true;
  }

  #close(fold: BucketFold, after: Sample | null): AggregatedSeries {
    const { aggregates } = this.#question;
    const { buckets, next } = fold.close(after);
    if (this.#folded === aggregates) return { buckets, resolution: this.#resolution, next };
    const kept = this.#kept?.close(after).buckets ?? null;
    let folded = 0;
    let rest = 0;
    const columns = aggregates.map((aggregate) =>
      this.#folded.includes(aggregate) ? buckets.columns[folded++] : columnAt(buckets, kept, rest++),
    );
    return { buckets: { ...buckets, columns }, resolution: this.#resolution, next };
  }
}

/** A column of `kept` for the buckets of `buckets`, null where it has none of them. */
function columnAt(buckets: BucketColumns, kept: BucketColumns | null, index: number): BucketColumns['columns'][number] {
  const values = new Map<number, Value | null>();
  if (kept) for (const [row, time] of kept.times.entries()) values.set(time, kept.columns[index][row]);
  return Array.from({ length: buckets.count }, (_, row) => values.get(buckets.times[row]) ?? null);
}

/** The sealed readings of a short range, most often in one chunk, which needs no walk. Each good until the next is asked for. */
function* rowsOver(chunks: SnapshotChunks, range: SeriesRange): Generator<Rows, void, undefined> {
  const { series, from, to } = range;
  const chunk = chunks.late(series, from, to).length === 0 ? chunks.covering(series, from, to) : null;
  if (chunk) {
    const columns = chunks.unpack(chunk, true);
    if (columns) yield rowsIn(columns, from, to);
    return;
  }
  for (const piece of walk(chunks, range, null, true)) {
    const rows = piece.rows();
    if (rows) yield rows;
  }
}

/** A segment told by this tier makes an answer this coarse. */
export function coarser(resolution: Resolution, tier: RollupTier | null): Resolution {
  return tier === null ? resolution : coarsest(resolution, tier === 'hour' ? '1h' : '1m');
}

/** The coarser of two. */
export function coarsest(one: Resolution, other: Resolution): Resolution {
  if (one === '1h' || other === '1h') return '1h';
  return one === '1m' || other === '1m' ? '1m' : 'raw';
}
