import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { TurnWheel } from '../../src/pipeline/turn-wheel.ts';

const name = fc.constantFrom('a', 'b', 'c', 'd');
const step = fc.oneof(
  fc.record({ kind: fc.constant('plan' as const), name, delay: fc.integer({ min: -50, max: 400 }) }),
  fc.record({ kind: fc.constant('remove' as const), name }),
  fc.record({ kind: fc.constant('pass' as const), ms: fc.oneof(fc.nat({ max: 60 }), fc.nat({ max: 1_000_000 })) }),
);

it('gives every name once, not before its time, and at the latest a turn after it', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const wheel = new TurnWheel(10);
      const planned = new Map<string, number>();
      let now = 1_000;
      for (const next of steps) {
        if (next.kind === 'plan') {
          wheel.plan(next.name, now + next.delay);
          // What is past when it is planned can only come from then on.
          planned.set(next.name, Math.max(now + next.delay, now));
        } else if (next.kind === 'remove') {
          wheel.remove(next.name);
          planned.delete(next.name);
        } else {
          now += next.ms;
          const due = wheel.due(now);
          expect(new Set(due).size).toBe(due.length);
          for (const one of due) expect(planned.get(one)).toBeLessThanOrEqual(now);
          for (const one of due) planned.delete(one);
          // Turns are whole, and the one that now is in has been taken.
          for (const time of planned.values()) expect(time).toBeGreaterThan(now - 10);
        }
        expect(wheel.size).toBe(planned.size);
      }
    }),
  );
});
