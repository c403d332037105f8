import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { runScenario } from '../scenario/scenario.ts';

const folder = new URL('../scenario/', import.meta.url);

describe('alert scenarios hold on a virtual clock', () => {
  const files = readdirSync(folder).filter((name) => name.endsWith('.txt'));
  test.each(files)('%s', (name) => {
    runScenario(readFileSync(new URL(name, folder), 'utf8'));
  });
});

test('a scenario fails, naming the line, when another transition comes than it expects', () => {
  expect(() => runScenario('rule hot above 30\nat 0s 31\nexpect hot firing at 1s')).toThrow(
    'line 3, "expect hot firing at 1s": but there was: hot firing at 0s value 31',
  );
});

test('a scenario fails when a transition is left over at its end', () => {
  expect(() => runScenario('rule hot above 30\nat 0s 31')).toThrow('left over: hot firing at 0s');
});
