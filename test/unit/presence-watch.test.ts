import { beforeEach, describe, expect, it } from 'vitest';
import { TransientError } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import type { DeviceFact, DeviceRecord } from '../../src/domain/device.ts';
import { DeviceDirectory } from '../../src/latest/device-directory.ts';
import { Presence } from '../../src/pipeline/presence.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { settle } from '../support/pipeline-rig.ts';
import { commitOf, newSeries } from '../support/storage-commits.ts';

const minute = 60_000;

/** A presence beside the real directory; facts are committed as they come. */
class World {
  readonly clock = new FakeClock();
  readonly directory = new DeviceDirectory({ series: (id) => ({ id, device: `device-${id}`, metric: 'value' }) });
  readonly sleepy = new Set<string>();
  /** What was committed, as `device status cause`. */
  readonly told: string[] = [];
  failing = false;
  presence: Presence;
  #seq = 0;

  constructor(records: readonly DeviceRecord[] = []) {
    this.presence = new Presence({
      clock: this.clock,
      log: silentLog,
      now: () => this.clock.now(),
      devices: this.directory,
      silenceAllowed: (device) => (this.sleepy.has(device) ? 60 * minute : 5 * minute),
      isSleepy: (device) => this.sleepy.has(device),
      commit: (facts) => this.#commitOwn(facts),
    });
    this.directory.load(records);
    this.presence.start(records);
  }

  /** A message of `device-1` or another number, with a reading. */
  message(number = 1): void {
    const isNew = this.directory.get(`device-${number}`) === undefined;
    const facts = isNew ? [{ device: `device-${number}`, at: this.clock.now() }] : [];
    this.#commit(facts, [[number, this.clock.now(), 1]]);
  }

  /** The device says it of itself. */
  reports(device: string, status: 'online' | 'offline'): void {
    this.#commit([{ device, at: this.clock.now(), status, cause: 'reported' }], []);
  }

  forget(device: string): void {
    const commit = commitOf(++this.#seq, [], { forgottenDevices: [device] });
    this.directory.apply(commit);
    this.presence.apply(commit);
  }

  /** Time passes in small steps, and what is under way gets on. */
  async pass(ms: number, stepMs = 1_000): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) {
      this.clock.advance(Math.min(stepMs, left));
      await settle(2);
    }
  }

  async #commitOwn(facts: readonly DeviceFact[]): Promise<void> {
    await Promise.resolve();
    if (this.failing) throw new TransientError('the disk is full');
    this.told.push(...facts.map(({ device, status, cause }) => `${device} ${status} ${cause}`));
    this.#commit(facts, []);
  }

  #commit(deviceFacts: readonly DeviceFact[], rows: readonly (readonly [number, number, number])[]): void {
    const commit = { ...commitOf(++this.#seq, rows, { deviceFacts, newSeries: newSeries(0) }), at: this.clock.now() };
    this.directory.apply(commit);
    this.presence.apply(commit);
  }
}

function known(device: string, parts: Partial<DeviceRecord>): DeviceRecord {
  const base = { device, firstSeen: 1, lastSeen: 1, status: null, statusAt: null, statusCause: null };
  return { ...base, attributes: {}, clockCorrected: 0, provisioned: null, ...parts };
}

let world: World;
beforeEach(() => {
  world = new World();
});

describe('a connection', () => {
  it('makes its device online, and its end offline, with the cause', async () => {
    world.presence.opened('a');
    await settle(2);
    expect(world.directory.get('a')).toMatchObject({ status: 'online', statusCause: 'connected' });
    const leftAt = world.clock.now();
    world.presence.closed('a', 'connection_lost');
    await world.pass(3_000);
    expect(world.directory.get('a')).toMatchObject({ status: 'offline', statusAt: leftAt });
    world.presence.opened('a');
    world.presence.closed('a', 'disconnected');
    await world.pass(3_000);
    expect(world.told).toEqual([
      'a online connected',
      'a offline connection_lost',
      'a online connected',
      'a offline disconnected',
    ]);
  });

  it('that is taken over, or back within a second, never ended', async () => {
    world.presence.opened('a');
    await settle(2);
    world.presence.opened('a');
    world.presence.closed('a', 'connection_lost');
    await world.pass(3_000);
    world.presence.closed('a', 'connection_lost');
    world.presence.opened('a');
    await world.pass(3_000);
    expect(world.told).toEqual(['a online connected']);
  });

  it('is one of several: offline is who has none left', async () => {
    world.presence.opened('a');
    world.presence.opened('a');
    world.presence.closed('a', 'disconnected');
    await world.pass(3_000);
    expect(world.told).toEqual(['a online connected']);
    world.presence.closed('a', 'disconnected');
    await world.pass(3_000);
    expect(world.told).toHaveLength(2);
  });

  it('that is open speaks for a device that says nothing', async () => {
    world.presence.opened('a');
    await world.pass(30 * minute, 10_000);
    expect(world.told).toEqual(['a online connected']);
  });

  it('of a sleepy device ends without a word; silence from then on counts', async () => {
    world.sleepy.add('a');
    world.presence.opened('a');
    await world.pass(90 * minute, 10_000);
    world.presence.closed('a', 'disconnected');
    await world.pass(59 * minute, 10_000);
    expect(world.told).toEqual(['a online connected']);
    await world.pass(2 * minute, 10_000);
    expect(world.told.at(-1)).toBe('a offline silent');
  });

  it('that ends after the will said so adds nothing', async () => {
    world.presence.opened('a');
    await settle(2);
    world.presence.closed('a', 'connection_lost');
    world.reports('a', 'offline');
    await world.pass(3_000);
    expect(world.told).toEqual(['a online connected']);
    expect(world.directory.get('a')?.statusCause).toBe('reported');
  });

  it('is told again when the disk could not keep it, as it is by then', async () => {
    world.failing = true;
    world.presence.opened('a');
    world.presence.opened('b');
    await world.pass(2_000);
    world.presence.closed('b', 'connection_lost');
    await world.pass(2_000);
    expect(world.told).toEqual([]);
    world.failing = false;
    await world.pass(2_000);
    expect(world.told.toSorted()).toEqual(['a online connected', 'b offline connection_lost']);
  });
});

describe('silence', () => {
  it('makes offline after the time allowed and not before, and a message makes online again', async () => {
    world.message();
    await world.pass(10_000);
    expect(world.told).toEqual(['device-1 online heard']);
    await world.pass(5 * minute - 15_000);
    expect(world.told).toHaveLength(1);
    await world.pass(10_000);
    expect(world.told.at(-1)).toBe('device-1 offline silent');
    await world.pass(20 * minute, 10_000);
    expect(world.told).toHaveLength(2);
    world.message();
    await world.pass(10_000);
    expect(world.told.at(-1)).toBe('device-1 online heard');
  });

  it('does not move when the device was last seen', async () => {
    world.message();
    const heardAt = world.clock.now();
    await world.pass(10 * minute, 5_000);
    expect(world.directory.get('device-1')).toMatchObject({ status: 'offline', lastSeen: heardAt });
  });

  it('is not there as long as messages come, however long that is', async () => {
    for (let round = 0; round < 30; round++) {
      world.message();
      await world.pass(4 * minute, 20_000);
    }
    expect(world.told).toEqual(['device-1 online heard']);
  });

  it('is not made by setting the wall clock', async () => {
    world.message();
    await world.pass(10_000);
    world.clock.stepWall(86_400_000);
    await world.pass(4 * minute, 5_000);
    expect(world.told).toEqual(['device-1 online heard']);
  });

  it('and messages change nothing for a device that says it is offline', async () => {
    world.message();
    await world.pass(10_000);
    world.reports('device-1', 'offline');
    world.message();
    await world.pass(20 * minute, 10_000);
    expect(world.told).toEqual(['device-1 online heard']);
    expect(world.presence.watched).toBe(0);
    world.reports('device-1', 'online');
    await world.pass(6 * minute, 10_000);
    expect(world.told.at(-1)).toBe('device-1 offline silent');
  });
});

describe('after a restart', () => {
  it('who was online is unknown until heard of, and offline when it is not, counted from the start', async () => {
    const records = [1, 2].map((number) => known(`device-${number}`, { status: 'online', statusCause: 'connected' }));
    world = new World(records);
    await world.pass(minute);
    expect(world.told).toEqual([]);
    world.message(1);
    await world.pass(10_000);
    expect(world.told).toEqual(['device-1 online heard']);
    await world.pass(4 * minute);
    expect(world.told).toEqual(['device-1 online heard', 'device-2 offline silent']);
  });

  it('who was silent is online when heard of, and who left stays away', async () => {
    world = new World([
      known('device-1', { status: 'offline', statusCause: 'silent', statusAt: 5 }),
      known('device-2', { status: 'offline', statusCause: 'disconnected', statusAt: 5 }),
    ]);
    await world.pass(10 * minute, 10_000);
    expect(world.told).toEqual([]);
    world.message(1);
    world.message(2);
    await world.pass(10_000);
    expect(world.told).toEqual(['device-1 online heard']);
  });
});

it('watches 100,000 devices without looking at all of them in every turn', async () => {
  let looks = 0;
  const clock = new FakeClock();
  const presence = new Presence({
    clock,
    log: silentLog,
    now: () => clock.now(),
    devices: {
      get(device) {
        looks++;
        return known(device, { lastSeen: clock.now(), status: 'online', statusCause: 'heard' });
      },
    },
    silenceAllowed: () => 5 * minute,
    isSleepy: () => false,
    commit: () => Promise.resolve(),
  });
  presence.start(Array.from({ length: 100_000 }, (_, index) => known(`d${index}`, { status: 'online' })));
  clock.advance(2_000);
  looks = 0;
  for (let second = 0; second < 120; second++) clock.advance(1_000);
  expect([presence.watched, looks]).toEqual([100_000, 0]);
  presence.stop();
  expect(clock.timers).toBe(0);
  await settle(1);
});

it('a device that is forgotten is not watched any more, and does not come back by being cut off', async () => {
  world.message();
  world.presence.opened('device-1');
  await world.pass(2_000);
  expect(world.presence.watched).toBe(1);
  world.forget('device-1');
  world.presence.closed('device-1', 'connection_lost');
  await world.pass(10_000);
  expect(world.presence.watched).toBe(0);
  expect(world.directory.get('device-1')).toBeUndefined();
});
