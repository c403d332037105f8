import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RejectedError, TransientError } from '../../src/base/errors.ts';
import { isFinal } from '../../src/domain/command.ts';
import { CommandsWorld, settled } from '../support/commands-world.ts';

const hour = 3_600_000;

function draft(device = 'a', ttl = hour): { device: string; name: string; params: null; ttl: number } {
  return { device, name: 'restart', params: null, ttl };
}

const forever = new AbortController().signal;

describe('a command', () => {
  it('is on disk before it is made known, and only then handed over', async () => {
    const world = new CommandsWorld();
    world.arrive('a');
    world.held = true;
    let isMade = false;
    const made = world.book.create(draft()).then((command) => {
      isMade = true;
      return command;
    });
    await settled();
    expect([isMade, world.published, world.disk.size]).toEqual([false, [], 0]);
    world.release();
    const { id } = await made;
    await settled();
    expect(world.published).toEqual([`a ${id}`]);
    expect(world.disk.get(id)).toMatchObject({ state: 'sent', sentAt: world.clock.now() });
  });

  it('that cannot be kept does not exist', async () => {
    const world = new CommandsWorld();
    world.arrive('a');
    world.failing = true;
    await expect(world.book.create(draft())).rejects.toThrow(TransientError);
    await settled();
    expect([world.published, world.book.counts().open]).toEqual([[], 0]);
  });

  it('stays queued while its device is away, and goes out when it comes, in the order in which they were made', async () => {
    const world = new CommandsWorld();
    const made = [];
    for (let index = 0; index < 5; index++) made.push(await world.book.create(draft()));
    await settled();
    expect([world.published.length, world.disk.get(made[0].id)?.state]).toEqual([0, 'queued']);
    world.arrive('a');
    await settled();
    expect(world.published).toEqual(made.map(({ id }) => `a ${id}`));
    expect([...world.disk.values()].every(({ state }) => state === 'sent')).toBe(true);
  });

  it('that nobody took, because its device came and did not listen yet, goes out once it listens, and once only', async () => {
    const world = new CommandsWorld();
    const made = [await world.book.create(draft()), await world.book.create(draft())];
    world.book.deviceOnline('a');
    await settled();
    expect(world.published).toEqual([]);
    world.online.add('a');
    world.book.deviceListens('a');
    world.book.deviceListens('a');
    await settled();
    world.book.deviceListens('a');
    await settled();
    expect(world.published).toEqual(made.map(({ id }) => `a ${id}`));
  });

  it('that somebody else took is handed over again once the device listens, and not each time that it does', async () => {
    const world = new CommandsWorld();
    world.isWatched = true;
    const { id } = await world.book.create(draft());
    await settled();
    expect(world.disk.get(id)?.state).toBe('sent');
    world.book.deviceOnline('a');
    await settled();
    const before = world.published.length;
    for (let subscription = 0; subscription < 3; subscription++) {
      world.book.deviceListens('a');
      world.book.deviceSpoke('a');
      await settled();
    }
    expect(world.published.slice(before)).toEqual([`a ${id}`]);
  });

  it('that somebody else took while its device began to listen is handed over again', async () => {
    const world = new CommandsWorld();
    world.isWatched = true;
    const { id } = await world.book.create(draft());
    await settled();
    world.book.deviceOnline('a');
    world.book.deviceListens('a');
    await settled();
    expect(world.published).toEqual([`a ${id}`, `a ${id}`, `a ${id}`]);
  });

  it('that makes no sense to its device, as turns out when it is handed over, fails and holds up no other', async () => {
    const world = new CommandsWorld();
    world.senseless.add('explode');
    const bad = await world.book.create({ ...draft(), name: 'explode' });
    const final = world.book.wait(bad.id, forever);
    const good = await world.book.create(draft());
    world.arrive('a');
    await settled();
    expect(world.published).toEqual([`a ${good.id}`]);
    expect(await final).toMatchObject({ id: bad.id, state: 'failed', result: { error: 'there is no explode' } });
    expect([world.disk.get(bad.id)?.state, world.book.counts().open]).toEqual(['failed', 1]);
  });

  it('is handed over again, under its id, when its device comes back without having answered', async () => {
    const world = new CommandsWorld();
    world.arrive('a');
    const { id } = await world.book.create(draft());
    const answered = await world.book.create(draft());
    await settled();
    await world.answer('a', answered.id, 'succeeded');
    world.arrive('a');
    await settled();
    expect(world.published).toEqual([`a ${id}`, `a ${answered.id}`, `a ${id}`]);
  });

  it('is answered with its result; an answer that comes again changes nothing', async () => {
    const world = new CommandsWorld();
    world.arrive('a');
    const { id } = await world.book.create(draft());
    await settled();
    const final = world.book.wait(id, forever);
    expect(await world.answer('a', id, 'failed')).toBe(true);
    expect(await final).toMatchObject({ id, state: 'failed', result: { status: 'failed' } });
    expect(await world.answer('a', id, 'succeeded')).toBe(false);
    expect(world.disk.get(id)?.state).toBe('failed');
    expect(world.book.counts()).toMatchObject({ open: 0, failed: 1, succeeded: 0, repliesIgnored: 1 });
  });

  it('is not answered by another device', async () => {
    const world = new CommandsWorld();
    const { id } = await world.book.create(draft('a'));
    expect(await world.answer('b', id, 'succeeded')).toBe(false);
    expect(world.book.find(id)?.state).toBe('queued');
    expect(world.book.counts().repliesIgnored).toBe(1);
  });

  it('can be answered before it is known to be sent, and then is not sent', async () => {
    const world = new CommandsWorld();
    const { id } = await world.book.create(draft());
    world.held = true;
    world.arrive('a');
    await settled();
    const answer = world.answer('a', id, 'succeeded');
    world.release();
    await answer;
    await settled();
    expect(world.disk.get(id)?.state).toBe('succeeded');
  });

  it('expires, queued or sent, on time and not before, and is not handed over afterwards', async () => {
    const world = new CommandsWorld();
    const late = await world.book.create(draft('a', 2 * hour));
    const { id } = await world.book.create(draft('a', hour));
    world.clock.advance(hour - 1);
    await settled();
    expect(world.disk.get(id)?.state).toBe('queued');
    const final = world.book.wait(id, forever);
    world.clock.advance(1);
    expect((await final)?.state).toBe('expired');
    world.arrive('a');
    await settled();
    expect(world.published).toEqual([`a ${late.id}`]);
    world.clock.advance(hour);
    await settled();
    expect(world.disk.get(late.id)).toMatchObject({ state: 'expired', settledAt: world.clock.now() });
    expect(world.clock.timers).toBe(0);
  });

  it('expires once the disk can keep that', async () => {
    const world = new CommandsWorld();
    const { id } = await world.book.create(draft());
    world.failing = true;
    world.clock.advance(hour);
    await settled();
    world.failing = false;
    world.clock.advance(1_000);
    await settled();
    expect(world.disk.get(id)?.state).toBe('expired');
  });

  it('that is cancelled while its answer is being kept ends as what was kept first', async () => {
    const world = new CommandsWorld();
    const { id } = await world.book.create(draft());
    world.held = true;
    const answered = world.answer('a', id, 'succeeded');
    const cancelled = world.book.cancel(id);
    await settled();
    world.release();
    await answered;
    expect((await cancelled)?.state).toBe('succeeded');
    expect(world.finals.get(id)).toEqual(['succeeded']);
    expect(await world.book.cancel(id)).toBeUndefined();
  });

  it('goes on after a restart: handed over, answered and expired as if nothing had been', async () => {
    const world = new CommandsWorld();
    world.arrive('a');
    const first = await world.book.create(draft());
    const second = await world.book.create(draft());
    await settled();
    world.published.length = 0;
    world.online.clear();
    world.kill();
    await settled();
    expect(world.published).toEqual([]);
    world.arrive('a');
    await settled();
    expect(world.published).toEqual([`a ${first.id}`, `a ${second.id}`]);
    await world.answer('a', first.id, 'succeeded');
    world.clock.advance(hour);
    await settled();
    expect([...world.disk.values()].map(({ state }) => state)).toEqual(['succeeded', 'expired']);
  });
});

describe('waiting', () => {
  it('ends empty when the time is over or the client is gone, and leaves no timer behind', async () => {
    const world = new CommandsWorld();
    const { id } = await world.book.create(draft());
    const late = world.book.waitAtMost(id, 10_000, forever);
    const gone = new AbortController();
    const aborted = world.book.waitAtMost(id, 10_000, gone.signal);
    gone.abort();
    expect(await aborted).toBeUndefined();
    world.clock.advance(10_000);
    expect(await late).toBeUndefined();
    // That of its expiry.
    expect(world.clock.timers).toBe(1);
  });
});

describe('the bounds', () => {
  it('refuse what is beyond them, also what is asked for at once, and let go when commands end', async () => {
    const world = new CommandsWorld({ deviceMax: 2, totalMax: 3 });
    const asked = await Promise.allSettled([draft('a'), draft('a'), draft('a')].map((one) => world.book.create(one)));
    expect(asked.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    await world.book.create(draft('b'));
    await expect(world.book.create(draft('c'))).rejects.toThrow(RejectedError);
    await world.book.cancel('c1');
    await expect(world.book.create(draft('c'))).resolves.toMatchObject({ device: 'c' });
  });
});

type Step =
  | { readonly kind: 'create' | 'arrive' | 'leave'; readonly device: string }
  | { readonly kind: 'answer'; readonly device: string; readonly pick: number; readonly good: boolean }
  | { readonly kind: 'cancel'; readonly pick: number }
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'kill' | 'hold' | 'release' | 'fail' | 'mend' | 'settle' };

const device = fc.constantFrom('a', 'b');
const pick = fc.nat({ max: 20 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('create', 'arrive', 'leave'), device }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('answer'), device, pick, good: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cancel'), pick }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('pass'), ms: fc.integer({ min: 1, max: hour }) }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom('kill', 'hold', 'release', 'fail', 'mend', 'settle') }),
  },
);

/** One step; whatever it begins goes on by itself. Ids of commands that were made known are added to `made`. */
async function take(world: CommandsWorld, next: Step, made: Set<string>): Promise<void> {
  switch (next.kind) {
    case 'create':
      world.book.create(draft(next.device)).then(
        ({ id }) => made.add(id),
        () => null,
      );
      return;
    case 'arrive':
      world.arrive(next.device);
      return;
    case 'leave':
      world.online.delete(next.device);
      return;
    case 'answer':
      void world.answer(next.device, `c${next.pick}`, next.good ? 'succeeded' : 'failed');
      return;
    case 'cancel':
      world.book.cancel(`c${next.pick}`).catch(() => null);
      return;
    case 'pass':
      world.clock.advance(next.ms);
      return;
    case 'hold':
      world.held = true;
      return;
    case 'release':
      world.release();
      return;
    case 'fail':
      world.failing = true;
      return;
    case 'mend':
      world.failing = false;
      return;
    case 'kill':
      world.kill();
      return;
    default:
      await settled();
  }
}

it('whatever the order of arriving, leaving, answering, expiring, failing and being killed, every command ends once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const world = new CommandsWorld();
      const made = new Set<string>();
      for (const next of steps) await take(world, next, made);
      // In the end all is well and everybody has had time.
      world.failing = false;
      world.release();
      await settled();
      for (let round = 0; round < 3; round++) {
        world.clock.advance(hour + 1_000);
        await settled();
      }
      for (const id of made) expect(world.disk.has(id), `${id} was made known`).toBe(true);
      for (const { id, state } of world.disk.values()) {
        expect(isFinal(state), `${id} is ${state}`).toBe(true);
        expect(world.finals.get(id)).toHaveLength(1);
        expect(world.book.find(id)).toBeUndefined();
      }
      expect(world.book.counts().open).toBe(0);
      expect(world.clock.timers).toBe(0);
    }),
    { numRuns: 300 },
  );
});
