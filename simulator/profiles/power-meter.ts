import type { Noise, RandomStream } from '../random.ts';
import {
  daySpan,
  hour,
  minute,
  rounded,
  second,
  type DeviceModel,
  type Moment,
  type Profile,
  type Values,
} from './profile.ts';

/** An electricity meter: appliances switch on and off, and the register only ever counts up. */
class PowerMeter implements DeviceModel {
  readonly #cooling: RandomStream;
  readonly #kettle: RandomStream;
  readonly #cooking: RandomStream;
  readonly #grid: RandomStream;
  readonly #standby: number;
  #energy: number;
  #lastTime = Number.NaN;
  #lastPower = 0;

  constructor(noise: Noise) {
    this.#cooling = noise.stream('cooling');
    this.#kettle = noise.stream('kettle');
    this.#cooking = noise.stream('cooking');
    this.#grid = noise.stream('grid');
    const build = noise.stream('build');
    this.#standby = build.between(90, 210, 1);
    this.#energy = Math.round(build.between(400_000, 9_000_000, 2));
  }

  sample({ time }: Moment): Values {
    const power = this.#power(time);
    if (time > this.#lastTime) this.#energy += (((this.#lastPower + power) / 2) * (time - this.#lastTime)) / hour;
    this.#lastTime = time;
    this.#lastPower = power;
    return { power: rounded(power, 1), energy: rounded(this.#energy, 2) };
  }

  /** Watts drawn at `time`. */
  #power(time: number): number {
    const awake = daySpan(time, 6.5, 22.8, 1.5);
    const mealtime = Math.max(daySpan(time, 11.5, 13, 0.6), daySpan(time, 17.7, 19.8, 0.8));
    const fridge = on(
      this.#cooling.spell(time, { everyMs: 24 * minute, chance: 1, minMs: 8 * minute, maxMs: 12 * minute }),
    );
    const kettle = on(
      this.#kettle.spell(time, {
        everyMs: 35 * minute,
        chance: 0.05 + 0.5 * awake,
        minMs: 90 * second,
        maxMs: 4 * minute,
      }),
    );
    const stove = on(
      this.#cooking.spell(time, {
        everyMs: 15 * minute,
        chance: 0.75 * mealtime,
        minMs: 5 * minute,
        maxMs: 14 * minute,
      }),
    );
    const drawn = this.#standby + 140 * awake + 115 * fridge + 1_950 * kettle + 1_300 * stove;
    return drawn * (1 + 0.012 * this.#grid.smooth(time / (9 * second)) + 0.004 * this.#grid.jitter(time));
  }
}

/** Whether an appliance is on, as a factor for its watts. */
function on(progress: number): number {
  return progress < 0 ? 0 : 1;
}

export const powerMeter: Profile = {
  kind: 'meter',
  attributes: { model: 'Power Meter PM-1', firmware: '5.1.3', power: 'mains' },
  create: (noise) => new PowerMeter(noise),
};
