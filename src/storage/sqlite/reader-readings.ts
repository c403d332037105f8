import type { ReadingsQuery } from '../../history/reader.ts';
import type { ChunkReader, ChunkSummary } from './chunk-reader.ts';
import type { Stretch } from './head.ts';
import { mergeStretches, stretchOf } from './merge.ts';
import type { Slice } from './writer.ts';

/**
 * One page of raw readings as columns, in the order asked for. Chunks are taken in the order asked for, only until they surely hold a whole page; then
 * chunks in order, late chunks and the head are merged in the order in which they were written.
 */
export function readReadings(chunks: ChunkReader, query: ReadingsQuery, slice: Slice): Stretch {
  const { series, order, limit } = query;
  const head = chunks.unsealed(series, slice);
  const taken = takeChunks(chunks, query, head);
  const stretches = taken.inOrder.map((chunk) => chunks.read(series, chunk.number));
  for (const chunk of taken.late) stretches.push(chunks.read(series, chunk.number));
  if (head) stretches.push(head);
  const merged = mergeStretches(stretches, taken.from, taken.to);
  const count = Math.min(limit, merged.count);
  return order === 'asc' ? stretchOf(merged, 0, count) : stretchOf(merged, merged.count - count, merged.count, true);
}

interface Taken {
  readonly inOrder: readonly ChunkSummary[];
  readonly late: readonly ChunkSummary[];
  /** The stretch of time in which nothing was left out. */
  readonly from: number;
  readonly to: number;
}

function takeChunks(chunks: ChunkReader, query: ReadingsQuery, head: Stretch | null): Taken {
  const { series, from, to, order, limit } = query;
  const late = chunks.late(series, from, to);
  // A head that fills the page by itself bounds the time in question before any chunk is looked at.
  const isFull = head !== null && head.count >= limit;
  const reachFrom = isFull && order === 'desc' ? head.times[head.count - limit] : from;
  const reachTo = isFull && order === 'asc' ? head.times[limit - 1] + 1 : to;
  const inOrder: ChunkSummary[] = [];
  let surely = 0;
  const source =
    order === 'asc' ? chunks.ascending(series, reachFrom, reachTo) : chunks.descending(series, reachFrom, reachTo);
  for (const chunk of source) {
    inOrder.push(chunk);
    if (chunk.timeMin >= reachFrom && chunk.timeMax < reachTo) surely += chunk.count;
    if (surely >= limit) {
      const range = order === 'asc' ? { from: reachFrom, to: chunk.timeMax + 1 } : { from: chunk.timeMin, to: reachTo };
      return { inOrder, late: touching(late, range.from, range.to), ...range };
    }
  }
  return { inOrder, late: touching(late, reachFrom, reachTo), from: reachFrom, to: reachTo };
}

function touching(late: readonly ChunkSummary[], from: number, to: number): ChunkSummary[] {
  return late.filter((chunk) => chunk.timeMax >= from && chunk.timeMin < to);
}
