import { rollupTiers } from '../../domain/retention.ts';
import type { SampleColumns } from '../../domain/sample-columns.ts';
import { Decimation, lttbMax } from '../../history/decimation.ts';
import type { DecimatePage, DecimateQuery, Resolution, SeriesRange } from '../../history/queries.ts';
import { CorruptStoreError } from './database.ts';
import { chunkCountMax } from './chunk-codec-bytes.ts';
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
import { rollupPart } from './rollup-columns.ts';
import { rollupId, windowBegin } from './rollup-key.ts';

/** Series whose heads are asked for at once. */
const seriesAtOnce = 64;
/** µs to add a bucket of a rollup. */
const coarseCost = 3;

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
  #at: number;
  #resolution: Resolution = 'raw';

  constructor(query: DecimateQuery, range: SeriesRange) {
    this.#query = query;
    this.#range = range;
    this.#at = range.from;
  }

  /** True when it is done. */
  run(sources: Sources, headsAt: number): boolean {
    const { chunks, rollups, heads } = sources;
    const { series, to } = this.#range;
    const head = unsealedOf(chunks, series, heads, headsAt);
    const facts = rollups.facts(series);
    const segments = segmentsOf(rollups, { series, from: this.#at, to }, { facts, head, tiers: [] });
    const decimation = this.#decimation ?? this.#begin(sources, segments, head);
    if (!decimation) return true;
    for (const segment of segments) {
      this.#resolution = coarser(this.#resolution, segment.tier);
      const isTold = segment.tier
        ? this.#addCoarse(sources, decimation, segment)
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
  #begin(sources: Sources, segments: readonly Segment[], head: SampleColumns | null): Decimation | null {
    const { chunks } = sources;
    const { points, method } = this.#query;
    const extent = this.#extent(sources, segments, head);
    if (!extent) return null;
    const { series } = this.#range;
    const readings = chunks.estimate(series, extent.from, extent.to) + (head?.count ?? 0);
    // A stretch holds whole chunks.
    this.#isSummed = readings / points > chunkCountMax && (method === 'minmax' || readings > lttbMax);
    const decimation = new Decimation({ ...extent, points, method, readings });
    this.#decimation = decimation;
    if (!this.#isSummed) return decimation;
    for (const { tier, from, to } of segments) {
      if (tier !== null) continue;
      for (const { chunk } of walk(chunks, { series, from, to }, head, false)) {
        const summary = chunk && chunks.summaryOf(chunk);
        if (summary) decimation.consider(summary);
      }
    }
    return decimation;
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

  #addCoarse({ chunks, rollups }: Sources, decimation: Decimation, { tier, from, to }: Segment): boolean {
    if (tier === null) return true;
    const { series } = this.#range;
    const { windowMs } = rollupTiers[tier];
    // Window by window, so that a damaged one costs itself only.
    for (let at = from; at < to; ) {
      const end = Math.min(windowBegin(tier, at) + windowMs, to);
      try {
        for (const columns of rollups.windows(series, tier, at, end, rollupPart.all)) {
          for (let row = columns.from; row < columns.to; row++) decimation.addCoarse(columns.summaryAt(row));
          chunks.effort += (columns.to - columns.from) * coarseCost;
        }
      } catch (error) {
        if (!(error instanceof CorruptStoreError)) throw error;
        const id = -rollupId(series, tier, windowBegin(tier, at));
        chunks.noteDamage({ id, series, timeMin: at, timeMax: end - 1, count: 0 });
      }
      at = end;
      this.#at = at;
      if (chunks.effort >= runEffortMax && at < to) return false;
    }
    return true;
  }
}

function emptyColumns(): SampleColumns {
  return { count: 0, times: new Float64Array(0), values: new Float64Array(0), kinds: null, texts: [] };
}
