import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import type { Commit } from '../../src/domain/commit.ts';
import type { Value } from '../../src/domain/reading.ts';
import { Database } from '../../src/storage/sqlite/database.ts';
import { createSqliteEngine } from '../../src/storage/sqlite/engine.ts';
import { recover } from '../../src/storage/sqlite/recovery.ts';
import { openForWriting } from '../../src/storage/sqlite/schema.ts';
import { Writer, type WriterOptions } from '../../src/storage/sqlite/writer.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { allReadings, commitOf, crashImage, newSeries, type Row } from '../support/storage-commits.ts';
import { tempFolder } from '../support/temp-folder.ts';

const options: WriterOptions = {
  sealAfterMs: 60_000,
  sealCount: 64,
  resumeWindow: { ms: 900_000, bytes: 1 << 20 },
  quarantineBytesMax: 1 << 20,
  bytesMax: 0,
  alertsKeptMs: null,
  deliveriesKeptMs: null,
  reserveBytes: 0,
};

let folder: ReturnType<typeof tempFolder>;
let database: Database;
let writer: Writer;
let now: number;

beforeEach(() => {
  folder = tempFolder();
  now = 0;
  open();
});
afterEach(() => {
  database.close();
  folder.remove();
});

/** The writer by itself, without its thread, so that each of its steps can be looked at. */
function open(clock: Pick<Clock, 'monotonic'> = systemClock): void {
  database = openForWriting(join(folder.path, 'pulsegate.db'), { busyTimeoutMs: 0, pagesMax: null });
  const { state } = recover(database, { now, newEpoch: 'epochepoch', quarantineBytesMax: options.quarantineBytesMax });
  writer = new Writer(database, state, options, clock);
}

function commit(parts: Partial<Commit>, rows: readonly Row[] = []): void {
  now += 1_000;
  writer.commit(commitOf(writer.state.seq + 1, rows, parts), now);
}

function work(): void {
  while (writer.work());
}

function sealAll(): void {
  now += 120_000;
  writer.tick(now);
  work();
}

/** Whether the text stands anywhere in the files. */
function isInFiles(text: string): boolean {
  return ['pulsegate.db', 'pulsegate.db-wal'].some((name) => {
    const path = join(folder.path, name);
    return existsSync(path) && readFileSync(path).includes(text);
  });
}

const row = (series: number, time: number): Row => [series, time, time % 7 === 0 ? `t${time}` : time];

const marker = 'the-marker-that-must-not-be-found';

describe('deleted bytes', () => {
  it.each([
    ['from the log', false],
    ['from the log and a chunk', true],
  ])('are gone %s', (_, isSealed) => {
    commit({ newSeries: newSeries(2) }, [
      [1, 1, 'kept'],
      [1, 2, marker],
      [2, 2, 'other'],
    ]);
    if (isSealed) sealAll();
    expect(isInFiles(marker)).toBe(true);
    commit({ deletions: [{ series: 1, from: 2, to: 3 }] });
    work();
    writer.checkpoint();
    expect(isInFiles(marker)).toBe(false);
    expect(isInFiles('other')).toBe(true);
    database.close();
    expect(isInFiles(marker)).toBe(false);
    open();
    expect(writer.state.series[1]?.newest()).toBe('kept');
  });

  it('are gone from the quarantine', () => {
    const entry = {
      receivedAt: 1,
      payload: Buffer.from(`{${marker}`.padEnd(9_000, 'x')),
      client: null,
      sender: { device: 'pump', forOthers: false },
      reason: 'payload_invalid',
      pointer: '',
      detail: '',
    };
    commit({ quarantine: Array.from({ length: 5 }, (_, index) => ({ ...entry, topic: `devices/pump/${index}` })) });
    expect(isInFiles(marker)).toBe(true);
    commit({ erasedDevices: ['pump'] });
    work();
    writer.checkpoint();
    expect(isInFiles(marker)).toBe(false);
    expect(writer.state.quarantine).toMatchObject({ entries: 0, bytes: 0 });
  });

  it('are gone from pages that became free before the deletion', () => {
    commit({ newSeries: newSeries(2) });
    const text = (index: number): Value => `${marker} ${index} `.padEnd(200, '.');
    for (let batch = 0; batch < 20; batch++) {
      commit(
        {},
        Array.from({ length: 100 }, (_, index): Row => [1, batch * 100 + index, text(index)]),
      );
    }
    sealAll();
    // The log of all of it is trimmed once it is out of the window; that does not overwrite whole pages.
    commit({ at: 1_790_009_000_000 }, [[2, 1, 1]]);
    sealAll();
    commit({ at: 1_790_009_900_000 }, [[2, 2, 1]]);
    sealAll();
    expect(database.number('PRAGMA freelist_count')).toBeGreaterThan(20);
    commit({ deletions: [{ series: 1, from: 0, to: 10_000 }] });
    work();
    writer.checkpoint();
    expect(isInFiles(marker)).toBe(false);
    expect(database.number('SELECT count(*) FROM blank')).toBe(0);
    expect(database.prepare('PRAGMA quick_check').all()).toEqual([['ok']]);
  });
});

describe('the work after a deletion', () => {
  it('a kill after any of its steps leaves what was deleted deleted, and the rest', async () => {
    commit({ newSeries: newSeries(2) });
    for (let batch = 0; batch < 90; batch++) {
      const rows = Array.from({ length: 64 }, (_, index) => batch * 64 + index);
      commit({}, [...rows.map((time) => row(1, time)), ...rows.map((time) => row(2, time))]);
    }
    work();
    commit({ deletions: [{ series: 1, from: 100, to: 5_500 }] }, [row(1, 300)]);
    const expected = Array.from({ length: 90 * 64 }, (_, time) => time)
      .filter((time) => time < 100 || time >= 5_500 || time === 300)
      .map((time) => ({ time, value: row(1, time)[2] }));
    let steps = 0;
    for (let isMore = true; isMore; steps++) {
      const image = crashImage(folder.path);
      const engine = createSqliteEngine({ dir: image.path, clock: new FakeClock(), log: silentLog, sealCount: 64 });
      const { series } = await engine.open();
      expect(series.map(({ time }) => time)).toEqual([90 * 64 - 1, 90 * 64 - 1]);
      expect(await allReadings(engine, 1)).toEqual(expected);
      expect(await allReadings(engine, 2)).toHaveLength(90 * 64);
      const { batches } = await engine.reader.log({ after: 0, readingsMax: 1_000_000 });
      const told = batches.flatMap(({ readings: { series: of, times } }) => [...times].filter((_, at) => of[at] === 1));
      expect(told.sort((a, b) => a - b)).toEqual(expected.map(({ time }) => time));
      await engine.close();
      image.remove();
      isMore = writer.work();
    }
    expect(steps).toBeGreaterThan(4);
    expect(database.number('SELECT count(*) FROM erasure')).toBe(0);
    expect(writer.state.series[1]?.isErasing).toBe(false);
    const { chunks, chunkReadings, log } = writer.state;
    expect(chunks).toBe(database.number('SELECT count(*) FROM chunk'));
    expect(chunkReadings).toBe(database.number('SELECT sum(count) FROM chunk'));
    expect(log.readings).toBe(database.number('SELECT sum(readings) FROM commit_log'));
    expect(log.bytes).toBe(database.number('SELECT sum(length(bytes)) FROM commit_log'));
  });

  it('takes the chunks of as many series as there is time for in a step', () => {
    const count = 100;
    const chunks = (): number => database.number('SELECT count(*) FROM chunk');
    commit(
      { newSeries: newSeries(count) },
      Array.from({ length: count * 64 }, (_, at): Row => [1 + (at % count), at, at]),
    );
    work();
    expect(chunks()).toBe(count);
    let now = 0;
    let tickMs = 10;
    database.close();
    open({ monotonic: () => (now += tickMs) });
    work();
    commit({
      deletions: Array.from({ length: count }, (_, index) => ({ series: index + 1, from: 0, to: count * 64 })),
    });
    // The time is over as soon as it is looked at.
    while (chunks() === count) writer.work();
    expect(chunks()).toBe(count - 1);
    tickMs = 0;
    for (let step = 0; step < 10; step++) writer.work();
    expect(chunks()).toBe(0);
    expect(writer.state.series.some((series) => series?.isErasing)).toBe(false);
  });

  it('goes on at the next start', () => {
    commit({ newSeries: newSeries(1) });
    for (let batch = 0; batch < 3; batch++) {
      commit(
        {},
        Array.from({ length: 64 }, (_, index): Row => [1, batch * 64 + index, marker]),
      );
    }
    work();
    commit({ deletions: [{ series: 1, from: 0, to: 1_000 }] });
    database.close();
    open();
    expect(writer.state.series[1]?.isErasing).toBe(true);
    work();
    expect(writer.state.series[1]?.isErasing).toBe(false);
    expect(database.number('SELECT count(*) FROM chunk')).toBe(0);
    writer.checkpoint();
    expect(isInFiles(marker)).toBe(false);
  });

  it('a deletion that fails for want of room leaves everything as it was', () => {
    commit({ newSeries: newSeries(1) }, [
      [1, 1, 1],
      [1, 2, 2],
    ]);
    database.exec(`PRAGMA max_page_count = ${database.number('PRAGMA page_count')}`);
    const quarantine = [
      {
        receivedAt: 1,
        topic: 't',
        payload: new Uint8Array(100_000),
        client: null,
        sender: { device: null, forOthers: false },
        reason: 'payload_invalid',
        pointer: '',
        detail: '',
      },
    ];
    expect(() => commit({ deletions: [{ series: 1, from: 0, to: 9 }], quarantine })).toThrow('full');
    expect(writer.state.series[1]?.head.count).toBe(2);
    expect(writer.state.series[1]?.newest()).toBe(2);
    expect(writer.state.seq).toBe(1);
  });
});
