import * as fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { type Random, seededRandom } from '../../src/base/random.ts';
import type { Value } from '../../src/domain/reading.ts';
import { rawCutoff } from '../../src/domain/retention.ts';
import { answersOf, sumsOf } from '../support/history-answers.ts';
import { expectClose } from '../support/history-close.ts';
import { HistoryRig } from '../support/history-rig.ts';
import { commitOf, type Row } from '../support/storage-commits.ts';

/**
 * Whatever the order in which readings arrive, the answers are those of the order in which they were measured. Only what
 * has one identity keeps its order, for there the last one counts.
 */
const hour = 3_600_000;
const day = 24 * hour;
/** Midnight, a day before a window of hours ends. */
const start = 360 * hour * 1_380 - day;

interface Measured {
  readonly time: number;
  readonly value: Value;
}

let rig: HistoryRig | null = null;
afterEach(() => {
  rig?.close();
  rig = null;
});

/** A store with so many series, each of a device of its own. */
class Store {
  readonly rig: HistoryRig;
  at = start;
  #seq = 0;

  constructor(series: number, sealCount: number) {
    rig?.close();
    this.rig = new HistoryRig({
      sealAfterMs: 60_000,
      sealCount,
      resumeWindow: { ms: 0, bytes: 0 },
      quarantineBytesMax: 1_000,
      bytesMax: 0,
      alertsKeptMs: null,
      deliveriesKeptMs: null,
      reserveBytes: 0,
    });
    rig = this.rig;
    const newSeries = Array.from({ length: series }, (_, index) => ({
      id: index + 1,
      device: `device-${index}`,
      metric: 'm',
    }));
    this.#commit([], newSeries);
  }

  commit(rows: readonly Row[]): void {
    this.#commit(rows, []);
  }

  seal(): void {
    this.rig.pass(61_000);
    while (this.rig.work());
  }

  /** All that is to be purged is, after it was summed up. */
  purge(raw: number, series: number): void {
    this.rig.retain({ policies: [{ raw, minute: null, hour: null }], ofSeries: new Uint16Array(series + 1) });
    for (let round = 0; round < 4; round++) {
      this.seal();
      while (this.rig.rollUp());
    }
  }

  #commit(rows: readonly Row[], newSeries: ReturnType<typeof commitOf>['newSeries']): void {
    this.rig.commit(commitOf(++this.#seq, rows, { at: this.at, newSeries }));
  }
}

/** All orders of 0 … count - 1. */
function permutations(count: number): number[][] {
  if (count === 0) return [[]];
  return permutations(count - 1).flatMap((order) =>
    Array.from({ length: count }, (_, at) => order.toSpliced(at, 0, count - 1)),
  );
}

/** Of readings with one identity the order is kept: they change places among themselves. */
function keepingIdentities(readings: readonly Measured[], order: readonly number[]): Measured[] {
  const left = Map.groupBy(readings, ({ time }) => time);
  const next = new Map([...left].map(([time, same]) => [time, [...same]]));
  return order.flatMap((at) => next.get(readings[at].time)?.splice(0, 1) ?? []);
}

function shuffled(readings: readonly Measured[], random: Random): Measured[] {
  const order = readings.map((_, index) => index);
  for (let at = order.length - 1; at > 0; at--) {
    const other = Math.floor(random.next() * (at + 1));
    [order[at], order[other]] = [order[other], order[at]];
  }
  return keepingIdentities(readings, order);
}

const m = 60_000;
interface MeasuredSet {
  readonly name: string;
  readonly readings: readonly Measured[];
  /** After how many readings chunks are sealed; 0: not before all are there. */
  readonly sealed: readonly number[];
}
const sets: readonly MeasuredSet[] = [
  {
    name: 'six readings of a minute and of the next hours',
    sealed: [1, 3],
    readings: [
      { time: start + 1, value: 1 },
      { time: start + 2, value: -2 },
      { time: start + 59_999, value: 3.5 },
      { time: start + m, value: 0.25 },
      { time: start + 61 * m, value: 8 },
      { time: start + 7 * hour, value: -0.5 },
    ],
  },
  {
    name: 'a duplicate and two replacements',
    sealed: [0, 1],
    readings: [
      { time: start + 5, value: 1 },
      { time: start + 5, value: 2 },
      { time: start + m, value: 3 },
      { time: start + m, value: 3 },
      { time: start + 6 * hour, value: 4 },
      { time: start + 6 * hour, value: -4 },
    ],
  },
  {
    name: 'numbers, booleans and texts',
    sealed: [1],
    readings: [
      { time: start, value: 'off' },
      { time: start + 1, value: true },
      { time: start + 2 * m, value: 1.5 },
      { time: start + 2 * m, value: 'on' },
      { time: start + 25 * hour, value: false },
      { time: start + 25 * hour + 1, value: 2 },
    ],
  },
];

describe('every order of arrival gives the same answers', () => {
  const orders = permutations(6);
  const range = { from: start - hour, to: start + 30 * hour, width: 40 * m };

  it.each(sets.flatMap(({ name, readings, sealed }) => sealed.map((sealedEvery) => ({ name, readings, sealedEvery }))))(
    '$name, sealed after each $sealedEvery',
    async ({ readings, sealedEvery }) => {
      expect(orders).toHaveLength(720);
      const arrivals = orders.map((order) => keepingIdentities(readings, order));
      const store = new Store(721, 4);
      const ordered = [...readings].sort((a, b) => a.time - b.time);
      for (let turn = 0; turn < readings.length; turn++) {
        store.at += 1_000;
        const rows = [ordered, ...arrivals].map((arrival, index): Row => {
          const { time, value } = arrival[turn];
          return [index + 1, time, value];
        });
        store.commit(rows);
        if (sealedEvery > 0 && (turn + 1) % sealedEvery === 0) store.seal();
      }
      const expected = await answersOf(store.rig.reader, 1, range);
      for (let series = 2; series <= 721; series++) {
        expectClose(await answersOf(store.rig.reader, series, range), expected, nameOf(arrivals[series - 2]));
      }

      // The same once only rollups are left of most of them.
      const sums = await sumsOf(store.rig.reader, { series: 1, ...range });
      store.at = start + 2 * day;
      store.commit([]);
      store.purge(day, 721);
      const policy = { raw: day, minute: null, hour: null };
      for (let series = 1; series <= 721; series++) {
        const name = series === 1 ? 'in order' : nameOf(arrivals[series - 2]);
        const { samples } = await firstPage(store, series);
        expect(
          samples.every(({ time }) => time >= rawCutoff(policy, store.at)),
          name,
        ).toBe(true);
        expectClose(await sumsOf(store.rig.reader, { series, ...range }), sums, name);
      }
    },
  );

  it('two thousand readings in any order, in any commits, with seals and merges in between', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 }), async (seed) => {
        const random = seededRandom(seed);
        const measured: Measured[] = [];
        for (let index = 0; measured.length < 2_000; index++) {
          const time = start + index * 90_000 + Math.floor(random.next() * 30_000);
          measured.push({ time, value: anyValue(random) });
          // Corrected, or sent twice.
          if (random.next() < 0.1)
            measured.push({ time, value: random.next() < 0.5 ? anyValue(random) : (measured.at(-1)?.value ?? 0) });
        }
        const newest = measured.at(-1)?.time ?? start;
        const span = { from: start - day, to: newest + day, width: 1_800_000 };
        const store = new Store(2, 64);
        store.at = newest;
        const arrivals: [number, readonly Measured[]][] = [
          [1, measured],
          [2, shuffled(measured, random)],
        ];
        for (const [series, arrival] of arrivals) {
          for (let at = 0; at < arrival.length; ) {
            const end = at + 1 + Math.floor(random.next() * 120);
            store.commit(arrival.slice(at, end).map(({ time, value }): Row => [series, time, value]));
            at = end;
            const fate = random.next();
            if (fate < 0.3) store.seal();
            else if (fate < 0.5) store.rig.work();
            else if (fate < 0.55) while (store.rig.rollUp());
            else if (fate < 0.6) store.rig.kill();
          }
        }
        const { reader } = store.rig;
        const expected = await answersOf(reader, 1, span);
        expectClose(await answersOf(reader, 2, span), expected, 'in another order');
        store.seal();
        while (store.rig.rollUp());
        expectClose(await answersOf(reader, 1, span), expected, 'in another order');
        expectClose(await answersOf(reader, 2, span), expected, 'in another order');
        store.rig.kill();
        const [one, other] = store.rig.recovered.series;
        expect({ time: other.time, value: other.value }).toEqual({ time: one.time, value: one.value });

        const sums = await sumsOf(reader, { series: 1, ...span });
        store.purge(6 * hour, 2);
        expect((await firstPage(store, 2)).samples).toEqual((await firstPage(store, 1)).samples);
        expect(store.rig.facts(2).rawFrom).toBeGreaterThan(start);
        expectClose(await sumsOf(reader, { series: 1, ...span }), sums, 'in another order');
        expectClose(await sumsOf(reader, { series: 2, ...span }), sums, 'in another order');
      }),
      { numRuns: 6 },
    );
  });
});

async function firstPage(
  store: Store,
  series: number,
): Promise<{ readonly samples: readonly { readonly time: number }[] }> {
  const { ascending } = (await answersOf(store.rig.reader, series, { from: start, to: start + hour, width: hour })) as {
    ascending: { samples: { time: number }[] };
  };
  return ascending;
}

/** Exact in sums, and now and then something else than a number. */
function anyValue(random: Random): Value {
  const kind = random.next();
  if (kind < 0.02) return 'on';
  if (kind < 0.04) return kind < 0.03;
  return Math.floor(random.next() * 64) / 8;
}

function nameOf(arrival: readonly Measured[]): string {
  return JSON.stringify(arrival.map(({ time, value }) => [time - start, value]));
}
