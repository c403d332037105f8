import { describe, expect, it } from 'vitest';
import { createFleet, type SimulatedDevice } from '../../simulator/fleet.ts';
import { hour, minute, second, type Values } from '../../simulator/profiles/profile.ts';

/** A Wednesday at 06:00. */
const morning = Date.UTC(2026, 8, 16, 6);

interface Sample {
  readonly elapsedMs: number;
  readonly values: Values;
}

function samples(device: SimulatedDevice, plan: { from?: number; lengthMs: number; stepMs: number }): Sample[] {
  const from = plan.from ?? morning;
  return Array.from({ length: Math.floor(plan.lengthMs / plan.stepMs) }, (_, index) => {
    const elapsedMs = index * plan.stepMs;
    return { elapsedMs, values: device.model.sample({ time: from + elapsedMs, elapsedMs }) };
  });
}

function fleet(devices: number, seed = 7, drama = false): SimulatedDevice[] {
  return createFleet({ devices, seed, drama });
}

function ofKind(kind: string, devices = 16, seed = 7, drama = false): SimulatedDevice[] {
  return fleet(devices, seed, drama).filter((device) => device.kind === kind);
}

function one(kind: string, seed = 7, drama = false): SimulatedDevice {
  const device = ofKind(kind, 16, seed, drama)[0];
  if (device === undefined) throw new Error(`no ${kind} in a fleet of 16`);
  return device;
}

function numbers(taken: readonly Sample[], metric: string): number[] {
  return taken.map((sample) => sample.values[metric]).filter((value) => typeof value === 'number');
}

/** Ten minutes of what every device of a fleet of sixteen says. */
function readingsOf(seed: number): Values[][] {
  return fleet(16, seed).map((device) =>
    samples(device, { lengthMs: 10 * minute, stepMs: 7 * second }).map((sample) => sample.values),
  );
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

function rises(values: readonly number[]): boolean {
  return values.every((value, index) => index === 0 || value >= (values[index - 1] ?? 0));
}

describe('the fleet', () => {
  it('of sixteen is twelve things and four wearables with distinct ids', () => {
    const ids = fleet(16).map((device) => device.id);
    expect(new Set(ids).size).toBe(16);
    expect(ids.filter((id) => id.startsWith('wearable-'))).toEqual([
      'wearable-01',
      'wearable-02',
      'wearable-03',
      'wearable-04',
    ]);
    for (const kind of ['climate', 'fridge', 'machine', 'meter', 'weather']) expect(ids).toContain(`${kind}-01`);
  });

  it('of a thousand keeps the mix and ids a gateway accepts', () => {
    const devices = fleet(1_000);
    expect(new Set(devices.map((device) => device.id)).size).toBe(1_000);
    expect(devices.every((device) => /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/.test(device.id))).toBe(true);
    expect(devices.filter((device) => device.kind === 'wearable')).toHaveLength(250);
  });

  it('gives the same readings for the same seed, and others for another seed or another device of the kind', () => {
    const [first, again, other] = [readingsOf(1), readingsOf(1), readingsOf(2)];
    expect(again).toEqual(first);
    for (const [index, device] of fleet(16).entries()) expect(other[index], device.id).not.toEqual(first[index]);
    const wearables = ofKind('wearable').map((device) => samples(device, { lengthMs: minute, stepMs: second }));
    expect(wearables[0]).not.toEqual(wearables[1]);
  });

  it('has the same device in a small fleet as in a large one', () => {
    const few = fleet(4).map((device) => samples(device, { lengthMs: minute, stepMs: second }));
    const many = fleet(64).map((device) => samples(device, { lengthMs: minute, stepMs: second }));
    expect(many.slice(0, 4)).toEqual(few);
  });
});

/** The longest time, in samples a second apart, for which `metric` stays above `limit` within the first `seconds`. */
function longestAbove(taken: readonly Sample[], metric: string, limit: number, seconds: number): number {
  let longest = 0;
  let run = 0;
  for (const { values } of taken.slice(0, seconds)) {
    run = Number(values[metric]) > limit ? run + 1 : 0;
    longest = Math.max(longest, run);
  }
  return longest;
}

describe('every profile', () => {
  const plausible: Record<string, readonly [number, number]> = {
    'climate temperature': [17, 28],
    'climate humidity': [20, 75],
    'climate co2': [400, 1_200],
    'fridge temperature': [1.5, 9],
    'fridge humidity': [40, 70],
    'machine vibration': [0.02, 5.5],
    'machine bearing_temperature': [20, 75],
    'meter power': [60, 4_500],
    'meter energy': [100_000, 12_000_000],
    'weather temperature': [-5, 30],
    'weather humidity': [18, 100],
    'weather pressure': [980, 1_045],
    'weather wind_speed': [0, 20],
    'weather rain': [0, 25],
    'wearable heart_rate': [38, 190],
    'wearable hrv_rmssd': [1, 161],
    'wearable spo2': [83, 100],
    'wearable skin_temperature': [23, 36],
    'wearable steps': [0, 200_000],
    'wearable battery': [11, 100],
  };

  it('stays within plausible ranges for three days, and moves', () => {
    for (const device of fleet(32, 3)) {
      const taken = samples(device, { lengthMs: 72 * hour, stepMs: 45 * second });
      for (const [name, [low, high]] of Object.entries(plausible)) {
        const [kind, metric = ''] = name.split(' ');
        if (kind !== device.kind) continue;
        const values = numbers(taken, metric);
        const lowest = values.reduce((a, b) => Math.min(a, b), Infinity);
        const highest = values.reduce((a, b) => Math.max(a, b), -Infinity);
        expect(lowest, `${device.id} ${metric}`).toBeGreaterThanOrEqual(low);
        expect(highest, `${device.id} ${metric}`).toBeLessThanOrEqual(high);
        expect(highest, `${device.id} ${metric} moves`).toBeGreaterThan(lowest);
      }
    }
  });

  it('names its metrics as the gateway wants them and sends only finite numbers, booleans and short text', () => {
    for (const device of fleet(16)) {
      for (const { values } of samples(device, { lengthMs: 24 * hour, stepMs: 10 * minute })) {
        for (const [metric, value] of Object.entries(values)) {
          expect(metric).toMatch(/^[a-z][a-z0-9_]*$/);
          if (typeof value === 'number') expect(Number.isFinite(value), `${device.id} ${metric}`).toBe(true);
        }
      }
    }
  });

  it('never lets a counter fall, at real time or at a thousand times', () => {
    for (const stepMs of [second, 1_000 * second]) {
      for (const device of [...ofKind('meter'), ...ofKind('wearable')]) {
        const taken = samples(device, { lengthMs: 3_000 * stepMs, stepMs });
        const metric = device.kind === 'meter' ? 'energy' : 'steps';
        expect(numbers(taken, metric)).toHaveLength(3_000);
        expect(rises(numbers(taken, metric)), `${device.id} ${metric} every ${stepMs} ms`).toBe(true);
      }
    }
  });
});

describe('a room', () => {
  it('of an office has more carbon dioxide in the working day than before it', () => {
    const offices = ofKind('climate', 64).filter((device) => {
      const noon = samples(device, { from: morning - 6 * hour, lengthMs: 24 * hour, stepMs: 10 * minute });
      const co2 = numbers(noon, 'co2');
      return (co2[66] ?? 0) > (co2[24] ?? 0) + 150;
    });
    expect(offices.length).toBeGreaterThan(ofKind('climate', 64).length / 2);
  });
});

describe('a fridge', () => {
  it('warms while its door is open and cools when it is closed again', () => {
    const taken = samples(one('fridge', 7, true), { lengthMs: 4 * minute, stepMs: second });
    const opened = taken.findIndex((sample) => sample.values.door === true);
    const closed = taken.findIndex((sample, index) => index > opened && sample.values.door === false);
    const temperature = (index: number): number => Number(taken[index]?.values.temperature);
    expect(opened).toBeGreaterThan(0);
    expect(closed - opened).toBeGreaterThan(30);
    expect(temperature(closed - 1)).toBeGreaterThan(temperature(opened) + 6);
    expect(temperature(closed + 60)).toBeLessThan(temperature(closed) - 5);
  });
});

describe('a machine', () => {
  it('stands still and cools down when it does not run', () => {
    const taken = samples(one('machine'), { lengthMs: 2 * hour, stepMs: second });
    const stopped = taken.filter(
      (s, index) => s.values.running === false && taken[index - 30]?.values.running === false,
    );
    const running = taken.filter((s, index) => s.values.running === true && taken[index - 30]?.values.running === true);
    expect(stopped.length).toBeGreaterThan(0);
    expect(Math.max(...numbers(stopped, 'vibration'))).toBeLessThan(0.3);
    expect(Math.min(...numbers(running, 'vibration'))).toBeGreaterThan(0.9);
    const stop = taken.findIndex((s, index) => s.values.running === false && taken[index - 1]?.values.running === true);
    const bearing = numbers(taken, 'bearing_temperature');
    expect(bearing[stop + 50]).toBeLessThan((bearing[stop] ?? 0) - 1);
  });

  it('vibrates more after sixty hours of wear than at first', () => {
    const device = ofKind('machine', 32, 11)
      .map((machine) => samples(machine, { lengthMs: 60 * hour, stepMs: minute }))
      .map((taken) => taken.filter((sample) => sample.values.running === true));
    const grown = device.filter((taken) => {
      const vibration = numbers(taken, 'vibration');
      return mean(vibration.slice(-300)) > mean(vibration.slice(0, 300)) + 0.3;
    });
    expect(grown.length).toBe(device.length);
  });
});

describe('a meter', () => {
  it('counts the energy that its power makes', () => {
    const taken = samples(one('meter'), { lengthMs: 2 * hour, stepMs: second });
    const power = numbers(taken, 'power');
    const energy = numbers(taken, 'energy');
    const expected = power.slice(1).reduce((sum, watts, index) => sum + (watts + (power[index] ?? 0)) / 2 / 3_600, 0);
    expect((energy.at(-1) ?? 0) - (energy[0] ?? 0)).toBeCloseTo(expected, 0);
  });
});

describe('a weather mast', () => {
  it('reports rain only with damp air and lower pressure than without', () => {
    const taken = ofKind('weather', 64).flatMap((d) => samples(d, { lengthMs: 96 * hour, stepMs: 10 * minute }));
    const wet = taken.filter((sample) => Number(sample.values.rain) > 1);
    const dry = taken.filter((sample) => sample.values.rain === 0);
    expect(wet.length).toBeGreaterThan(20);
    expect(mean(numbers(wet, 'humidity'))).toBeGreaterThan(mean(numbers(dry, 'humidity')) + 8);
    expect(mean(numbers(wet, 'pressure'))).toBeLessThan(mean(numbers(dry, 'pressure')) - 5);
  });
});

describe('a wearable', () => {
  const aDay = ofKind('wearable').map((device) =>
    samples(device, { from: morning - 6 * hour, lengthMs: 24 * hour, stepMs: 10 * second }),
  );

  it('has a heart that beats slower asleep than awake and fastest in a workout', () => {
    const taken = aDay.flat();
    const during = (activity: string): number => {
      const rates = numbers(
        taken.filter((sample) => sample.values.activity === activity),
        'heart_rate',
      );
      return mean(rates);
    };
    expect(during('sleep')).toBeLessThan(during('rest') - 5);
    expect(during('rest')).toBeLessThan(during('walk') - 15);
    expect(during('walk')).toBeLessThan(during('workout') - 25);
  });

  it('has a heart rate variability that falls as its heart rate rises', () => {
    for (const taken of aDay) {
      const worn = taken.filter((sample) => sample.values.on_wrist === true);
      expect(rankCorrelation(numbers(worn, 'heart_rate'), numbers(worn, 'hrv_rmssd'))).toBeLessThan(-0.85);
    }
  });

  it('sends no vitals while it is off the wrist, and some of the fleet is off the wrist each day', () => {
    const off = aDay.flat().filter((sample) => sample.values.on_wrist === false);
    expect(off.length).toBeGreaterThan(0);
    for (const { values } of off) expect(Object.keys(values).sort()).toEqual(['battery', 'on_wrist', 'steps']);
  });

  it('counts steps only while it walks or trains', () => {
    for (const taken of aDay) {
      for (const [index, { values }] of taken.entries()) {
        const before = taken[index - 1]?.values;
        if (before === undefined || Number(values.steps) === Number(before.steps)) continue;
        expect(['walk', 'workout']).toContain(values.activity);
      }
      expect(numbers(taken, 'steps').at(-1)).toBeGreaterThan(numbers(taken, 'steps')[0] ?? Infinity);
    }
  });

  it('has dips of oxygen below ninety percent in a night, and is above 95 for most of it', () => {
    const night = ofKind('wearable', 64)
      .flatMap((d) => samples(d, { from: morning - 6 * hour, lengthMs: 6 * hour, stepMs: 5 * second }))
      .map((sample) => sample.values.spo2)
      .filter((value) => typeof value === 'number');
    expect(night.some((value) => value < 90)).toBe(true);
    expect(night.filter((value) => value > 95).length / night.length).toBeGreaterThan(0.95);
  });

  it('discharges on the wrist and charges off it', () => {
    const taken = samples(one('wearable'), { lengthMs: 60 * hour, stepMs: minute });
    const battery = numbers(taken, 'battery');
    let charged = 0;
    for (let index = 1; index < battery.length; index++) {
      if ((battery[index] ?? 0) <= (battery[index - 1] ?? 0)) continue;
      charged++;
      expect([taken[index - 1]?.values.on_wrist, taken[index]?.values.on_wrist]).toContain(false);
    }
    expect(charged).toBeGreaterThan(60);
  });
});

describe('the drama', () => {
  const hours = [0, 3, 7, 12, 18, 22];
  const seeds = [1, 2, 7, 42, 99];

  it.each([
    ['wearable', 'heart_rate', 120, 110],
    ['fridge', 'temperature', 8, 6],
    ['machine', 'vibration', 7.1, 6],
  ] as const)(
    'takes the first %s across the rule for %s for five seconds within a minute, and back within three',
    (kind, metric, limit, clear) => {
      for (const seed of seeds) {
        for (const at of hours) {
          const from = morning + (at - 6) * hour;
          const taken = samples(one(kind, seed, true), { from, lengthMs: 3 * minute, stepMs: second });
          expect(Number(taken[0]?.values[metric]), `seed ${seed} at ${at}`).toBeLessThan(limit);
          expect(longestAbove(taken, metric, limit, 60), `seed ${seed} at ${at}`).toBeGreaterThan(6);
          const crossed = taken.findIndex((sample) => Number(sample.values[metric]) > limit);
          const cleared = taken.slice(crossed).some((sample) => Number(sample.values[metric]) < clear);
          expect(cleared, `seed ${seed} at ${at} clears`).toBe(true);
        }
      }
    },
  );

  it('repeats within five minutes', () => {
    const taken = samples(one('fridge', 7, true), { lengthMs: 5 * minute, stepMs: second });
    const openings = taken.filter((s, index) => s.values.door === true && taken[index - 1]?.values.door === false);
    expect(openings.length).toBeGreaterThanOrEqual(2);
  });

  it('crosses within the same real minute when the simulated clock runs sixty times faster', () => {
    const device = one('fridge', 7, true);
    const taken = Array.from({ length: 60 }, (_, at) => ({
      elapsedMs: at * second,
      values: device.model.sample({ time: morning + at * minute, elapsedMs: at * second }),
    }));
    expect(longestAbove(taken, 'temperature', 8, 60)).toBeGreaterThan(6);
  });

  it('takes the second wearable below ninety percent oxygen and the third off the wrist', () => {
    const [, second_, third] = ofKind('wearable', 16, 7, true).map((device) =>
      samples(device, { lengthMs: 90 * second, stepMs: second }),
    );
    expect(Math.min(...numbers(second_ ?? [], 'spo2'))).toBeLessThan(90);
    expect((third ?? []).some((sample) => sample.values.on_wrist === false)).toBe(true);
  });
});

/** Spearman's rank correlation, ties by their mean rank. */
function rankCorrelation(left: readonly number[], right: readonly number[]): number {
  const [a, b] = [ranks(left), ranks(right)];
  const mean = (a.length - 1) / 2;
  let [both, leftOnly, rightOnly] = [0, 0, 0];
  for (const [index, rank] of a.entries()) {
    const other = b[index] ?? 0;
    both += (rank - mean) * (other - mean);
    leftOnly += (rank - mean) ** 2;
    rightOnly += (other - mean) ** 2;
  }
  return both / Math.sqrt(leftOnly * rightOnly);
}

function ranks(values: readonly number[]): number[] {
  const order = values.map((value, index) => ({ value, index })).sort((x, y) => x.value - y.value);
  const ranked: number[] = Array.from({ length: values.length }, () => 0);
  for (let from = 0; from < order.length; ) {
    let to = from;
    while (to < order.length && order[to]?.value === order[from]?.value) to++;
    for (let at = from; at < to; at++) ranked[order[at]?.index ?? 0] = (from + to - 1) / 2;
    from = to;
  }
  return ranked;
}
