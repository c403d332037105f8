import type { Noise, RandomStream } from '../random.ts';
import { Lag } from './lag.ts';
import {
  clamp,
  dailySwing,
  day,
  hour,
  minute,
  rounded,
  second,
  type DeviceModel,
  type Moment,
  type Profile,
  type Values,
} from './profile.ts';

/** A weather mast: fronts bring low pressure, and with it wind, damp air and rain. */
class WeatherNode implements DeviceModel {
  readonly #front: RandomStream;
  readonly #shower: RandomStream;
  readonly #gust: RandomStream;
  readonly #sensor: RandomStream;
  readonly #meanTemperature: number;
  readonly #temperature = new Lag();

  constructor(noise: Noise) {
    this.#front = noise.stream('front');
    this.#shower = noise.stream('shower');
    this.#gust = noise.stream('gust');
    this.#sensor = noise.stream('sensor');
    this.#meanTemperature = noise.stream('place').between(8, 17, 1);
  }

  sample({ time }: Moment): Values {
    // 1 in the middle of a low, -1 in the middle of a high.
    const front = this.#front.smooth(time / (1.6 * day));
    const wetness = clamp(front * 1.4 + 0.9 * this.#shower.smooth(time / (35 * minute)) - 0.9, 0, 1);
    const rain = 14 * wetness * wetness;
    const clearSky = 1 - clamp((front + 1) / 2, 0, 1);
    const temperature = this.#temperature.toward(
      this.#meanTemperature + (2 + 5 * clearSky) * dailySwing(time, 15) - 2.5 * wetness,
      time,
      20 * minute,
    );
    const dryness = 3 * (temperature - this.#meanTemperature);
    const wind = 2.2 + 3.2 * (front + 1) + 1.6 * this.#gust.smooth(time / (6 * second));
    return {
      temperature: rounded(temperature + 0.05 * this.#sensor.jitter(time), 2),
      humidity: rounded(
        clamp(66 + 14 * front + 14 * wetness - dryness + 0.4 * this.#sensor.jitter(time + 1), 18, 100),
        1,
      ),
      pressure: rounded(
        1_014 - 15 * front + 0.8 * this.#front.smooth(9_000 + time / (3 * hour)) + 0.04 * this.#sensor.jitter(time + 2),
        1,
      ),
      wind_speed: rounded(Math.max(0, wind + 0.4 * this.#sensor.jitter(time + 3)), 1),
      rain: rounded(rain, 1),
    };
  }
}

/** `rain` is an intensity in mm/h, `wind_speed` m/s, `pressure` hPa. */
export const weather: Profile = {
  kind: 'weather',
  attributes: { model: 'Weather Mast WM-3', firmware: '1.2.7', power: 'solar' },
  create: (noise) => new WeatherNode(noise),
};
