import { afterEach, describe, expect, it } from 'vitest';
import type { Attempt, Delivery } from '../../src/domain/delivery.ts';
import type { Alert, Transition } from '../../src/domain/alert.ts';
import type { RetentionPolicy } from '../../src/domain/retention.ts';
import { rollupTiers } from '../../src/domain/retention.ts';
import { newSeries, type Row } from '../support/storage-commits.ts';
import { keepingOptions, KeepingRig } from '../support/storage-keeping.ts';

const hour = 3_600_000;
const day = 24 * hour;
const start = rollupTiers.hour.windowMs * 1_380;

let rig: KeepingRig | null = null;
afterEach(() => {
  rig?.close();
  rig = null;
});

function open(options = keepingOptions): KeepingRig {
  rig = new KeepingRig(start, options);
  return rig;
}

function planOf(...policies: readonly RetentionPolicy[]) {
  const ofSeries = new Uint16Array(64);
  for (let series = 1; series < 64; series++) ofSeries[series] = Math.min(series - 1, policies.length - 1);
  return { policies, ofSeries };
}

/** One reading a minute of each series in `[from, to)`, sealed. */
function write(one: KeepingRig, series: readonly number[], from: number, to: number): void {
  for (let begin = from; begin < to; begin += 6 * hour) {
    const rows: Row[] = [];
    for (const id of series) {
      for (let at = begin; at < Math.min(begin + 6 * hour, to); at += 60_000) rows.push([id, at, (at / 60_000) % 50]);
    }
    one.at = Math.max(one.at, Math.min(begin + 6 * hour, to));
    one.commit(rows);
    one.sealAll();
  }
}

function oldest(one: KeepingRig, series: number): number {
  return one.database.number(`SELECT coalesce(min(time_min), 0) FROM chunk WHERE series = ${series}`);
}

describe('retention', () => {
  it('deletes what each policy keeps no longer, and its rollups after their own time', () => {
    const one = open();
    one.commit([], { newSeries: newSeries(4) });
    write(one, [1, 2, 3, 4], start, start + 6 * day);
    one.writer.retain(
      planOf(
        { raw: null, minute: null, hour: null },
        { raw: 2 * day, minute: null, hour: null },
        { raw: day, minute: 0, hour: null },
        { raw: day, minute: 0, hour: 0 },
      ),
    );
    one.settle();
    expect(one.rawFrom(1)).toBe(Number.NEGATIVE_INFINITY);
    expect(oldest(one, 1)).toBe(start);
    expect(one.rawFrom(2)).toBe(start + 4 * day);
    expect(one.rawFrom(3)).toBe(start + 5 * day);
    expect(one.rawFrom(4)).toBe(start + 5 * day);
    for (const id of [2, 3, 4]) {
      // A chunk that reaches across stays: 64 readings, an hour or two.
      expect(oldest(one, id)).toBeGreaterThan(one.rawFrom(id) - 3 * hour);
    }
    expect(one.rollup(2, 'minute').buckets).toHaveLength(4 * 24 * 60);
    expect(one.rollup(3, 'minute').buckets).toHaveLength(0);
    expect(one.rollup(3, 'hour').buckets).toHaveLength(5 * 24);
    expect(one.rollup(4, 'hour').buckets).toHaveLength(0);
    const { purgedReadings, oldestTime } = one.writer.kept();
    expect(purgedReadings).toBe(
      (3 * 6 * day) / 60_000 - one.database.number('SELECT sum(count) FROM chunk WHERE series > 1'),
    );
    expect(oldestTime).toBe(start);
  });

  it('takes minutes away only when hours are made of them', () => {
    const one = open();
    one.commit([], { newSeries: newSeries(1) });
    one.writer.retain(planOf({ raw: day, minute: 2 * day, hour: null }));
    for (let days = 0; days < 20; days++) {
      write(one, [1], start + days * day, start + (days + 1) * day);
      if (days % 4 === 3 || days > 14) one.settle();
    }
    expect(one.rollup(1, 'minute').covered).toEqual([{ from: start + 15 * day, to: start + 19 * day }]);
    expect(one.rollup(1, 'hour').covered).toEqual([{ from: start, to: start + 15 * day }]);
    expect(one.rollup(1, 'hour').buckets.reduce((sum, { count }) => sum + count, 0)).toBe(15 * 24 * 60);
  });

  it('seals first what a head holds of a time that is over', () => {
    const one = open();
    one.commit([], { newSeries: newSeries(1) });
    one.commit([[1, start + 1, 5]]);
    one.at = start + 10 * day;
    one.commit([]);
    one.writer.retain(planOf({ raw: day, minute: null, hour: null }));
    one.settle();
    expect(one.database.number('SELECT count(*) FROM chunk')).toBe(0);
    expect(one.writer.state.headReadings).toBe(0);
    expect(one.rollup(1, 'minute').buckets).toMatchObject([{ begin: start, count: 1, sum: 5 }]);
  });

  it('a reading that comes when its time is purged goes into the rollup and nowhere else, once, also over a kill', () => {
    const one = open();
    one.commit([], { newSeries: newSeries(1) });
    write(one, [1], start, start + 3 * day);
    one.writer.retain(planOf({ raw: day, minute: null, hour: null }));
    one.settle();
    const chunks = one.database.number('SELECT count(*) FROM chunk');
    one.commit([
      [1, start + 30_000, 90],
      [1, start - 5 * day, -4],
    ]);
    one.kill();
    one.sealAll();
    one.kill();
    expect(one.database.number('SELECT count(*) FROM chunk')).toBe(chunks);
    const { buckets } = one.rollup(1, 'minute');
    expect(buckets[0]).toMatchObject({ begin: start - 5 * day, count: 1, sum: -4 });
    expect(buckets[1]).toMatchObject({ begin: start, count: 2, sum: 90 + ((start / 60_000) % 50), last: 90 });
    expect(buckets).toHaveLength(2 * 24 * 60 + 1);
  });

  it('asks for time in small steps, each of which leaves the store sound', () => {
    let now = 0;
    // Whenever a step looks, its time is over.
    rig = new KeepingRig(start, keepingOptions, { monotonic: () => (now += 10) });
    const one = rig;
    one.commit([], { newSeries: newSeries(2) });
    write(one, [1, 2], start, start + 3 * day);
    const plan = planOf({ raw: day, minute: null, hour: null });
    one.writer.retain(plan);
    one.work();
    one.rollUp();
    let steps = 0;
    let before = one.database.number('SELECT count(*) FROM chunk');
    one.work(0);
    while (one.writer.work()) {
      const chunks = one.database.number('SELECT count(*) FROM chunk');
      if (chunks === before) continue;
      expect(before - chunks).toBeLessThanOrEqual(16);
      before = chunks;
      if (++steps % 4 === 2) {
        one.kill();
        one.writer.retain(plan);
        one.work(0);
      }
      for (const id of [1, 2]) {
        const { buckets } = one.rollup(id, 'minute');
        const from = one.rawFrom(id);
        const told = buckets.reduce((sum, { begin, count }) => (begin < from ? sum + count : sum), 0);
        const kept = one.sealed(id).times.filter((time) => time >= from).length;
        expect(told + kept).toBe(3 * 24 * 60);
      }
    }
    expect(steps).toBeGreaterThan(1);
    expect(one.database.number("SELECT value FROM meta WHERE name = 'chunks'")).toBe(
      one.database.number('SELECT count(*) FROM chunk'),
    );
  });

  it('pauses when it has written much that no checkpoint has copied, and goes on behind the checkpoint', () => {
    const workFramesMax = 16;
    let now = 0;
    // Whenever a step looks, its time is over.
    rig = new KeepingRig(start, { ...keepingOptions, sealCount: 8, workFramesMax }, { monotonic: () => (now += 10) });
    const one = rig;
    one.commit([], { newSeries: newSeries(2) });
    write(one, [1, 2], start, start + 6 * day);
    while (one.writer.work()) one.writer.checkpoint();
    one.writer.retain(planOf({ raw: day, minute: 0, hour: 0 }));
    one.writer.checkpoint();
    let pauses = 0;
    while (oldest(one, 1) < start + 4 * day || oldest(one, 2) < start + 4 * day) {
      while (one.writer.work());
      // The step that reaches the bound is finished.
      expect(one.writer.uncopiedFrames()).toBeLessThan(workFramesMax * 4);
      one.writer.checkpoint();
      pauses++;
    }
    expect(pauses).toBeGreaterThan(3);
  });

  it('spares what the next plan keeps, though it was due by the one before', () => {
    const one = open();
    one.commit([], { newSeries: newSeries(2) });
    write(one, [1, 2], start, start + 3 * day);
    const kept = { raw: null, minute: null, hour: null };
    one.writer.retain(planOf({ ...kept, raw: day }));
    // Looked at, and waiting for sums.
    one.work(0);
    one.writer.retain(planOf({ ...kept, raw: 2 * day }, kept));
    one.settle();
    expect([one.rawFrom(1), one.rawFrom(2)]).toEqual([start + day, Number.NEGATIVE_INFINITY]);
  });

  it('gives pages back that are used again', () => {
    const one = open();
    one.commit([], { newSeries: newSeries(3) });
    one.writer.retain(planOf({ raw: 2 * day, minute: 0, hour: 0 }));
    const pages: number[] = [];
    for (let at = 0; at < 24; at++) {
      write(one, [1, 2, 3], start + at * day, start + (at + 1) * day);
      one.settle();
      pages.push(one.database.number('PRAGMA page_count'));
    }
    expect(pages[23]).toBeLessThanOrEqual((pages[6] ?? 0) * 1.1);
  });
});

const alert: Alert = {
  id: 'alr_1',
  rule: { id: 'rul_1', name: 'hot' },
  device: 'device-1',
  metric: 'value',
  severity: 'warning',
  state: 'firing',
  value: 31,
  threshold: 30,
  startedAt: start,
  firedAt: start,
  resolvedAt: null,
  reason: null,
};

function transitionOf(id: string, of: Alert): Transition {
  const type = of.state === 'firing' ? 'alert.firing' : 'alert.resolved';
  return { id, type, sequence: 1, at: of.resolvedAt ?? of.firedAt, alert: of };
}

function deliveryOf(id: string, createdAt: number): Delivery {
  return { id, webhookId: 'whk_1', type: 'alert.firing', orderKey: 'k', sequence: 1, body: '{}', createdAt };
}

function attemptOf(deliveryId: string, outcome: Attempt['outcome'], number = 1): Attempt {
  const failure = { status: null, error: null, excerpt: null, nextAttemptAt: null };
  return { deliveryId, webhookId: 'whk_1', number, startedAt: start, durationMs: 1, outcome, ...failure };
}

function count(one: KeepingRig, table: string): number {
  return one.database.number(`SELECT count(*) FROM ${table}`);
}

function pass(one: KeepingRig, ms: number): void {
  one.at += ms;
  // Enough for the log before it to be worth trimming; alerts of which it tells stay.
  one.commit(Array.from({ length: 30_000 }, (_, row): Row => [1, one.at + row, row % 9]));
  one.sealAll();
  one.commit([]);
  one.work();
}

describe('rows that are done with', () => {
  const options = { ...keepingOptions, alertsKeptMs: 10 * day, deliveriesKeptMs: 3 * day };
  it('resolved alerts go with their transitions, firing ones and states never', () => {
    const one = open(options);
    const other = { ...alert, id: 'alr_2' };
    const state = {
      ruleId: 'rul_1',
      device: 'device-1',
      metric: 'value',
      since: null,
      sinceReceived: null,
      value: null,
    };
    one.commit([], { newSeries: newSeries(1), transitions: [transitionOf('t1', alert), transitionOf('t2', other)] });
    one.at += hour;
    const resolved: Alert = { ...alert, state: 'resolved', resolvedAt: one.at, reason: 'cleared' };
    one.commit([], {
      transitions: [transitionOf('t3', resolved)],
      alertStates: [{ ...state, phase: 'inactive', alert: null, sequence: 2 }],
    });
    pass(one, 10 * day);
    expect(count(one, 'alert')).toBe(2);
    pass(one, 1);
    expect(one.database.prepare('SELECT id FROM alert').all()).toEqual([['alr_2']]);
    expect(one.database.prepare('SELECT alert_id FROM transition').all()).toEqual([['alr_2']]);
    expect(count(one, 'alert_state')).toBe(1);
    pass(one, 1_000 * day);
    expect(count(one, 'alert')).toBe(1);
  });

  it('an alert stays as long as the log tells of it', () => {
    const one = open({ ...options, alertsKeptMs: 0, resumeWindow: { ms: hour, bytes: 1 << 30 } });
    const resolved: Alert = { ...alert, state: 'resolved', resolvedAt: start, reason: 'cleared' };
    one.commit([], { transitions: [transitionOf('t1', resolved)] });
    one.at += 1_000;
    one.commit([]);
    one.work();
    expect(count(one, 'transition')).toBe(1);
  });

  it('settled deliveries go with their attempts, pending ones never', () => {
    const one = open(options);
    one.commit([], { newSeries: newSeries(1), deliveries: ['a', 'b', 'c', 'd'].map((id) => deliveryOf(id, one.at)) });
    one.commit([], { attempts: [attemptOf('a', 'succeeded'), attemptOf('b', 'retry'), attemptOf('c', 'retry')] });
    pass(one, 2 * day);
    one.commit([], { attempts: [attemptOf('b', 'failed', 2)] });
    pass(one, day + 1);
    expect(one.database.prepare('SELECT id FROM delivery ORDER BY id').all()).toEqual([['b'], ['c'], ['d']]);
    expect(one.database.prepare('SELECT DISTINCT delivery_id FROM attempt').all()).toEqual([['b'], ['c']]);
    one.commit([], { cancelledWebhooks: ['whk_1'] });
    pass(one, 2 * day);
    expect(one.database.prepare('SELECT id FROM delivery ORDER BY id').all()).toEqual([['c'], ['d']]);
    pass(one, 2 * day);
    expect(count(one, 'delivery') + count(one, 'attempt')).toBe(0);
  });

  it('stay for ever when nobody says how long', () => {
    const one = open();
    one.commit([], { newSeries: newSeries(1), deliveries: [deliveryOf('a', one.at)] });
    one.commit([], { attempts: [attemptOf('a', 'succeeded')] });
    pass(one, 10_000 * day);
    expect(count(one, 'delivery')).toBe(1);
  });
});
