import type { Episode } from '../episode.ts';
import type { Noise } from '../random.ts';

export const second = 1_000;
export const minute = 60 * second;
export const hour = 60 * minute;
export const day = 24 * hour;

/** The instant a device is asked about. */
export interface Moment {
  /** Simulated wall clock of the place the device stands in: ms since 1970 as that place's clocks show it. */
  readonly time: number;
  /** Real milliseconds since the run began. */
  readonly elapsedMs: number;
}

export type Values = Readonly<Record<string, number | boolean | string>>;

/**
 * One device's physics. What is random comes from (seed, device index, simulated time); what has memory (heat, wear,
 * counters) is integrated from one sample to the next, so samples are asked for in order of time.
 */
export interface DeviceModel {
  sample(at: Moment): Values;
}

/** What an episode of the drama means to a device depends on its profile and its place among its kind. */
export interface Drama {
  readonly episode: Episode;
  /** 0 for the first device of its kind. */
  readonly ordinal: number;
}

export interface Profile {
  /** First part of the device id: `fridge` makes `fridge-01`. */
  readonly kind: string;
  /** Facts the device tells about itself on `devices/{device}/attributes`. */
  readonly attributes: Readonly<Record<string, string>>;
  /** A device of this kind; `drama` is null for a device that has a quiet life. */
  create(noise: Noise, drama: Drama | null): DeviceModel;
}

/** Hour of the day in [0, 24). */
export function hourOfDay(time: number): number {
  return (((time % day) + day) % day) / hour;
}

/** 0 on Sunday to 6 on Saturday; 1 January 1970 was a Thursday. */
export function dayOfWeek(time: number): number {
  return (((Math.floor(time / day) + 4) % 7) + 7) % 7;
}

/** 1 at `peakHour`, -1 twelve hours away, a cosine between. */
export function dailySwing(time: number, peakHour: number): number {
  return Math.cos(((hourOfDay(time) - peakHour) / 24) * 2 * Math.PI);
}

/** 0 outside, 1 inside `[from, to]` hours of the day, with slopes of `edge` hours. */
export function daySpan(time: number, from: number, to: number, edge: number): number {
  const at = hourOfDay(time);
  return Math.max(0, Math.min(1, (at - from) / edge + 0.5, (to - at) / edge + 0.5));
}

export function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}

/** Rounds as the sensor's display would: to `decimals` places. */
export function rounded(value: number, decimals: number): number {
  const scale = 10 ** decimals;
  return Math.round(value * scale) / scale;
}
