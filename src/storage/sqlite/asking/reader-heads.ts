import { valueKind } from '../../../domain/reading.ts';
import type { SampleColumns } from '../../../domain/sample-columns.ts';
import type { PageQuery, SeriesRange } from '../../../history/queries.ts';
import type { Head } from '../chunks/head.ts';
import type { SnapshotChunks } from './reader-chunks.ts';

/** What a question needs of the heads. */
export interface HeadsQuery {
  readonly ranges: readonly HeadRange[];
  /** Once so many readings are there, further ranges are not looked at. */
  readonly limitAll: number;
}

/** The first, or last, readings of a head in a range. */
export interface HeadRange extends SeriesRange {
  readonly order: 'asc' | 'desc';
  readonly limit: number;
}

/** Readings of many heads, side by side in one set of columns, so that a question is two messages whatever it asks for. */
export interface HeadSlices {
  /** The last commit when they were copied. */
  readonly seq: number;
  /** For each range looked at, where its rows end; they begin where those of the range before it end. */
  readonly ends: Uint32Array<ArrayBuffer>;
  readonly columns: SampleColumns;
}

/**
 * The query less what lies before `rawFrom`, by series (NaN where nothing is purged): late readings of purged time are no
 * longer told, and shall not take the place of those that are.
 */
export function keptOnly(query: HeadsQuery, rawFrom: Float64Array): HeadsQuery {
  const ranges = query.ranges.map((range) => {
    const from = rawFrom[range.series];
    return from > range.from ? { ...range, from } : range;
  });
  return { ...query, ranges };
}

/** Copies out of the heads. Runs in the writer's thread. */
export function sliceHeads(headOf: (series: number) => Head | undefined, seq: number, query: HeadsQuery): HeadSlices {
  const { ranges, limitAll } = query;
  const parts: { readonly head: SampleColumns; readonly begin: number; readonly end: number }[] = [];
  const ends = new Uint32Array(ranges.length);
  let covered = 0;
  let count = 0;
  let hasKinds = false;
  for (const { series, from, to, order, limit } of ranges) {
    if (count >= limitAll) break;
    const head = headOf(series);
    if (head && head.count > 0) {
      const first = head.firstAtOrAfter(from);
      const last = Math.max(head.firstAtOrAfter(to), first);
      const begin = order === 'asc' ? first : Math.max(first, last - limit);
      const end = order === 'asc' ? Math.min(last, first + limit) : last;
      if (end > begin) {
        const view = head.view();
        parts.push({ head: view, begin, end });
        hasKinds ||= view.kinds !== null;
      }
      count += end - begin;
    }
    ends[covered++] = count;
  }
  const times = new Float64Array(count);
  const values = new Float64Array(count);
  const kinds = hasKinds ? new Uint8Array(count) : null;
  const texts: string[] = [];
  let at = 0;
  for (const { head, begin, end } of parts) {
    times.set(head.times.subarray(begin, end), at);
    values.set(head.values.subarray(begin, end), at);
    if (kinds && head.kinds) {
      for (let row = begin; row < end; row++) {
        const place = at + row - begin;
        kinds[place] = head.kinds[row];
        if (kinds[place] === valueKind.text) values[place] = texts.push(head.texts[head.values[row]]) - 1;
      }
    }
    at += end - begin;
  }
  return { seq, ends: ends.slice(0, covered), columns: { count, times, values, kinds, texts } };
}

/**
 * The rows of the range `index` that no chunk of the snapshot holds; null without any. They were copied before the
 * snapshot, so the head may have been sealed in between; then the chunks hold all of it, perhaps with newer values. Or
 * some of them may have been deleted.
 */
export function unsealedOf(
  chunks: SnapshotChunks,
  series: number,
  slices: HeadSlices,
  index: number,
): SampleColumns | null {
  const begin = index === 0 ? 0 : slices.ends[index - 1];
  const end = slices.ends[index];
  if (begin === end || chunks.facts(series).sealedSeq >= slices.seq) return null;
  const { times, values, kinds, texts } = slices.columns;
  const copied = {
    count: end - begin,
    times: times.subarray(begin, end),
    values: values.subarray(begin, end),
    kinds: kinds?.subarray(begin, end) ?? null,
    texts,
  };
  return chunks.withoutErased(series, slices.seq, copied);
}

/**
 * Whether rows that were copied of the range `index` have been deleted since, where no more than `limit` of them were to be
 * copied: what stood behind these in the head is not known, and the question is to be asked with another copy.
 */
export function isCutShort(
  chunks: SnapshotChunks,
  series: number,
  slices: HeadSlices,
  index: number,
  { limit, left }: { readonly limit: number; readonly left: SampleColumns | null },
): boolean {
  const copied = slices.ends[index] - (index === 0 ? 0 : slices.ends[index - 1]);
  return copied >= limit && chunks.facts(series).sealedSeq < slices.seq && (left?.count ?? 0) < copied;
}

/** What of the heads a page needs: no page reaches beyond `limit` of their readings, and one more says that there are more. */
export function headsOfPage({ ranges, order, limit }: PageQuery): HeadsQuery {
  return { ranges: ranges.map((range) => ({ ...range, order, limit: limit + 1 })), limitAll: limit + 1 };
}

/** The buffers that go along instead of being copied. */
export function headBuffers({ ends, columns }: HeadSlices): ArrayBuffer[] {
  const { times, values, kinds } = columns;
  const buffers = [ends.buffer, times.buffer, values.buffer];
  if (kinds) buffers.push(kinds.buffer);
  return buffers;
}
