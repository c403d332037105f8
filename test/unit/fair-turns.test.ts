import fc from 'fast-check';
import { expect, it } from 'vitest';
import { FairTurns } from '../../src/base/fair-turns.ts';
import { settle } from '../support/pipeline-rig.ts';

/** Wants a turn; what comes back gives it back. */
function want(turns: FairTurns, name: string, begun: string[], signal?: AbortSignal) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const used = turns.use(name, signal, () => {
    begun.push(name);
    return promise;
  });
  used.catch(() => undefined);
  return { used, end: resolve };
}

it('whoever waits stands behind one turn of each other, however many they want', async () => {
  const turns = new FairTurns(1);
  const begun: string[] = [];
  const wants = ['a', 'a', 'a', 'b', 'b', 'c'].map((name) => want(turns, name, begun));
  for (const { end } of wants) end();
  await Promise.all(wants.map(({ used }) => used));
  expect(begun).toEqual(['a', 'a', 'b', 'c', 'a', 'b']);
});

it('whoever holds many leaves as many to others', async () => {
  const turns = new FairTurns(8);
  const begun: string[] = [];
  const greedy = Array.from({ length: 100 }, () => want(turns, 'greedy', begun));
  expect(begun).toHaveLength(5);
  for (let at = 0; at < 3; at++) want(turns, `quiet ${at}`, begun);
  expect(begun.slice(5)).toEqual(['quiet 0', 'quiet 1', 'quiet 2']);
  expect([turns.waiting, turns.waitingOf('greedy'), turns.waitingOf('quiet 0')]).toEqual([95, 95, 0]);
  // Not even a turn that is given back goes to the greedy one, as long as he holds more than are free.
  greedy[0]?.end();
  await settle();
  expect(begun).toHaveLength(8);
  want(turns, 'late', begun);
  expect(begun.at(-1)).toBe('late');
});

it('whoever leaves the line takes no turn, and whoever fails gives his back', async () => {
  const turns = new FairTurns(1);
  const begun: string[] = [];
  const first = want(turns, 'a', begun);
  const leaving = new AbortController();
  const left = want(turns, 'b', begun, leaving.signal);
  const last = want(turns, 'c', begun);
  leaving.abort(new Error('gone'));
  await expect(left.used).rejects.toThrow('gone');
  await expect(turns.use('d', leaving.signal, () => Promise.resolve())).rejects.toThrow('gone');
  first.end();
  last.end();
  await last.used;
  expect(begun).toEqual(['a', 'c']);
  await expect(turns.use('a', undefined, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await turns.use('a', undefined, () => Promise.resolve(7))).toBe(7);
});

it('no turn is lost, given twice or withheld, however they are wanted, given back and left', async () => {
  const steps = fc.array(
    fc.record({
      who: fc.integer({ min: 0, max: 3 }),
      does: fc.constantFrom('want', 'want', 'end', 'leave'),
      of: fc.nat(),
    }),
    { maxLength: 60 },
  );
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 6 }), steps, async (max, steps) => {
      const turns = new FairTurns(max);
      const held = new Map<string, (() => void)[]>();
      const waiting = new Map<string, Set<AbortController>>();
      const ends: Promise<unknown>[] = [];
      for (const { who, does, of } of steps) {
        const name = `${who}`;
        const mine = held.get(name) ?? [];
        const line = waiting.get(name) ?? new Set();
        held.set(name, mine);
        waiting.set(name, line);
        if (does === 'want') {
          const leaving = new AbortController();
          line.add(leaving);
          const { promise, resolve } = Promise.withResolvers<void>();
          const used = turns.use(name, leaving.signal, () => {
            line.delete(leaving);
            mine.push(resolve);
            return promise;
          });
          ends.push(used.catch(() => undefined));
        } else if (does === 'end') mine.shift()?.();
        else {
          const leaving = [...line][of % (line.size || 1)];
          if (leaving) {
            line.delete(leaving);
            leaving.abort();
          }
        }
        await settle();
        const taken = countOf(held);
        expect(taken).toBeLessThanOrEqual(max);
        expect(turns.waiting).toBe(countOf(waiting));
        // Whoever still waits could not have had one.
        for (const [name, line] of waiting) {
          if (line.size > 0) expect(taken === max || (held.get(name)?.length ?? 0) > max - taken).toBe(true);
        }
      }
      while (countOf(held) + countOf(waiting) > 0) {
        for (const mine of held.values()) for (const end of mine.splice(0)) end();
        await settle();
      }
      await Promise.all(ends);
      expect([turns.waiting, turns.isFree('0')]).toEqual([0, true]);
    }),
    { numRuns: 200 },
  );
});

function countOf(of: ReadonlyMap<string, { length: number } | { size: number }>): number {
  return [...of.values()].reduce((sum, one) => sum + ('size' in one ? one.size : one.length), 0);
}
