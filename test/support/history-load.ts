import { seededRandom } from '../../src/base/random.ts';
import type { Commit } from '../../src/domain/commit.ts';
import type { Deletion } from '../../src/domain/deletion.ts';
import type { Value } from '../../src/domain/reading.ts';
import type { RetentionPlan } from '../../src/domain/retention.ts';
import { commitOf, type Row } from './storage-commits.ts';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const start = 360 * hour * 1_380 - 2 * day;

export const historyLoadSeries = [1, 2, 3, 4, 5];
/** Of these only rollups are left after half a day. */
export const purgedSeries = [3, 4];

/** Readings of series 1, 2 and 5 are kept, those of 3 and 4 by the minute for a day, then by the hour. */
export const historyLoadPlan: RetentionPlan = {
  policies: [
    { raw: null, minute: null, hour: null },
    { raw: 12 * hour, minute: day, hour: null },
  ],
  ofSeries: Uint16Array.from([0, 0, 0, 1, 1, 0]),
};

/**
 * Commit `seq` of an endless load that two processes can both work out, ten minutes after the one before it: in order,
 * late by up to five hours, repeated and replaced, booleans and texts; and deletions, of purged time by whole hours.
 */
export function historyLoad(seed: number, seq: number): Commit {
  const random = seededRandom(seed ^ Math.imul(seq, 0x9e37_79b1));
  const below = (limit: number): number => Math.floor(random.next() * limit);
  const at = start + seq * 10 * minute;
  const rows: Row[] = [];
  // Three metrics of one message share their times; the others come as they like.
  for (let message = 0; message < 4; message++) {
    const time = at + message * 2 * minute + below(minute);
    for (const series of [1, 2, 3]) if (random.next() < 0.9) rows.push([series, time, valueOf(series, random.next())]);
  }
  for (let extra = below(12); extra > 0; extra--) {
    const series = 1 + below(5);
    const time = at - (random.next() < 0.5 ? below(5 * 60) * minute : below(20) * 1_000);
    rows.push([series, time, valueOf(series, random.next())]);
  }
  const deletions = seq % 7 === 0 ? deletionsOf(below, at) : [];
  const newSeries = historyLoadSeries.map((id) => ({ id, device: id < 4 ? 'watch' : 'pump', metric: `m${id}` }));
  return commitOf(seq, rows, { at, deletions, newSeries: seq === 1 ? newSeries : [] });
}

function deletionsOf(below: (limit: number) => number, at: number): Deletion[] {
  const series = 1 + below(5);
  const ago = below(below(2) === 0 ? 400 : 4_000) * minute;
  const length = below(3) === 0 ? below(2 * day) : below(3 * hour);
  const [from, to] = [at - ago - length, at - ago];
  if (below(12) === 0) return [{ series, from: Number.MIN_SAFE_INTEGER, to: Number.MAX_SAFE_INTEGER }];
  if (!purgedSeries.includes(series)) return [{ series, from, to }];
  return [{ series, from: Math.floor(from / hour) * hour, to: Math.floor(to / hour) * hour }];
}

/** Few distinct values, so that some readings come again as they were; exact in sums. */
function valueOf(series: number, random: number): Value {
  if (series === 2) return random < 0.5;
  if (series === 5 && random < 0.3) return `state ${Math.floor(random * 10)}`;
  return Math.floor(random * 8) / 4;
}
