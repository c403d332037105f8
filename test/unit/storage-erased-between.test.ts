import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Sample } from '../../src/history/reader.ts';
import { HistoryRig } from '../support/history-rig.ts';
import { commitOf, newSeries, type Row } from '../support/storage-commits.ts';
import { samplesOf } from '../support/history-columns.ts';

// A question takes no more of a head than its page can tell. What was taken may be deleted before the snapshot is opened:
// then what stands behind it in the head must not be passed over.

const begin = 1_700_000_000_000;
const count = 60;
let rig: HistoryRig;

beforeEach(() => {
  rig = new HistoryRig({
    sealAfterMs: 600_000,
    sealCount: 1_024,
    resumeWindow: { ms: 900_000, bytes: 1 << 20 },
    quarantineBytesMax: 1 << 20,
    bytesMax: 0,
    alertsKeptMs: null,
    deliveriesKeptMs: null,
    reserveBytes: 0,
  });
  const rows: Row[] = Array.from({ length: count }, (_, at) => [1, begin + at, at]);
  rig.commit(commitOf(1, rows, { newSeries: newSeries(1) }));
});

afterEach(() => rig.close());

/** Deletes the readings in `[from, to)`, by their values, as soon as heads were copied. */
function deleteBetween(from: number, to: number): void {
  rig.between = () => {
    rig.between = () => undefined;
    rig.commit(commitOf(2, [], { deletions: [{ series: 1, from: begin + from, to: begin + to }] }));
  };
}

async function pages(order: 'asc' | 'desc', limit: number): Promise<Sample[]> {
  const found: Sample[] = [];
  let [from, to] = [begin - 1_000, begin + 1_000];
  for (;;) {
    const { parts, next } = await rig.reader.page({ ranges: [{ series: 1, from, to }], order, limit });
    for (const { columns } of parts) found.push(...samplesOf(columns));
    if (next === null) return found;
    if (order === 'asc') from = next.time;
    else to = next.time;
  }
}

it.each(['asc', 'desc'] as const)('pages %s tell what is behind the readings that were deleted', async (order) => {
  if (order === 'asc') deleteBetween(0, 20);
  else deleteBetween(40, 60);
  const values = (await pages(order, 10)).map(({ value }) => value);
  const left = Array.from({ length: 40 }, (_, at) => (order === 'asc' ? at + 20 : 39 - at));
  expect(values).toEqual(left);
});

it('the neighbours of a range are those that are left', async () => {
  deleteBetween(25, 35);
  const range = { series: 1, from: begin + 35, to: begin + 35 };
  expect(await rig.reader.boundaries([range])).toEqual([
    { before: { time: begin + 24, value: 24 }, after: { time: begin + 35, value: 35 } },
  ]);
});

it('what a bucket holds from before it is what is left', async () => {
  deleteBetween(25, 35);
  const { parts } = await rig.reader.aggregate({
    ranges: [{ series: 1, from: begin + 35, to: begin + 40 }],
    kinds: ['gauge'],
    grid: { kind: 'fixed', width: 5, origin: begin },
    aggregates: [{ kind: 'delta' }],
    fill: 'none',
    limit: 10,
  });
  expect(parts[0].buckets.columns).toEqual([[39 - 24]]);
});
