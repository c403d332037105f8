import type { ChunkMerge, MergeSource, MergeSources } from './chunk-merge.ts';
import { mergeSourceColumns, mergeSourceIn } from './chunk-merge.ts';
import type { Statements } from '../database.ts';
import { mergeStretches, stretchOf } from './merge.ts';
import type { SeriesState } from '../series-state.ts';

/** Chunks of a series that one merge takes at most. */
const chunksMax = 48;
/** A chunk that was merged covers no more: readings are deleted by whole chunks, when the last of them is too old. */
const spanMax = 15 * 86_400_000;
const growth = 4;

/**
 * How the newest chunks of a slow series, each sealed by age with a few readings, become one of `sealCount`. Sizes fall
 * into tiers, each four times the one before; chunks are merged when together they reach the next tier, so a reading is
 * written again at most once for each tier, log4(1024 / 10) = 3.3 times for chunks of ten. Null when it is too early.
 */
export function planSmallMerge(
  statements: Statements,
  sources: MergeSources,
  series: SeriesState,
  sealCount: number,
): ChunkMerge | null {
  const rows = statements
    .get(`SELECT ${mergeSourceColumns} FROM kept_chunk WHERE series = ? AND late = 0 ORDER BY time_max DESC LIMIT ?`)
    .each(series.id, chunksMax);
  const movable: MergeSource[] = [];
  for (const row of rows) {
    const chunk = mergeSourceIn(row);
    const span = (movable[0] ?? chunk).timeMax - chunk.timeMin;
    if (chunk.count * 2 >= sealCount || span > spanMax || sources.isDamaged(series, chunk)) break;
    movable.push(chunk);
  }
  const taken = movable.slice(0, takenOf(movable, sealCount));
  if (taken.length < 2) return null;
  const read = sources.read(series, taken);
  if (!read) return null;
  const merged = mergeStretches(read, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY);
  return {
    series,
    removed: taken.map(({ number }) => number),
    inOrder: stretchOf(merged, 0, merged.count),
    late: null,
    putInOrder: null,
  };
}

/** How many of the chunks, the newest first, are worth merging. */
function takenOf(movable: readonly MergeSource[], sealCount: number): number {
  let taken = 0;
  let count = 0;
  let limit = growth;
  while (taken < movable.length && count < sealCount) {
    let end = taken;
    let reached = count;
    while (end < movable.length && movable[end].count < limit && reached < sealCount) reached += movable[end++].count;
    // What does not reach the next tier is not moved; larger chunks may lie behind it, and stay where they are, too.
    if (end > taken && reached < limit) break;
    taken = end;
    count = reached;
    limit *= growth;
  }
  return taken;
}
