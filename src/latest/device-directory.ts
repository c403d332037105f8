import { SortedNames } from '../base/sorted-names.ts';
import type { Commit } from '../domain/commit.ts';
import {
  type DeviceFact,
  type DeviceRecord,
  isSignOfLife,
  newDevice,
  noAttributes,
  withAttributes,
} from '../domain/device.ts';
import type { SeriesDirectory } from '../domain/series.ts';

type Mutable<T> = { -readonly [key in keyof T]: T[key] };

/** Every device that was ever heard of, as the commits tell it. */
export class DeviceDirectory {
  readonly #names: SeriesDirectory;
  readonly #devices = new Map<string, Mutable<DeviceRecord>>();
  readonly #order = new SortedNames();
  /** By series id, so that a reading finds its device without a look-up by name. */
  readonly #bySeries: (Mutable<DeviceRecord> | undefined)[] = [];
  #online = 0;

  constructor(names: SeriesDirectory) {
    this.#names = names;
  }

  get size(): number {
    return this.#devices.size;
  }

  /** Devices that said they are online. */
  get online(): number {
    return this.#online;
  }

  /** What the engine knows. Who was online when the gateway ended has no connection now: unknown until it says so again. */
  load(records: readonly DeviceRecord[]): void {
    for (const record of records) {
      const hasNone = Object.keys(record.attributes).length === 0;
      const wasOnline = record.status === 'online';
      const status = wasOnline ? null : record.status;
      this.#order.add(record.device);
      this.#devices.set(record.device, {
        ...record,
        attributes: hasNone ? noAttributes : record.attributes,
        status,
        statusCause: wasOnline ? null : record.statusCause,
      });
    }
  }

  apply(commit: Commit): void {
    const { series, count } = commit.readings;
    for (let row = 0; row < count; row++) {
      const record = this.#ofSeries(series[row], commit.at);
      if (commit.at > record.lastSeen) record.lastSeen = commit.at;
    }
    if (commit.forgottenDevices.length > 0) this.#forget(commit.forgottenDevices);
    for (const fact of commit.deviceFacts) this.#learn(fact);
  }

  get(device: string): DeviceRecord | undefined {
    return this.#devices.get(device);
  }

  /** In no order, which costs least. */
  list(): Iterable<DeviceRecord> {
    return this.#devices.values();
  }

  /** In order of their ids, those behind `device`; null for all. A page of 100,000 costs the page. */
  *after(device: string | null): Iterable<DeviceRecord> {
    for (const id of this.#order.after(device)) {
      const record = this.#devices.get(id);
      if (record) yield record;
    }
  }

  #ofSeries(series: number, at: number): Mutable<DeviceRecord> {
    let record = this.#bySeries[series];
    if (!record) {
      record = this.#record(this.#names.series(series).device, at);
      this.#bySeries[series] = record;
    }
    return record;
  }

  #record(device: string, at: number): Mutable<DeviceRecord> {
    let record = this.#devices.get(device);
    if (!record) {
      record = newDevice(device, at);
      this.#devices.set(device, record);
      this.#order.add(device);
    }
    return record;
  }

  #learn(fact: DeviceFact): void {
    const record = this.#record(fact.device, fact.at);
    if (isSignOfLife(fact)) record.lastSeen = Math.max(record.lastSeen, fact.at);
    if (fact.status) {
      this.#online += Number(fact.status === 'online') - Number(record.status === 'online');
      record.status = fact.status;
      record.statusAt = fact.at;
      record.statusCause = fact.cause ?? null;
    }
    if (fact.attributes) record.attributes = withAttributes(record.attributes, fact.attributes);
    record.clockCorrected += fact.clockCorrected ?? 0;
    record.provisioned = fact.provisioned ?? record.provisioned;
  }

  /** Readings of the same commit are of before, facts of after: they tell of a new device of that name. Its series stay, and find it should it come again. */
  #forget(devices: readonly string[]): void {
    const gone = new Set<object>();
    for (const device of devices) {
      const record = this.#devices.get(device);
      if (!record) continue;
      if (record.status === 'online') this.#online--;
      this.#devices.delete(device);
      this.#order.delete(device);
      gone.add(record);
    }
    if (gone.size === 0) return;
    for (const [series, record] of this.#bySeries.entries()) {
      if (record && gone.has(record)) this.#bySeries[series] = undefined;
    }
  }
}
