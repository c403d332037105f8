import { expect, it } from 'vitest';
import { commitOf, newSeries, type Row } from '../support/storage-commits.ts';
import { HistoryRig } from '../support/history-rig.ts';

// Series with readings at quite different times: each brings buckets that no other has, and the answer holds few of them.
it('the first buckets of a group are right, however many others its series have', async () => {
  const [series, buckets, limit] = [40, 50, 7];
  const rig = new HistoryRig({
    sealAfterMs: 600_000,
    sealCount: 64,
    resumeWindow: { ms: 900_000, bytes: 1 << 20 },
    quarantineBytesMax: 1 << 20,
    bytesMax: 0,
    alertsKeptMs: null,
    deliveriesKeptMs: null,
    reserveBytes: 0,
  });
  try {
    const minute = 60_000;
    const begin = 1_700_000_000_000 - (1_700_000_000_000 % minute);
    const rows: Row[] = [];
    for (let bucket = 0; bucket < buckets; bucket++) {
      for (let one = 1; one <= series; one++) rows.push([one, begin + (bucket * series + series - one) * minute, one]);
    }
    rig.commit(commitOf(1, [], { newSeries: newSeries(series) }));
    rig.commit(commitOf(2, rows));
    const ranges = Array.from({ length: series }, (_, index) => ({
      series: index + 1,
      from: begin,
      to: begin + series * buckets * minute,
    }));
    const page = await rig.reader.across({
      ranges,
      kinds: ranges.map(() => 'gauge'),
      groupOf: ranges.map(() => 0),
      groups: 1,
      grid: { kind: 'fixed', width: minute, origin: 0 },
      aggregate: { kind: 'last' },
      limit,
    });
    const [{ times, sums }] = page.groups;
    expect(page.next).toBe(begin + limit * minute);
    expect([...times]).toEqual(Array.from({ length: limit }, (_, bucket) => begin + bucket * minute));
    expect([...sums]).toEqual(Array.from({ length: limit }, (_, bucket) => series - bucket));
  } finally {
    rig.close();
  }
});
