import { chunkCountMax } from './chunk-codec-bytes.ts';
import type { PackedChunk } from './chunk-rows.ts';
import { packChunk, packSharing } from './chunk-rows.ts';
import { encodeTimeColumn, isSameTimes, type TimeColumn } from './chunk-codec-columns.ts';
import type { Stretch } from './head.ts';

/** Rows `begin` to `end` (excluded, 1 to 4,096) of a stretch, to be packed into one chunk. */
export interface ChunkPiece {
  readonly stretch: Stretch;
  readonly begin: number;
  readonly end: number;
}

/** Cuts rows `begin` to `end` of a stretch into pieces of about equal size, of about `sealCount` readings each. */
export function cutEvenly(stretch: Stretch, begin: number, end: number, sealCount: number): ChunkPiece[] {
  const pieces = piecesOf(end - begin, sealCount);
  return Array.from({ length: pieces }, (_, piece) => ({
    stretch,
    begin: begin + Math.floor(((end - begin) * piece) / pieces),
    end: begin + Math.floor(((end - begin) * (piece + 1)) / pieces),
  }));
}

/** Into how many chunks so many readings go. A head that waited its turn is a little over full; that is still one. */
export function piecesOf(count: number, sealCount: number): number {
  return Math.max(Math.ceil(count / chunkCountMax), Math.round(count / sealCount), Math.min(count, 1));
}

/** A time column shorter than this is written into each chunk: the row of its own would take as much. */
const sharedBytesMin = 48;
/** A piece with less than this part of a column's times has times of its own. */
const presentShare = 0.5;
/** Columns that a piece is held against, the latest first; a device whose metrics come one by one has many. */
const candidatesMax = 4;

/**
 * Packs pieces of one device's series, in any order, and gives the chunks back in the same order. Pieces whose times are
 * the same, or most of those of a longer piece, share one time column: that is how metrics come that are sent in one
 * message.
 */
export function packTogether(pieces: readonly ChunkPiece[]): PackedChunk[] {
  if (pieces.length === 1) return pieces.map(packOwn);
  const packed = Array.from<PackedChunk>({ length: pieces.length });
  for (const group of groupsOf(pieces)) {
    const column = group.members.length > 1 ? columnOf(group.times) : null;
    for (const at of group.members) packed[at] = packPiece(pieces[at], column);
  }
  return packed;
}

interface Group {
  readonly times: Float64Array;
  /** Indices of pieces. */
  readonly members: number[];
}

function groupsOf(pieces: readonly ChunkPiece[]): Group[] {
  const longestFirst = pieces.map((_, at) => at).sort((a, b) => countOf(pieces[b]) - countOf(pieces[a]));
  const groups: Group[] = [];
  for (const at of longestFirst) {
    const times = timesOf(pieces[at]);
    let group: Group | undefined;
    for (let index = groups.length - 1; index >= 0 && index >= groups.length - candidatesMax && !group; index--) {
      if (isMostOf(times, groups[index].times)) group = groups[index];
    }
    if (group) group.members.push(at);
    else groups.push({ times, members: [at] });
  }
  return groups;
}

/** All of `times` are among `all`, and they are enough of them. */
function isMostOf(times: Float64Array, all: Float64Array): boolean {
  if (isSameTimes(times, all)) return true;
  const [count, end] = [times.length, all.length];
  if (count < end * presentShare) return false;
  let place = 0;
  for (let index = 0; index < count; index++, place++) {
    const time = times[index];
    while (place < end && all[place] < time) place++;
    if (place === end || all[place] !== time) return false;
  }
  return true;
}

function columnOf(times: Float64Array): TimeColumn | null {
  const column = encodeTimeColumn(times);
  return column.bytes.length < sharedBytesMin ? null : column;
}

function packPiece(piece: ChunkPiece, column: TimeColumn | null): PackedChunk {
  if (!column) return packOwn(piece);
  const shared = packSharing(piece.stretch, piece.begin, piece.end, column);
  if (!shared) return packOwn(piece);
  if (shared.count === column.times.length) return shared;
  // Saying which times are taken may take more than the times.
  const own = packOwn(piece);
  return own.bytes.length < shared.bytes.length ? own : shared;
}

function packOwn({ stretch, begin, end }: ChunkPiece): PackedChunk {
  return packChunk(stretch, begin, end);
}

function timesOf({ stretch, begin, end }: ChunkPiece): Float64Array {
  return stretch.times.subarray(begin, end);
}

function countOf({ begin, end }: ChunkPiece): number {
  return end - begin;
}
