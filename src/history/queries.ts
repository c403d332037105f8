import type { Aggregate, BucketFill, MetricKind } from '../domain/aggregate.ts';
import type { BucketGrid } from '../domain/bucket-grid.ts';
import type { Value } from '../domain/reading.ts';
import type { SampleColumns } from '../domain/sample-columns.ts';
import type { Sample } from './reader.ts';

/**
 * Asking for readings. Each answer is one page, made of one snapshot that ends before the answer leaves, so that however
 * much is asked for nothing is held open between two pages. Sealed chunks and heads are one: every acknowledged reading
 * once, with the last value written, deleted ones not at all. What stands in a damaged chunk is left out and named in
 * `damaged`.
 *
 * Questions of different askers are answered in turn, so that many of one do not hold up another; without an asker they
 * are the gateway's own. They reject with the reason of the asker's signal as soon as nobody waits any more.
 */
export interface HistoryQueries {
  /** Raw readings of one or many series, one series after the other. */
  page(query: PageQuery, asker?: Asker): Promise<ReadingsPage>;
  /** The same page, written by the reader's thread in the format asked for. */
  text(query: TextQuery, asker?: Asker): Promise<TextPage>;
  /** Aggregates by bucket, from rollups and chunk summaries where they say the same as the readings would. */
  aggregate(query: AggregateQuery, asker?: Asker): Promise<AggregatePage>;
  /** Series made one, bucket by bucket; groups of one question may come over several calls and be merged. */
  across(query: AcrossQuery, asker?: Asker): Promise<AcrossPage>;
  /** The shape of a series in few readings. */
  decimate(query: DecimateQuery, asker?: Asker): Promise<DecimatePage>;
  /** The last reading before each range and the first one at or after its end. */
  boundaries(ranges: readonly SeriesRange[], asker?: Asker): Promise<readonly Boundaries[]>;
  /** About how many readings there are, from summaries alone; exact within the chunks at either end. */
  estimate(ranges: readonly SeriesRange[], asker?: Asker): Promise<{ readonly readings: number }>;
}

/** Who waits for an answer. */
export interface Asker {
  /** Questions of one name share its turns. */
  readonly name: string;
  /** Aborts when nobody waits any more: what is left of the question is not asked. */
  readonly signal: AbortSignal;
}

/** Readings of one series in `[from, to)`, epoch ms. */
export interface SeriesRange {
  readonly series: number;
  readonly from: number;
  readonly to: number;
}

/** Most series in one question. */
export const rangesMax = 1_000;
/** Most readings of a page. */
export const pageReadingsMax = 100_000;
/** Most buckets a series in one answer. */
export const bucketsMax = 10_000;

export interface PageQuery {
  /** 1 … `rangesMax`, in the order of the answer. */
  readonly ranges: readonly SeriesRange[];
  readonly order: 'asc' | 'desc';
  /** 1 … `pageReadingsMax`, over all series. */
  readonly limit: number;
}

export interface ReadingsPage {
  /** In the order of the ranges, in the order asked for; series without readings are left out. */
  readonly parts: readonly { readonly index: number; readonly columns: SampleColumns }[];
  readonly next: PagePosition | null;
  readonly damaged: readonly DamagedStretch[];
}

/** Where the next page begins: with this range, whose `from` (or `to`, when descending) is then `time`. Null: all was told. */
export interface PagePosition {
  readonly index: number;
  readonly time: number;
}

/** Readings that cannot be told, because the chunk that holds them is damaged. */
export interface DamagedStretch {
  readonly series: number;
  /** Times of the first and last of them, epoch ms; both inclusive. */
  readonly firstTime: number;
  readonly lastTime: number;
  readonly readings: number;
}

/**
 * - `rows`: `{"time":"…","value":…}` with commas between.
 * - `columns`: the times (epoch ms) with commas, in `times`, and the values in `bytes`.
 * - `ndjson`: `{"device","metric","time","value"}` a line.
 * - `csv`: RFC 4180 without a header, `device,metric,time,value,unit`.
 * - `senml`: records of RFC 8428 with commas between, each by itself complete.
 * - `influx`: line protocol, `device` as a tag, the metric as measurement, field `value`, nanoseconds.
 */
export const rowFormats = ['rows', 'columns', 'ndjson', 'csv', 'senml', 'influx'] as const;
export type RowFormat = (typeof rowFormats)[number];

/** What a series is called in text. */
export interface SeriesLabel {
  readonly device: string;
  readonly metric: string;
  /** UCUM code. */
  readonly unit: string | null;
}

export interface TextQuery extends PageQuery {
  readonly format: RowFormat;
  /** One for each range. */
  readonly labels: readonly SeriesLabel[];
}

export interface TextPage {
  /** The parts one behind the other. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Only of `columns`: the times, part by part. */
  readonly times: Uint8Array<ArrayBuffer> | null;
  /** `end`: where the part ends in `bytes`, `timesEnd` in `times`. */
  readonly parts: readonly {
    readonly index: number;
    readonly readings: number;
    readonly end: number;
    readonly timesEnd: number;
  }[];
  readonly next: PagePosition | null;
  readonly damaged: readonly DamagedStretch[];
}

export interface AggregateQuery {
  /** 1 … `rangesMax`. */
  readonly ranges: readonly SeriesRange[];
  /** How values behave between readings, one for each range. */
  readonly kinds: readonly MetricKind[];
  readonly grid: BucketGrid;
  readonly aggregates: readonly Aggregate[];
  readonly fill: BucketFill;
  /** 1 … `bucketsMax`, for each series. */
  readonly limit: number;
  /** Up to when the last reading of a series holds, epoch ms: now, where `to` is yet to come; `to` when left out. */
  readonly holdsUntil?: number | undefined;
  /** All buckets of the ranges when left out. */
  readonly page?: BucketPage | undefined;
}

/**
 * A page of the buckets of a range: those that begin in `[from, until)`, epoch ms. They say what they say in the answer to
 * the whole range, all of whose readings are known to them.
 */
export interface BucketPage {
  /** `next` of the page before. Of a bucket that begins earlier the rest is told; nothing is before the range. */
  readonly from: number;
  readonly until: number;
}

/** What the answer is made of: the readings themselves, or sums of them by the minute or hour. */
export type Resolution = 'raw' | '1m' | '1h';

export interface AggregatePage {
  /** One for each range, in their order. */
  readonly parts: readonly AggregatedSeries[];
  readonly damaged: readonly DamagedStretch[];
}

export interface AggregatedSeries {
  readonly buckets: BucketColumns;
  /** The coarsest that was needed: only where readings are gone does it make a difference. */
  readonly resolution: Resolution;
  /** Begin of the bucket with which the next page begins; null when all was told. */
  readonly next: number | null;
}

/** Ascending. */
export interface BucketColumns {
  readonly count: number;
  /** Begins, epoch ms. The first may lie before the range: readings before `from` are not in it. */
  readonly times: Float64Array<ArrayBuffer>;
  /** One column for each aggregate asked for. */
  readonly columns: readonly (readonly (Value | null)[])[];
}

/** How the values of several series become one. */
export const reductions = ['avg', 'sum', 'min', 'max', 'count'] as const;
export type Reduction = (typeof reductions)[number];

export interface AcrossQuery {
  readonly ranges: readonly SeriesRange[];
  readonly kinds: readonly MetricKind[];
  /** The group of each range, 0 … `groups` - 1. */
  readonly groupOf: readonly number[];
  readonly groups: number;
  readonly grid: BucketGrid;
  /** One of each series and bucket; only numbers take part. */
  readonly aggregate: Aggregate;
  readonly limit: number;
  /** As in `AggregateQuery`. */
  readonly holdsUntil?: number | undefined;
  readonly page?: BucketPage | undefined;
}

/** Partial sums, which `history/buckets/across.ts` merges and turns into any reduction. */
export interface AcrossPage {
  readonly groups: readonly AcrossColumns[];
  /** From this bucket on the answer is not complete; null when it is. */
  readonly next: number | null;
  readonly resolution: Resolution;
  readonly damaged: readonly DamagedStretch[];
}

/** Ascending; of the series that have a value in the bucket: how many, their sum, least and greatest. */
export interface AcrossColumns {
  readonly count: number;
  readonly times: Float64Array<ArrayBuffer>;
  readonly series: Float64Array<ArrayBuffer>;
  readonly sums: Float64Array<ArrayBuffer>;
  readonly mins: Float64Array<ArrayBuffer>;
  readonly maxs: Float64Array<ArrayBuffer>;
}

export interface DecimateQuery {
  readonly ranges: readonly SeriesRange[];
  /** Most readings a series, 2 … `bucketsMax`. */
  readonly points: number;
  /**
   * `minmax`: the least and the greatest reading of each of `points` / 2 equal stretches. `lttb`: largest triangle three
   * buckets (Steinarsson, 2013), over the extremes of many stretches where there are very many readings.
   */
  readonly method: 'minmax' | 'lttb';
}

export interface DecimatePage {
  /** One for each range. Texts are left out. Where `resolution` is not raw a time is that of its minute or hour. */
  readonly parts: readonly { readonly columns: SampleColumns; readonly resolution: Resolution }[];
  readonly damaged: readonly DamagedStretch[];
}

export interface Boundaries {
  readonly before: Sample | null;
  readonly after: Sample | null;
}
