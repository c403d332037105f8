import { Episode } from './episode.ts';
import { climate } from './profiles/climate.ts';
import { fridge } from './profiles/fridge.ts';
import { machine } from './profiles/machine.ts';
import { powerMeter } from './profiles/power-meter.ts';
import { second, type DeviceModel, type Drama, type Profile } from './profiles/profile.ts';
import { wearable } from './profiles/wearable.ts';
import { weather } from './profiles/weather.ts';
import { Noise } from './random.ts';

/** Sixteen devices: twelve things and four wearables. A larger fleet repeats it, a smaller one is its beginning. */
const mix: readonly Profile[] = [
  climate,
  fridge,
  machine,
  wearable,
  powerMeter,
  weather,
  climate,
  wearable,
  fridge,
  machine,
  wearable,
  climate,
  powerMeter,
  fridge,
  weather,
  wearable,
];

export interface SimulatedDevice {
  readonly id: string;
  readonly kind: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly model: DeviceModel;
}

export interface FleetPlan {
  readonly devices: number;
  readonly seed: number;
  /** Some devices go through an incident that crosses the thresholds of the demo's rules. */
  readonly drama: boolean;
}

/** The fleet for a seed. A device is the same in every fleet large enough to have it. */
export function createFleet(plan: FleetPlan): SimulatedDevice[] {
  const made = new Map<string, number>();
  return Array.from({ length: plan.devices }, (_, index) => {
    const profile = mix[index % mix.length] ?? climate;
    const ordinal = made.get(profile.kind) ?? 0;
    made.set(profile.kind, ordinal + 1);
    const noise = new Noise(plan.seed, index);
    const drama = plan.drama ? dramaFor(profile, ordinal, noise) : null;
    return {
      id: `${profile.kind}-${String(ordinal + 1).padStart(2, '0')}`,
      kind: profile.kind,
      attributes: profile.attributes,
      model: profile.create(noise, drama),
    };
  });
}

/**
 * The first fridge and machine, every third fridge and second machine after, and all wearables have incidents. They
 * begin 10 to 30 s into the run and leave a minute of calm before they come again, so an alert fires and resolves.
 */
function dramaFor(profile: Profile, ordinal: number, noise: Noise): Drama | null {
  const chosen =
    profile === wearable || (profile === fridge && ordinal % 3 === 0) || (profile === machine && ordinal % 2 === 0);
  if (!chosen) return null;
  const timing = noise.stream('drama');
  const episode = new Episode({
    firstMs: timing.between(10 * second, 30 * second, 1),
    lengthMs: timing.between(38 * second, 48 * second, 2),
    everyMs: timing.between(115 * second, 150 * second, 3),
  });
  return { episode, ordinal };
}
