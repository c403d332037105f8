import v8 from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import type { CommittedBatch, LogPage } from '../../src/domain/commit.ts';
import { ReadingBuilder } from '../../src/domain/reading-builder.ts';
import { CommitStream } from '../../src/live/commit-stream.ts';
import { LogPages } from '../../src/live/log-pages.ts';

function batch(seq: number, count = 1): CommittedBatch {
  const builder = new ReadingBuilder();
  for (let row = 0; row < count; row++) builder.add(1, 1_000 + row, seq * 100 + row);
  return { seq, at: seq, readings: builder.build(), transitions: [] };
}

function streamFrom(position: number, options: { recentBytesMax?: number; log?: LogPage } = {}) {
  const reads: number[] = [];
  const stream = new CommitStream({
    position,
    readLog: ({ after }) => {
      reads.push(after);
      return Promise.resolve(options.log ?? { batches: [], last: after, firstKept: 1 });
    },
    onLogRead: () => {},
    limits: { recentBytesMax: options.recentBytesMax ?? 4_000_000, pageReadingsMax: 100, pagesKept: 2 },
  });
  return { stream, reads };
}

test('what was published is read back from any position that memory holds', () => {
  const { stream } = streamFrom(7);
  for (let seq = 8; seq <= 2_000; seq++) stream.append(batch(seq));
  for (const after of [7, 8, 1_000, 1_999, 2_000]) {
    const seqs = stream.recent(after, Number.POSITIVE_INFINITY)?.batches.map(({ seq }) => seq);
    expect(seqs).toEqual(Array.from({ length: 2_000 - after }, (_, index) => after + 1 + index));
  }
  expect(stream.recent(6)).toBeNull();
});

test('memory forgets the oldest commits by bytes and keeps the newest whatever its size', () => {
  const { stream } = streamFrom(0, { recentBytesMax: 100_000 });
  for (let seq = 1; seq <= 5_000; seq++) stream.append(batch(seq));
  let oldest = 5_000;
  while (stream.recent(oldest - 1)) oldest--;
  // 1,521 bytes a commit.
  expect(5_000 - oldest).toBe(Math.floor(100_000 / 1_521));
  stream.append(batch(5_001, 10_000));
  expect(stream.recent(5_000)?.batches[0].readings.count).toBe(10_000);
  expect(stream.recent(4_999)).toBeNull();
});

test('what memory forgets is let go at once', async () => {
  v8.setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const { stream } = streamFrom(0, { recentBytesMax: 10_000 });
  stream.append(batch(1));
  const first = new WeakRef(stream.recent(0)?.batches[0] ?? {});
  for (let seq = 2; seq <= 100; seq++) stream.append(batch(seq));
  stream.recent(99);
  // A reference that was made or read in this turn holds on until the next.
  await new Promise(setImmediate);
  collect();
  expect(first.deref()).toBeUndefined();
});

test('the columns are copied: the caller may write into its arrays afterwards', () => {
  const { stream } = streamFrom(0);
  const mine = batch(1);
  stream.append(mine);
  mine.readings.values.fill(-1);
  expect(stream.recent(0)?.batches[0].readings.values[0]).toBe(100);
});

test('a commit that comes again, or late, is a broken invariant', () => {
  const { stream } = streamFrom(5);
  expect(() => stream.append(batch(5))).toThrow(/commit 5 was published after commit 5/);
});

test('where commits were skipped, readers from before the hole are sent to the log', async () => {
  const log = { batches: [batch(2), batch(3), batch(4), batch(5)], last: 5, firstKept: 1 };
  const { stream, reads } = streamFrom(0, { log });
  stream.append(batch(1));
  stream.append(batch(4));
  expect(stream.recent(1)).toBeNull();
  expect(stream.recent(3)?.batches).toHaveLength(1);
  const stretch = await stream.read(1);
  // The log is ahead: commit 5 is not published yet, so nobody hears of it.
  expect(stretch.batches.map(({ seq }) => seq)).toEqual([2, 3, 4]);
  expect(stretch.last).toBe(4);
  expect(reads).toEqual([1]);
});

test('a log that ends before what was published is a failure, not the end of the stream', async () => {
  const { stream } = streamFrom(10);
  await expect(stream.read(5)).rejects.toThrow('the commit log ends at 5, behind commit 10');
});

test('a position that the log has trimmed says from where it can go on', async () => {
  const { stream } = streamFrom(10, { log: { batches: [batch(8)], last: 8, firstKept: 7 } });
  expect((await stream.read(5)).resumableFrom).toBe(6);
  expect((await stream.read(6)).resumableFrom).toBeNull();
});

test('readers at the same place share one read, readers inside a page need none, and a failure is the asker’s own', async () => {
  const log = Array.from({ length: 30 }, (_, index) => batch(index + 1));
  const reads: number[] = [];
  let fault: Error | null = null;
  const pages = new LogPages({
    read: async ({ after }) => {
      reads.push(after);
      await Promise.resolve();
      if (fault) throw fault;
      return { batches: log.slice(after, after + 10), last: Math.min(after + 10, 30), firstKept: 1 };
    },
    readingsMax: 10,
    pagesKept: 2,
    onRead: () => {},
  });
  const together = await Promise.all([pages.page(0), pages.page(0), pages.page(4), pages.page(9), pages.page(10)]);
  expect(together.map(({ last }) => last)).toEqual([10, 10, 10, 10, 20]);
  expect(reads).toEqual([0, 10]);
  await pages.page(20);
  // Two pages are kept; the first is read again.
  await pages.page(3);
  expect(reads).toEqual([0, 10, 20, 3]);
  pages.forget();
  fault = new Error('torn');
  const [first, second] = await Promise.allSettled([pages.page(0), pages.page(0)]);
  expect([first.status, second.status]).toEqual(['rejected', 'rejected']);
  fault = null;
  expect((await pages.page(0)).last).toBe(10);
});
