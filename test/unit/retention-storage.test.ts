import { describe, expect, it } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import type { StorageState } from '../../src/contract/storage.ts';
import { StorageState as StorageSchema } from '../../src/contract/storage.ts';
import type { EngineStats } from '../../src/history/reader.ts';
import { storageLines } from '../../src/cli/storage.ts';
import { bytesText, storageFacts } from '../../src/dashboard/storage-text.ts';
import { StorageWatch } from '../../src/wiring/storage-watch.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { settle } from '../support/pipeline-rig.ts';

const mb = 1 << 20;
const minute = 60_000;
const day = 86_400_000;

const stats: EngineStats = {
  seq: 1,
  firstKept: 1,
  fileBytes: 120 * mb,
  walBytes: 2 * mb,
  logReadings: 10,
  logBytes: 20 * mb,
  headReadings: 1_000,
  chunks: 7,
  chunkReadings: 80 * mb,
  usedBytes: 100 * mb,
  rollups: 3,
  damagedChunks: 0,
  sealedBytes: 10,
  mergedBytes: 5,
  purgedReadings: 9,
  oldestTime: null,
  quarantineEntries: 0,
  quarantineBytes: 0,
  pendingDeliveries: 0,
  openQuestions: 2,
  questionRuns: 5,
  engineVersion: '3',
};

/** A store that grows by `perMinute` bytes, watched for `minutes`. */
async function watched(
  minutes: number,
  perMinute: number,
  parts: { maxBytes?: number; free?: number | null; longestRaw?: number; oldestAgo?: number } = {},
): Promise<{ state: StorageState; now: number }> {
  const clock = new FakeClock();
  const began = clock.monotonic();
  const { maxBytes = null, free = 1_000 * mb, longestRaw = null, oldestAgo } = parts;
  const watch = new StorageWatch({
    clock,
    log: silentLog,
    stats: () =>
      Promise.resolve({
        ...stats,
        usedBytes: stats.usedBytes + (perMinute * (clock.monotonic() - began)) / minute,
        oldestTime: oldestAgo === undefined ? null : clock.now() - oldestAgo,
      }),
    disk: () => Promise.resolve(free === null ? null : { bytes: 4_000 * mb, freeBytes: free }),
    copies: () => Promise.resolve([]),
    maxBytes,
    longestRaw: () => longestRaw,
  });
  watch.start();
  await settle(2);
  for (let at = 0; at < minutes; at += 5) {
    clock.advance(Math.min(5, minutes - at) * minute);
    await settle(2);
  }
  const state = StorageSchema.parse(await watch.state());
  watch.stop();
  return { state, now: clock.now() };
}

describe('the state of the store', () => {
  it('is told at once, without growth and forecast for the first ten minutes', async () => {
    const { state } = await watched(9, mb);
    expect([state.growth, state.forecast]).toEqual([null, null]);
    expect(state.readings).toEqual({
      stored: 80 * mb + 1_000,
      inHeads: 1_000,
      purged: 9,
      oldest: null,
      bytesEach: 1.11,
    });
    expect(state).toMatchObject({ writeAmplification: 1.5, file: { logBytes: 20 * mb, writeAheadBytes: 2 * mb } });
  });

  it('knows the growth of a day from ten minutes, and of no more than the last day', async () => {
    const { state } = await watched(10, mb);
    expect(state.growth).toEqual({ bytesPerDay: 1_440 * mb, overMs: 10 * minute });
    const later = await watched(3 * 1_440, mb);
    expect(later.state.growth).toEqual({ bytesPerDay: 1_440 * mb, overMs: day });
  });

  it('foretells when the disk is full, free pages of the file counted in', async () => {
    const { state, now } = await watched(10, mb, { free: 1_450 * mb });
    // 1,450 MB on the disk and what is left of the 20 MB of free pages: 10 MB.
    expect(state.forecast).toEqual({
      limit: 'disk',
      fullAt: new Date(now + (1_460 / 1_440) * day).toISOString(),
      balancedAt: null,
    });
  });

  it('foretells the budget where that ends first', async () => {
    const { state, now } = await watched(10, mb, { maxBytes: 830 * mb });
    const fullAt = new Date(now + (720 / 1_440) * day).toISOString();
    expect(state.forecast).toEqual({ limit: 'budget', fullAt, balancedAt: null });
  });

  it('foretells the balance where everything is deleted in time', async () => {
    const { state, now } = await watched(10, mb, { free: 1e15, longestRaw: 30 * day, oldestAgo: 10 * day });
    const balancedAt = new Date(now + 20 * day).toISOString();
    expect(state.forecast).toEqual({ limit: 'disk', fullAt: null, balancedAt });
  });

  it('does not promise a balance that comes after the end of the room', async () => {
    const { state } = await watched(10, mb, { free: mb, longestRaw: 30 * day, oldestAgo: day });
    expect(state.forecast?.fullAt).not.toBeNull();
    expect(state.forecast?.balancedAt).not.toBeNull();
  });

  it('foretells the end of the room of a store that grows although it is in balance, once a day has shown it', async () => {
    const balance = { free: 4_000 * mb, longestRaw: 30 * day, oldestAgo: 30 * day };
    // Within a day it may be but what the next window of readings takes with it.
    expect((await watched(23 * 60, mb, balance)).state.forecast?.fullAt).toBeNull();
    const { state, now } = await watched(24 * 60, mb, balance);
    expect(state.forecast?.balancedAt).toBe(new Date(now).toISOString());
    expect(Date.parse(state.forecast?.fullAt ?? '')).toBeGreaterThan(now + day);
    expect((await watched(24 * 60, 0, balance)).state.forecast?.fullAt).toBeNull();
    // On the day on which the balance comes about, growth is still from before.
    const arriving = { ...balance, oldestAgo: 29.5 * day };
    expect((await watched(24 * 60, mb, arriving)).state.forecast?.fullAt).toBeNull();
  });

  it('says that the budget is reached while the oldest readings go for it, however little it grows', async () => {
    const { state, now } = await watched(10, 0, { maxBytes: 101 * mb });
    expect(state.forecast).toMatchObject({ limit: 'budget', fullAt: new Date(now).toISOString() });
    expect(storageFacts(state, now).at(-1)).toMatchObject({ name: 'Budget', text: 'reached' });
    expect((await watched(10, 0, { maxBytes: 110 * mb })).state.forecast?.fullAt).toBeNull();
  });

  it('foretells nothing of a store that shrinks, nor where nobody says how large the disk is', async () => {
    expect((await watched(10, -mb)).state.forecast).toMatchObject({ fullAt: null });
    expect((await watched(10, mb, { free: null })).state.forecast).toBeNull();
  });

  it('goes on being watched after the store did not answer', async () => {
    const clock = new FakeClock();
    let answers = false;
    const watch = new StorageWatch({
      clock,
      log: silentLog,
      stats: () => (answers ? Promise.resolve(stats) : Promise.reject(new Error('closed'))),
      disk: () => Promise.resolve(null),
      copies: () => Promise.resolve([]),
      maxBytes: null,
      longestRaw: () => null,
    });
    watch.start();
    await settle(2);
    answers = true;
    for (let at = 0; at < 3; at++) {
      clock.advance(5 * minute);
      await settle(2);
    }
    expect((await watch.state()).growth).toMatchObject({ bytesPerDay: 0 });
    watch.stop();
    clock.advance(day);
  });
});

function toneOf(state: StorageState, now: number): readonly string[] {
  return storageFacts(state, now).flatMap(({ name, tone }) => (tone === 'calm' ? [] : `${name} ${tone}`));
}

describe('the panel', () => {
  it('says what is known and what is not yet', async () => {
    const { state, now } = await watched(0, mb);
    const shown = storageFacts(state, now).map(({ name, text }) => `${name}: ${text}`);
    expect(shown).toEqual(['Readings: 83\u202f887\u202f080', 'In use: 100 MB', 'Growth: –', 'Room: 1\u202f000 MB']);
  });

  it('is loud when the disk is full soon or chunks are damaged, and calm when only the budget is reached', async () => {
    const disk = await watched(10, mb, { free: 1_450 * mb });
    expect(toneOf(disk.state, disk.now)).toEqual(['Room lasts alarm']);
    const budget = await watched(10, mb, { maxBytes: 830 * mb });
    expect(toneOf(budget.state, budget.now)).toEqual([]);
    expect(toneOf({ ...budget.state, damagedChunks: 2 }, budget.now)).toEqual(['Damaged alarm']);
  });

  it.each([
    [0, '0 bytes'],
    [1_023, '1\u202f023 bytes'],
    [1_024, '1.0 KB'],
    [1_048_575, '1.0 MB'],
    [150 * mb, '150 MB'],
    [-1_536, '−1.5 KB'],
    [5e15, '4\u202f547 TB'],
  ])('writes %d bytes as %s', (bytes, text) => {
    expect(bytesText(bytes)).toBe(text);
  });
});

describe('the command line', () => {
  it('says the same in lines', async () => {
    const { state } = await watched(10, mb, { maxBytes: 830 * mb });
    const lines = new Map(storageLines(state));
    expect(lines.get('Budget')).toBe('830 MB');
    expect(lines.get('Growth')).toBe('1.4 GB a day, over the last 10 minutes');
    expect(lines.get('Forecast')).toMatch(/^the budget is reached .*; the oldest readings go first/);
    expect(storageLines((await watched(0, mb)).state).map(([name]) => name)).toEqual([...lines.keys()]);
  });
});
