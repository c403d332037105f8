import { expect } from 'vitest';

/** As `toEqual`, but for numbers: sums in another order differ in their last digits. */
export function expectClose(found: unknown, expected: unknown, name: string): void {
  if (!isClose(found, expected)) expect(found, name).toEqual(expected);
}

function isClose(found: unknown, expected: unknown): boolean {
  if (typeof found === 'number' && typeof expected === 'number') {
    return Math.abs(found - expected) <= 1e-7 * Math.max(1, Math.abs(expected)) || Object.is(found, expected);
  }
  if (typeof found !== 'object' || typeof expected !== 'object' || found === null || expected === null) {
    return found === expected;
  }
  const [ours, theirs] = [Object.entries(found), Object.entries(expected)];
  return (
    ours.length === theirs.length &&
    ours.every(([key, value], at) => key === theirs[at][0] && isClose(value, theirs[at][1]))
  );
}
