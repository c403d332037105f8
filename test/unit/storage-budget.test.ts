import { afterEach, describe, expect, it } from 'vitest';
import { rollupTiers } from '../../src/domain/retention.ts';
import { newSeries, type Row } from '../support/storage-commits.ts';
import { keepingOptions, KeepingRig } from '../support/storage-keeping.ts';

const hour = 3_600_000;
const start = rollupTiers.hour.windowMs * 1_380;

let rig: KeepingRig | null = null;
afterEach(() => {
  rig?.close();
  rig = null;
});

/** Noise, so that it takes room: 360 readings an hour of each series, for one hour from `from` on. */
function writeHour(one: KeepingRig, series: readonly number[], from: number): void {
  const rows: Row[] = [];
  for (const id of series) {
    for (let at = from; at < from + hour; at += 10_000) rows.push([id, at, Math.round(Math.sin(at * id) * 1e6) / 1e3]);
  }
  one.at = from + hour;
  one.commit(rows);
  one.sealAll();
  one.work();
}

function usedBytes(one: KeepingRig): number {
  const pages = one.database.number('PRAGMA page_count') - one.database.number('PRAGMA freelist_count');
  return pages * one.database.number('PRAGMA page_size');
}

describe('a disk budget', () => {
  it('lets the oldest of all series go first, summed up before, and holds', () => {
    const bytesMax = 1_500_000;
    rig = new KeepingRig(start, { ...keepingOptions, bytesMax });
    const one = rig;
    one.commit([], { newSeries: newSeries(4) });
    for (let at = 0; at < 16 * 24; at++) {
      // The fourth has its time long after the others.
      writeHour(one, at < 12 * 24 ? [1, 2, 3] : [1, 2, 3, 4], start + at * hour);
      if (at % 6 === 5) one.settle();
    }
    for (let round = 0; round < 4; round++) one.settle();
    expect(usedBytes(one)).toBeLessThanOrEqual(bytesMax);
    // It was not emptied for that.
    expect(usedBytes(one)).toBeGreaterThan(bytesMax * 0.7);
    const from = [1, 2, 3].map((id) => one.rawFrom(id));
    expect(Math.max(...from) - Math.min(...from)).toBeLessThanOrEqual(6 * hour);
    expect(one.rawFrom(4)).toBeLessThanOrEqual(Math.max(...from));
    expect(one.writer.kept().purgedReadings).toBeGreaterThan(0);
    for (const id of [1, 2, 3]) {
      // Six readings a minute are no more room than their sums: hours are made of them, and are what is left.
      expect(one.rollup(id, 'minute').covered).toEqual([]);
      const [hours] = one.rollup(id, 'hour').covered;
      expect(hours?.from).toBe(start);
      expect(hours?.to).toBeGreaterThanOrEqual(one.rawFrom(id));
    }
  });

  it('that is smaller than what has to be kept is told, and does not empty the store', () => {
    rig = new KeepingRig(start, { ...keepingOptions, bytesMax: 50_000 });
    const one = rig;
    one.commit([], { newSeries: newSeries(2) });
    for (let at = 0; at < 4; at++) writeHour(one, [1, 2], start + at * hour);
    one.settle();
    expect(one.writer.budgetState).toBe('too_small');
    // The last quarter of an hour stays.
    for (const id of [1, 2]) {
      expect(one.sealed(id).times.filter((time) => time >= one.at - hour / 4).length).toBe(90);
      expect(one.rawFrom(id)).toBeGreaterThan(start + 3 * hour);
    }
  });

  it('of 0 is none', () => {
    rig = new KeepingRig(start);
    const one = rig;
    one.commit([], { newSeries: newSeries(1) });
    writeHour(one, [1], start);
    one.settle();
    expect(one.writer.budgetState).toBe('kept');
    expect(one.writer.kept().purgedReadings).toBe(0);
    expect(one.sealed(1).count).toBe(360);
  });
});
