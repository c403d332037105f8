import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Database, Statements } from '../../src/storage/sqlite/database.ts';
import { SnapshotChunks } from '../../src/storage/sqlite/asking/reader-chunks.ts';
import { type HeadSlices, unsealedOf } from '../../src/storage/sqlite/asking/reader-heads.ts';
import { openForWriting } from '../../src/storage/sqlite/schema.ts';
import { tempFolder } from '../support/temp-folder.ts';

// The head is copied first and the snapshot opened second: a deletion that comes in between is seen by the snapshot alone.
it('what a copy of a head holds is not told when it was deleted before the snapshot was opened', () => {
  const folder = tempFolder();
  const path = join(folder.path, 'pulsegate.db');
  openForWriting(path, { busyTimeoutMs: 0, pagesMax: null }).close();
  const database = new Database(path, { busyTimeoutMs: 0 });
  try {
    database.exec("INSERT INTO series (id, device, metric) VALUES (1, 'pump', 'flow'), (2, 'pump', 'level')");
    const erase = database.prepare(
      'INSERT INTO erasure (seq, series, time_from, time_to, chunk_to) VALUES (?, ?, ?, ?, 0)',
    );
    erase.run(8, 1, 2, 4);
    // Older than the copy: what it holds came afterwards.
    erase.run(7, 1, 1, 9);
    erase.run(8, 2, 5, 6);
    const slices: HeadSlices = {
      seq: 7,
      ends: Uint32Array.of(4, 6),
      columns: {
        count: 6,
        times: Float64Array.of(1, 2, 3, 4, 1, 2),
        values: Float64Array.of(10, 20, 30, 40, 50, 60),
        kinds: null,
        texts: [],
      },
    };
    const chunks = new SnapshotChunks(new Statements(database));
    const told = [0, 1].map((index) => {
      const left = unsealedOf(chunks, index + 1, slices, index);
      return [[...(left?.times ?? [])], [...(left?.values ?? [])]];
    });
    expect(told).toEqual([
      [
        [1, 4],
        [10, 40],
      ],
      [
        [1, 2],
        [50, 60],
      ],
    ]);
  } finally {
    database.close();
    folder.remove();
  }
});
