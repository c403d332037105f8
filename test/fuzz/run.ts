/**
 * `npm run fuzz [inputs] [seed] [target…]`: shows every target, or the named ones, a million mutated inputs, or so many;
 * `socket` is a whole gateway. The same seed makes the same inputs. Ends with one table, and with 1 when something was
 * found: an error without a name, a promise that does not hold, memory that grows, or time that grows faster than bytes.
 */
import { exercise, type Exercised, findingText, growthOfTime } from './exercise.ts';
import { seedOf } from './seed.ts';
import { fuzzSocket } from './socket-run.ts';
import { fuzzTargets, growthMax } from './targets.ts';

/** Four times the bytes may take this many times as long: 4 is linear, 16 quadratic. */
const timeGrowthMax = 10;
const timedBytes = 32_768;

const [countText = '1000000', seedText = process.env.FUZZ_SEED, ...asked] = process.argv.slice(2);
const count = Number(countText);
const seed = seedOf(seedText);
const names = [...fuzzTargets.map(({ name }) => name), 'socket'];
const unknown = asked.filter((name) => !names.includes(name));
if (unknown.length > 0 || !Number.isSafeInteger(count) || count < 1) {
  console.error(`npm run fuzz [inputs] [seed] [target…]; there are ${names.join(', ')}.`);
  process.exit(2);
}

console.log(`${count} inputs each, seed ${seed}`);
let found = 0;
for (const target of fuzzTargets) {
  if (asked.length > 0 && !asked.includes(target.name)) continue;
  const result = exercise(target, count, seed);
  const timeGrowth = growthOfTime(target, timedBytes, timeGrowthMax);
  console.log(line(result, timeGrowth));
  for (const finding of result.findings) console.log(findingText(target.name, seed, finding));
  const isGrowing = result.growth > growthMax;
  if (isGrowing) console.log(`${target.name} keeps ${result.growth} bytes of what it was shown`);
  if (timeGrowth > timeGrowthMax) console.log(`${target.name} takes longer and longer`);
  if (result.findings.length > 0 || isGrowing || timeGrowth > timeGrowthMax) found++;
}
if (asked.length === 0 || asked.includes('socket')) {
  const { summary, faults } = await fuzzSocket({ packets: count, seed });
  console.log(summary);
  for (const fault of faults) console.log(fault);
  if (faults.length > 0) found++;
}
console.log(found === 0 ? 'nothing was found' : `something was found in ${found} of them; seed ${seed}`);
process.exitCode = found === 0 ? 0 : 1;

function line(
  { target, inputs, seconds, accepted, refused, growth, slowestMs }: Exercised,
  timeGrowth: number,
): string {
  const share = (number: number): string => `${((number / inputs) * 100).toFixed(1)} %`;
  const codes = [...refused].toSorted(([, a], [, b]) => b - a).map(([code, times]) => `${code} ${share(times)}`);
  const figures = [
    `${Math.round(inputs / seconds)}/s`.padStart(9),
    `accepted ${share(accepted)}`.padEnd(16),
    `slowest ${slowestMs.toFixed(0)} ms`.padEnd(15),
    `4× bytes ${timeGrowth.toFixed(1)}× time`.padEnd(19),
    `grew ${(growth / 1_024).toFixed(0)} KB`.padEnd(14),
  ];
  return `${target.padEnd(26)} ${figures.join('  ')}  ${codes.join(', ')}`;
}
