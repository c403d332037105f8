import type { Noise, RandomStream } from '../random.ts';
import { Lag } from './lag.ts';
import {
  clamp,
  dailySwing,
  dayOfWeek,
  daySpan,
  hour,
  minute,
  rounded,
  type DeviceModel,
  type Moment,
  type Profile,
  type Values,
} from './profile.ts';

/** A room: the people in it warm it, breathe into it and moisten it. */
class RoomClimate implements DeviceModel {
  readonly #people: RandomStream;
  readonly #air: RandomStream;
  readonly #sensor: RandomStream;
  readonly #isHome: boolean;
  readonly #setpoint: number;
  readonly #temperature = new Lag();
  readonly #co2 = new Lag();
  readonly #humidity = new Lag();

  constructor(noise: Noise) {
    this.#people = noise.stream('people');
    this.#air = noise.stream('air');
    this.#sensor = noise.stream('sensor');
    this.#isHome = this.#people.uniform(1) < 0.3;
    this.#setpoint = this.#air.between(20.2, 21.8, 1);
  }

  sample({ time }: Moment): Values {
    const occupancy = this.#occupancy(time);
    const temperature = this.#temperature.toward(
      this.#setpoint + 2.1 * occupancy + 0.7 * dailySwing(time, 15) + 0.4 * this.#air.smooth(time / (50 * minute)),
      time,
      22 * minute,
    );
    const co2 = this.#co2.toward(430 + 640 * occupancy, time, 11 * minute);
    const humidity = this.#humidity.toward(
      44 + 8 * occupancy + 7 * this.#air.smooth(100_000 + time / (9 * hour)) - 1.6 * (temperature - 21),
      time,
      15 * minute,
    );
    return {
      temperature: rounded(temperature + 0.04 * this.#sensor.jitter(time), 2),
      humidity: rounded(clamp(humidity + 0.3 * this.#sensor.jitter(time + 1), 15, 90), 1),
      co2: Math.round(co2 + 5 * this.#sensor.jitter(time + 2)),
    };
  }

  /** How full the room is, 0 to 1. */
  #occupancy(time: number): number {
    const coming = 0.8 + 0.2 * this.#people.smooth(time / (35 * minute));
    const isWeekend = dayOfWeek(time) % 6 === 0;
    if (this.#isHome) {
      const morning = daySpan(time, 6.3, isWeekend ? 12 : 8.2, 0.7);
      const evening = daySpan(time, isWeekend ? 14 : 17.2, 23.6, 1.2);
      const night = 0.45 * (1 - daySpan(time, 7, 23, 1));
      return coming * Math.max(morning * 0.7, evening, night);
    }
    const atWork = daySpan(time, 8.3, 17.6, 1.4) * (1 - 0.55 * daySpan(time, 12, 13, 0.4));
    return coming * atWork * (isWeekend ? 0.06 : 1);
  }
}

export const climate: Profile = {
  kind: 'climate',
  attributes: { model: 'Room Climate RC-2', firmware: '2.4.1', power: 'mains' },
  create: (noise) => new RoomClimate(noise),
};
