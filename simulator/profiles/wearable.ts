import type { Noise, RandomStream } from '../random.ts';
import { Lag } from './lag.ts';
import {
  clamp,
  dailySwing,
  day,
  hour,
  hourOfDay,
  minute,
  rounded,
  second,
  type DeviceModel,
  type Drama,
  type Moment,
  type Profile,
  type Values,
} from './profile.ts';

type Activity = 'sleep' | 'rest' | 'walk' | 'workout';

/** Part of the heart's reserve that an activity asks for. */
const effortOf: Readonly<Record<Activity, number>> = { sleep: 0, rest: 0.07, walk: 0.34, workout: 0.86 };
const stepsPerSecondOf: Readonly<Record<Activity, number>> = { sleep: 0, rest: 0, walk: 1.8, workout: 2.6 };

const chargeMs = 1.6 * hour;
const batteryLow = 12;

/** What happens to a wearable of the drama, by its place among the wearables. */
const incidents = ['workout', 'desaturation', 'off wrist', 'none'] as const;

/** A wristband: one body behind all signals. The heart follows the hour and the effort, everything else the heart. */
class Wearable implements DeviceModel {
  readonly #habits: RandomStream;
  readonly #walks: RandomStream;
  readonly #gaps: RandomStream;
  readonly #dips: RandomStream;
  readonly #body: RandomStream;
  readonly #sensor: RandomStream;
  readonly #drama: Drama | null;
  readonly #restingRate: number;
  readonly #peakRate: number;
  readonly #hrvAtSixty: number;
  readonly #wearMs: number;
  readonly #wornAtStartMs: number;
  readonly #heart = new Lag();
  readonly #skin = new Lag();
  #steps: number;
  #startTime = Number.NaN;
  #lastTime = Number.NaN;

  constructor(noise: Noise, drama: Drama | null) {
    this.#habits = noise.stream('habits');
    this.#walks = noise.stream('walks');
    this.#gaps = noise.stream('gaps');
    this.#dips = noise.stream('dips');
    this.#body = noise.stream('body');
    this.#sensor = noise.stream('sensor');
    this.#drama = drama;
    this.#restingRate = this.#body.between(55, 67, 1);
    this.#peakRate = this.#body.between(158, 174, 2);
    this.#hrvAtSixty = this.#body.between(42, 68, 3);
    this.#wearMs = this.#body.between(30, 44, 4) * hour;
    this.#wornAtStartMs = this.#wearMs * this.#body.between(0.03, 0.45, 5);
    this.#steps = Math.floor(this.#body.between(800, 7_000, 6));
  }

  sample({ time, elapsedMs }: Moment): Values {
    if (Number.isNaN(this.#startTime)) this.#startTime = time;
    const sinceMs = time > this.#lastTime ? time - this.#lastTime : 0;
    this.#lastTime = time;

    const episode = this.#drama === null ? -1 : this.#drama.episode.progress(elapsedMs);
    const incident = this.#drama === null || episode < 0 ? 'none' : incidents[this.#drama.ordinal % incidents.length];
    const planned = this.#plannedActivity(time);
    const activity = incident === 'workout' ? 'workout' : planned;
    const charge = this.#battery(time);
    const isWorn = !charge.isCharging && incident !== 'off wrist' && !this.#isTakenOff(time, activity);

    const effort = effortOf[activity];
    const heart = this.#heartRate(time, activity, effort);
    const skin = this.#skin.toward(
      isWorn
        ? 33 + (activity === 'sleep' ? 1.3 : 0) - 1.1 * effort + 0.5 * this.#body.smooth(time / (20 * minute))
        : 23.5,
      time,
      3 * minute,
    );
    if (isWorn) this.#steps += (sinceMs / second) * stepsPerSecondOf[activity];

    const kept = { steps: Math.floor(this.#steps), battery: rounded(charge.percent, 1), on_wrist: isWorn };
    if (!isWorn) return kept;
    const shiver = 1 + 0.06 * this.#body.smooth(500_000 + time / (40 * second));
    return {
      heart_rate: Math.round(heart + this.#sensor.jitter(time)),
      hrv_rmssd: rounded(clamp(this.#hrvAtSixty * Math.exp((60 - heart) / 32) * shiver, 2, 160), 1),
      spo2: Math.round(this.#oxygen(time, activity, incident === 'desaturation' ? episode : -1)),
      skin_temperature: rounded(skin + 0.03 * this.#sensor.jitter(time + 1), 2),
      activity,
      ...kept,
    };
  }

  /** The heart of the wearer, beats per minute, whether the band is on the wrist or not. */
  #heartRate(time: number, activity: Activity, effort: number): number {
    const circadian = 5 * dailySwing(time, 16) - (activity === 'sleep' ? 5 : 0);
    const wandering = (activity === 'sleep' ? 1.5 : 3) * this.#body.smooth(100_000 + time / (30 * second));
    const rate = this.#restingRate + circadian + wandering + effort * (this.#peakRate - this.#restingRate);
    return this.#heart.toward(rate, time, (effort > 0.5 ? 12 : 20) * second);
  }

  #plannedActivity(time: number): Activity {
    const date = Math.floor(time / day);
    const at = hourOfDay(time);
    const wakes = this.#habits.between(6.2, 7.6, date * 4);
    const retires = this.#habits.between(22.3, 23.8, date * 4 + 1);
    if (at < wakes || at >= retires) return 'sleep';
    const trainsAt = [7.9, 12.1, 17.6][Math.floor(this.#habits.uniform(-1) * 3)] ?? 17.6;
    const hasTraining = this.#habits.uniform(date * 4 + 2) < 0.55;
    const trainsFor = this.#habits.between(0.5, 0.9, date * 4 + 3);
    if (hasTraining && at >= trainsAt && at < trainsAt + trainsFor) return 'workout';
    const plan = { everyMs: 26 * minute, chance: 0.6, minMs: 3 * minute, maxMs: 9 * minute };
    return this.#walks.spell(time, plan) >= 0 ? 'walk' : 'rest';
  }

  /** Off for the shower or the desk: minutes, a few times a day, never asleep or in training. */
  #isTakenOff(time: number, activity: Activity): boolean {
    if (this.#drama !== null || activity === 'sleep' || activity === 'workout') return false;
    const plan = { everyMs: 3 * hour, chance: 0.6, minMs: 4 * minute, maxMs: 12 * minute };
    return this.#gaps.spell(time, plan) >= 0;
  }

  /** Blood oxygen in percent: 96 to 99, with dips that are commoner asleep and sometimes go below 90. */
  #oxygen(time: number, activity: Activity, desaturation: number): number {
    const steady = 97.6 + 0.8 * this.#body.smooth(200_000 + time / (90 * second));
    if (desaturation >= 0) return steady - 11 * Math.sin(Math.PI * desaturation);
    const everyMs = 20 * minute;
    const chance = activity === 'sleep' ? 0.45 : 0.1;
    const dip = this.#dips.spell(time, { everyMs, chance, minMs: 25 * second, maxMs: 55 * second });
    if (dip < 0) return steady;
    const depth = this.#dips.between(4, 11, -1 - Math.floor(time / everyMs));
    return steady - depth * Math.sin(Math.PI * dip);
  }

  /** The band is worn until the battery is low, and charged off the wrist; a run begins with it freshly worn. */
  #battery(time: number): { percent: number; isCharging: boolean } {
    const at = (this.#wornAtStartMs + time - this.#startTime) % (this.#wearMs + chargeMs);
    if (at < this.#wearMs) return { percent: 100 - ((100 - batteryLow) * at) / this.#wearMs, isCharging: false };
    return { percent: batteryLow + ((100 - batteryLow) * (at - this.#wearMs)) / chargeMs, isCharging: true };
  }
}

export const wearable: Profile = {
  kind: 'wearable',
  attributes: { model: 'Pulse Band PB-7', firmware: '4.6.0', battery_type: 'LiPo 110 mAh' },
  create: (noise, drama) => new Wearable(noise, drama),
};
