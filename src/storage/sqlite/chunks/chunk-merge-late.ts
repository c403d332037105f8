import { chunkCountMax } from './chunk-codec-bytes.ts';
import type { ChunkMerge, MergeSource, MergeSources } from './chunk-merge.ts';
import { mergeSourceColumns, mergeSourceIn } from './chunk-merge.ts';
import type { Statements } from '../database.ts';
import type { Stretch } from './head.ts';
import { mergeStretches, stretchOf } from './merge.ts';
import type { SeriesState } from '../series-state.ts';

/** Chunks in order that one merge takes in at most: about a millisecond of work. */
const inOrderMax = 16;
/** Late chunks of a series that are looked at. */
const lateMax = 64;
/** A late chunk with a reading for so many of the chunks it lies over is merged whatever it costs. */
const denseShare = 4;

/**
 * How late chunks become part of the chunks in order. The order of writing decides what a reading is worth, so a late
 * chunk may be merged only when no late chunk of lower number overlaps it; the lowest number always may.
 *
 * - Over nothing: it is a chunk in order from now on, and not one byte is written.
 * - Over chunks of at most four times its readings, or when there is credit (`canAfford` says for how many bytes): merged,
 *   a wide one from its beginning on, some chunks at a time; the rest of it stays late, under its number.
 * - Otherwise two late chunks that follow each other in number become one, until they are worth merging: small ones
 *   first, so that a reading is written again once for each doubling.
 *
 * Null when nothing of that is possible.
 */
export function planLateMerge(
  statements: Statements,
  sources: MergeSources,
  series: SeriesState,
  canAfford: (bytes: number) => boolean,
): ChunkMerge | null {
  const late = statements
    .get(`SELECT ${mergeSourceColumns} FROM kept_chunk WHERE series = ? AND late = 1 ORDER BY id LIMIT ?`)
    .all(series.id, lateMax)
    .map(mergeSourceIn);
  for (const [at, chunk] of late.entries()) {
    if (sources.isDamaged(series, chunk)) continue;
    if (late.slice(0, at).some((lower) => overlaps(lower, chunk))) continue;
    const merge = mergeDown(statements, sources, series, chunk, canAfford);
    if (merge) return merge;
  }
  return mergeAcross(sources, series, late);
}

function mergeDown(
  statements: Statements,
  sources: MergeSources,
  series: SeriesState,
  late: MergeSource,
  canAfford: (bytes: number) => boolean,
): ChunkMerge | null {
  const under = statements
    .get(
      `SELECT ${mergeSourceColumns} FROM kept_chunk
       WHERE series = ? AND late = 0 AND time_max >= ? AND time_min <= ? ORDER BY time_max LIMIT ?`,
    )
    .all(series.id, late.timeMin, late.timeMax, inOrderMax * denseShare + 1)
    .map(mergeSourceIn);
  if (under.length === 0) return { series, removed: [], inOrder: null, late: null, putInOrder: late.number };
  const taken = under.slice(0, inOrderMax);
  const isDense =
    under.length <= inOrderMax * denseShare &&
    under.reduce((sum, { count }) => sum + count, 0) <= late.count * denseShare;
  const bytes = taken.reduce((sum, chunk) => sum + chunk.bytes, late.bytes);
  if (!isDense && !canAfford(bytes)) return null;
  if (taken.some((chunk) => sources.isDamaged(series, chunk))) return null;
  const read = sources.read(series, [...taken, late]);
  if (!read) return null;
  // What lies beyond waits for the next merge; the chunks taken end before it.
  const border = under.length > taken.length ? under[taken.length].timeMin : Number.POSITIVE_INFINITY;
  const merged = whole(mergeStretches(read, Number.NEGATIVE_INFINITY, border));
  const rest = whole(mergeStretches(read.slice(-1), border, Number.POSITIVE_INFINITY));
  const removed = taken.map(({ number }) => number);
  return rest.count > 0
    ? { series, removed, inOrder: merged, late: { number: late.number, stretch: rest }, putInOrder: null }
    : { series, removed: [...removed, late.number], inOrder: merged, late: null, putInOrder: null };
}

/** Two late chunks that follow each other become one, under the number of the second. */
function mergeAcross(sources: MergeSources, series: SeriesState, late: readonly MergeSource[]): ChunkMerge | null {
  for (let at = 1; at < late.length; at++) {
    const pair = [late[at - 1], late[at]];
    const [first, second] = pair;
    if (first.count > second.count * 2 || first.count + second.count > chunkCountMax) continue;
    if (pair.some((chunk) => sources.isDamaged(series, chunk))) continue;
    const read = sources.read(series, pair);
    if (!read) continue;
    const stretch = whole(mergeStretches(read, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY));
    return {
      series,
      removed: [first.number],
      inOrder: null,
      late: { number: second.number, stretch },
      putInOrder: null,
    };
  }
  return null;
}

function overlaps(a: MergeSource, b: MergeSource): boolean {
  return a.timeMin <= b.timeMax && b.timeMin <= a.timeMax;
}

function whole(merged: ReturnType<typeof mergeStretches>): Stretch {
  return stretchOf(merged, 0, merged.count);
}
