// From when on readings of a series are gone, as the writer says it: so the intake refuses what could only vanish among
// sums, and nothing else.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Deletion } from '../../src/domain/deletion.ts';
import { type RetentionPlan, type RetentionPolicy, rollupTiers } from '../../src/domain/retention.ts';
import { newSeries, type Row } from '../support/storage-commits.ts';
import { keepingOptions, KeepingRig } from '../support/storage-keeping.ts';

const hour = 3_600_000;
const day = 24 * hour;
const start = rollupTiers.hour.windowMs * 1_380;
const always = { from: 0, to: 8_640_000_000_000_000 };

let rig: KeepingRig;
beforeEach(() => {
  rig = new KeepingRig(start);
});
afterEach(() => rig.close());

function planOf(policy: RetentionPolicy): RetentionPlan {
  return { policies: [policy], ofSeries: new Uint16Array(8) };
}

/** One reading every ten minutes of each of three series, for four days; sealed, in chunks that windows cut. */
function write(): void {
  rig.commit([], { newSeries: newSeries(3) });
  for (let begin = start + hour; begin < start + 4 * day; begin += 6 * hour) {
    const rows: Row[] = [];
    for (const id of [1, 2, 3]) for (let at = begin; at < begin + 6 * hour; at += 600_000) rows.push([id, at, id]);
    rig.at = begin + 6 * hour;
    rig.commit(rows);
    rig.sealAll();
  }
}

/** All but the last day is purged. */
function purge(policy: Partial<RetentionPolicy> = {}): void {
  write();
  rig.writer.retain(planOf({ raw: day, minute: null, hour: null, ...policy }));
  rig.settle();
  expect(told()).toEqual({ 1: start + 3 * day, 2: start + 3 * day, 3: start + 3 * day });
}

/** What changed since it was told last; null: nothing is gone any more. */
function told(): Record<number, number | null> {
  const changes = rig.writer.state.rollups.tellMoved();
  const entries = changes ? Array.from(changes.series, (id, row) => [id, changes.before[row]] as const) : [];
  return Object.fromEntries(entries.map(([id, time]) => [id, Number.isNaN(time) ? null : time]));
}

function erase(...deletions: readonly Deletion[]): void {
  rig.commit([], { deletions });
}

/** Readings of a series before what was purged. */
function oldOf(series: number): number {
  return rig.sealed(series).times.filter((time) => time < start + 2 * day).length;
}

describe('readings that were purged', () => {
  it('are gone until the series is erased: then old ones are taken and stay, also over a kill', () => {
    purge();
    erase({ series: 1, ...always });
    expect(told()).toEqual({ 1: null });
    expect(rig.rawFrom(1)).toBe(Number.NEGATIVE_INFINITY);
    rig.commit([[1, start + 5, 7]]);
    rig.kill();
    rig.sealAll();
    rig.rollUp();
    expect(rig.sealed(1).times).toEqual(Float64Array.of(start + 5));
    expect(rig.rollup(1, 'minute').buckets).toMatchObject([{ begin: start, count: 1 }]);
    expect(oldOf(2)).toBe(0);
    expect(rig.rawFrom(2)).toBe(start + 3 * day);
  });

  it('may come in the very commit that erases the series', () => {
    purge();
    rig.writer.retain(planOf({ raw: null, minute: null, hour: null }));
    rig.commit([[1, start + 5, 7]], { deletions: [{ series: 1, ...always }] });
    rig.sealAll();
    rig.settle();
    expect(rig.sealed(1).times).toEqual(Float64Array.of(start + 5));
  });

  it('may come again when all before that time is erased, and the rest stays', () => {
    purge();
    const kept = rig.sealed(1).times.filter((time) => time >= start + 3 * day);
    erase({ series: 1, from: start, to: start + 3 * day });
    expect(told()).toEqual({ 1: null });
    rig.commit([[1, start + 5, 7]]);
    rig.sealAll();
    expect([...rig.sealed(1).times]).toEqual([start + 5, ...kept]);
  });

  it.each([
    ['sums before it are left', { from: start + hour, to: start + 4 * day }],
    ['sums after it are left', { from: start, to: start + 3 * day - hour }],
  ])('stay gone when %s', (_, range) => {
    purge();
    erase({ series: 1, ...range });
    expect(told()).toEqual({});
    expect(rig.rawFrom(1)).toBe(start + 3 * day);
  });

  it('stay gone after a kill, when nobody has looked yet what the chunks hold', () => {
    purge({ minute: 0, hour: 0 });
    rig.kill();
    const oldest = rig.database.number('SELECT min(time_min) FROM chunk WHERE series = 1');
    expect(oldest).toBeLessThan(start + 3 * day);
    erase({ series: 1, from: oldest + 1, to: start + 3 * day });
    expect(told()).toEqual({});
    erase({ series: 1, from: oldest, to: start + 3 * day });
    expect(told()).toEqual({ 1: null });
  });

  it('are summed up before also when nobody has looked since the start what the chunks hold', () => {
    rig.commit([], { newSeries: newSeries(1) });
    rig.commit([[1, start + 1, 5]]);
    rig.sealAll();
    rig.commit([[1, start + 2, 6]]);
    rig.kill();
    rig.at = start + 10 * day;
    rig.commit([]);
    // What is in memory makes the purge due; that the chunks of this one were not looked at stands for 100,000 series.
    rig.writer.retain(planOf({ raw: day, minute: null, hour: null }));
    while (rig.writer.work());
    rig.writer.state.rollups.oldest.fill(Number.NaN);
    rig.writer.acceptRollups([]);
    while (rig.writer.work());
    rig.settle();
    expect(rig.rollup(1, 'minute').buckets).toMatchObject([{ begin: start, count: 2, sum: 11 }]);
  });

  it('are not said to be gone of a series that was erased when time goes on', () => {
    purge();
    erase({ series: 1, ...always });
    told();
    rig.at += day;
    rig.commit([]);
    rig.settle();
    expect(told()).toEqual({ 2: start + 4 * day, 3: start + 4 * day });
  });
});

it.each([[{ minute: 0 }], [{ minute: 0, hour: 0 }]])('a longer policy alone brings nothing back, %o', (sums) => {
  purge(sums);
  rig.writer.retain(planOf({ raw: null, minute: null, hour: null }));
  rig.settle();
  expect(told()).toEqual({});
  expect(rig.rawFrom(1)).toBe(start + 3 * day);
  erase({ series: 1, from: 0, to: start + 3 * day });
  expect(told()).toEqual({ 1: null });
});

it('what goes for room is told when it is gone', () => {
  rig.close();
  rig = new KeepingRig(start, { ...keepingOptions, bytesMax: 1 });
  write();
  rig.writer.retain(planOf({ raw: null, minute: 0, hour: 0 }));
  rig.settle();
  const changes = told();
  expect(Object.keys(changes)).toEqual(['1', '2', '3']);
  for (const time of Object.values(changes)) expect(time).toBeGreaterThan(start + 3 * day);
  rig.settle();
  expect(told()).toEqual({});
});
