import type { Commit, CommitResult } from '../domain/commit.ts';
import { disposition, type ReadingColumns, valueAt } from '../domain/reading.ts';
import type { CommitStore } from './ports.ts';

/** What a commit came to that is on disk though nobody said so at the time; throws when the store does not have it. */
export async function readBack(store: CommitStore, { seq, readings }: Commit): Promise<CommitResult> {
  const { batches } = await store.reader.log({ after: seq - 1, readingsMax: 1 });
  const logged = batches.find((batch) => batch.seq === seq);
  if (!logged) throw new Error(`commit ${seq} is not in the log of the store`);
  return { seq, readings, dispositions: dispositionsFrom(readings, logged.readings), deleted: null };
}

/**
 * What a commit made of its readings, told by what of them is in the log, which keeps their order and leaves the
 * identical ones out. Between a reading that is missing in the log and an equal one that is there, another value must
 * have been written for the same time, so the first that is equal is the right one. Whether a reading was stored or
 * replaced an older value is not in the log; it counts as stored. Null when nothing is missing.
 */
function dispositionsFrom(readings: ReadingColumns, logged: ReadingColumns): Uint8Array<ArrayBuffer> | null {
  if (logged.count === readings.count) return null;
  const dispositions = new Uint8Array(readings.count);
  let next = 0;
  for (let row = 0; row < readings.count; row++) {
    if (next < logged.count && isSame(readings, row, logged, next)) next++;
    else dispositions[row] = disposition.identical;
  }
  return dispositions;
}

function isSame(readings: ReadingColumns, row: number, logged: ReadingColumns, other: number): boolean {
  return (
    readings.series[row] === logged.series[other] &&
    readings.times[row] === logged.times[other] &&
    Object.is(valueAt(readings, row), valueAt(logged, other))
  );
}
