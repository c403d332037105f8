import { describe, expect, it } from 'vitest';
import { StepPace } from '../../src/storage/sqlite/keeping/step-pace.ts';

let now = 0;
const clock = { monotonic: (): number => now };

/** How long a step may write whose COMMIT takes `commitMs`. */
function step(pace: StepPace, commitMs: number): number {
  pace.begin();
  const began = now;
  while (!pace.isOver) now += 0.05;
  const wrote = now - began;
  now += commitMs;
  pace.end();
  return wrote;
}

describe('the pace of steps', () => {
  it('lets them write longer as long as they are quick, up to a bound', () => {
    const pace = new StepPace(clock);
    const wrote = Array.from({ length: 20 }, () => step(pace, 0));
    expect(wrote[0]).toBeLessThan(0.6);
    expect(wrote[1]).toBeGreaterThan(wrote[0]);
    expect(wrote.at(-1)).toBeGreaterThan(1.9);
    expect(wrote.at(-1)).toBeLessThan(2.1);
  });

  it('counts what COMMIT takes: steps come to less than 2.5 ms where they can', () => {
    const pace = new StepPace(clock);
    const whole = Array.from({ length: 40 }, () => step(pace, 1.5) + 1.5);
    expect(Math.max(...whole)).toBeLessThan(3);
    expect(whole.filter((ms) => ms > 2.5).length).toBeLessThan(whole.length / 3);
  });

  it('always leaves a step some time, so that it comes to an end', () => {
    const pace = new StepPace(clock);
    for (let at = 0; at < 20; at++) step(pace, 100);
    expect(step(pace, 100)).toBeGreaterThan(0.15);
  });
});
