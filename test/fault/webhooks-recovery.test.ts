import { assert, asyncProperty, integer } from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { CourierBench } from '../support/courier-bench.ts';
import { settled } from '../support/memory-outbox.ts';
import type { Reply, WebhookReceiver } from '../support/webhook-receiver.ts';

const ok: Reply = (response) => void response.writeHead(204).end();
const refuse: Reply = (response) => void response.writeHead(503).end();
const hang: Reply = () => {};
const second = 1_000;
const hour = 3_600 * second;

let bench: CourierBench;

beforeEach(() => {
  bench = new CourierBench();
});
afterEach(async () => {
  await bench.close();
});

describe('when the commit of a result fails', () => {
  it('the result is recorded again until it is committed, and the delivery is not sent again', async () => {
    const receiver = await bench.receiver('wh_a');
    await bench.courier.start();
    bench.outbox.failingRecords = 7;
    const line = bench.commitMany('wh_a', 2, 'line');
    for (let left = 6; left >= 0; left--) {
      await bench.outbox.until(() => bench.outbox.failingRecords === left);
      await settled();
      // The next of the line waits for the commit as well.
      expect(receiver.ids).toEqual([line[0]]);
      bench.clock.advance(10 * second);
    }
    await bench.outbox.recorded(2);
    expect(receiver.ids).toEqual(line);
    expect(bench.outbox.count('succeeded')).toBe(2);
    expect(bench.courier.stats()).toMatchObject({ recordFailures: 7, attemptsSucceeded: 2, queued: 0 });
  });

  it('the pause before the next attempt still counts from the failure, not from the commit', async () => {
    const receiver = await bench.receiver('wh_a', refuse);
    await bench.courier.start();
    bench.outbox.failingRecords = 1;
    bench.commitMany('wh_a', 1);
    await bench.outbox.until(() => bench.outbox.failingRecords === 0);
    await settled();
    bench.clock.advance(3 * second);
    await bench.outbox.recorded(1);
    bench.clock.advance(2 * second - 1);
    await settled();
    expect(receiver.requests).toHaveLength(1);
    bench.clock.advance(1);
    await receiver.received(2);
  });

  it('and goes on failing, no more attempts begin than the endpoint has slots', async () => {
    const receiver = await bench.receiver('wh_a');
    await bench.courier.start();
    bench.outbox.failingRecords = Number.POSITIVE_INFINITY;
    bench.commitMany('wh_a', 50);
    await receiver.received(4);
    for (let round = 0; round < 20; round++) {
      bench.clock.advance(10 * second);
      await settled();
    }
    expect(receiver.requests).toHaveLength(4);
  });
});

describe('after a crash', () => {
  it('what was sent but not recorded is sent again under the same id, and what was recorded is not', async () => {
    const receiver = await bench.receiver('wh_a');
    await bench.courier.start();
    const done = bench.commitMany('wh_a', 3);
    await bench.outbox.recorded(3);
    bench.outbox.failingRecords = Number.POSITIVE_INFINITY;
    const open = bench.commitMany('wh_a', 2);
    await receiver.received(5);
    await bench.crash();
    bench.outbox.failingRecords = 0;
    await bench.courier.start();
    await bench.outbox.recorded(5);
    const times = (id: string): number => receiver.ids.filter((other) => other === id).length;
    expect(done.map(times)).toEqual([1, 1, 1]);
    expect(open.map(times)).toEqual([2, 2]);
  });

  it('what was committed but never accepted is sent', async () => {
    const receiver = await bench.receiver('wh_a');
    const records = bench.outbox.commit([bench.delivery('wh_a'), bench.delivery('wh_a')]);
    await bench.courier.start();
    await bench.outbox.recorded(2);
    expect(receiver.ids.toSorted()).toEqual(records.map(({ id }) => id));
  });

  it('what waits for its next attempt still waits for it, with the attempts it has had', async () => {
    const receiver = await bench.receiver('wh_a', refuse);
    await bench.courier.start();
    bench.commitMany('wh_a', 1);
    await bench.outbox.recorded(1);
    bench.clock.advance(5 * second);
    await bench.outbox.recorded(2);
    bench.clock.advance(10 * second);
    await bench.crash();
    await bench.courier.start();
    bench.clock.advance(20 * second - 1);
    await settled();
    expect(receiver.requests).toHaveLength(2);
    bench.clock.advance(1);
    await bench.outbox.recorded(3);
    expect(bench.outbox.attempts.map((attempt) => attempt.number)).toEqual([1, 2, 3]);
  });

  it('and a clock that was set back by a year, nothing waits longer than a day', async () => {
    const receiver = await bench.receiver('wh_a', refuse);
    await bench.courier.start();
    bench.commitMany('wh_a', 1);
    await bench.outbox.recorded(1);
    await bench.crash();
    bench.clock.stepWall(-365 * 24 * hour);
    await bench.courier.start();
    bench.clock.advance(24 * hour);
    await receiver.received(2);
  });
});

describe('a stop', () => {
  it('lets what is under way be answered and recorded within half of its deadline, and starts nothing new', async () => {
    const answers: (() => void)[] = [];
    const receiver = await bench.receiver('wh_a', (response) => void answers.push(() => response.writeHead(204).end()));
    await bench.courier.start();
    bench.commitMany('wh_a', 10);
    await receiver.received(4);
    const stopped = bench.courier.stop(4 * second);
    for (const answer of answers) answer();
    await stopped;
    expect([bench.outbox.count('succeeded'), bench.outbox.count('pending')]).toEqual([4, 6]);
    expect(receiver.requests).toHaveLength(4);
    expect(bench.clock.timers).toBe(0);
  });

  it('cuts off what hangs after half of its deadline and records nothing: the next courier sends it, as attempt 1', async () => {
    const receiver = await bench.receiver('wh_a', hang);
    await bench.courier.start();
    const [id] = bench.commitMany('wh_a', 1);
    await receiver.received(1);
    const stopped = bench.courier.stop(4 * second);
    bench.clock.advance(2 * second);
    await stopped;
    expect([bench.outbox.attempts, bench.courier.stats().attemptsAborted]).toEqual([[], 1]);

    receiver.reply = ok;
    await bench.restart();
    await bench.courier.start();
    await bench.outbox.recorded(1);
    expect(receiver.ids).toEqual([id, id]);
    expect(bench.outbox.attempts).toMatchObject([{ number: 1, outcome: 'succeeded' }]);
  });

  it('ends at its deadline also when results cannot be recorded', async () => {
    await bench.receiver('wh_a');
    await bench.courier.start();
    bench.outbox.failingRecords = 1_000;
    bench.commitMany('wh_a', 1);
    await bench.outbox.until(() => bench.outbox.failingRecords < 1_000);
    const stopped = bench.courier.stop(4 * second);
    bench.clock.advance(4 * second);
    await stopped;
    expect(bench.outbox.count('pending')).toBe(1);
  });

  it('may come before the start, which then starts nothing', async () => {
    const receiver = await bench.receiver('wh_a');
    bench.outbox.commit([bench.delivery('wh_a')]);
    await bench.courier.stop(second);
    await bench.courier.start();
    bench.commitMany('wh_a', 1);
    await settled();
    expect([receiver.requests.length, bench.outbox.pages]).toEqual([0, 0]);
  });
});

describe('memory', () => {
  it('holds no more of an endpoint than its window, in however few pages the rest is fetched', async () => {
    const receiver = await bench.receiver('wh_a', hang);
    bench.limits = { ...bench.limits, windowMax: 100 };
    bench.reopen();
    bench.outbox.commit(Array.from({ length: 1_000 }, () => bench.delivery('wh_a')));
    await bench.courier.start();
    await receiver.received(4);
    for (let commit = 0; commit < 100; commit++) bench.commitMany('wh_a', 5);
    await settled();
    expect(bench.courier.stats().queued).toBe(100);

    let most = 0;
    receiver.reply = (response) => {
      most = Math.max(most, bench.courier.stats().queued);
      response.writeHead(204).end();
    };
    bench.clock.advance(15 * second);
    await bench.outbox.recorded(4);
    for (let second = 0; bench.outbox.count('pending') > 4; second++) {
      const before = bench.outbox.attempts.length;
      await bench.outbox.recorded(Math.min(before + 50, 1_500));
    }
    bench.clock.advance(5 * second);
    await bench.outbox.until(() => bench.outbox.count('pending') === 0);
    expect(most).toBeLessThanOrEqual(100);
    expect(new Set(receiver.ids).size).toBe(1_500);
    expect(bench.outbox.pages).toBeLessThan(60);
  });

  it('full of deliveries that wait does not keep others waiting for ever: room is used as soon as there is some', async () => {
    const receiver = await bench.receiver('wh_a', refuse);
    bench.limits = { ...bench.limits, windowMax: 10 };
    bench.reopen();
    await bench.courier.start();
    bench.commitMany('wh_a', 40);
    await bench.outbox.recorded(10);
    receiver.reply = ok;
    bench.clock.advance(5 * second);
    await bench.outbox.until(() => bench.outbox.count('pending') === 0);
    expect(bench.outbox.count('succeeded')).toBe(40);
  });
});

it('what is committed while a page is being read is sent, and what is announced twice is sent once', async () => {
  const receiver = await bench.receiver('wh_a');
  const started = bench.courier.start();
  const first = bench.commit(bench.delivery('wh_a', 'line'));
  await started;
  await bench.outbox.recorded(1);
  const second = bench.commit(bench.delivery('wh_a', 'line'));
  bench.courier.accept([...second, ...first]);
  const third = bench.commit(bench.delivery('wh_a', 'line'));
  await bench.outbox.until(() => bench.outbox.delivery(third[0]?.id ?? '')?.state === 'succeeded');
  expect(receiver.ids).toEqual([...first, ...second, ...third].map(({ id }) => id));
});

it('a page that cannot be read is asked for again', async () => {
  const receiver = await bench.receiver('wh_a');
  bench.outbox.commit([bench.delivery('wh_a')]);
  bench.outbox.failingPages = 2;
  await bench.courier.start();
  expect(bench.lines).toEqual(['warn pending deliveries could not be read; trying again']);
  bench.clock.advance(second);
  await settled();
  bench.clock.advance(second);
  await bench.outbox.recorded(1);
  expect([receiver.requests.length, bench.outbox.pages]).toEqual([1, 3]);
});

it('a store that was opened again is searched for what nobody accepted', async () => {
  const receiver = await bench.receiver('wh_a');
  await bench.courier.start();
  bench.commitMany('wh_a', 1);
  await bench.outbox.recorded(1);
  bench.outbox.commit([bench.delivery('wh_a')]);
  await bench.courier.reload();
  await bench.outbox.recorded(2);
  expect(receiver.requests).toHaveLength(2);
});

/**
 * Random commits, refusals, resets, failing commits of results, failing pages and crashes at random moments. However it
 * went, at the end: every committed delivery succeeded or used up its attempts; nothing arrived that was not committed;
 * within a line no request goes back behind one that came before; and nothing that was taken is sent again unless its
 * answer came too late or a crash kept it from being recorded.
 */
it('the outbox loses nothing, invents nothing and keeps its order over random crashes', async () => {
  await assert(
    asyncProperty(integer({ min: 0, max: 1_000_000 }), async (seed) => {
      const random = seededRandom(seed);
      const upTo = (limit: number): number => Math.floor(random.next() * limit);
      const bench = new CourierBench();
      bench.limits = { ...bench.limits, windowMax: 1 + upTo(12), concurrencyMax: 1 + upTo(6) };
      bench.random = random;
      bench.reopen();
      const committed: string[] = [];
      const lineOf = new Map<string, string>();
      const taken = new Map<string, number>();
      let unrecorded = 0;
      const endpoints = ['wh_0', 'wh_1', 'wh_2'];
      const moody: Reply = (response, { headers }) => {
        const id = headers['webhook-id'] ?? '';
        if (upTo(10) === 0) {
          response.socket?.resetAndDestroy();
          return;
        }
        const accepts = upTo(10) < 7;
        if (accepts) taken.set(id, (taken.get(id) ?? 0) + 1);
        response.writeHead(accepts ? 204 : 500).end();
      };
      const receivers: WebhookReceiver[] = [];
      for (const endpoint of endpoints) receivers.push(await bench.receiver(endpoint, moody));
      await bench.courier.start();

      const commitSome = async (): Promise<void> => {
        const deliveries = Array.from({ length: 1 + upTo(6) }, () => {
          const endpoint = endpoints[upTo(3)] ?? '';
          return bench.delivery(endpoint, `line ${upTo(3)}`);
        });
        for (const { id, webhookId, orderKey } of deliveries) {
          committed.push(id);
          lineOf.set(id, `${webhookId} ${orderKey}`);
        }
        // Sometimes the process dies between the commit and the courier hearing of it.
        const records = bench.outbox.commit(deliveries);
        if (upTo(20) > 0) bench.courier.accept(records);
        else await crash();
      };
      const crash = async (): Promise<void> => {
        unrecorded += bench.courier.stats().inFlight;
        await bench.crash();
        await bench.courier.start();
      };
      for (let step = 0; step < 60; step++) {
        const choice = upTo(20);
        if (choice < 9) await commitSome();
        else if (choice < 12) await settled();
        else if (choice < 15) bench.clock.advance(upTo(40) * second);
        else if (choice < 16) bench.outbox.failingRecords += upTo(4);
        else if (choice < 17) bench.outbox.failingPages += upTo(2);
        else if (choice < 18) await bench.courier.reload();
        else await crash();
      }

      bench.outbox.failingRecords = 0;
      bench.outbox.failingPages = 0;
      if (upTo(2) === 0) await crash();
      // Results whose commit failed are on their way again after the longest pause.
      await settled();
      bench.clock.advance(12 * second);
      for (let idle = 0; bench.outbox.count('pending') > 0; ) {
        const isIdle = bench.courier.stats().inFlight === 0 && bench.clock.untilNext === null;
        // Turns in a row: reading a page takes some, and a narrow window reads one for each delivery.
        idle = isIdle ? idle + 1 : 0;
        if (bench.courier.stats().inFlight > 0) await bench.outbox.recorded(bench.outbox.attempts.length + 1);
        else if (bench.clock.untilNext !== null) bench.clock.advance(bench.clock.untilNext);
        else expect(idle, 'nothing under way, no timer set, and still something pending').toBeLessThan(100);
        await settled();
      }
      await bench.close();

      const received = receivers.flatMap((receiver) => receiver.ids);
      expect(new Set(received)).toEqual(new Set(committed));
      for (const id of committed) {
        const record = bench.outbox.delivery(id);
        const numbers = bench.outbox.attempts.filter(({ deliveryId }) => deliveryId === id).map(({ number }) => number);
        expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, index) => index + 1));
        if (record?.state === 'succeeded') expect(taken.get(id) ?? 0).toBeGreaterThanOrEqual(1);
        else expect([record?.state, record?.attempts]).toEqual(['failed', 10]);
      }
      for (const receiver of receivers) {
        const furthest = new Map<string, string>();
        for (const id of receiver.ids) {
          const line = lineOf.get(id) ?? '';
          expect(id >= (furthest.get(line) ?? ''), `${id} came after ${furthest.get(line)}`).toBe(true);
          furthest.set(line, id);
        }
      }
      const repeated = [...taken.values()].reduce((sum, times) => sum + times - 1, 0);
      const late = bench.outbox.attempts.filter(({ error }) => error === 'timeout').length;
      expect(repeated).toBeLessThanOrEqual(unrecorded + late);
    }),
    { numRuns: 40, endOnFailure: true },
  );
});
