import type { Aggregate } from '../../src/domain/aggregate.ts';
import { plainAggregates } from '../../src/domain/aggregate.ts';
import type { BucketGrid } from '../../src/domain/bucket-grid.ts';
import type { RigQueries } from './history-rig.ts';
import { samplesIn } from './storage-commits.ts';

export const everything = { from: Number.MIN_SAFE_INTEGER, to: Number.MAX_SAFE_INTEGER };

/** Aggregates that rollups tell as readings do. */
const summed: readonly Aggregate[] = plainAggregates.filter((kind) => kind !== 'median').map((kind) => ({ kind }));
const all: readonly Aggregate[] = [
  ...summed,
  { kind: 'median' },
  { kind: 'percentile', rank: 90 },
  { kind: 'timeInRange', low: 0, high: 2 },
  { kind: 'duration', state: true },
];

/** What a store says of a series, as far as it does not depend on where it stands: readings, buckets, shapes, neighbours. */
export async function answersOf(
  reader: RigQueries,
  series: number,
  { from, to, width }: { readonly from: number; readonly to: number; readonly width: number },
): Promise<unknown> {
  const range = { series, from, to };
  const middle = { series, from: from + (to - from) * 0.25, to: from + (to - from) * 0.75 };
  const page = async (order: 'asc' | 'desc'): Promise<unknown> => {
    const { parts, next, damaged } = await reader.page({ ranges: [{ series, ...everything }], order, limit: 10_000 });
    return { samples: parts.flatMap(({ columns }) => samplesIn(columns)), next, damaged };
  };
  const shape = async (method: 'minmax' | 'lttb', points: number): Promise<unknown> => {
    const { parts } = await reader.decimate({ ranges: [{ series, ...everything }], points, method });
    return samplesIn(parts[0].columns);
  };
  return {
    ascending: await page('asc'),
    descending: await page('desc'),
    boundaries: await reader.boundaries([
      range,
      { ...middle, from: Math.floor(middle.from), to: Math.floor(middle.to) },
    ]),
    shapes: [await shape('minmax', 4), await shape('lttb', 5), await shape('minmax', 60), await shape('lttb', 50)],
    fine: await bucketsOf(reader, { series, from, to }, { kind: 'fixed', width, origin: 7 }, all),
    coarse: await bucketsOf(reader, { series, from, to }, { kind: 'fixed', width: to - from, origin: 0 }, all),
    summed: await sumsOf(reader, { series, from, to }),
  };
}

/** What rollups can tell, by the hour and by the day. */
export async function sumsOf(
  reader: RigQueries,
  range: { readonly series: number; readonly from: number; readonly to: number },
): Promise<unknown> {
  const day = { kind: 'calendar', unit: 'day', count: 1, timeZone: 'UTC' } as const;
  return [
    await bucketsOf(reader, range, { kind: 'fixed', width: 3_600_000, origin: 0 }, summed),
    await bucketsOf(reader, range, day, summed),
  ];
}

async function bucketsOf(
  reader: RigQueries,
  range: { readonly series: number; readonly from: number; readonly to: number },
  grid: BucketGrid,
  aggregates: readonly Aggregate[],
): Promise<unknown> {
  const { parts } = await reader.aggregate({
    ranges: [range],
    kinds: ['gauge'],
    grid,
    aggregates,
    fill: 'none',
    limit: 10_000,
  });
  const [{ buckets, next }] = parts;
  return {
    next,
    times: [...buckets.times.subarray(0, buckets.count)],
    columns: buckets.columns,
  };
}
