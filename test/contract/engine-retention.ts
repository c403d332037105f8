import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RetentionPlan, RetentionPolicy } from '../../src/domain/retention.ts';
import { rollupTiers } from '../../src/domain/retention.ts';
import type { Engine } from '../../src/history/engine.ts';
import type { EngineStats } from '../../src/history/reader.ts';
import { FakeClock } from '../support/fake-clock.ts';
import type { Row } from '../support/storage-commits.ts';
import { allReadings, commitOf, crashImage, newSeries, plainBuckets } from '../support/storage-commits.ts';
import { tempFolder } from '../support/temp-folder.ts';
import type { ExamOptions } from './engine-exam.ts';

export interface RetentionExamOptions extends ExamOptions {
  readonly deliveriesKeptMs: number;
}

const hour = 3_600_000;
const day = 24 * hour;
const start = rollupTiers.hour.windowMs * 1_380;
const all = { from: start - 100 * day, to: start + 100 * day };

function planOf(...policies: readonly RetentionPolicy[]): RetentionPlan {
  return { policies, ofSeries: Uint16Array.from([0, ...policies.keys()]) };
}

/** What is kept how long, asked of the whole engine. `make` gives an engine for a folder, as often as it is asked. */
export function engineRetentionExam(name: string, make: (options: RetentionExamOptions) => Engine): void {
  describe(`${name} keeps readings as long as it shall`, () => {
    let clock: FakeClock;
    let folder: ReturnType<typeof tempFolder>;
    let engine: Engine;
    let seq: number;

    const makeIn = (dir: string): Engine =>
      make({
        dir,
        clock,
        sealAfterMs: 60_000,
        sealCount: 64,
        resumeWindow: { ms: 0, bytes: 0 },
        quarantineBytesMax: 10_000,
        deliveriesKeptMs: day,
      });

    beforeEach(() => {
      clock = new FakeClock();
      folder = tempFolder();
      engine = makeIn(folder.path);
      seq = 0;
    });
    afterEach(async () => {
      await engine.close();
      folder.remove();
    });

    async function put(rows: readonly Row[], at: number): Promise<void> {
      await engine.commit(commitOf(++seq, rows, { at, newSeries: seq === 1 ? newSeries(3) : [] }));
    }

    /** One reading a minute of each series, `[from, to)`. */
    async function fill(from: number, to: number): Promise<void> {
      for (let begin = from; begin < to; begin += 6 * hour) {
        const rows: Row[] = [];
        for (let at = begin; at < Math.min(begin + 6 * hour, to); at += 60_000) {
          for (const series of [1, 2, 3]) rows.push([series, at, (at / 60_000) % 60]);
        }
        await put(rows, Math.min(begin + 6 * hour, to));
      }
    }

    /** Lets time pass until the statistics are as wanted. */
    async function until(isWanted: (stats: EngineStats) => boolean): Promise<EngineStats> {
      for (;;) {
        const stats = await engine.reader.stats();
        if (isWanted(stats)) return stats;
        clock.advance(60_000);
      }
    }

    async function counted(series: number): Promise<number> {
      const buckets = await plainBuckets(engine, { series, ...all, width: hour, limit: 10_000 });
      return buckets.reduce((sum, { values }) => sum + Number(values[0]), 0);
    }

    it('each series by its policy; what is left of the others is told by the hour, also after a reopen and a kill', async () => {
      await engine.open();
      await fill(start, start + 4 * day);
      const plan = planOf(
        { raw: null, minute: null, hour: null },
        { raw: day, minute: null, hour: null },
        { raw: 2 * day, minute: 0, hour: 0 },
      );
      await engine.retain(plan);
      const minutes = day / 60_000;
      // Up to a chunk of each stays on disk.
      await until(({ purgedReadings }) => purgedReadings > 5 * minutes - 2 * 128);
      const check = async (): Promise<void> => {
        expect(await allReadings(engine, 1)).toHaveLength(4 * minutes);
        expect((await allReadings(engine, 2))[0]).toEqual({ time: start + 3 * day, value: 0 });
        expect((await allReadings(engine, 3))[0]).toEqual({ time: start + 2 * day, value: 0 });
        expect(await counted(1)).toBe(4 * minutes);
        expect(await counted(2)).toBe(4 * minutes);
        expect(await counted(3)).toBe(2 * minutes);
      };
      await check();
      await engine.close();
      await engine.open();
      await check();
      const image = crashImage(folder.path);
      await engine.close();
      folder.remove();
      folder = image;
      engine = makeIn(folder.path);
      await engine.open();
      await check();
    });

    it('nothing goes before there is a plan, and nothing of a series that the plan does not know', async () => {
      await engine.open();
      await fill(start, start + 2 * day);
      await until(({ headReadings }) => headReadings === 0);
      expect((await engine.reader.stats()).purgedReadings).toBe(0);
      await engine.retain({ policies: [{ raw: 6 * hour, minute: 0, hour: 0 }], ofSeries: new Uint16Array(2) });
      await until(({ purgedReadings }) => purgedReadings > 1.75 * (day / 60_000) - 128);
      expect((await allReadings(engine, 1))[0]?.time).toBe(start + 1.75 * day);
      expect(await allReadings(engine, 2)).toHaveLength((2 * day) / 60_000);
    });

    it('a reading of purged time that comes late is told in its bucket, once it is sealed', async () => {
      await engine.open();
      await fill(start, start + 3 * day);
      await engine.retain(planOf({ raw: day, minute: null, hour: null }));
      await until(({ purgedReadings }) => purgedReadings > 2 * (day / 60_000) - 128);
      const before = await counted(1);
      await put([[1, start + 7_777, 1_000]], start + 3 * day);
      await until(({ headReadings }) => headReadings === 0);
      expect(await counted(1)).toBe(before + 1);
      const [first] = await plainBuckets(engine, { series: 1, ...all, width: hour, limit: 1 });
      // count, min, max
      expect(first).toMatchObject({ time: start, values: [61, 0, 1_000, expect.anything(), expect.anything(), 0, 59] });
      expect((await allReadings(engine, 1))[0]?.time).toBe(start + 2 * day);
    });

    it('room that purged readings leave is used again', async () => {
      await engine.open();
      await put([], start);
      await engine.retain(planOf({ raw: day, minute: 0, hour: 0 }));
      const sizes: number[] = [];
      for (let days = 0; days < 14; days++) {
        await fill(start + days * day, start + (days + 1) * day);
        const least = Math.max(days - 1, 0) * (day / 60_000) - 256;
        await until(({ purgedReadings, headReadings }) => headReadings === 0 && purgedReadings >= least);
        sizes.push((await engine.reader.stats()).fileBytes);
      }
      // Series 2 and 3 are not in the plan; take what they grow by for granted.
      const kept = (await engine.reader.stats()).chunkReadings;
      expect(kept).toBeLessThan((2 * 14 + 3) * (day / 60_000));
      expect(sizes[13]).toBeLessThan(4 * (sizes[3] ?? 0));
    });

    it('a delivery that was settled goes after its time, a pending one stays', async () => {
      await engine.open();
      const delivery = { webhookId: 'w', type: 'alert.firing', orderKey: 'k', sequence: 1, body: '{}' } as const;
      const attempt = { webhookId: 'w', number: 1, startedAt: start, durationMs: 1, outcome: 'succeeded' } as const;
      const failure = { status: 200, error: null, excerpt: null, nextAttemptAt: null };
      const deliveries = ['a', 'b'].map((id) => ({ ...delivery, id, createdAt: start }));
      await engine.commit(commitOf(++seq, [], { at: start, deliveries }));
      const attempts = [{ ...attempt, ...failure, deliveryId: 'a' }];
      await engine.commit(commitOf(++seq, [], { at: start + hour, attempts }));
      await engine.commit(commitOf(++seq, [], { at: start + hour + day }));
      clock.advance(5_000);
      await engine.reader.stats();
      expect(await engine.reader.delivery('a')).not.toBeNull();
      await engine.commit(commitOf(++seq, [], { at: start + hour + day + 1 }));
      while ((await engine.reader.delivery('a')) !== null) clock.advance(5_000);
      expect(await engine.reader.attempts('a')).toEqual([]);
      expect(await engine.reader.delivery('b')).toMatchObject({ state: 'pending' });
    });
  });
}
