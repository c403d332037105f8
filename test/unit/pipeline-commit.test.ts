import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RejectedError, TransientError } from '../../src/base/errors.ts';
import type { Rule } from '../../src/domain/rule.ts';
import { PipelineRig, settle } from '../support/pipeline-rig.ts';

let rig: PipelineRig;

beforeEach(() => {
  rig = new PipelineRig();
});

// Whatever a test did: every message and every reading is accounted for, and the window is empty.
afterEach(() => {
  expect(rig.ledger.imbalance()).toEqual({ messages: 0, readings: 0 });
  expect([rig.window.messages, rig.window.bytes, rig.store.inFlightMost <= 1, rig.fatal]).toEqual([0, 0, true, []]);
});

const topic = 'devices/a/telemetry';
/** A payload of one reading; `at` is in ms before the fake clock's start. */
const reading = (value: number | string, at = 0, metric = 'x'): string =>
  JSON.stringify({ ts: Date.UTC(2026, 8, 21, 12) - at, [metric]: value });

const watched = (value: number, at = 0): string => reading(value, at, 'watched');

/** Acts that many microtasks later. */
async function afterTicks(ticks: number, act: () => void): Promise<void> {
  for (let tick = 0; tick < ticks; tick++) await Promise.resolve();
  act();
}

const rules = (name: string): readonly Rule[] => [
  {
    id: name,
    name,
    device: '*',
    metric: '*',
    condition: { type: 'threshold', above: 1 },
    for: '0s',
    severity: 'info',
    enabled: true,
    createdAt: '',
    updatedAt: '',
  },
];

describe('a commit', () => {
  it('takes all that arrived in one turn, and what arrives while it is in flight forms the next, one at a time', async () => {
    rig.store.hold();
    for (const name of ['a', 'b', 'c']) rig.publish(name, topic, reading(1, name.charCodeAt(0)));
    await settle();
    expect([rig.store.attempts, rig.store.inFlight]).toEqual([1, 1]);
    for (const name of ['d', 'e']) rig.publish(name, topic, reading(1, name.charCodeAt(0)));
    await settle();
    expect(rig.store.attempts).toBe(1);
    rig.store.release();
    await settle();
    expect(rig.store.commits.map((commit) => commit.readings.count)).toEqual([3, 2]);
    expect(rig.store.commits.map((commit) => commit.seq)).toEqual([1, 2]);
  });

  it('begins in the same turn of the event loop when the pipeline is idle: no timer is involved', async () => {
    rig.publish('a', topic, reading(1));
    expect(rig.clock.timers).toBe(0);
    await settle();
    expect(rig.answers).toEqual(['settle a']);
  });

  it('does not wait for the end of the turn when five hundred messages are there, and waits with one less', async () => {
    rig.store.hold();
    for (let index = 0; index < 499; index++) rig.publish(`m${index}`, topic, reading(1, index));
    await afterTicks(20, () => expect(rig.store.attempts).toBe(0));
    rig.publish('m499', topic, reading(1, 499));
    await afterTicks(20, () => expect(rig.store.attempts).toBe(1));
    rig.publish('m500', topic, reading(1, 500));
    rig.store.release();
    await settle();
    expect(rig.store.commits.map((commit) => commit.readings.count)).toEqual([500, 1]);
    expect(rig.answers).toEqual(Array.from({ length: 501 }, (_, index) => `settle m${index}`));
  });

  it('answers nobody before it is on disk, then all in order of arrival, and only then tells', async () => {
    rig.store.hold();
    rig.publish('a', topic, reading(1, 1));
    rig.publish('b', 'devices/a/status', 'online');
    rig.publish('c', topic, 'broken');
    rig.publish('d', topic, reading(1, 2), 2);
    await settle();
    expect(rig.order).toEqual([]);
    rig.store.release();
    await settle();
    expect(rig.order).toEqual(['settle a', 'settle b', 'settle c', 'settle d', 'told 1']);
    const { accepted, control, refused } = rig.ledger.messages;
    expect([accepted, control, refused, rig.ledger.quarantined]).toEqual([2, 1, 1, 1]);
  });

  it('counts a reading that comes again as identical and another value as replaced, and tells of the second only', async () => {
    rig.publish('a', topic, reading(1));
    await settle();
    rig.publish('b', topic, reading(1));
    await settle();
    rig.publish('c', topic, reading(2));
    rig.publish('d', topic, reading(3, 1));
    await settle();
    expect(rig.ledger.readings).toEqual({ decoded: 4, stored: 2, replaced: 1, identical: 1 });
    expect(rig.told.map(({ batch }) => batch.readings.count)).toEqual([1, 0, 2]);
  });

  it('carries the series that are new, once, and the birth of their device', async () => {
    rig.publish('a', topic, '{"x":1,"y":2}');
    await settle();
    rig.publish('b', topic, '{"x":1,"z":2}');
    await settle();
    expect(rig.store.commits.map((commit) => commit.newSeries.map(({ id, metric }) => [id, metric]))).toEqual([
      [
        [1, 'x'],
        [2, 'y'],
      ],
      [[3, 'z']],
    ]);
    expect(rig.store.commits.map((commit) => commit.deviceFacts.map(({ device }) => device))).toEqual([['a'], ['a']]);
  });

  it('is not made of nothing: a command that we do not keep is answered without one', async () => {
    rig.publish('a', 'devices/a/commands/1/reply', '{"status":"succeeded"}');
    await settle();
    expect([rig.answers, rig.store.attempts]).toEqual([['settle a'], 0]);
  });

  it('is never forgotten, at whatever moment after the last answer it was asked for', async () => {
    for (let depth = 0; depth < 12; depth++) {
      let asked: Promise<void> = Promise.resolve();
      rig.submit(`first ${depth}`, {
        facts: [{ device: 'a', at: 1 }],
        settle: () => {
          asked = afterTicks(depth, () => rig.submit(`second ${depth}`, { facts: [{ device: 'a', at: 2 }] }));
        },
      });
      await settle();
      await asked;
      expect(rig.answers.at(-1)).toBe(`settle second ${depth}`);
    }
  });
});

describe('alerts', () => {
  it('see only what a rule looks at, in order', async () => {
    rig.publish('a', topic, JSON.stringify({ ts: rig.clock.now(), x: 1, watched: 2 }));
    await settle();
    expect(rig.judge.reads).toEqual([`a/watched ${rig.clock.now()} 2`]);
  });

  it('never see a reading that is not newer than what its series has, be it in the same batch or before', async () => {
    rig.publish('a', topic, watched(1, 10));
    rig.publish('late in the batch', topic, watched(200, 20));
    rig.publish('same time', topic, watched(300, 10));
    rig.publish('b', topic, watched(2, 5));
    await settle();
    rig.publish('late', topic, watched(400, 7));
    rig.publish('same time again', topic, watched(500, 5));
    rig.publish('c', topic, watched(3, 4));
    await settle();
    expect(rig.judge.reads.map((line) => line.split(' ')[2])).toEqual(['1', '2', '3']);
    expect(rig.judge.applied).toEqual([]);
    expect(rig.store.readings.size).toBe(5);
  });

  it('never see an older reading than before, whatever arrives in whatever order and grouping', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(fc.nat(20), { maxLength: 5 }), { maxLength: 8 }), async (batches) => {
        rig = new PipelineRig();
        let newest = Number.NEGATIVE_INFINITY;
        const expected: number[] = [];
        for (const batch of batches) {
          for (const offset of batch) {
            const time = rig.clock.now() + offset;
            rig.publish('m', topic, JSON.stringify({ ts: time, watched: offset }));
            if (time > newest) expected.push((newest = time));
          }
          await settle(4);
        }
        expect(rig.judge.reads.map((line) => Number(line.split(' ')[1]))).toEqual(expected);
        expect(rig.ledger.imbalance()).toEqual({ messages: 0, readings: 0 });
      }),
      { numRuns: 60 },
    );
  });

  it('change only with the commit: a failed one leaves no trace, and the reading is judged anew when it comes again', async () => {
    rig.store.failures.push({ kind: 'wait' });
    rig.publish('a', topic, watched(200, 10));
    await settle();
    expect([rig.judge.applied, rig.told]).toEqual([[], []]);
    rig.clock.advance(250);
    await settle();
    rig.publish('a again', topic, watched(200, 10));
    await settle();
    expect(rig.judge.applied).toHaveLength(1);
    expect(rig.store.commits.flatMap((commit) => commit.transitions)).toHaveLength(1);
  });

  it('that are due wake the pipeline though nothing arrives', async () => {
    rig.judge.deadline = rig.clock.now() + 30_000;
    rig.pipeline.start(0);
    rig.clock.advance(29_999);
    await settle();
    expect(rig.judge.drafts).toBe(0);
    rig.clock.advance(1);
    await settle();
    expect([rig.judge.drafts, rig.judge.expiredAt, rig.clock.timers]).toEqual([1, rig.clock.now(), 0]);
  });
});

describe('a store that must be waited for', () => {
  it('gives messages back unacknowledged, turns health once, and is asked again after 250 ms', async () => {
    rig.store.full = true;
    rig.publish('a', topic, reading(1, 1));
    rig.publish('b', topic, reading(1, 2), 0);
    await settle();
    expect(rig.answers).toEqual(['settle b', 'fail a']);
    expect([rig.pipeline.healthy, rig.health, rig.ledger.messages.shed]).toEqual([false, [false], 2]);
    rig.publish('c', topic, reading(1, 3));
    expect(rig.answers.at(-1)).toBe('fail c');
    await expect(
      rig.intake.post(Buffer.from('[{"device":"a","metric":"x","value":1}]'), 'json', { partial: false }),
    ).rejects.toThrow(TransientError);
    await settle();
    expect(rig.store.attempts).toBe(1);
    rig.store.full = false;
    rig.clock.advance(249);
    await settle();
    expect(rig.store.attempts).toBe(1);
    rig.clock.advance(1);
    await settle();
    expect([rig.pipeline.healthy, rig.health, rig.store.attempts]).toEqual([true, [false, true], 2]);
    rig.publish('a again', topic, reading(1, 1));
    await settle();
    expect([rig.answers.at(-1), rig.stored.length]).toEqual(['settle a again', 1]);
  });

  it('also gives back what had queued up behind the commit', async () => {
    rig.store.hold();
    rig.store.failures.push({ kind: 'wait' });
    rig.publish('a', topic, reading(1, 1));
    await settle();
    rig.publish('b', topic, reading(1, 2));
    rig.store.release();
    await settle();
    expect([rig.answers, rig.store.attempts]).toEqual([['fail a', 'fail b'], 1]);
  });

  it('is asked at intervals that double from 250 ms to 10 s, and from 250 ms again after it came back', async () => {
    rig.store.full = true;
    rig.publish('a', topic, reading(1));
    const waits: (number | null)[] = [];
    for (let probe = 0; probe < 8; probe++) {
      await settle();
      expect(rig.clock.timers).toBe(1);
      waits.push(rig.clock.untilNext);
      rig.clock.advance(rig.clock.untilNext ?? 0);
    }
    expect(waits).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
    await settle();
    rig.store.full = false;
    rig.clock.advance(10_000);
    await settle();
    rig.store.failures.push({ kind: 'wait' });
    rig.publish('b', topic, reading(2));
    await settle();
    expect(rig.clock.untilNext).toBe(250);
  });

  it('is not asked in a loop because an alert is due meanwhile', async () => {
    rig.store.full = true;
    rig.judge.deadline = rig.clock.now() - 1;
    rig.publish('a', topic, reading(1));
    await settle();
    for (let turn = 0; turn < 5; turn++) {
      rig.clock.advance(10);
      await settle();
    }
    expect([rig.store.attempts, rig.clock.timers]).toEqual([1, 1]);
    rig.store.full = false;
    rig.clock.advance(200);
    await settle();
    expect([rig.pipeline.healthy, rig.judge.deadline]).toEqual([true, null]);
  });

  it('is not asked again because a result of our own arrives: that waits for the next time', async () => {
    rig.store.full = true;
    rig.publish('a', topic, reading(1));
    await settle();
    rig.submit('fact', { facts: [{ device: 'a', at: 1 }] });
    await settle();
    expect([rig.store.attempts, rig.clock.timers, rig.answers]).toEqual([1, 1, ['fail a']]);
    rig.store.full = false;
    rig.clock.advance(250);
    await settle();
    expect(rig.answers).toEqual(['fail a', 'settle fact']);
  });

  it('keeps what people decided, in the order in which they decided it', async () => {
    rig.store.full = true;
    rig.submit('first', { rules: rules('first') });
    rig.publish('a', topic, reading(1));
    await settle();
    rig.submit('second', { rules: rules('second') });
    rig.submit('removed', { removedWebhooks: ['webhook'] });
    await settle();
    rig.clock.advance(250);
    await settle();
    expect(rig.answers).toEqual(['fail a']);
    rig.submit('third', { rules: rules('third') });
    rig.store.full = false;
    rig.clock.advance(500);
    await settle();
    expect(rig.judge.appliedRules.map(([rule]) => rule.name)).toEqual(['first', 'second', 'third']);
    expect(rig.store.commits.flatMap((commit) => commit.cancelledWebhooks)).toEqual(['webhook']);
    expect(rig.answers).toEqual(['fail a', 'settle first', 'settle second', 'settle removed', 'settle third']);
  });

  it('voids nothing that was given out: a series keeps its number and goes with the next commit', async () => {
    rig.store.failures.push({ kind: 'wait' });
    rig.publish('a', topic, '{"x":1}');
    await settle();
    rig.clock.advance(250);
    await settle();
    rig.publish('b', 'devices/b/telemetry', '{"y":1}');
    rig.publish('a', topic, '{"x":1}');
    await settle();
    const given = rig.store.commits.flatMap((commit) => commit.newSeries.map(({ id, device }) => [id, device]));
    expect(given).toEqual([
      [1, 'a'],
      [2, 'b'],
    ]);
    expect(rig.store.commits.map(({ seq }) => seq)).toEqual([1, 2]);
  });
});

describe('a store that refuses', () => {
  it('isolates exactly the poison: it lies in the quarantine, everything else is stored, all are acknowledged', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.boolean(), { minLength: 1, maxLength: 24 }), fc.nat(5), async (poisonous, later) => {
        rig = new PipelineRig();
        rig.store.hold();
        rig.publish('gate', topic, reading(1));
        await settle(2);
        const names = poisonous.map((poison, index) => `${poison ? 'poison' : 'good'} ${index}`);
        for (const [index, name] of names.entries()) {
          if (poisonous[index]) rig.store.poisons.add(name);
          rig.publish(name, topic, reading(name, 1 + index));
        }
        rig.store.release();
        await settle(2);
        for (let n = 0; n < later; n++) rig.publish(`later ${n}`, topic, reading(`later ${n}`, 100 + n));
        await settle(200);
        const expected = ['gate', ...names, ...Array.from({ length: later }, (_, n) => `later ${n}`)];
        expect(rig.answers).toEqual(expected.map((name) => `settle ${name}`));
        const quarantined = rig.store.commits.flatMap((commit) => commit.quarantine);
        expect(quarantined.map(({ payload }) => JSON.parse(Buffer.from(payload).toString()).x)).toEqual(
          names.filter((name) => name.startsWith('poison')),
        );
        expect(new Set(quarantined.map(({ reason }) => reason)).size).toBeLessThanOrEqual(1);
        expect(rig.ledger.quarantined).toBe(quarantined.length);
        expect(rig.stored.map((line) => line.split(' ').slice(2).join(' '))).toEqual(
          ['1', ...expected.slice(1)].filter((name) => !name.startsWith('poison')),
        );
        expect([rig.pipeline.healthy, rig.ledger.imbalance()]).toEqual([true, { messages: 0, readings: 0 }]);
      }),
      { numRuns: 40 },
    );
  });

  it('says so to a request, which has no place in the quarantine, and goes on for everybody else', async () => {
    rig.store.poisons.add(666);
    const posted = rig.intake.post(Buffer.from('[{"device":"a","metric":"x","value":666}]'), 'json', {
      partial: false,
    });
    rig.publish('good', topic, reading(1));
    await expect(posted).rejects.toThrow(RejectedError);
    await settle();
    expect([rig.answers, rig.pipeline.healthy, rig.health]).toEqual([['settle good'], true, []]);
    expect(rig.ledger.refusals.get('message_poisonous')).toBe(1);
  });

  it('gives everything back in order when it must be waited for in the middle of the search', async () => {
    rig.store.failures.push({ kind: 'refused' }, { kind: 'wait' });
    for (const [index, name] of ['a', 'b', 'c', 'd'].entries()) rig.publish(name, topic, reading(name, index));
    await settle();
    expect([rig.answers, rig.store.attempts]).toEqual([['fail a', 'fail b', 'fail c', 'fail d'], 2]);
  });

  it('is asked again with what people decided, and nobody is told that it failed', async () => {
    rig.store.failures.push({ kind: 'refused' });
    rig.submit('removed', { removedWebhooks: ['webhook'] });
    await settle();
    expect([rig.answers, rig.pipeline.healthy]).toEqual([[], false]);
    rig.clock.advance(250);
    await settle();
    expect([rig.answers, rig.pipeline.healthy]).toEqual([['settle removed'], true]);
  });
});

describe('a commit whose outcome is unknown', () => {
  it('is true when the reopened store has it: acknowledged, told, and judged', async () => {
    rig.store.failures.push({ kind: 'unknown', written: true });
    rig.publish('a', topic, watched(200));
    rig.publish('b', topic, 'broken');
    await settle();
    expect(rig.order).toEqual(['settle a', 'settle b', 'told 1']);
    expect(rig.told[0].batch.readings).toMatchObject({ count: 1 });
    expect(rig.latest.find('a', 'watched')?.value).toBe(200);
    expect([rig.judge.applied.length, rig.pipeline.seq, rig.pipeline.healthy, rig.ledger.quarantined]).toEqual([
      1,
      1,
      true,
      1,
    ]);
    rig.publish('c', topic, reading(1));
    await settle();
    expect(rig.store.commits.map(({ seq }) => seq)).toEqual([1, 2]);
  });

  it('never was when the reopened store has it not: given back, and the number is used again', async () => {
    rig.store.failures.push({ kind: 'unknown', written: false });
    rig.publish('a', topic, watched(200));
    await settle();
    expect([rig.order, rig.judge.applied, rig.health]).toEqual([['fail a'], [], [false]]);
    rig.clock.advance(250);
    await settle();
    rig.publish('a', topic, watched(200));
    await settle();
    expect([rig.store.commits.map(({ seq }) => seq), rig.judge.applied.length]).toEqual([[1, 2], 1]);
  });

  it('tells only what it wrote: readings that were there already stay identical', async () => {
    const start = rig.clock.now() - 1_000;
    const many = (...rows: readonly [at: number, value: number][]): string =>
      JSON.stringify(rows.map(([at, x]) => ({ ts: start + at, x })));
    rig.publish('a', topic, many([0, 1], [1, 2]));
    await settle();
    rig.store.failures.push({ kind: 'unknown', written: true });
    rig.publish('b', topic, many([0, 1], [1, 3], [1, 2]));
    await settle();
    const { readings } = rig.told[1].batch;
    expect([...readings.values.subarray(0, readings.count)]).toEqual([3, 2]);
    expect(rig.ledger.readings).toMatchObject({ decoded: 5, identical: 1 });
    expect(rig.answers).toEqual(['settle a', 'settle b']);
  });

  it('that was a probe and is on disk ends the waiting', async () => {
    rig.store.failures.push({ kind: 'wait' }, { kind: 'unknown', written: true });
    rig.publish('a', topic, reading(1));
    await settle();
    rig.clock.advance(250);
    await settle();
    expect([rig.pipeline.healthy, rig.health]).toEqual([true, [false, true]]);
  });

  it.each([
    ['was written', true],
    ['was not written', false],
  ])('stays open while the store cannot be opened, and is resolved first once it can: it %s', async (_, written) => {
    rig.store.failures.push({ kind: 'unknown', written });
    rig.store.opens = false;
    rig.publish('a', topic, watched(200));
    rig.submit('rules', { rules: rules('kept') });
    await settle();
    expect([rig.answers, rig.told.length, rig.pipeline.healthy]).toEqual([['fail a'], 0, false]);
    rig.clock.advance(250);
    await settle();
    expect([rig.store.attempts, rig.told.length], 'nothing is committed before that is known').toEqual([1, 0]);
    rig.store.opens = true;
    rig.clock.advance(500);
    await settle();
    expect(rig.judge.applied).toHaveLength(written ? 1 : 0);
    expect(rig.latest.find('a', 'watched')?.value).toBe(written ? 200 : undefined);
    expect(rig.told.map(({ commit }) => commit.seq)).toEqual(rig.store.commits.map(({ seq }) => seq));
    expect([rig.pipeline.healthy, rig.answers]).toEqual([true, ['fail a', 'settle rules']]);
    expect(rig.judge.appliedRules.at(-1)?.[0].name).toBe('kept');
  });
});

describe('stop', () => {
  it('commits what is queued and in flight, and returns after it was answered and told', async () => {
    rig.store.hold();
    rig.publish('a', topic, reading(1, 1));
    await settle();
    rig.publish('b', topic, reading(1, 2));
    const stopped = rig.pipeline.stop().then(() => rig.order.push('stopped'));
    rig.publish('too late', topic, reading(1, 3));
    await settle();
    expect(rig.order).toEqual(['fail too late']);
    rig.store.release();
    await stopped;
    expect(rig.order).toEqual(['fail too late', 'settle a', 'told 1', 'settle b', 'told 2', 'stopped']);
  });

  it('may come twice, and at once when there is nothing to do', async () => {
    await Promise.all([rig.pipeline.stop(), rig.pipeline.stop()]);
    expect(rig.store.attempts).toBe(0);
  });

  it('still takes what our own rooms have to say while they stop', async () => {
    rig.store.hold();
    rig.publish('a', topic, reading(1));
    await settle();
    const stopped = rig.pipeline.stop();
    rig.submit('attempt', { facts: [{ device: 'a', at: 1 }] });
    rig.store.release();
    await stopped;
    expect(rig.answers).toEqual(['settle a', 'settle attempt']);
  });

  it('while storage is away asks once more and leaves no timer behind', async () => {
    rig.store.full = true;
    rig.submit('removed', { removedWebhooks: ['webhook'] });
    await settle();
    expect(rig.clock.timers).toBe(1);
    await rig.pipeline.stop();
    expect([rig.store.attempts, rig.answers, rig.clock.timers]).toEqual([2, ['fail removed'], 0]);
  });

  it('leaves no timer of an alert behind', async () => {
    rig.judge.deadline = rig.clock.now() + 1_000;
    rig.pipeline.start(0);
    expect(rig.clock.timers).toBe(1);
    await rig.pipeline.stop();
    expect(rig.clock.timers).toBe(0);
  });

  it('what comes after the end is given back, and does not open the store again', async () => {
    rig.submit('before', { facts: [{ device: 'a', at: 1, attributes: { x: 1 } }] });
    await rig.pipeline.stop();
    rig.store.failures.push({ kind: 'unknown' });
    rig.submit('own', { facts: [{ device: 'a', at: 2, attributes: { x: 2 } }] });
    rig.publish('message', 'devices/a/telemetry/x', '1');
    await settle();
    expect(rig.answers).toEqual(['settle before', 'fail own', 'fail message']);
    expect([rig.store.attempts, rig.store.commits.length]).toEqual([1, 1]);
  });
});
