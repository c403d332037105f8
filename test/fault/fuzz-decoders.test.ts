// Whatever bytes come: what reads them takes them, and then keeps its promises, or refuses them by name, and keeps nothing.
// `npm run fuzz` does the same with a million inputs each. A finding prints its seed: FUZZ_SEED=… makes it again.
import { expect, it } from 'vitest';
import { exercise, findingText } from '../fuzz/exercise.ts';
import { seedOf } from '../fuzz/seed.ts';
import { fuzzTargets, growthMax } from '../fuzz/targets.ts';

const inputs = 20_000;
const seed = seedOf(process.env.FUZZ_SEED);

it.each(fuzzTargets.map((target) => [target.name, target] as const))(
  '%s takes or refuses by name whatever comes, and does not grow',
  (_name, target) => {
    const { findings, growth, accepted, refused } = exercise(target, inputs, seed);
    expect(findings.map((finding) => findingText(target.name, seed, finding))).toEqual([]);
    expect(growth, `seed ${seed}`).toBeLessThan(growthMax);
    // Were everything accepted, or nothing, the inputs would be no good.
    expect(accepted).toBeGreaterThan(inputs / 100);
    expect(refused.size).toBeGreaterThan(0);
  },
);
