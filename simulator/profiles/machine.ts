import type { Noise, RandomStream } from '../random.ts';
import { Lag } from './lag.ts';
import {
  hour,
  minute,
  rounded,
  second,
  type DeviceModel,
  type Drama,
  type Moment,
  type Profile,
  type Values,
} from './profile.ts';

/** Vibration added by an hour of running, mm/s; a service takes it away again at `serviceAt`. */
const wearPerHour = 0.01;
const serviceAt = 1.8;
/** A failing bearing: well past 7.1 mm/s, where ISO 10816-3 calls a medium machine on rigid foundations damaging. */
const faultVibration = 7.2;
/** Part of an episode after which the protection trips and the machine stands still until the end of it. */
const tripAt = 0.75;

/** A rotating machine: what shakes also heats its bearing, and both end when it stops. */
class Machine implements DeviceModel {
  readonly #stops: RandomStream;
  readonly #load: RandomStream;
  readonly #sensor: RandomStream;
  readonly #drama: Drama | null;
  readonly #baseVibration: number;
  readonly #vibration = new Lag();
  readonly #bearing = new Lag();
  #wear: number;
  #lastTime = Number.NaN;

  constructor(noise: Noise, drama: Drama | null) {
    this.#stops = noise.stream('stops');
    this.#load = noise.stream('load');
    this.#sensor = noise.stream('sensor');
    this.#drama = drama;
    const build = noise.stream('build');
    this.#baseVibration = build.between(1.5, 2.5, 1);
    this.#wear = build.between(0, 0.9, 2);
  }

  sample({ time, elapsedMs }: Moment): Values {
    const episode = this.#drama === null ? -1 : this.#drama.episode.progress(elapsedMs);
    const isRunning = this.#drama === null ? this.#isRunning(time) : episode < tripAt;
    const fault = isRunning && episode >= 0 ? faultVibration : 0;
    if (isRunning && time > this.#lastTime) this.#ageBy(time - this.#lastTime);
    this.#lastTime = time;

    const load = this.#load.smooth(time / (25 * second));
    const target = isRunning ? this.#baseVibration + this.#wear + 0.35 * load + fault : 0.08;
    const vibration = this.#vibration.toward(target, time, (fault > 0 ? 6 : 3) * second);
    // Friction heats in proportion to what shakes; the mass of the housing makes it slow.
    const bearing = this.#bearing.toward(22 + (isRunning ? 16 + 5 * target : 0), time, 4 * minute);
    return {
      vibration: rounded(Math.max(0.02, vibration * (1 + 0.05 * this.#sensor.jitter(time))), 2),
      bearing_temperature: rounded(bearing + 0.06 * this.#sensor.jitter(time + 1), 2),
      running: isRunning,
    };
  }

  #isRunning(time: number): boolean {
    const plan = { everyMs: 22 * minute, chance: 0.8, minMs: minute, maxMs: 3 * minute };
    return this.#stops.spell(time, plan) < 0;
  }

  #ageBy(ms: number): void {
    this.#wear += (ms / hour) * wearPerHour;
    if (this.#wear > serviceAt) this.#wear = 0;
  }
}

export const machine: Profile = {
  kind: 'machine',
  attributes: { model: 'Spindle Watch SW-5', firmware: '3.0.2', power: 'mains' },
  create: (noise, drama) => new Machine(noise, drama),
};
