import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import type { Commit, Deleted } from '../../src/domain/commit.ts';
import type { Deletion } from '../../src/domain/deletion.ts';
import { disposition, type Value } from '../../src/domain/reading.ts';
import type { Engine, Recovered } from '../../src/history/engine.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { allReadings, commitOf, crashImage, newSeries, type Row, untilStats } from '../support/storage-commits.ts';
import { tempFolder } from '../support/temp-folder.ts';
import type { ExamOptions, MakeEngine } from './engine-exam.ts';

/** Deleting readings, which every engine has to do alike. Real files; `make` gives an engine for a folder. */
export function engineErasingExam(name: string, make: MakeEngine): void {
  describe(`${name} deletes readings`, () => {
    let clock: FakeClock;
    let folder: ReturnType<typeof tempFolder>;
    let engine: Engine;

    const options = (dir = folder.path): ExamOptions => ({
      dir,
      clock,
      sealAfterMs: 60_000,
      sealCount: 64,
      resumeWindow: { ms: 900_000, bytes: 1 << 20 },
      quarantineBytesMax: 10_000,
    });

    beforeEach(async () => {
      clock = new FakeClock();
      folder = tempFolder();
      engine = make(options());
      await engine.open();
    });
    afterEach(async () => {
      await engine.close();
      folder.remove();
    });

    async function reopen(): Promise<Recovered> {
      await engine.close();
      return engine.open();
    }

    /** Everything that is old enough goes into chunks. */
    async function seal(): Promise<void> {
      clock.advance(65_000);
      await untilStats(engine, ({ headReadings }) => headReadings === 0);
    }

    async function erase(seq: number, deletions: readonly Deletion[], rows: readonly Row[] = []): Promise<Deleted> {
      const { deleted } = await engine.commit(commitOf(seq, rows, { deletions }));
      if (!deleted) throw new Error('nothing is said of what was deleted');
      return deleted;
    }

    async function told(): Promise<[number, number, number][]> {
      const { batches } = await engine.reader.log({ after: 0, readingsMax: Number.MAX_SAFE_INTEGER });
      return batches.flatMap(({ seq, readings: { count, series, times } }) =>
        Array.from({ length: count }, (_, row): [number, number, number] => [seq, series[row], times[row]]),
      );
    }

    it('a range is half-open, and readings beside it stay', async () => {
      await engine.commit(commitOf(1, rowsOf(1, times(0, 10)), { newSeries: newSeries(2) }));
      await engine.commit(commitOf(2, rowsOf(2, times(0, 10))));
      const deleted = await erase(3, [{ series: 1, from: 3, to: 6 }]);
      expect(deleted).toEqual({ readings: 3, newest: [{ series: 1, time: 9, value: 1 }] });
      expect((await allReadings(engine, 1)).map(({ time }) => time)).toEqual([0, 1, 2, 6, 7, 8, 9]);
      expect(await allReadings(engine, 2)).toHaveLength(10);
    });

    it.each([
      ['while it is in memory', false],
      ['when it is sealed', true],
    ])('the newest reading goes and the one before it becomes the newest, %s', async (_, isSealed) => {
      await engine.commit(
        commitOf(
          1,
          [
            [1, 1, 'calm'],
            [1, 2, 'storm'],
          ],
          { newSeries: newSeries(1) },
        ),
      );
      if (isSealed) await seal();
      expect(await erase(2, [{ series: 1, from: 2, to: 3 }])).toEqual({
        readings: 1,
        newest: [{ series: 1, time: 1, value: 'calm' }],
      });
      expect((await reopen()).series[0]).toMatchObject({ time: 1, value: 'calm' });
      expect(await erase(3, [{ series: 1, from: -1_000, to: 1_000 }])).toEqual({
        readings: 1,
        newest: [{ series: 1, time: null, value: null }],
      });
      expect((await reopen()).series[0]).toMatchObject({ time: null, value: null });
      expect(await allReadings(engine, 1)).toEqual([]);
    });

    it('a deleted reading that comes again is stored, whatever its value', async () => {
      await engine.commit(commitOf(1, rowsOf(1, times(0, 200)), { newSeries: newSeries(1) }));
      await seal();
      await engine.commit(commitOf(2, rowsOf(1, times(200, 10))));
      await erase(3, [{ series: 1, from: 100, to: 1_000 }]);
      const again = await engine.commit(commitOf(4, rowsOf(1, [150, 205, 99, 150])));
      expect([...(again.dispositions ?? [])]).toEqual([
        disposition.stored,
        disposition.stored,
        disposition.identical,
        disposition.identical,
      ]);
      expect((await allReadings(engine, 1)).map(({ time }) => time)).toEqual([...times(0, 100), 150, 205]);
    });

    it('what the same commit brings comes after what it deletes', async () => {
      await engine.commit(commitOf(1, rowsOf(1, times(0, 100)), { newSeries: newSeries(1) }));
      await seal();
      const commit = commitOf(2, rowsOf(1, [40, 41], 7), { deletions: [{ series: 1, from: 0, to: 100 }] });
      const result = await engine.commit(commit);
      expect(result.dispositions).toBe(null);
      expect(result.deleted).toEqual({ readings: 100, newest: [{ series: 1, time: null, value: null }] });
      const left = [
        { time: 40, value: 7 },
        { time: 41, value: 7 },
      ];
      expect(await allReadings(engine, 1)).toEqual(left);
      expect((await reopen()).series[0]).toMatchObject({ time: 41, value: 7 });
      expect(await allReadings(engine, 1)).toEqual(left);
    });

    it('the stream does not tell what was deleted, and tells what came after', async () => {
      await engine.commit(commitOf(1, rowsOf(1, [1, 2, 3]), { newSeries: newSeries(2) }));
      await engine.commit(commitOf(2, rowsOf(2, [1, 2, 3])));
      await erase(3, [{ series: 1, from: 2, to: 3 }], rowsOf(1, [2], 5));
      const expected = [
        [1, 1, 1],
        [1, 1, 3],
        [2, 2, 1],
        [2, 2, 2],
        [2, 2, 3],
        [3, 1, 2],
      ];
      expect(await told()).toEqual(expected);
      await reopen();
      expect(await told()).toEqual(expected);
    });

    it('a reading that was corrected late counts once', async () => {
      await engine.commit(commitOf(1, rowsOf(1, times(0, 100)), { newSeries: newSeries(1) }));
      await seal();
      await engine.commit(commitOf(2, rowsOf(1, times(10, 20), 2)));
      await seal();
      await engine.commit(commitOf(3, rowsOf(1, times(15, 5), 3)));
      expect((await erase(4, [{ series: 1, from: 5, to: 35 }])).readings).toBe(30);
      expect((await allReadings(engine, 1)).map(({ time }) => time)).toEqual([...times(0, 5), ...times(35, 65)]);
    });

    it('deleting again, an empty range or nothing at all changes nothing', async () => {
      await engine.commit(commitOf(1, rowsOf(1, times(0, 10)), { newSeries: newSeries(1) }));
      await erase(2, [{ series: 1, from: 0, to: 5 }]);
      expect((await erase(3, [{ series: 1, from: 0, to: 5 }])).readings).toBe(0);
      expect((await erase(4, [{ series: 1, from: 7, to: 7 }])).readings).toBe(0);
      expect((await erase(5, [{ series: 1, from: 9_000, to: Number.MAX_SAFE_INTEGER }])).readings).toBe(0);
      expect(await allReadings(engine, 1)).toHaveLength(5);
    });

    it('ranges of one commit may overlap', async () => {
      await engine.commit(commitOf(1, rowsOf(1, times(0, 20)), { newSeries: newSeries(1) }));
      const deletions = [
        { series: 1, from: 10, to: 15 },
        { series: 1, from: 2, to: 4 },
        { series: 1, from: 3, to: 11 },
      ];
      expect((await erase(2, deletions)).readings).toBe(13);
      expect((await allReadings(engine, 1)).map(({ time }) => time)).toEqual([0, 1, 15, 16, 17, 18, 19]);
    });

    it('a deletion of a series that is not known is refused, and nothing of its commit happens', async () => {
      await engine.commit(commitOf(1, rowsOf(1, [1]), { newSeries: newSeries(1) }));
      const commit = commitOf(2, rowsOf(1, [2]), { deletions: [{ series: 9, from: 0, to: 1 }] });
      await expect(engine.commit(commit)).rejects.toMatchObject({ outcome: 'rolled_back', reason: 'refused' });
      expect(await allReadings(engine, 1)).toHaveLength(1);
    });

    it('no refused message is left of an erased device: neither its own nor those on its topics', async () => {
      const quarantine = [
        message('devices/pump/telemetry', null),
        message('elsewhere', 'pump'),
        message('devices/pump-2/telemetry', 'pump-2'),
        message('pump', null),
        message('a/pump', null),
      ];
      await engine.commit(commitOf(1, [], { quarantine }));
      await engine.commit(commitOf(2, [], { erasedDevices: ['pump'] }));
      const left = await engine.reader.quarantine({ limit: 10 });
      expect(left.map(({ topic }) => topic)).toEqual(['devices/pump-2/telemetry']);
      expect((await engine.reader.stats()).quarantineEntries).toBe(1);
      await reopen();
      await engine.commit(commitOf(3, [], { quarantine: [message('x', null)] }));
      expect((await engine.reader.quarantine({ limit: 10 })).map(({ id }) => id)).toEqual([6, 3]);
    });

    it('any order of readings, deletions, seals, kills and reopenings leaves what plain lists hold', async () => {
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 0 }), async (seed) => {
          const random = seededRandom(seed);
          const below = (limit: number): number => Math.floor(random.next() * limit);
          const dir = tempFolder();
          const images: ReturnType<typeof tempFolder>[] = [dir];
          let mine = make(options(dir.path));
          try {
            await mine.open();
            const model = Array.from({ length: 4 }, () => new Map<number, Value>());
            for (let seq = 1; seq <= 45; seq++) {
              const rows = Array.from({ length: below(80) }, (): Row => {
                const late = below(3) === 0 ? below(3_000) : 0;
                const value = below(6) === 0 ? `text ${below(4)}` : below(5);
                return [1 + below(3), Math.max(seq * 50 + below(60) - late, 0), value];
              });
              const deletions = Array.from({ length: below(4) === 0 ? 1 + below(3) : 0 }, (): Deletion => {
                const from = below(seq * 60);
                return { series: 1 + below(3), from, to: from + below(below(2) === 0 ? 100 : 4_000) };
              });
              let erased = 0;
              for (const { series, from, to } of deletions) {
                for (const time of model[series].keys()) {
                  if (time >= from && time < to) erased += Number(model[series].delete(time));
                }
              }
              const commit = commitOf(seq, rows, { deletions, newSeries: seq === 1 ? newSeries(3) : [] });
              const { deleted } = await mine.commit(commit);
              if (deletions.length > 0) expect(deleted?.readings).toBe(erased);
              for (const [series, time, value] of rows) model[series].set(time, value);
              const fate = below(10);
              if (fate === 0) {
                clock.advance(65_000);
                await mine.reader.stats();
              } else if (fate === 1) {
                await mine.close();
                await mine.open();
              } else if (fate === 2) {
                const image = crashImage(images.at(-1)?.path ?? '');
                await mine.close();
                images.push(image);
                mine = make(options(image.path));
                const { series } = await mine.open();
                for (const { id, time } of series) {
                  const newest = Math.max(...model[id].keys());
                  expect(time).toBe(model[id].size === 0 ? null : newest);
                }
              }
              if (seq % 5 !== 0) continue;
              for (let series = 1; series <= 3; series++) {
                const expected = [...model[series]].sort(([a], [b]) => a - b).map(([time, value]) => ({ time, value }));
                expect(await allReadings(mine, series)).toEqual(expected);
              }
            }
          } finally {
            await mine.close();
            for (const image of images) image.remove();
          }
        }),
        { numRuns: 4 },
      );
    });
  });
}

function rowsOf(series: number, at: readonly number[], value = 1): Row[] {
  return at.map((time): Row => [series, time, value]);
}

function times(begin: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => begin + index);
}

function message(topic: string, device: string | null): Commit['quarantine'][number] {
  return {
    receivedAt: 1,
    topic,
    payload: new TextEncoder().encode('{'),
    client: null,
    sender: { device, forOthers: false },
    reason: 'payload_invalid',
    pointer: '',
    detail: '',
  };
}
