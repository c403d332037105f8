import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MappingSpec } from '../../src/contract/mapping.ts';
import { ProfileDraft } from '../../src/contract/profile.ts';
import type { Commit } from '../../src/domain/commit.ts';
import type { DeviceFact, DeviceRecord } from '../../src/domain/device.ts';
import { compileGlob } from '../../src/domain/glob.ts';
import type { Mapping } from '../../src/domain/mapping.ts';
import type { Profile } from '../../src/domain/profile.ts';
import type { Reading, Value } from '../../src/domain/reading.ts';
import { ReadingBuilder } from '../../src/domain/reading-builder.ts';
import { settledColumns } from '../../src/domain/settled-columns.ts';
import type { Series } from '../../src/domain/series.ts';
import { DeviceDirectory } from '../../src/latest/device-directory.ts';
import { LatestValues, type SeriesNames } from '../../src/latest/latest-values.ts';
import { Units } from '../../src/latest/units.ts';

const all = compileGlob('*');

/** Series in order of their numbers, from 1. */
function named(...series: readonly (readonly [device: string, metric: string])[]): SeriesNames {
  const known = series.map(([device, metric], index): Series => ({ id: index + 1, device, metric }));
  return {
    size: known.length,
    series: (id) => known[id - 1],
    find: (device, metric) => known.find((one) => one.device === device && one.metric === metric)?.id,
    ofDevice: (device) => known.filter((one) => one.device === device),
  };
}

function commit(
  rows: readonly (readonly [series: number, time: number, value: Value])[],
  parts: { at?: number; facts?: readonly DeviceFact[] } = {},
): Commit {
  const readings = new ReadingBuilder();
  for (const [series, time, value] of rows) readings.add(series, time, value);
  const none = { newSeries: [], settled: settledColumns([]), alertStates: [], deliveries: [], attempts: [] };
  return {
    ...none,
    seq: 1,
    at: parts.at ?? 1,
    readings: readings.build(),
    deviceFacts: parts.facts ?? [],
    transitions: [],
    cancelledWebhooks: [],
    quarantine: [],
    quarantineRemoved: [],
    tokens: [],
    sessions: [],
    commands: [],
    forgottenDevices: [],
    deletions: [],
    erasedDevices: [],
  };
}

describe('the latest values', () => {
  const names = named(['a', 'x'], ['a', 'y'], ['b', 'x']);

  it('are those of the greatest time, and at the same time of the last arrival, whatever the order and the commits', () => {
    const value = fc.oneof(fc.integer(), fc.boolean(), fc.string({ maxLength: 4 }));
    const row = fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1_000, max: 1_010 }), value);
    fc.assert(
      fc.property(fc.array(fc.array(row, { maxLength: 6 }), { maxLength: 10 }), (commits) => {
        const latest = new LatestValues(names);
        const model = new Map<number, { time: number; value: Value }>();
        for (const rows of commits) {
          latest.apply(commit(rows));
          for (const [series, time, one] of rows) {
            if (time >= (model.get(series)?.time ?? 0)) model.set(series, { time, value: one });
          }
        }
        const found = latest.select(all, all).map(({ series, time, value: one }) => [series, { time, value: one }]);
        expect(found).toEqual([...model].toSorted(([a], [b]) => a - b));
        for (const series of [1, 2, 3]) {
          expect(latest.newestTime(series)).toBe(model.get(series)?.time ?? Number.NEGATIVE_INFINITY);
        }
      }),
    );
  });

  it('come back from what the engine recovered, and a series without readings has none', () => {
    const latest = new LatestValues(names);
    latest.load([
      { id: 1, time: 5_000, value: 'open' },
      { id: 2, time: null, value: null },
      { id: 3, time: 7_000, value: false },
    ]);
    latest.apply(
      commit([
        [1, 4_999, 'late'],
        [3, 7_000, true],
      ]),
    );
    expect(latest.find('a', 'x')).toEqual({ series: 1, device: 'a', metric: 'x', time: 5_000, value: 'open' });
    expect(latest.find('a', 'y')).toBeUndefined();
    expect(latest.find('b', 'x')?.value).toBe(true);
    expect(latest.find('b', 'z')).toBeUndefined();
    expect(latest.device('a').map(({ metric }) => metric)).toEqual(['x']);
    expect(latest.device('nobody')).toEqual([]);
  });

  it('are chosen by device and metric, in order of the series', () => {
    const latest = new LatestValues(names);
    latest.apply(
      commit([
        [3, 1, 30],
        [2, 1, 20],
        [1, 1, 10],
      ]),
    );
    const chosen = (device: string, metric: string): Value[] =>
      latest.select(compileGlob(device), compileGlob(metric)).map(({ value }) => value);
    expect([chosen('*', '*'), chosen('a', '*'), chosen('*', 'x'), chosen('b', 'y')]).toEqual([
      [10, 20, 30],
      [10, 20],
      [10, 30],
      [],
    ]);
  });

  it('have room for series far beyond the first thousand', () => {
    const many = named(...Array.from({ length: 5_000 }, (_, n) => [`d${n}`, 'x'] as const));
    const latest = new LatestValues(many);
    latest.apply(
      commit([
        [1, 1, 'first'],
        [5_000, 2, 'last'],
      ]),
    );
    latest.apply(
      commit([
        [1_024, 3, 'edge'],
        [1_025, 4, 'next'],
      ]),
    );
    expect(latest.select(all, all).map(({ series, time }) => [series, time])).toEqual([
      [1, 1],
      [1_024, 3],
      [1_025, 4],
      [5_000, 2],
    ]);
    expect(latest.newestTime(4_999)).toBe(Number.NEGATIVE_INFINITY);
  });

  it('may be false, 0 or the empty text', () => {
    const latest = new LatestValues(names);
    latest.apply(
      commit([
        [1, 1, false],
        [2, 1, 0],
        [3, 1, ''],
      ]),
    );
    expect(latest.select(all, all).map(({ value }): Reading['value'] => value)).toEqual([false, 0, '']);
  });
});

const record = (device: string, parts: Partial<DeviceRecord> = {}): DeviceRecord => ({
  device,
  firstSeen: 1,
  lastSeen: 1,
  status: null,
  statusAt: null,
  statusCause: null,
  provisioned: null,
  attributes: {},
  clockCorrected: 0,
  ...parts,
});

describe('the device directory', () => {
  const names = named(['b', 'x'], ['a', 'x'], ['a', 'y']);
  it('knows a device from its first reading on, and when it was last heard', () => {
    const devices = new DeviceDirectory(names);
    devices.apply(
      commit(
        [
          [1, 500, 1],
          [2, 500, 1],
        ],
        { at: 1_000 },
      ),
    );
    devices.apply(commit([[3, 900, 1]], { at: 2_000 }));
    expect([...devices.list()].toSorted((a, b) => (a.device < b.device ? -1 : 1))).toEqual([
      record('a', { firstSeen: 1_000, lastSeen: 2_000 }),
      record('b', { firstSeen: 1_000, lastSeen: 1_000 }),
    ]);
    expect([devices.size, devices.get('c')]).toEqual([2, undefined]);
    const behind = (device: string | null): string[] => [...devices.after(device)].map((record) => record.device);
    expect([behind(null), behind('a'), behind('b')]).toEqual([['a', 'b'], ['b'], []]);
  });

  it('knows a device that never sent a reading from what it said about itself', () => {
    const devices = new DeviceDirectory(names);
    devices.apply(commit([], { at: 1_000, facts: [{ device: 'c', at: 990, status: 'online' }] }));
    expect(devices.get('c')).toEqual(record('c', { firstSeen: 990, lastSeen: 990, status: 'online', statusAt: 990 }));
  });

  it('counts who is online, also when the same is said twice', () => {
    const devices = new DeviceDirectory(names);
    const say = (device: string, status: 'online' | 'offline', at: number): void =>
      devices.apply(commit([], { at, facts: [{ device, at, status }] }));
    say('a', 'online', 1);
    say('a', 'online', 2);
    say('b', 'online', 3);
    expect(devices.online).toBe(2);
    say('a', 'offline', 4);
    say('a', 'offline', 5);
    say('c', 'offline', 6);
    expect([devices.online, devices.get('a')?.status, devices.get('a')?.statusAt]).toEqual([1, 'offline', 5]);
  });

  it('merges attributes into those known so far, and adds up corrected clocks', () => {
    const devices = new DeviceDirectory(names);
    devices.load([record('a', { attributes: { firmware: '1.0', model: 'T1' }, clockCorrected: 2 })]);
    devices.apply(commit([], { facts: [{ device: 'a', at: 5, attributes: { firmware: '1.1', battery: 80 } }] }));
    devices.apply(commit([], { facts: [{ device: 'a', at: 6, clockCorrected: 1 }] }));
    expect(devices.get('a')).toEqual(
      record('a', { lastSeen: 6, attributes: { firmware: '1.1', model: 'T1', battery: 80 }, clockCorrected: 3 }),
    );
  });

  it('goes on from what was recovered, but nobody is online before they say so again', () => {
    const devices = new DeviceDirectory(names);
    devices.load([
      record('a', { firstSeen: 10, lastSeen: 20, status: 'online', statusAt: 15 }),
      record('b', { status: 'offline', statusAt: 1 }),
    ]);
    expect([devices.online, devices.get('a')?.status, devices.get('b')?.status]).toEqual([0, null, 'offline']);
    devices.apply(commit([[2, 1, 1]], { at: 30 }));
    expect([devices.get('a')?.firstSeen, devices.get('a')?.lastSeen, devices.size]).toEqual([10, 30, 2]);
    devices.apply(commit([], { at: 40, facts: [{ device: 'a', at: 40, status: 'online' }] }));
    expect(devices.online).toBe(1);
  });

  it('never moves last seen back', () => {
    const devices = new DeviceDirectory(names);
    devices.load([record('b', { lastSeen: 100 })]);
    devices.apply(commit([[1, 1, 1]], { at: 50, facts: [{ device: 'b', at: 40, status: 'online' }] }));
    expect(devices.get('b')?.lastSeen).toBe(100);
  });

  it('knows how a status became known, and that it is not known any more after a start', () => {
    const devices = new DeviceDirectory(names);
    const facts = [{ device: 'c', at: 5, status: 'online', cause: 'heard' }] as const;
    devices.apply(commit([], { facts }));
    expect(devices.get('c')).toMatchObject({ status: 'online', statusCause: 'heard' });
    const again = new DeviceDirectory(names);
    again.load([...devices.list(), record('d', { status: 'offline', statusAt: 1, statusCause: 'silent' })]);
    expect([again.get('c')?.statusCause, again.get('d')?.statusCause]).toEqual([null, 'silent']);
  });

  it('knows what a device was provisioned with, whatever else it tells later', () => {
    const devices = new DeviceDirectory(names);
    const provisioned = { profile: 'tracker', key: 'k', needsApproval: true, at: 5 };
    devices.apply(commit([], { facts: [{ device: 'c', at: 5, provisioned }] }));
    devices.apply(commit([], { facts: [{ device: 'c', at: 6, attributes: { firmware: '1' } }] }));
    expect(devices.get('c')).toMatchObject({ provisioned, lastSeen: 6 });
  });

  it('forgets a device with all it told, and makes it anew when its series is heard of again', () => {
    const devices = new DeviceDirectory(names);
    const facts = [{ device: 'a', at: 1, status: 'online', attributes: { firmware: '1' } }] as const;
    devices.apply(
      commit(
        [
          [2, 1, 1],
          [1, 1, 1],
        ],
        { at: 1, facts },
      ),
    );
    devices.apply({ ...commit([]), forgottenDevices: ['a', 'nobody'] });
    expect([devices.size, devices.online, devices.get('a')]).toEqual([1, 0, undefined]);
    devices.apply(commit([[3, 9, 1]], { at: 9 }));
    expect(devices.get('a')).toEqual(record('a', { firstSeen: 9, lastSeen: 9 }));
    // The series that had the record of before finds the new one.
    devices.apply(commit([[2, 12, 1]], { at: 12 }));
    expect([devices.size, devices.get('a')?.lastSeen]).toEqual([2, 12]);
  });

  it('forgets after the readings of the same commit and before its facts, as the engine does', () => {
    const devices = new DeviceDirectory(names);
    const facts = [{ device: 'a', at: 3, status: 'online' }] as const;
    devices.apply({ ...commit([[2, 1, 1]], { at: 2 }), forgottenDevices: ['a'] });
    expect(devices.size).toBe(0);
    devices.apply({ ...commit([[2, 1, 1]], { at: 2, facts }), forgottenDevices: ['a'] });
    expect([devices.get('a')?.firstSeen, devices.online]).toEqual([3, 1]);
  });
});

const profile: Profile = {
  ...ProfileDraft.parse({ id: 'probe', metrics: { temperature: { unit: 'K' }, 'aux_*': { unit: 'mV' }, level: {} } }),
  createdAt: '',
  updatedAt: '',
};
const mapping = (metric: string, unit: string, device = '{device}'): Mapping =>
  MappingSpec.parse({ name: 'm', topic: 'x/{device}', device, metrics: [{ path: '/a', metric, unit }] });

const profileOf = (device: string): Profile | null => (device === 'probe-1' ? profile : null);

describe('the unit of a metric', () => {
  it('is that of its profile, else of a mapping that makes it, else what its name tells', () => {
    let mappings: readonly Mapping[] = [];
    const units = new Units({ profileOf, mappings: () => mappings });
    expect([units.of('probe-1', 'temperature'), units.of('probe-2', 'temperature')]).toEqual(['K', 'Cel']);
    expect([units.of('probe-1', 'aux_3'), units.of('probe-2', 'aux_3')]).toEqual(['mV', null]);
    mappings = [
      mapping('temperature', '[degF]', 'shed-{device}'),
      mapping('{channel}/power', 'kW'),
      mapping('aux_3', 'V'),
    ];
    expect([units.of('shed-1', 'temperature'), units.of('probe-2', 'temperature')]).toEqual(['[degF]', 'Cel']);
    expect([units.of('probe-1', 'aux_3'), units.of('probe-2', 'aux_3')]).toEqual(['mV', 'V']);
    expect([units.of('relay', '0.power'), units.of('relay', 'power')]).toEqual(['kW', 'W']);
    // A profile that knows the metric but not its unit does not hide what others know.
    mappings = [mapping('level', 'mm')];
    expect([units.of('probe-1', 'level'), units.metric('probe-1', 'level')?.kind]).toEqual(['mm', 'gauge']);
  });
});
