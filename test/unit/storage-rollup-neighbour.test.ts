import { afterEach, expect, it } from 'vitest';
import { HistoryRig } from '../support/history-rig.ts';
import { commitOf, newSeries, type Row } from '../support/storage-commits.ts';

// Where readings are purged a rollup knows what was in force, also when it was told long before.

const day = 86_400_000;
const start = 15 * day * 1_300;
let rig: HistoryRig;

afterEach(() => rig.close());

/** Ten readings, a second apart. */
function some(from: number, value: number): Row[] {
  return Array.from({ length: 10 }, (_, at) => [1, from + at * 1_000, value]);
}

it.each([
  ['minutes', { raw: day, minute: null, hour: 0 }],
  ['hours', { raw: day, minute: 0, hour: null }],
] as const)('of purged time the nearest %s tell what was in force, months away', (_, policy) => {
  rig = new HistoryRig({
    sealAfterMs: 1_000,
    sealCount: 64,
    resumeWindow: { ms: 0, bytes: 0 },
    quarantineBytesMax: 1 << 20,
    bytesMax: 0,
    alertsKeptMs: null,
    deliveriesKeptMs: null,
    reserveBytes: 0,
  });
  const later = start + 100 * day;
  rig.commit(commitOf(1, some(start, 3), { newSeries: newSeries(1), at: start }));
  rig.commit(commitOf(2, some(later, 8), { at: later }));
  rig.commit(commitOf(3, [[1, later + 200 * day, 5]], { at: later + 200 * day }));
  rig.retain({ policies: [policy], ofSeries: Uint16Array.of(0, 0) });
  for (let round = 0; round < 20; round++) {
    rig.pass(10_000);
    while (rig.work() || rig.rollUp());
  }
  return expectInForce(later);
});

async function expectInForce(later: number): Promise<void> {
  expect((await rig.reader.estimate([{ series: 1, from: start, to: later + day }])).readings).toBe(0);
  const from = start + 50 * day;
  const { parts } = await rig.reader.aggregate({
    ranges: [{ series: 1, from, to: from + 4 * day }],
    kinds: ['gauge'],
    grid: { kind: 'fixed', width: 2 * day, origin: start },
    aggregates: [{ kind: 'last' }],
    fill: 'linear',
    limit: 10,
  });
  const [first, last] = [start + 9_000, later];
  const line = [1, 3].map((days) => 3 + (5 * (from + days * day - first)) / (last - first));
  expect(parts[0].buckets.columns[0].map((value) => Number(value).toFixed(9))).toEqual(
    line.map((value) => value.toFixed(9)),
  );
}
