import { InvariantError } from '../../base/errors.ts';
import type { Commit } from '../../domain/commit.ts';
import type { DeviceRecord } from '../../domain/device.ts';
import { newDevice, withFact } from './device-rows.ts';
import { LogMeter } from './log-meter.ts';
import type { QuarantineSize } from './quarantine-rows.ts';
import type { DeviceState } from './series-state.ts';
import { SeriesState } from './series-state.ts';

/** What the writer keeps in memory about what is on disk. It changes only after the transaction that changed the disk. */
export class WriterState {
  /** The last commit. */
  seq = 0;
  lastCommitAt = 0;
  /** By series number; [0] is empty. */
  readonly series: (SeriesState | undefined)[] = [undefined];
  readonly devices = new Map<string, DeviceState>();
  quarantine: QuarantineSize = { lastId: 0, entries: 0, bytes: 0 };
  /** The commit log as it stands: oldest commit, bytes and readings. `firstKept` is `seq + 1` when it is empty. */
  log = { firstKept: 1, bytes: 0, readings: 0 };
  /** Tells how much a start after a kill would have to read. */
  readonly meter = new LogMeter();
  chunks = 0;
  chunkReadings = 0;
  /** Commits from here on may hold readings that no chunk holds. */
  replayFrom = 1;

  addSeries(id: number, device: string, metric: string): SeriesState {
    const owner = this.devices.get(device);
    if (!owner) throw new InvariantError(`series ${id} belongs to the unknown device "${device}"`);
    const state = new SeriesState(id, owner, metric);
    this.series[id] = state;
    return state;
  }

  addDevice(record: DeviceRecord): DeviceState {
    const state = { record, lastSeen: record.lastSeen };
    this.devices.set(record.device, state);
    return state;
  }

  /** The records of the devices that `commit` brings or tells something about, as they will be. */
  changedDevices(commit: Commit): Map<string, DeviceRecord> {
    const changed = new Map<string, DeviceRecord>();
    for (const { device } of commit.newSeries) {
      if (!this.devices.has(device)) changed.set(device, newDevice(device, commit.at));
    }
    for (const fact of commit.deviceFacts) {
      const known = changed.get(fact.device) ?? this.#current(fact.device) ?? newDevice(fact.device, fact.at);
      changed.set(fact.device, withFact(known, fact));
    }
    return changed;
  }

  applyDevices(changed: ReadonlyMap<string, DeviceRecord>): void {
    for (const [device, record] of changed) {
      const known = this.devices.get(device);
      if (!known) {
        this.addDevice(record);
        continue;
      }
      known.record = record;
      known.lastSeen = Math.max(known.lastSeen, record.lastSeen);
    }
  }

  /** How many series there are; `takeBack` returns to it. */
  mark(): number {
    return this.series.length;
  }

  /** Forgets the series added since `mark`, and those of `devices` that only they brought: their commit failed. */
  takeBack(mark: number, devices: ReadonlyMap<string, DeviceRecord>): void {
    this.series.length = mark;
    for (const [device, record] of devices)
      if (this.devices.get(device)?.record === record) this.devices.delete(device);
  }

  get headReadings(): number {
    let readings = 0;
    for (const state of this.series) readings += state?.head.count ?? 0;
    return readings;
  }

  #current(device: string): DeviceRecord | undefined {
    const known = this.devices.get(device);
    return known && { ...known.record, lastSeen: known.lastSeen };
  }
}
