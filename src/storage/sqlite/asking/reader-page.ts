import type { SampleColumns } from '../../../domain/sample-columns.ts';
import type {
  PagePosition,
  PageQuery,
  ReadingsPage,
  SeriesRange,
  TextPage,
  TextQuery,
} from '../../../history/queries.ts';
import type { PageTextWriter } from '../../../history/text/page-text.ts';
import { firstAtOrAfter } from '../chunks/head.ts';
import type { SnapshotChunks } from './reader-chunks.ts';
import { GrowingColumns } from './reader-columns.ts';
import type { HeadSlices } from './reader-heads.ts';
import { isCutShort, unsealedOf } from './reader-heads.ts';
import { walk } from './reader-walk.ts';

/** What a page may cost the thread, µs: after that it ends before it is full, so that others are not kept waiting. */
const effortMax = 5_000;

/** Letters in texts after which it ends as well: written out, each may be six bytes. */
const textMax = 1 << 20;
/** Readings of a page that are looked for backwards at once. */
const windowMax = 8_192;

/** Where a page goes: columns, or text. */
interface PageSink {
  add(index: number, columns: SampleColumns): void;
}

/** A page of raw readings. */
export function readPage(chunks: SnapshotChunks, query: PageQuery, heads: HeadSlices): ReadingsPage {
  const parts: { index: number; columns: SampleColumns }[] = [];
  const next = fillPage(chunks, query, heads, { add: (index, columns) => parts.push({ index, columns }) });
  return { parts, next, damaged: chunks.damaged };
}

/** The same, written out at once. */
export function readText(
  chunks: SnapshotChunks,
  query: TextQuery,
  heads: HeadSlices,
  writer: PageTextWriter,
): TextPage {
  writer.begin(query.format);
  const next = fillPage(chunks, query, heads, {
    add(index, columns) {
      writer.part(index, query.labels[index]);
      writer.add(columns, 0, columns.count);
    },
  });
  return { ...writer.finish(), next, damaged: chunks.damaged };
}

/** One series after the other until the page is full, or has cost enough; says where the next one begins. */
function fillPage(chunks: SnapshotChunks, query: PageQuery, heads: HeadSlices, sink: PageSink): PagePosition | null {
  const { ranges, order, limit } = query;
  let room = limit;
  for (const [index, range] of ranges.entries()) {
    // The heads looked at fill the page by themselves, or would have before something was deleted.
    const isOver = index >= heads.ends.length || room === 0 || (index > 0 && chunks.effort >= effortMax);
    if (isOver) return { index, time: order === 'asc' ? range.from : range.to };
    const head = unsealedOf(chunks, range.series, heads, index);
    const slice = { limit: limit + 1, left: head };
    if (isCutShort(chunks, range.series, heads, index, slice)) {
      return { index, time: order === 'asc' ? range.from : range.to };
    }
    const { columns, next } = readSeries(chunks, range, { order, limit: room, head });
    if (columns.count > 0) sink.add(index, columns);
    room -= columns.count;
    if (next !== null) return { index, time: next };
  }
  return null;
}

export interface SeriesPage {
  readonly columns: SampleColumns;
  /** The new `from` (or `to`, when descending) of what is left; null when nothing is. */
  readonly next: number | null;
}

interface SeriesQuestion {
  readonly order: 'asc' | 'desc';
  readonly limit: number;
  /** Its unsealed readings; `limit` + 1 of them are enough, since no page reaches beyond so many. */
  readonly head: SampleColumns | null;
  /** Default true. Where false, `next` means nothing. */
  readonly isNextWanted?: boolean;
}

/** The first `limit` readings of one series in the order asked for; fewer when that has cost enough. */
export function readSeries(chunks: SnapshotChunks, range: SeriesRange, question: SeriesQuestion): SeriesPage {
  return question.order === 'asc' ? readAscending(chunks, range, question) : readDescending(chunks, range, question);
}

function readAscending(chunks: SnapshotChunks, range: SeriesRange, question: SeriesQuestion): SeriesPage {
  const { limit, head, isNextWanted = true } = question;
  const found = new GrowingColumns(limit);
  for (const piece of walk(chunks, range, head, true)) {
    const rows = piece.rows();
    if (!rows || rows.begin === rows.end) continue;
    const isEnough = found.count > 0 && (chunks.effort >= effortMax || found.textLength >= textMax);
    const end = isEnough ? rows.begin : Math.min(rows.end, rows.begin + limit - found.count);
    found.add(rows.columns, rows.begin, end);
    if (end < rows.end) return { columns: found.finish(), next: rows.columns.times[end] };
    if (!isNextWanted && found.count === limit) break;
  }
  return { columns: found.finish(), next: null };
}

/** Window by window, each as wide as surely fills the page; within a window the walk goes forward. */
function readDescending(chunks: SnapshotChunks, range: SeriesRange, question: SeriesQuestion): SeriesPage {
  const { limit, head, isNextWanted = true } = question;
  const found = new GrowingColumns(limit);
  const { series } = range;
  const from = Math.max(range.from, chunks.facts(series).rawFrom);
  for (let to = range.to; to > from; ) {
    const isEnough = found.count > 0 && (chunks.effort >= effortMax || found.textLength >= textMax);
    const room = isEnough ? 0 : Math.min(limit - found.count, windowMax);
    // One more than there is room for says where the next page begins.
    const begin = reachBack(chunks, { series, from, to }, head, isNextWanted ? room + 1 : room);
    const window = new GrowingColumns(Number.MAX_SAFE_INTEGER);
    for (const piece of walk(chunks, { series, from: begin, to }, head, true)) {
      const rows = piece.rows();
      if (rows) window.add(rows.columns, rows.begin, rows.end);
    }
    const columns = window.finish();
    const first = Math.max(0, columns.count - room);
    found.addReversed(columns, first, columns.count);
    const isFull = isEnough || found.count === limit;
    if (isFull && first > 0) return { columns: found.finish(), next: columns.times[first - 1] + 1 };
    if (!isNextWanted && found.count === limit) break;
    to = first > 0 ? columns.times[first] : begin;
  }
  return { columns: found.finish(), next: null };
}

/** From where on to `to` there surely are `count` readings; `from` when nobody knows. */
function reachBack(chunks: SnapshotChunks, range: SeriesRange, head: SampleColumns | null, count: number): number {
  const { series, from, to } = range;
  const begin = chunks.reachBack(series, from, to, count);
  const place = head ? firstAtOrAfter(head.times, head.count, to) - count : -1;
  return head && place >= 0 ? Math.max(begin, head.times[place]) : begin;
}
