import { type Value, valueKind } from '../../src/domain/reading.ts';
import type { SampleColumns } from '../../src/domain/sample-columns.ts';
import { BucketFold } from '../../src/history/buckets/bucket-fold.ts';
import { gridOf } from '../../src/history/buckets/bucket-grid.ts';
import type {
  AcrossColumns,
  AggregateQuery,
  AggregatePage,
  Asker,
  Boundaries,
  HistoryQueries,
  PagePosition,
  PageQuery,
  ReadingsPage,
  SeriesRange,
} from '../../src/history/queries.ts';
import { checkBuckets, checkPage, checkRanges } from '../../src/history/question-bounds.ts';
import type { Sample } from '../../src/history/reader.ts';
import { writePage } from '../../src/history/text/page-text.ts';

/** Readings of a series by its number, ascending. */
export type SamplesOf = (series: number) => readonly Sample[];

/** Questions of history answered from lists, the plainest way there is. `answer` stands around each of them. */
export function memoryHistory(samplesOf: SamplesOf, answer: <T>(make: () => T) => Promise<T>): HistoryQueries {
  const answered = async <T>(asker: Asker | undefined, make: () => T): Promise<T> => {
    asker?.signal.throwIfAborted();
    return await answer(make);
  };
  return {
    page: (query, asker) =>
      answered(asker, () => {
        checkPage(query);
        return pageOf(samplesOf, query);
      }),
    text: (query, asker) =>
      answered(asker, () => {
        checkPage(query);
        const page = pageOf(samplesOf, query);
        return { ...writePage(page, query.format, query.labels), next: page.next, damaged: [] };
      }),
    aggregate: (query, asker) =>
      answered(asker, () => {
        checkBuckets(query);
        return aggregated(samplesOf, query);
      }),
    across: (query, asker) =>
      answered(asker, () => {
        checkBuckets(query);
        const ranges = query.ranges;
        const page = aggregated(samplesOf, { ...query, ranges, aggregates: [query.aggregate], fill: 'none' });
        const groups = Array.from({ length: query.groups }, () => new Map<number, number[]>());
        let next: number | null = null;
        for (const [index, { buckets, next: cut }] of page.parts.entries()) {
          if (cut !== null) next = Math.min(next ?? cut, cut);
          const values = groups[query.groupOf[index]];
          for (let row = 0; row < buckets.count; row++) {
            const value = buckets.columns[0][row];
            if (typeof value !== 'number') continue;
            values.set(buckets.times[row], [...(values.get(buckets.times[row]) ?? []), value]);
          }
        }
        return { groups: groups.map(acrossColumns), next, resolution: 'raw', damaged: [] };
      }),
    decimate: ({ ranges, points }, asker) =>
      answered(asker, () => ({
        // Which readings are kept is not the matter here: some, the first and the last among them.
        parts: ranges.map((range) => {
          const samples = within(samplesOf, range);
          const step = Math.max(1, (samples.length - 1) / (points - 1));
          const kept = samples.filter(
            (_, index) => Math.floor(index / step) !== Math.floor((index - 1) / step) || index === samples.length - 1,
          );
          return { columns: columnsOf(kept.slice(0, points)), resolution: 'raw' };
        }),
        damaged: [],
      })),
    boundaries: (ranges, asker) => answered(asker, () => ranges.map((range) => boundariesOf(samplesOf, range))),
    estimate: (ranges, asker) =>
      answered(asker, () => {
        checkRanges(ranges);
        return { readings: ranges.reduce((sum, range) => sum + within(samplesOf, range).length, 0) };
      }),
  };
}

export function columnsOf(samples: readonly Sample[]): SampleColumns {
  const texts: string[] = [];
  const numberOf = (value: Value): number => (typeof value === 'string' ? texts.push(value) - 1 : Number(value));
  return {
    count: samples.length,
    times: Float64Array.from(samples, ({ time }) => time),
    values: Float64Array.from(samples, ({ value }) => numberOf(value)),
    kinds: Uint8Array.from(samples, ({ value }) => kindOf(value)),
    texts,
  };
}

function kindOf(value: Value): number {
  if (typeof value === 'number') return valueKind.number;
  return typeof value === 'boolean' ? valueKind.boolean : valueKind.text;
}

function within(samplesOf: SamplesOf, { series, from, to }: SeriesRange): readonly Sample[] {
  return samplesOf(series).filter(({ time }) => time >= from && time < to);
}

function pageOf(samplesOf: SamplesOf, { ranges, order, limit }: PageQuery): ReadingsPage {
  const parts: ReadingsPage['parts'][number][] = [];
  let room = limit;
  for (const [index, range] of ranges.entries()) {
    const samples = order === 'asc' ? within(samplesOf, range) : within(samplesOf, range).toReversed();
    const shown = samples.slice(0, room);
    room -= shown.length;
    if (shown.length > 0) parts.push({ index, columns: columnsOf(shown) });
    const rest = samples[shown.length];
    let next: PagePosition | null = null;
    if (rest) next = { index, time: order === 'asc' ? rest.time : rest.time + 1 };
    else if (room === 0 && index + 1 < ranges.length) {
      const following = ranges[index + 1];
      next = { index: index + 1, time: order === 'asc' ? following.from : following.to };
    }
    if (next) return { parts, next, damaged: [] };
  }
  return { parts, next: null, damaged: [] };
}

function boundariesOf(samplesOf: SamplesOf, { series, from, to }: SeriesRange): Boundaries {
  const samples = samplesOf(series);
  return {
    before: samples.findLast(({ time }) => time < from) ?? null,
    after: samples.find(({ time }) => time >= to) ?? null,
  };
}

function aggregated(samplesOf: SamplesOf, query: AggregateQuery): AggregatePage {
  const { ranges, kinds, aggregates, fill, limit, holdsUntil, page } = query;
  const parts = ranges.map((range, index) => {
    const grid = gridOf(query.grid);
    const { before, after } = boundariesOf(samplesOf, range);
    const from = Math.max(range.from, page?.from ?? range.from);
    const rules = { grid, to: range.to, aggregates, kind: kinds[index], fill, limit, until: page?.until, holdsUntil };
    const fold = new BucketFold({ ...rules, from, before });
    const columns = columnsOf(within(samplesOf, range));
    fold.addReadings(columns, 0, columns.count);
    return { ...fold.close(after), resolution: 'raw' as const };
  });
  return { parts, damaged: [] };
}

function acrossColumns(values: ReadonlyMap<number, readonly number[]>): AcrossColumns {
  const rows = [...values].sort(([left], [right]) => left - right);
  const column = (of: (values: readonly number[]) => number): Float64Array<ArrayBuffer> =>
    Float64Array.from(rows, ([, values]) => of(values));
  return {
    count: rows.length,
    times: Float64Array.from(rows, ([time]) => time),
    series: column((values) => values.length),
    sums: column((values) => values.reduce((sum, value) => sum + value, 0)),
    mins: column((values) => Math.min(...values)),
    maxs: column((values) => Math.max(...values)),
  };
}
