import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PipelineRig, settle } from '../support/pipeline-rig.ts';

let rig: PipelineRig;
let now: number;
beforeEach(() => {
  rig = new PipelineRig();
  now = rig.clock.now();
});
afterEach(() => {
  expect(rig.ledger.imbalance()).toEqual({ messages: 0, readings: 0 });
  expect([rig.window.messages, rig.window.bytes, rig.fatal]).toEqual([0, 0, []]);
});

function publish(time: number | null, value: number): void {
  rig.publish(`${time}`, 'devices/a/telemetry', JSON.stringify({ ...(time !== null && { ts: time }), x: value }));
}

function erase(from: number, to: number): void {
  rig.submit('delete', { changes: { deletions: [{ series: 1, from, to }] } });
}

function latest(): readonly [number, unknown] | null {
  const current = rig.latest.find('a', 'x');
  return current ? [current.time, current.value] : null;
}

describe('a deletion', () => {
  it('is a commit though it carries no reading', async () => {
    publish(now, 1);
    await settle();
    erase(0, now + 1);
    await settle();
    expect(rig.answers).toEqual([`settle ${now}`, 'settle delete']);
    expect(rig.store.readings.size).toBe(0);
    expect(rig.told.at(-1)?.deleted).toEqual({ readings: 1, newest: [{ series: 1, time: null, value: null }] });
  });

  it('takes what came before it in the same turn, and leaves what came after', async () => {
    publish(now - 2, 1);
    await settle();
    rig.store.hold();
    publish(now + 1, 9);
    publish(now - 1, 2);
    erase(0, now);
    publish(now - 1, 3);
    rig.store.release();
    await settle();
    expect([...rig.store.readings]).toEqual([
      [`1@${now + 1}`, 9],
      [`1@${now - 1}`, 3],
    ]);
    expect(rig.store.commits.map(({ deletions }) => deletions.length)).toEqual([0, 0, 1]);
  });

  it('is told with what it deleted and nothing of what another did', async () => {
    publish(now - 2, 1);
    publish(now - 1, 2);
    await settle();
    rig.store.hold();
    publish(now, 3);
    erase(0, now - 1);
    erase(now - 1, now + 1);
    rig.store.release();
    await settle();
    expect(rig.told.map(({ deleted }) => deleted?.readings ?? null)).toEqual([null, null, 1, 2]);
  });

  it('passes over series that the store does not know yet', async () => {
    publish(now, 1);
    await settle();
    rig.registry.assign('a', 'y');
    const range = { from: 0, to: now + 1 };
    rig.submit('delete', {
      changes: {
        deletions: [
          { series: 1, ...range },
          { series: 2, ...range },
        ],
      },
    });
    await settle();
    expect(rig.store.commits.at(-1)).toMatchObject({ newSeries: [{ id: 2 }], deletions: [{ series: 1 }] });
  });

  it.each([
    ['the older reading when the newest went', (): void => erase(now - 1, now + 1), -2],
    ['nothing when all of them went', (): void => erase(0, now + 1), null],
    ['what it was when an older one went', (): void => erase(0, now - 1), 0],
  ])('leaves as the latest value %s', async (_, act, offset) => {
    publish(now - 2, -2);
    publish(now, 0);
    await settle();
    act();
    await settle();
    expect(latest()).toEqual(offset === null ? null : [now + offset, offset]);
  });

  it('lets an older reading be the latest that comes afterwards, and moves alerts by it', async () => {
    rig.judge.watched.add('x');
    publish(now, 1);
    await settle();
    erase(0, now + 1);
    await settle();
    publish(now - 5, 2);
    await settle();
    expect(latest()).toEqual([now - 5, 2]);
    expect(rig.judge.reads).toEqual([`a/x ${now} 1`, `a/x ${now - 5} 2`]);
  });

  it('of a reading ahead of the clock lets readings without a time come at their time again', async () => {
    publish(now + 800, 1);
    publish(null, 2);
    await settle();
    expect(latest()).toEqual([now + 801, 2]);
    rig.intake.load([{ id: 1, time: now + 40_000_000 }]);
    publish(null, 3);
    await settle();
    expect(latest()).toEqual([now + 40_000_001, 3]);
    erase(now + 1, now + 50_000_000);
    await settle();
    publish(null, 4);
    await settle();
    expect(latest()).toEqual([now, 4]);
  });
});

describe('the latest value', () => {
  it('is that of the greatest time left, after any order of readings, corrections and deletions', async () => {
    const step = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({ time: fc.integer({ min: 0, max: 9 }), value: fc.integer({ min: 0, max: 3 }) }),
      },
      {
        weight: 1,
        arbitrary: fc.record({ from: fc.integer({ min: 0, max: 9 }), length: fc.integer({ min: 1, max: 5 }) }),
      },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(step, { maxLength: 4 }), { maxLength: 8 }), async (turns) => {
        rig = new PipelineRig();
        const model = new Map<number, number>();
        const base = now - 100;
        publish(base - 1, 0);
        await settle(5);
        model.set(base - 1, 0);
        for (const turn of turns) {
          for (const one of turn) {
            if ('time' in one) {
              publish(base + one.time, one.value);
              model.set(base + one.time, one.value);
            } else {
              erase(base + one.from, base + one.from + one.length);
              for (let time = one.from; time < one.from + one.length; time++) model.delete(base + time);
            }
          }
          await settle(20);
          const newest = Math.max(...model.keys());
          expect(latest()).toEqual([newest, model.get(newest)]);
        }
      }),
      { numRuns: 60 },
    );
  });
});
