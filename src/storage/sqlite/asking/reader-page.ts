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
import type { ChunkRow, SnapshotChunks } from './reader-chunks.ts';
import { GrowingColumns, lettersIn } from './reader-columns.ts';
import type { HeadSlices } from './reader-heads.ts';
import { isCutShort, unsealedOf } from './reader-heads.ts';
import { walk } from './reader-walk.ts';

/** What a page may cost the thread, µs: after that it ends before it is full, so that others are not kept waiting. */
const effortMax = 5_000;

/** Letters in texts after which it ends as well: written out, each may be six bytes. */
const textMax = 1 << 20;
/** Readings of a page that are looked for backwards at once. */
const windowMax = 8_192;

/** Reads one series into the page: how many readings came into it, and where the rest begins. */
type SeriesReader = (index: number, range: SeriesRange, question: SeriesQuestion) => SeriesRead;

interface SeriesRead {
  readonly count: number;
  /** The new `from` (or `to`, when descending) of what is left; null when nothing is. */
  readonly next: number | null;
}

/** A page of raw readings. */
export function readPage(chunks: SnapshotChunks, query: PageQuery, heads: HeadSlices): ReadingsPage {
  const parts: { index: number; columns: SampleColumns }[] = [];
  const next = fillPage(chunks, query, heads, (index, range, question) => {
    const { columns, next } = readSeries(chunks, range, question);
    if (columns.count > 0) parts.push({ index, columns });
    return { count: columns.count, next };
  });
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
  const next = fillPage(chunks, query, heads, (index, range, question) => {
    writer.part(index, query.labels[index]);
    if (question.order === 'asc') return readAscending(chunks, range, question, writer);
    const { columns, next } = readSeries(chunks, range, question);
    writer.add(columns, 0, columns.count);
    return { count: columns.count, next };
  });
  return { ...writer.finish(), next, damaged: chunks.damaged };
}

/** One series after the other until the page is full, or has cost enough; says where the next one begins. */
function fillPage(
  chunks: SnapshotChunks,
  query: PageQuery,
  heads: HeadSlices,
  read: SeriesReader,
): PagePosition | null {
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
    const { count, next } = read(index, range, { order, limit: room, head });
    room -= count;
    if (next !== null) return { index, time: next };
  }
  return null;
}

export interface SeriesPage {
  readonly columns: SampleColumns;
  /** As of `SeriesRead`. */
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
  if (question.order === 'desc') return readDescending(chunks, range, question);
  const found = new GrowingColumns(question.limit);
  const { next } = readAscending(chunks, range, question, found);
  return { columns: found.finish(), next };
}

/** Where readings go as they are unpacked; they are copied or written at once. */
interface RowSink {
  add(columns: SampleColumns, begin: number, end: number): void;
  /** All of a chunk at once, where that is quicker; false, and nothing was added, where it cannot be done. */
  addChunk?(chunks: SnapshotChunks, chunk: ChunkRow): boolean;
}

function readAscending(
  chunks: SnapshotChunks,
  range: SeriesRange,
  question: SeriesQuestion,
  sink: RowSink,
): SeriesRead {
  const { limit, head, isNextWanted = true } = question;
  let count = 0;
  let letters = 0;
  for (const piece of walk(chunks, range, head, true)) {
    const { chunk } = piece;
    if (chunk && chunk.count <= limit - count && chunks.effort < effortMax && sink.addChunk?.(chunks, chunk)) {
      count += chunk.count;
      continue;
    }
    const rows = piece.rows();
    if (!rows || rows.begin === rows.end) continue;
    const isEnough = count > 0 && (chunks.effort >= effortMax || letters >= textMax);
    const end = isEnough ? rows.begin : Math.min(rows.end, rows.begin + limit - count);
    if (end > rows.begin) sink.add(rows.columns, rows.begin, end);
    count += end - rows.begin;
    letters += lettersIn(rows.columns, rows.begin, end);
    if (end < rows.end) return { count, next: rows.columns.times[end] };
    if (!isNextWanted && count === limit) break;
  }
  return { count, next: null };
}

/** Window by window, each as wide as surely fills the page; within a window the walk goes forward. */
function readDescending(chunks: SnapshotChunks, range: SeriesRange, question: SeriesQuestion): SeriesPage {
  const { limit, head, isNextWanted = true } = question;
  const found = new GrowingColumns(limit);
  const { series } = range;
  const from = Math.max(range.from, chunks.facts(series).rawFrom);
  let letters = 0;
  for (let to = range.to; to > from; ) {
    const isEnough = found.count > 0 && (chunks.effort >= effortMax || letters >= textMax);
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
    letters += lettersIn(columns, first, columns.count);
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
