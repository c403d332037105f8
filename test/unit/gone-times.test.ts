import { expect, it } from 'vitest';
import { GoneTimes } from '../../src/history/gone-times.ts';

const none = Number.NEGATIVE_INFINITY;

it('what is gone is what was told last, of each series and of all', () => {
  const gone = new GoneTimes();
  expect([gone.of(0), gone.of(7), gone.latest]).toEqual([none, none, none]);
  gone.set(Float64Array.of(Number.NaN, 10, 30, Number.NaN));
  expect([gone.of(1), gone.of(3), gone.of(4), gone.latest]).toEqual([10, none, none, 30]);
  gone.change({ series: Float64Array.of(2, 900), before: Float64Array.of(Number.NaN, 20) });
  expect([gone.of(2), gone.of(900), gone.of(901), gone.latest]).toEqual([none, 20, none, 20]);
  gone.set(new Float64Array(0));
  expect([gone.of(1), gone.latest]).toEqual([none, none]);
});

it('a suspicion only adds to what is known', () => {
  const gone = new GoneTimes();
  gone.set(Float64Array.of(Number.NaN, 10));
  gone.suspect(1, 5);
  gone.suspect(2, none);
  gone.suspect(3, 15);
  expect([gone.of(1), gone.of(2), gone.of(3), gone.latest]).toEqual([10, none, 15, 15]);
});
