// The table of the standard's statements is whole, and what it says of tests is true.
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { statements } from './mqtt-3-1-1/statements.ts';

/** How many statements each section has. */
const counts: Readonly<Record<string, number>> = {
  '1.5.3': 3,
  '2.2.2': 2,
  '2.3.1': 7,
  '3.1.0': 2,
  '3.1.2': 24,
  '3.1.3': 11,
  '3.1.4': 5,
  '3.2.0': 1,
  '3.2.2': 6,
  '3.3.1': 12,
  '3.3.2': 3,
  '3.3.4': 1,
  '3.3.5': 2,
  '3.6.1': 1,
  '3.8.1': 1,
  '3.8.3': 4,
  '3.8.4': 6,
  '3.9.3': 2,
  '3.10.1': 1,
  '3.10.3': 2,
  '3.10.4': 6,
  '3.12.4': 1,
  '3.14.1': 1,
  '3.14.4': 3,
  '4.1.0': 2,
  '4.3.1': 1,
  '4.3.2': 2,
  '4.3.3': 2,
  '4.4.0': 1,
  '4.5.0': 2,
  '4.6.0': 6,
  '4.7.1': 3,
  '4.7.2': 1,
  '4.7.3': 4,
  '4.8.0': 2,
  '6.0.0': 4,
  '7.0.0': 2,
  '7.1.1': 1,
  '7.1.2': 1,
};

const folder = new URL('mqtt-3-1-1/', import.meta.url).pathname;
const source = readdirSync(folder)
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => readFileSync(`${folder}${name}`, 'utf8'))
  .join('\n');

/** Tests of the folder by name, and whether each is expected to fail. */
const tests = new Map(
  [...source.matchAll(/\bit(\.fails)?\(\s*'((?:[^'\\]|\\.)+)'/g)].map(([, fails, name]) => [name, fails !== undefined]),
);

describe('the statements of MQTT 3.1.1', () => {
  it('are all there, each once and in order', () => {
    const all = Object.entries(counts).flatMap(([section, count]) =>
      Array.from({ length: count }, (_, index) => `${section}-${index + 1}`),
    );
    expect(statements.map(({ id }) => id)).toEqual(all);
    expect(all).toHaveLength(141);
  });

  it('each have a test, or a reason why not', () => {
    const bare = statements.filter(
      ({ tests, notOurs }) => (tests === undefined || tests.length === 0) === (notOurs === undefined),
    );
    expect(bare).toEqual([]);
  });

  it('name tests that exist', () => {
    const unknown = statements.flatMap(({ tests: named = [] }) => named.filter((name) => !tests.has(name)));
    expect(unknown).toEqual([]);
  });

  it('say what is missing exactly where a test is known to fail', () => {
    const wrong = statements.filter(
      ({ tests: named = [], unmet }) => named.some((name) => tests.get(name)) !== (unmet !== undefined),
    );
    expect(wrong.map(({ id }) => id)).toEqual([]);
  });

  it('leave no test of the folder without a statement', () => {
    const named = new Set(statements.flatMap(({ tests: names = [] }) => names));
    expect([...tests.keys()].filter((name) => !named.has(name))).toEqual([]);
  });
});
