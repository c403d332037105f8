import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { Value } from '../../src/domain/reading.ts';
import { sampleValue } from '../../src/domain/sample-columns.ts';
import { readChunk } from '../../src/storage/sqlite/chunks/chunk-rows.ts';
import type { Database } from '../../src/storage/sqlite/database.ts';
import { CorruptStoreError, numberIn, Statements } from '../../src/storage/sqlite/database.ts';
import type { Stretch } from '../../src/storage/sqlite/chunks/head.ts';
import { mergeStretches, stretchOf } from '../../src/storage/sqlite/chunks/merge.ts';
import { recover } from '../../src/storage/sqlite/recovery.ts';
import { openForWriting } from '../../src/storage/sqlite/schema.ts';
import { Writer } from '../../src/storage/sqlite/writer.ts';
import { commitOf, type Row } from '../support/storage-commits.ts';
import { tempFolder } from '../support/temp-folder.ts';

const sealAfterMs = 1_000;
const minute = 60_000;

/** The writer with its file, in this thread: what it does between commits is done when a test says so. */
class Store {
  readonly #path: string;
  readonly #sealCount: number;
  #database: Database;
  #writer: Writer;
  #seq: number;
  #now = 0;

  constructor(dir: string, sealCount: number) {
    this.#path = join(dir, 'pulsegate.db');
    this.#sealCount = sealCount;
    [this.#database, this.#writer] = this.#open();
    this.#seq = this.#writer.state.seq;
  }

  get state(): Writer['state'] {
    return this.#writer.state;
  }

  #open(): [Database, Writer] {
    const database = openForWriting(this.#path, { busyTimeoutMs: 0, pagesMax: null });
    const { state } = recover(database, { now: this.#now, newEpoch: 'e', quarantineBytesMax: 1e6 });
    const options = {
      sealAfterMs,
      sealCount: this.#sealCount,
      resumeWindow: { ms: 900_000, bytes: 1e9 },
      quarantineBytesMax: 1e6,
      bytesMax: 0,
      alertsKeptMs: null,
      deliveriesKeptMs: null,
      reserveBytes: 0,
    };
    return [database, new Writer(database, state, options, systemClock)];
  }

  /** All that was in memory is lost. */
  kill(): void {
    this.#database.close();
    [this.#database, this.#writer] = this.#open();
  }

  close(): void {
    this.#database.close();
  }

  addSeries(count: number): void {
    const newSeries = Array.from({ length: count }, (_, index) => ({
      id: index + 1,
      device: 'd',
      metric: `m${index}`,
    }));
    this.#writer.commit(commitOf(++this.#seq, [], { newSeries }), this.#now);
  }

  write(rows: readonly Row[]): void {
    this.#writer.commit(commitOf(++this.#seq, rows), this.#now);
  }

  /** One step of what is done between two commits; false when that was the last. */
  step(): boolean {
    return this.#writer.work();
  }

  /** Seals every head and merges what is to be merged. */
  seal(): void {
    this.#now += sealAfterMs + 1;
    this.#writer.tick(this.#now);
    for (let steps = 0; this.step(); steps++) if (steps > 10_000) throw new Error('work without an end');
  }

  /** Seals every head; of merging only so many steps. */
  sealMerging(steps: number): void {
    this.#now += sealAfterMs + 1;
    this.#writer.tick(this.#now);
    const { state } = this.#writer;
    for (let step = 0, merged = state.mergedBytes; step < steps && this.step(); ) {
      if (state.mergedBytes > merged) step++;
      merged = state.mergedBytes;
    }
  }

  /** The same, but only so many steps of it. */
  sealSteps(steps: number): void {
    this.#now += sealAfterMs + 1;
    this.#writer.tick(this.#now);
    for (let step = 0; step < steps && this.step(); step++);
  }

  writeSealed(rows: readonly Row[]): void {
    this.write(rows);
    this.seal();
  }

  /** Every reading of a series, by the order of writing: chunks in order, late ones by number, the head. */
  readings(series: number): { time: number; value: Value }[] {
    const statements = new Statements(this.#database);
    const stretches: Stretch[] = [];
    const numbers = statements
      .get('SELECT id & 2147483647 FROM kept_chunk WHERE series = ? ORDER BY late, iif(late, id, time_min)')
      .all(series);
    for (const row of numbers) {
      try {
        stretches.push(readChunk(statements, series, numberIn(row, 0)));
      } catch (error) {
        if (!(error instanceof CorruptStoreError)) throw error;
      }
    }
    const head = this.state.series[series]?.head;
    if (head) stretches.push(head.copy(0, head.count));
    const merged = mergeStretches(stretches, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY);
    const all = stretchOf(merged, 0, merged.count);
    return Array.from({ length: all.count }, (_, row) => ({ time: all.times[row] ?? 0, value: sampleValue(all, row) }));
  }

  /** What `sql` answers, as rows of columns. */
  ask(sql: string): unknown[][] {
    return this.#database
      .prepare(sql)
      .all()
      .map((row) => [...row]);
  }
}

let folder: ReturnType<typeof tempFolder>;
let store: Store;

beforeEach(() => {
  folder = tempFolder();
});
afterEach(() => {
  store.close();
  folder.remove();
});

function begin(sealCount: number, series: number): void {
  store = new Store(folder.path, sealCount);
  store.addSeries(series);
}

/** When the reading number `index` of a device came, a little early or late. */
function jitter(index: number): number {
  return index * 1_000 + ((index * 7_919) % 41);
}

/** One message of three metrics. */
function message(time: number, value: number): Row[] {
  return [1, 2, 3].map((series): Row => [series, time, value]);
}

/** Whatever came and went, these hold. */
function expectSound(): void {
  const overlapping = `SELECT count(*) FROM chunk a JOIN chunk b ON a.series = b.series AND a.id < b.id
    AND a.late = 0 AND b.late = 0 AND a.time_min <= b.time_max AND b.time_min <= a.time_max`;
  expect(store.ask(overlapping), 'chunks in order that overlap').toEqual([[0]]);
  const counts = `SELECT count(*) FROM time_column t
    WHERE chunks <> (SELECT count(*) FROM chunk WHERE times = t.id) OR chunks = 0`;
  expect(store.ask(counts), 'time columns that count wrong').toEqual([[0]]);
  const dangling = 'SELECT count(*) FROM chunk WHERE times IS NOT NULL AND times NOT IN (SELECT id FROM time_column)';
  expect(store.ask(dangling), 'chunks without their times').toEqual([[0]]);
  const totals = `SELECT (SELECT count(*) FROM chunk) - coalesce((SELECT value FROM meta WHERE name = 'chunks'), 0),
    (SELECT coalesce(sum(count), 0) FROM chunk)
      - coalesce((SELECT value FROM meta WHERE name = 'chunk_readings'), 0)`;
  expect(store.ask(totals), 'totals that drifted').toEqual([[0, 0]]);
}

function expected(model: ReadonlyMap<number, Value>): { time: number; value: Value }[] {
  return [...model].sort(([a], [b]) => a - b).map(([time, value]) => ({ time, value }));
}

describe('late chunks', () => {
  it('become part of the chunk in order that they lie over, with the value written last', () => {
    begin(8, 1);
    store.writeSealed(Array.from({ length: 8 }, (_, index): Row => [1, index * 10, index]));
    store.writeSealed([
      [1, 20, 'corrected'],
      [1, 35, 3.5],
    ]);
    store.writeSealed([[1, 20, 'again']]);
    expect(store.ask('SELECT late, time_min, time_max, count FROM chunk')).toEqual([[0, 0, 70, 9]]);
    const readings = store.readings(1);
    expect(readings).toHaveLength(9);
    expect(readings[2]).toEqual({ time: 20, value: 'again' });
    expect(readings[4]).toEqual({ time: 35, value: 3.5 });
    expectSound();
  });

  it('in a gap, or before everything, become chunks in order without being written again', () => {
    begin(8, 1);
    store.writeSealed([
      [1, 1_000, 1],
      [1, 1_010, 2],
    ]);
    store.writeSealed([[1, 3_000, 3]]);
    store.writeSealed([[1, 2_000, 4]]);
    store.writeSealed([[1, 10, 5]]);
    expect(store.ask('SELECT late, time_min FROM chunk ORDER BY time_min')).toEqual([
      [0, 10],
      [0, 1_000],
      [0, 2_000],
      [0, 3_000],
    ]);
    expect(store.state).toMatchObject({ mergedBytes: 0 });
    expectSound();
  });

  it('that are wide are merged a piece at a time, and read right all the while', () => {
    begin(4, 1);
    const model = new Map<number, Value>();
    const rows: Row[] = [];
    for (let index = 0; index < 320; index++) rows.push([1, index * 10, index]);
    for (const [, time, value] of rows) model.set(time, value);
    for (let at = 0; at < rows.length; at += 4) store.writeSealed(rows.slice(at, at + 4));
    const late = Array.from({ length: 4 }, (_, index): Row => [1, index * 1_000 + 5, -index]);
    for (const [, time, value] of late) model.set(time, value);
    store.write(late);
    store.seal();
    expect(store.readings(1)).toEqual(expected(model));
    expectSound();
    expect(store.ask('SELECT count(*) FROM chunk WHERE late = 1')).toEqual([[0]]);
  });

  it('of metrics that came together share their times again when they were merged', () => {
    begin(64, 3);
    const rows = Array.from({ length: 64 }, (_, index) => message(jitter(index), index)).flat();
    store.writeSealed(rows);
    expect(store.ask('SELECT chunks FROM time_column')).toEqual([[3]]);
    store.writeSealed([5, 17, 31].flatMap((index) => message(jitter(index) + 500, -index)));
    expect(store.ask('SELECT series, late, count FROM chunk ORDER BY id')).toEqual([
      [1, 0, 67],
      [2, 0, 67],
      [3, 0, 67],
    ]);
    expect(store.ask('SELECT chunks FROM time_column')).toEqual([[3]]);
    expectSound();
  });

  it('wait when merging them would write too much again, and are not many for that', () => {
    begin(32, 1);
    const all = 32 * 60;
    for (let at = 0; at < all; at += 32) {
      store.write(Array.from({ length: 32 }, (_, index): Row => [1, (at + index) * 10, (at + index) % 7]));
    }
    store.seal();
    const model = new Map<number, Value>(Array.from({ length: all }, (_, index) => [index * 10, index % 7]));
    // One reading for each fourth chunk, again and again: each time all of the store would be written again.
    for (let round = 0; round < 40; round++) {
      const rows = Array.from({ length: 15 }, (_, index): Row => [1, index * 1_280 + 5 + round * 10, round]);
      for (const [, time, value] of rows) model.set(time, value);
      store.writeSealed(rows);
    }
    expect(store.readings(1)).toEqual(expected(model));
    const { sealedBytes, mergedBytes } = store.state;
    expect(mergedBytes).toBeLessThan(10 * sealedBytes);
    expect(Number(store.ask('SELECT count(*) FROM chunk WHERE late = 1')[0]?.[0])).toBeLessThan(12);
    expectSound();
  });
});

describe('small chunks', () => {
  it('of a slow series become large ones, each reading written again no more than once a tier', () => {
    begin(256, 1);
    const count = 640;
    for (let at = 0; at < count; at += 4) {
      store.writeSealed([0, 1, 2, 3].map((index): Row => [1, (at + index) * minute, (at * 31 + index) % 97]));
    }
    expect(store.readings(1)).toHaveLength(count);
    const { chunks, sealedBytes, mergedBytes } = store.state;
    expect(chunks).toBeLessThan(14);
    // Tiers of 16, 64 and 256; larger chunks take fewer bytes a reading.
    expect(mergedBytes).toBeLessThan(3 * sealedBytes);
    expectSound();
  });

  it('of metrics that come together go on sharing their times', () => {
    begin(64, 4);
    for (let at = 0; at < 64; at += 4) {
      const rows = [0, 1, 2, 3].flatMap((index) => {
        const time = (at + index) * minute + (((at + index) * 7_919) % 4_000);
        return [1, 2, 3, 4].map((series): Row => [series, time, series * index]);
      });
      store.writeSealed(rows);
    }
    expect(store.ask('SELECT count(*), min(count) FROM chunk')).toEqual([[4, 64]]);
    expect(store.ask('SELECT chunks FROM time_column')).toEqual([[4]]);
    expectSound();
  });

  it('of slow series are merged in turn with late ones, however many of those keep coming', () => {
    const [slow, busy] = [8, 24];
    begin(64, slow + busy);
    const readings = 600;
    const rows: Row[] = [];
    for (let of = slow + 1; of <= slow + busy; of++) {
      for (let at = 0; at < readings; at++) rows.push([of, at * 1_000, at % 7]);
    }
    for (let at = 0; at < rows.length; at += 1_000) store.write(rows.slice(at, at + 1_000));
    store.seal();
    for (let round = 0; round < 64; round++) {
      const late: Row[] = [];
      for (let of = slow + 1; of <= slow + busy; of++) {
        for (let at = round % 9; at < readings; at += 9) late.push([of, at * 1_000 + 1 + round, round]);
      }
      store.write(late);
      store.write(Array.from({ length: slow }, (_, of): Row => [of + 1, round * minute, round]));
      // So much that late chunks are left over each time.
      store.sealMerging(2);
    }
    const late = Number(store.ask('SELECT count(*) FROM chunk WHERE late = 1')[0]?.[0]);
    expect(late, 'late chunks that wait').toBeGreaterThan(busy);
    const small = Number(store.ask(`SELECT count(*) FROM chunk WHERE series <= ${slow}`)[0]?.[0]);
    // 64 chunks of one reading each make four of sixteen; some are on their way.
    expect(small).toBeLessThan(slow * 12);
    expectSound();
  });

  it('that lie far from each other stay apart, since readings are deleted by whole chunks', () => {
    begin(64, 1);
    for (let month = 0; month < 8; month++) store.writeSealed([[1, month * 30 * 86_400_000, month]]);
    expect(store.ask('SELECT count(*) FROM chunk')).toEqual([[8]]);
  });
});

describe('a chunk that is damaged', () => {
  it('is left alone, costs no commit, and its neighbours are merged', () => {
    begin(4, 1);
    for (let at = 0; at < 4; at++) {
      store.writeSealed([0, 1, 2, 3].map((index): Row => [1, (at * 4 + index) * 10, index]));
    }
    store.ask('UPDATE chunk SET bytes = zeroblob(length(bytes)) WHERE time_min = 40 RETURNING id');
    store.kill();
    // Each a correction of what cannot be read, a new reading, or a correction of what can.
    store.writeSealed([
      [1, 50, 'mended'],
      [1, 45, 'new'],
    ]);
    store.writeSealed([[1, 100, 'right']]);
    expect(store.state.damagedChunks).toBeGreaterThan(0);
    expect(store.ask('SELECT late, time_min, count FROM chunk ORDER BY id')).toContainEqual([0, 40, 4]);
    expect(store.ask('SELECT count(*) FROM chunk WHERE late = 1 AND time_min = 100')).toEqual([[0]]);
    expectSound();
  });
});

describe('merging', () => {
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('write' as const),
        at: fc.nat(200),
        count: fc.integer({ min: 1, max: 12 }),
      }),
    },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('seal' as const), steps: fc.nat(4) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('kill' as const) }) },
  );

  beforeEach(() => begin(8, 1));

  it('changes no answer, whatever was written in whatever order, and whenever it is killed', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 80, size: 'max' }), fc.nat(3), (steps, stride) => {
        store.close();
        folder.remove();
        folder = tempFolder();
        begin(8, 3);
        const models = [1, 2, 3].map(() => new Map<number, Value>());
        const expectSame = (): void => {
          for (const [index, model] of models.entries()) expect(store.readings(index + 1)).toEqual(expected(model));
          expectSound();
        };
        for (const [at, each] of steps.entries()) {
          if (each.kind === 'kill') store.kill();
          else if (each.kind === 'seal') store.sealSteps(each.steps);
          else {
            const rows: Row[] = [];
            for (let index = 0; index < each.count; index++) {
              // Two metrics always together, one now and then; times close enough to meet again.
              const time = (each.at + index * (1 + stride)) * 10;
              const value = (index * 7 + at) % 5 === 0 ? index % 2 === 0 : (at * 31 + index) % 11;
              for (const series of index % 3 === 0 ? [1, 2, 3] : [1, 2]) {
                rows.push([series, time, value]);
                models[series - 1]?.set(time, value);
              }
            }
            store.write(rows);
          }
          if (each.kind !== 'write') expectSame();
        }
        store.seal();
        expectSame();
      }),
      { numRuns: 15 },
    );
  });
});
