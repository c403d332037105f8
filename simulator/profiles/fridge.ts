import type { Noise, RandomStream } from '../random.ts';
import { Lag } from './lag.ts';
import {
  clamp,
  daySpan,
  minute,
  rounded,
  second,
  type DeviceModel,
  type Drama,
  type Moment,
  type Profile,
  type Values,
} from './profile.ts';

/** Air in a medicine fridge meets the room within half a minute of open door, and is cold again as fast. */
const openConstantMs = 20 * second;
const closedConstantMs = 25 * second;
const openTemperature = 15;

/** A cold-chain fridge: the compressor saws around the setpoint, an open door lets the warmth in. */
class ColdChainFridge implements DeviceModel {
  readonly #door: RandomStream;
  readonly #sensor: RandomStream;
  readonly #drama: Drama | null;
  readonly #setpoint: number;
  readonly #cycleMs: number;
  readonly #temperature = new Lag();
  readonly #humidity = new Lag();
  #lastTime = Number.NaN;

  constructor(noise: Noise, drama: Drama | null) {
    this.#door = noise.stream('door');
    this.#sensor = noise.stream('sensor');
    this.#drama = drama;
    const build = noise.stream('build');
    this.#setpoint = build.between(3.4, 4.4, 1);
    this.#cycleMs = build.between(8 * minute, 13 * minute, 2);
  }

  sample(at: Moment): Values {
    const { time } = at;
    // Doors open for seconds. A sample minutes after the last one (a fast simulated clock) still sees each opening.
    const from = Number.isNaN(this.#lastTime) ? time : this.#lastTime;
    const steps = clamp(Math.ceil((time - from) / (2 * second)), 1, 600);
    let isOpen = false;
    for (let step = 1; step <= steps; step++) {
      const now = from + ((time - from) * step) / steps;
      isOpen = this.#isOpen(now, at.elapsedMs);
      const target = isOpen ? openTemperature : this.#setpoint + this.#compressor(now);
      this.#temperature.toward(target, now, isOpen ? openConstantMs : closedConstantMs);
      this.#humidity.toward(isOpen ? 68 : 46, now, isOpen ? openConstantMs : 90 * second);
    }
    this.#lastTime = time;
    return {
      temperature: rounded(this.#temperature.value + 0.04 * this.#sensor.jitter(time), 2),
      humidity: rounded(this.#humidity.value + 0.5 * this.#sensor.jitter(time + 1), 1),
      door: isOpen,
    };
  }

  /** True while the door stands open: `door` is a contact, true = open. */
  #isOpen(time: number, elapsedMs: number): boolean {
    if (this.#drama !== null) return this.#drama.episode.progress(elapsedMs) >= 0;
    const chance = 0.15 + 0.6 * daySpan(time, 7, 19, 2);
    const plan = { everyMs: 12 * minute, chance, minMs: 3 * second, maxMs: 7 * second };
    return this.#door.spell(time, plan) >= 0;
  }

  /** The compressor pulls down for two fifths of its cycle and lets the air warm for the rest: -0.7 to 0.7 °C. */
  #compressor(time: number): number {
    const phase = (time % this.#cycleMs) / this.#cycleMs;
    return phase < 0.4 ? 0.7 - (1.4 * phase) / 0.4 : -0.7 + (1.4 * (phase - 0.4)) / 0.6;
  }
}

export const fridge: Profile = {
  kind: 'fridge',
  attributes: { model: 'Cold Chain CC-200', firmware: '1.9.0', power: 'mains' },
  create: (noise, drama) => new ColdChainFridge(noise, drama),
};
