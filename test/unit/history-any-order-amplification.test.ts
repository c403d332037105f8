import { afterEach, describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { HistoryRig } from '../support/history-rig.ts';
import { commitOf, type Row } from '../support/storage-commits.ts';

/**
 * How often a reading is written to a chunk, counted in bytes: by sealing once, then by merging what came late or in small
 * chunks. Merging that pays little ends when six times what was sealed has been written again; what is merged whatever it
 * costs, because little is written for many readings, comes on top.
 */
const timesMax = 8;
const begin = 360 * 3_600_000 * 1_380;

let rig: HistoryRig | null = null;
afterEach(() => {
  rig?.close();
  rig = null;
});

interface Written {
  readonly sealed: number;
  readonly merged: number;
  readonly times: number;
  readonly chunks: number;
}

/** Commits `commits` one after the other, `secondsApart`; then all is done that is due. */
function write(
  commits: Iterable<readonly Row[]>,
  options: { readonly series: number; readonly secondsApart: number },
): Written {
  rig?.close();
  const store = new HistoryRig({
    sealAfterMs: 600_000,
    sealCount: 1_024,
    resumeWindow: { ms: 900_000, bytes: 1 << 20 },
    quarantineBytesMax: 1_000,
    bytesMax: 0,
    alertsKeptMs: null,
    deliveriesKeptMs: null,
    reserveBytes: 0,
  });
  rig = store;
  const newSeries = Array.from({ length: options.series }, (_, index) => ({
    id: index + 1,
    device: `device-${index >> 2}`,
    metric: `m${index & 3}`,
  }));
  let seq = 1;
  store.commit(commitOf(seq, [], { at: begin, newSeries }));
  for (const rows of commits) {
    seq++;
    store.commit(commitOf(seq, rows, { at: begin + seq * options.secondsApart * 1_000 }));
    store.pass(options.secondsApart * 1_000);
    while (store.work());
  }
  for (let round = 0; round < 3; round++) {
    store.pass(700_000);
    while (store.work());
  }
  const { sealedBytes: sealed, mergedBytes: merged, chunks } = store.writer.state;
  return { sealed, merged, times: (sealed + merged) / sealed, chunks };
}

/** Four metrics of a device in one message each second, of which some are kept back and come up to half a day later. */
function* messages(late: number): Generator<Row[]> {
  const random = seededRandom(7);
  const waiting: { readonly due: number; readonly rows: Row[] }[] = [];
  for (let second = 0; second < 40_000; second += 20) {
    const rows: Row[] = [];
    for (let at = second; at < second + 20; at++) {
      const time = begin + at * 1_000 + Math.floor(random.next() * 40);
      const message = [1, 2, 3, 4].map((series): Row => [series, time, Math.round(random.next() * 100) / 10]);
      if (random.next() < late) waiting.push({ due: at + random.next() * 43_200, rows: message });
      else rows.push(...message);
    }
    for (let at = waiting.length - 1; at >= 0; at--) {
      if (waiting[at].due <= second) rows.push(...waiting.splice(at, 1)[0].rows);
    }
    yield rows;
  }
  yield waiting.flatMap(({ rows }) => rows);
}

/** One reading a minute of each of forty series: chunks of ten, when they are sealed by age. */
function* slowly(): Generator<Row[]> {
  const random = seededRandom(11);
  for (let minute = 0; minute < 2_000; minute++) {
    yield Array.from({ length: 40 }, (_, index): Row => {
      return [index + 1, begin + minute * 60_000 + index, Math.round(random.next() * 1_000) / 10];
    });
  }
}

describe('what is written is written a few times at most', () => {
  it.each([
    ['nothing comes late', 0],
    ['one message in twenty comes late', 0.05],
    ['every second message comes late', 0.5],
  ])('when %s', (_, late) => {
    const written = write(messages(late), { series: 4, secondsApart: 20 });
    tell(`${late * 100} % late`, written);
    expect(written.times).toBeLessThan(late === 0 ? 1.1 : timesMax);
    // However it came, it lies in chunks of about a thousand in the end.
    expect(written.chunks).toBeLessThan((4 * 40_000) / 300);
  });

  it('when series are slow and their chunks are small', () => {
    const written = write(slowly(), { series: 40, secondsApart: 60 });
    tell('ten readings a chunk', written);
    expect(written.times).toBeLessThan(timesMax);
    expect(written.merged).toBeGreaterThan(0);
    expect(written.chunks).toBeLessThan((40 * 2_000) / 100);
  });
});

function tell(name: string, { sealed, merged, times, chunks }: Written): void {
  console.log(`${name}: ${sealed} bytes sealed, ${merged} merged, written ${times.toFixed(2)} times, ${chunks} chunks`);
}
