import { expect, test } from 'vitest';
import { rawPages } from '../../src/api/readings/raw-pages.ts';
import { type AskedSeries, matching } from '../../src/api/readings/reading-series.ts';
import { seriesTurns, type TurnLimits } from '../../src/api/readings/series-turns.ts';
import { Strangers } from '../support/api-strangers.ts';
import { memoryHistory } from '../support/memory-history.ts';

const series: readonly AskedSeries[] = Array.from({ length: 10 }, (_, index) => ({
  id: index + 1,
  device: `s-${index}`,
  metric: 'v',
  unit: null,
}));
const { signal: lasting } = new AbortController();
const limits: TurnLimits = { limit: 100, atOnce: 2, seriesMax: 100, valuesMax: 1_000_000, signal: lasting };

/** Ten values for each series but every third, which has none. */
function show(asked: readonly AskedSeries[]) {
  const table = { count: 5, times: [], names: ['avg', 'max'], columns: [] };
  return Promise.resolve(asked.map(({ id }) => (id % 3 === 0 ? null : { id, table })));
}

async function collected<T>(turns: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const turn of turns) all.push(turn);
  return all;
}

async function turnsOf(changes: Partial<TurnLimits>, from = 0) {
  return collected(seriesTurns(series.slice(from).values(), { ...limits, ...changes }, show));
}

test('a page ends with the turn that fills it, and the next one begins with the series behind', async () => {
  const turns = await turnsOf({ valuesMax: 25 });
  expect(turns.map(({ shown }) => shown.map(({ id }) => id))).toEqual([[1, 2], [4]]);
  expect(turns.at(-1)?.next).toBe(series[4]);
  const all: number[] = [];
  for (let from: number | null = 0; from !== null; ) {
    const page = await turnsOf({ valuesMax: 25 }, from);
    all.push(...page.flatMap(({ shown }) => shown.map(({ id }) => id)));
    const next = page.at(-1)?.next ?? null;
    from = next && series.indexOf(next);
  }
  expect(all).toEqual([1, 2, 4, 5, 7, 8, 10]);
});

test('what is streamed is never full', async () => {
  const turns = await turnsOf({ limit: null, valuesMax: 1, seriesMax: 1 });
  expect(turns.flatMap(({ shown }) => shown)).toHaveLength(7);
});

test('nothing more is asked for once nobody waits, also where there was nothing to tell yet', async () => {
  const leaving = new AbortController();
  let asked = 0;
  const turns = seriesTurns(series.values(), { ...limits, signal: leaving.signal }, (some) => {
    if (++asked === 2) leaving.abort(new Error('gone'));
    return Promise.resolve(some.map(() => null));
  });
  await expect(collected(turns)).rejects.toThrow('gone');
  expect(asked).toBe(2);
});

test('pages of readings end with whoever waited for them', async () => {
  const leaving = new AbortController();
  let asked = 0;
  const reader = memoryHistory(
    () => [],
    async (make) => {
      asked++;
      leaving.abort(new Error('gone'));
      return make();
    },
  );
  // More series than one question is about, all of them quiet.
  const many = Array.from({ length: 100 }, () => series[0]);
  const pages = rawPages(reader, many.values(), {
    range: { from: 0, to: 2 },
    order: 'asc',
    format: 'ndjson',
    limit: null,
    seriesMax: null,
    at: null,
    asker: { name: 'one', signal: leaving.signal },
  });
  await expect(collected(pages)).rejects.toThrow('gone');
  expect(asked).toBe(1);
});

test('a filter that takes nothing of many series lets others have their turn, and ends with whoever asked', async () => {
  const many = Array.from({ length: 2_000 }, (_, index) => ({ id: index + 1, device: `s-${index}`, metric: 'v' }));
  const nothing = { text: 'x', matches: () => false };
  const look = (signal: AbortSignal) =>
    matching(new Strangers().ports(), many, { device: nothing, metric: nothing }, { device: '', metric: '' }, signal);
  let turns = 0;
  let isLooking = true;
  const others = (): void => {
    turns++;
    if (isLooking) setImmediate(others);
  };
  setImmediate(others);
  expect(await look(lasting).next()).toMatchObject({ done: true });
  isLooking = false;
  expect(turns).toBeGreaterThanOrEqual(7);
  const leaving = new AbortController();
  leaving.abort(new Error('gone'));
  await expect(look(leaving.signal).next()).rejects.toThrow('gone');
});
