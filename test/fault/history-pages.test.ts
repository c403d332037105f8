import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { silentLog } from '../../src/base/log.ts';
import type { Value } from '../../src/domain/reading.ts';
import type { Engine } from '../../src/history/engine.ts';
import { createSqliteEngine } from '../../src/storage/sqlite/engine.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { commitOf, type Row, samplesIn } from '../support/storage-commits.ts';
import { tempFolder } from '../support/temp-folder.ts';

const seriesCount = 40;
const perSeries = 1_500;
const begin = 1_790_000_000_000;

let clock: FakeClock;
let folder: ReturnType<typeof tempFolder>;
let engine: Engine;
beforeEach(async () => {
  clock = new FakeClock();
  folder = tempFolder();
  engine = createSqliteEngine({
    dir: folder.path,
    clock,
    log: silentLog,
    sealAfterMs: 60_000,
    sealCount: 64,
    resumeWindow: { ms: 60_000, bytes: 1 << 18 },
  });
  await engine.open();
});
afterEach(async () => {
  await engine.close();
  folder.remove();
});

type Kept = Map<number, Value>;

/** A writer without an end: new readings, late ones, other values at old times, deletions; and all that follows from them. */
class BusyWriter {
  /** By series: readings as they are now. */
  readonly kept = Array.from({ length: seriesCount + 1 }, (): Kept => new Map());
  /** By series: times of which something was written or deleted since the last `forget`. */
  readonly touched = Array.from({ length: seriesCount + 1 }, () => new Set<number>());
  commits = 0;
  readonly #random = seededRandom(23);
  #seq = 0;
  #newest = perSeries;
  #isStopped = false;
  #inFlight: (readonly [series: number, time: number])[] = [];

  /** In disorder, so that there is something to merge. */
  async fill(): Promise<void> {
    const newSeries = Array.from({ length: seriesCount }, (_, index) => ({
      id: index + 1,
      device: `device-${index % 7}`,
      metric: `m${index}`,
    }));
    await this.#commit([], { newSeries });
    for (let at = 0; at < perSeries; at += 50) {
      const rows: Row[] = [];
      for (let series = 1; series <= seriesCount; series++) {
        for (let index = at; index < at + 50; index++) {
          const place = this.#random.next() < 0.1 ? this.#below(at + 1) : index;
          rows.push([series, begin + place * 1_000, this.#below(1_000) / 4]);
        }
      }
      await this.#commit(rows);
    }
  }

  async run(): Promise<void> {
    while (!this.#isStopped) {
      const rows = Array.from({ length: 60 }, (): Row => {
        const isNew = this.#random.next() < 0.7;
        const place = isNew ? this.#newest + this.#below(20) : this.#below(perSeries);
        return [
          1 + this.#below(seriesCount),
          begin + place * 1_000 + (isNew ? 0 : this.#below(2) * 500),
          this.#below(1_000) / 4,
        ];
      });
      this.#newest += 20;
      const from = begin + this.#below(perSeries) * 1_000;
      const deletions =
        this.#random.next() < 0.2 ? [{ series: 1 + this.#below(seriesCount), from, to: from + 5_000 }] : [];
      await this.#commit(rows, { deletions });
      clock.advance(5_000);
      this.commits++;
    }
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** What was there is what is there from here on. */
  forget(): Kept[] {
    for (const times of this.touched) times.clear();
    // Of the commit that is on its way nobody knows whether it is seen.
    for (const [series, time] of this.#inFlight) this.touched[series].add(time);
    return this.kept.map((readings) => new Map(readings));
  }

  async #commit(rows: readonly Row[], parts: Parameters<typeof commitOf>[2] = {}): Promise<void> {
    this.#inFlight = rows.map(([series, time]) => [series, time] as const);
    for (const { series, from, to } of parts.deletions ?? []) {
      for (const time of this.kept[series].keys()) if (time >= from && time < to) this.#inFlight.push([series, time]);
    }
    for (const [series, time] of this.#inFlight) this.touched[series].add(time);
    const seq = ++this.#seq;
    await engine.commit(commitOf(seq, rows, { at: begin + this.#newest * 1_000, ...parts }));
    for (const { series, from, to } of parts.deletions ?? []) {
      for (const time of this.kept[series].keys()) if (time >= from && time < to) this.kept[series].delete(time);
    }
    for (const [series, time, value] of rows) this.kept[series].set(time, value);
    this.#inFlight = [];
  }

  #below(limit: number): number {
    return Math.floor(this.#random.next() * limit);
  }
}

/** All pages, one after the other. */
async function readAll(
  order: 'asc' | 'desc',
  limit: number,
): Promise<{ readonly found: [number, Value][][]; readonly pages: number }> {
  const ranges = Array.from({ length: seriesCount }, (_, index) => ({
    series: index + 1,
    from: Number.MIN_SAFE_INTEGER,
    to: Number.MAX_SAFE_INTEGER,
  }));
  const found: [number, Value][][] = Array.from({ length: seriesCount + 1 }, () => []);
  let left = ranges;
  for (let pages = 1; ; pages++) {
    const page = await engine.reader.page({ ranges: left, order, limit });
    expect(page.damaged).toEqual([]);
    for (const { index, columns } of page.parts) {
      for (const { time, value } of samplesIn(columns)) found[left[index].series].push([time, value]);
    }
    if (page.next === null) return { found, pages };
    const { index, time } = page.next;
    left = left
      .slice(index)
      .map((range, at) => (at > 0 ? range : order === 'asc' ? { ...range, from: time } : { ...range, to: time }));
  }
}

describe('pages of many series while somebody writes, seals, merges and deletes', () => {
  it.each([
    ['asc', 700],
    ['desc', 700],
    ['asc', 10_000],
    ['desc', 3_000],
  ] as const)('%s by %i: what was there all the time is told once', async (order, limit) => {
    const writer = new BusyWriter();
    await writer.fill();
    const running = writer.run();
    try {
      for (let round = 0; round < 2; round++) {
        const before = writer.forget();
        const begun = writer.commits;
        const { found, pages } = await readAll(order, limit);
        expect(pages).toBeGreaterThan(3);
        expect(writer.commits, 'commits while it was read').toBeGreaterThan(begun);
        for (let series = 1; series <= seriesCount; series++) {
          const times = found[series].map(([time]) => time);
          expect(times, `order of series ${series}`).toEqual(
            times.toSorted((a, b) => (order === 'asc' ? a - b : b - a)),
          );
          expect(new Set(times).size, `series ${series} is told once`).toBe(times.length);
          const told = new Map(found[series]);
          for (const [time, value] of before[series]) {
            if (!writer.touched[series].has(time) && told.get(time) !== value) {
              throw new Error(`series ${series} at ${time}: ${told.get(time)} is told, and not ${value}`);
            }
          }
          for (const time of times) {
            if (!before[series].has(time) && !writer.touched[series].has(time)) {
              throw new Error(`series ${series} at ${time}: nobody ever wrote it`);
            }
          }
        }
      }
    } finally {
      writer.stop();
      await running;
    }
    const { mergedBytes, sealedBytes } = await engine.reader.stats();
    expect(Math.min(mergedBytes, sealedBytes)).toBeGreaterThan(0);
  });
});
