import type { RollupTier } from '../../../domain/retention.ts';
import { rollupTiers } from '../../../domain/retention.ts';
import type { SampleColumns } from '../../../domain/sample-columns.ts';
import { Decimation, lttbMax } from '../../../history/shapes/decimation.ts';
import type { DecimatePage, DecimateQuery, Resolution, SeriesRange } from '../../../history/queries.ts';
import { CorruptStoreError } from '../database.ts';
import { chunkCountMax } from '../chunks/chunk-codec-bytes.ts';
import { DamageList } from './reader-damage.ts';
import { headsOfRanges } from './reader-estimate.ts';
import { coarser } from './reader-fold.ts';
import type { HeadsQuery } from './reader-heads.ts';
import { unsealedOf } from './reader-heads.ts';
import { readSeries } from './reader-page.ts';
import { rollupEnds } from './reader-rollups.ts';
import type { Segment } from './reader-segments.ts';
import { segmentsOf } from './reader-segments.ts';
import type { ReaderTask, Sources } from './reader-task.ts';
import { runEffortMax } from './reader-task.ts';
import { walk } from './reader-walk.ts';
import type { RollupColumns } from '../rollups/rollup-columns.ts';
import { rollupPart, windowBuckets } from '../rollups/rollup-columns.ts';
import { rollupId, windowBegin } from '../rollups/rollup-key.ts';
import type { Span } from '../rollups/rollup-reader.ts';

/** Series whose heads are asked for at once. */
const seriesAtOnce = 64;
/** µs to add a bucket of a rollup: as what it stands for, or its extremes. */
const coarseCost = 3;
const extremesCost = 0.1;
const planCost = 50;
/** A stretch of the answer is at least so many buckets of a rollup that may stand for its readings. */
const finerThan = 16;

type Part = DecimatePage['parts'][number];

/** The shape of series, one after the other. */
export class DecimateTask implements ReaderTask<DecimatePage> {
  readonly #query: DecimateQuery;
  readonly #parts: Part[] = [];
  readonly #damage = new DamageList();
  #open: ThinnedSeries | null = null;

  constructor(query: DecimateQuery) {
    this.#query = query;
  }

  run(sources: Sources): boolean {
    const { ranges } = this.#query;
    const begun = this.#parts.length;
    const end = Math.min(begun + seriesAtOnce, ranges.length);
    while (this.#parts.length < end && sources.chunks.effort < runEffortMax) {
      const index = this.#parts.length;
      this.#open ??= new ThinnedSeries(this.#query, ranges[index]);
      if (!this.#open.run(sources, index - begun)) break;
      this.#parts.push(this.#open.close());
      this.#open = null;
    }
    this.#damage.add(sources.chunks);
    return this.#parts.length === ranges.length;
  }

  left(): HeadsQuery {
    const begun = this.#parts.length;
    return headsOfRanges(this.#query.ranges.slice(begun, begun + seriesAtOnce));
  }

  answer(): DecimatePage {
    return { parts: this.#parts, damaged: this.#damage.list() };
  }
}

/** What of the heads it begins with. */
export function headsOfDecimate(query: DecimateQuery): HeadsQuery {
  return new DecimateTask(query).left();
}

/** One series: of chunks that lie in one stretch and show nothing the summary is enough, and of purged time the rollups. */
class ThinnedSeries {
  readonly #query: DecimateQuery;
  readonly #range: SeriesRange;
  #decimation: Decimation | null = null;
  #isSummed = false;
  /** Of very many readings: where rollups may stand for them. */
  #summedUp: { readonly span: Span; readonly tiers: readonly RollupTier[] } | null = null;
  /** Chunks before it have said what they hold at most. */
  #considered = Number.NEGATIVE_INFINITY;
  #at: number;
  #resolution: Resolution = 'raw';

  constructor(query: DecimateQuery, range: SeriesRange) {
    this.#query = query;
    this.#range = range;
    this.#at = range.from;
  }

  /** True when it is done. */
  run(sources: Sources, headsAt: number): boolean {
    const { chunks, heads } = sources;
    const head = unsealedOf(chunks, this.#range.series, heads, headsAt);
    const decimation = this.#decimation ?? this.#begin(sources, head);
    if (!decimation) return true;
    if (!this.#consider(sources, decimation, head)) return false;
    for (const segment of this.#segments(sources, head)) {
      this.#resolution = coarser(this.#resolution, segment.tier);
      const isTold = segment.tier
        ? this.#addRollups(sources, decimation, segment, head)
        : this.#addReadings(sources, decimation, segment, head);
      if (!isTold) return false;
    }
    return true;
  }

  close(): Part {
    const columns = this.#decimation?.close() ?? emptyColumns();
    return { columns, resolution: this.#resolution };
  }

  /** Null when there is nothing. */
  #begin(sources: Sources, head: SampleColumns | null): Decimation | null {
    const { chunks } = sources;
    const { points, method } = this.#query;
    const extent = this.#extent(sources, this.#segments(sources, head), head);
    if (!extent) return null;
    const { series } = this.#range;
    const readings = chunks.estimate(series, extent.from, extent.to) + (head?.count ?? 0);
    // A stretch holds whole chunks.
    this.#isSummed = readings / points > chunkCountMax && (method === 'minmax' || readings > lttbMax);
    if (readings > lttbMax) this.#summedUp = this.#mayBeSummedUp(extent);
    const decimation = new Decimation({ ...extent, points, method, readings });
    this.#decimation = decimation;
    if (!this.#isSummed) this.#considered = Number.POSITIVE_INFINITY;
    return decimation;
  }

  /** Shows it what chunks hold at most, by which it knows what does not show; false when that has cost enough. */
  #consider(sources: Sources, decimation: Decimation, head: SampleColumns | null): boolean {
    if (this.#considered === Number.POSITIVE_INFINITY) return true;
    const { chunks } = sources;
    const { series } = this.#range;
    for (const { tier, from, to } of this.#segments(sources, head)) {
      if (tier !== null || to <= this.#considered) continue;
      const rest = { series, from: Math.max(from, this.#considered), to };
      for (const piece of walk(chunks, rest, head, false)) {
        const summary = piece.chunk && chunks.summaryOf(piece.chunk);
        if (summary) decimation.consider(summary);
        this.#considered = piece.to;
        if (chunks.effort >= runEffortMax) return false;
      }
    }
    this.#considered = Number.POSITIVE_INFINITY;
    return true;
  }

  /** The tiers that are fine enough to stand for readings, and where: the first and the last reading are told themselves. */
  #mayBeSummedUp({ from, to }: Span): { readonly span: Span; readonly tiers: readonly RollupTier[] } | null {
    const { points, method } = this.#query;
    const stretch = (to - from) / (method === 'minmax' ? points / 2 : points * 2);
    const tiers = (['hour', 'minute'] as const).filter((tier) => stretch >= rollupTiers[tier].bucketMs * finerThan);
    if (tiers.length === 0) return null;
    const { bucketMs } = rollupTiers[tiers[0]];
    return { span: { from: from + bucketMs, to: to - bucketMs }, tiers };
  }

  /** What is left, cut by what tells of it. */
  #segments({ chunks, rollups }: Sources, head: SampleColumns | null): Segment[] {
    const { series, to } = this.#range;
    chunks.effort += planCost;
    const facts = rollups.facts(series);
    const cut = (from: number, end: number, tiers: readonly RollupTier[]): Segment[] =>
      from < end ? segmentsOf(rollups, { series, from, to: end }, { facts, head, tiers }) : [];
    const from = this.#at;
    if (!this.#summedUp) return cut(from, to, []);
    const { span, tiers } = this.#summedUp;
    const [begin, end] = [Math.min(Math.max(span.from, from), to), Math.max(Math.min(span.to, to), from)];
    return [...cut(from, begin, []), ...cut(begin, end, tiers), ...cut(Math.max(begin, end), to, [])];
  }

  /** From the first reading to the last. */
  #extent(
    { chunks, rollups }: Sources,
    segments: readonly Segment[],
    head: SampleColumns | null,
  ): { readonly from: number; readonly to: number } | null {
    const { series } = this.#range;
    const question = { limit: 1, head, isNextWanted: false };
    const first = readSeries(chunks, this.#range, { ...question, order: 'asc' }).columns;
    const last = readSeries(chunks, this.#range, { ...question, order: 'desc' }).columns;
    let from = first.count > 0 ? first.times[0] : Number.POSITIVE_INFINITY;
    let to = last.count > 0 ? last.times[0] + 1 : Number.NEGATIVE_INFINITY;
    for (const { tier, ...span } of segments) {
      const ends = tier && rollupEnds(rollups, { series, ...span }, tier);
      if (!ends) continue;
      from = Math.min(from, ends.first.time);
      to = Math.max(to, ends.last.time + 1);
    }
    return from < to ? { from, to } : null;
  }

  /** True when all of the segment is told, false when it has cost enough. */
  #addReadings(
    { chunks }: Sources,
    decimation: Decimation,
    { from, to }: Segment,
    head: SampleColumns | null,
  ): boolean {
    const { series } = this.#range;
    for (const piece of walk(chunks, { series, from, to }, head, !this.#isSummed)) {
      const summary = this.#isSummed && piece.chunk ? chunks.summaryOf(piece.chunk) : null;
      if (!summary || !decimation.addSummary(summary)) {
        const rows = piece.rows();
        if (rows) decimation.add(rows.columns, rows.begin, rows.end);
      }
      this.#at = piece.to;
      if (chunks.effort >= runEffortMax) return false;
    }
    this.#at = to;
    return true;
  }

  #addRollups(sources: Sources, decimation: Decimation, segment: Segment, head: SampleColumns | null): boolean {
    const { chunks, rollups } = sources;
    const { tier, from, to } = segment;
    if (tier === null) return true;
    const { series } = this.#range;
    const { windowMs } = rollupTiers[tier];
    // Window by window, so that a damaged one costs itself only.
    for (let at = from; at < to; ) {
      const end = Math.min(windowBegin(tier, at) + windowMs, to);
      try {
        for (const columns of rollups.windows(series, tier, at, end, rollupPart.all)) {
          chunks.effort += (columns.to - columns.from) * (segment.isPurged ? coarseCost : extremesCost);
          if (!segment.isPurged && columns.isPlain) addExtremes(decimation, columns);
          else for (let row = columns.from; row < columns.to; row++) decimation.addCoarse(columns.summaryAt(row));
        }
      } catch (error) {
        if (!(error instanceof CorruptStoreError)) throw error;
        const rest = { ...segment, from: at, to: end };
        if (!segment.isPurged && !this.#addReadings(sources, decimation, rest, head)) return false;
        const id = -rollupId(series, tier, windowBegin(tier, at));
        if (segment.isPurged) chunks.noteDamage({ id, series, timeMin: at, timeMax: end - 1, count: 0 });
      }
      at = end;
      this.#at = at;
      if (chunks.effort >= runEffortMax && at < to) return false;
    }
    return true;
  }
}

/** Two for each bucket. */
const extremes = { times: new Float64Array(windowBuckets * 2), values: new Float64Array(windowBuckets * 2) };

/** The least and the greatest number of each bucket, at the times of its first and last reading. */
function addExtremes(decimation: Decimation, columns: RollupColumns): void {
  const { firstTimes, lastTimes, mins, maxs, firstNumbers, lastNumbers } = columns;
  const { times, values } = extremes;
  let count = 0;
  for (let row = columns.from; row < columns.to; row++) {
    const isRising = lastNumbers[row] >= firstNumbers[row];
    times[count] = firstTimes[row];
    values[count++] = isRising ? mins[row] : maxs[row];
    if (lastTimes[row] === firstTimes[row]) continue;
    times[count] = lastTimes[row];
    values[count++] = isRising ? maxs[row] : mins[row];
  }
  decimation.add({ count, times, values, kinds: null, texts: [] }, 0, count);
}

function emptyColumns(): SampleColumns {
  return { count: 0, times: new Float64Array(0), values: new Float64Array(0), kinds: null, texts: [] };
}
