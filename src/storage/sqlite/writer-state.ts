import type { Commit } from '../../domain/commit.ts';
import { type DeviceRecord, newDevice } from '../../domain/device.ts';
import { valueKind } from '../../domain/reading.ts';
import { withFact } from './rows/device-rows.ts';
import type { RetentionPlan } from '../../domain/retention.ts';
import { LogMeter } from './keeping/log-meter.ts';
import type { QuarantineSize } from './rows/quarantine-rows.ts';
import { RollupState } from './rollups/rollup-state.ts';
import type { Head } from './chunks/head.ts';
import { NewestReadings } from './newest-readings.ts';
import type { DeviceState } from './series-state.ts';
import { SeriesState } from './series-state.ts';

/** What the writer keeps in memory about what is on disk. It changes only after the transaction that changed the disk. */
export class WriterState {
  /** The last commit. */
  seq = 0;
  lastCommitAt = 0;
  /** By series number; [0] is empty. */
  readonly series: (SeriesState | undefined)[] = [undefined];
  /** Their heads, by series number as well: what a commit's readings go to. */
  readonly heads: (Head | undefined)[] = [undefined];
  readonly newest = new NewestReadings();
  readonly devices = new Map<string, DeviceState>();
  /** How many of `devices` are forgotten. */
  forgotten = 0;
  quarantine: QuarantineSize = { lastId: 0, entries: 0, bytes: 0 };
  /** The commit log as it stands: oldest commit, bytes and readings. `firstKept` is `seq + 1` when it is empty. */
  log = { firstKept: 1, bytes: 0, readings: 0 };
  /** Tells how much a start after a kill would have to read. */
  readonly meter = new LogMeter();
  chunks = 0;
  chunkReadings = 0;
  /** Bytes that sealing wrote, and that were written again when chunks were merged, ever. */
  sealedBytes = 0;
  mergedBytes = 0;
  /** Chunks that commits came upon since the start and could not read. */
  damagedChunks = 0;
  /** Which series is kept how long. */
  retention: RetentionPlan = { policies: [], ofSeries: new Uint16Array(0) };
  readonly rollups = new RollupState();
  /** Series of which something has to be summed up or looked at. */
  readonly rollupsWanted = new Set<number>();
  /** Commits from here on may hold readings that no chunk holds. */
  replayFrom = 1;
  /** Each name of a metric once: it comes over from another thread, or out of the file, as a text of its own each time. */
  readonly #metrics = new Map<string, string>();

  addSeries(id: number, device: string, metric: string): SeriesState {
    const owner = this.devices.get(device) ?? this.#addForgotten(device);
    let name = this.#metrics.get(metric);
    if (name === undefined) {
      name = metric;
      this.#metrics.set(name, name);
    }
    const state = new SeriesState(id, owner, name, this.newest);
    this.newest.add(id);
    // Put together, for an array that grows, also one that is spread out, has room for sixteen more.
    owner.series = owner.series.concat(state);
    this.series[id] = state;
    this.heads[id] = state.head;
    return state;
  }

  addDevice(record: DeviceRecord): DeviceState {
    const state: DeviceState = { record, lastSeen: record.lastSeen, series: [], isForgotten: false };
    this.devices.set(record.device, state);
    return state;
  }

  /** Series whose device has no row: it was forgotten. */
  #addForgotten(device: string): DeviceState {
    const state = this.addDevice(newDevice(device, 0));
    state.isForgotten = true;
    this.forgotten++;
    return state;
  }

  /**
   * Takes a committed reading of a known series in: into its head, and as the newest when it is. `text` counts for a text
   * only; `openedAt` is monotonic, ms.
   */
  apply(
    series: number,
    time: number,
    value: number,
    kind: number,
    text: string,
    commit: { readonly seq: number; readonly openedAt: number },
  ): void {
    const head = this.heads[series];
    if (!head) return;
    if (kind !== valueKind.number || !head.append(time, value)) {
      if (head.count === 0) {
        head.firstSeq = commit.seq;
        head.openedAt = commit.openedAt;
      }
      head.put(time, value, kind, text);
    }
    if (time >= this.newest.times[series]) this.newest.set(series, time, value, kind, text);
  }

  /** When the device was last heard of, epoch ms; it reaches the disk when a series of it is sealed. */
  lastSeen(device: DeviceState): number {
    let latest = device.lastSeen;
    for (const { id } of device.series) latest = Math.max(latest, this.newest.heardAt[id]);
    return latest;
  }

  /** The records of the devices that `commit` brings or tells something about, as they will be. */
  changedDevices(commit: Commit): Map<string, DeviceRecord> {
    const changed = new Map<string, DeviceRecord>();
    const forgotten = new Set(commit.forgottenDevices);
    for (const { device } of commit.newSeries) {
      if (!this.#isKnown(device) && !forgotten.has(device)) changed.set(device, newDevice(device, commit.at));
    }
    if (this.forgotten > 0) this.#heardAgain(commit, forgotten, changed);
    for (const fact of commit.deviceFacts) {
      const known = forgotten.has(fact.device) ? undefined : this.#current(fact.device);
      const before = changed.get(fact.device) ?? known ?? newDevice(fact.device, fact.at);
      changed.set(fact.device, withFact(before, fact));
    }
    return changed;
  }

  applyDevices(commit: Commit, changed: ReadonlyMap<string, DeviceRecord>): void {
    for (const device of commit.forgottenDevices) this.#forget(device);
    for (const [device, record] of changed) {
      const known = this.devices.get(device);
      if (!known) {
        this.addDevice(record);
        continue;
      }
      known.lastSeen = known.isForgotten ? record.lastSeen : Math.max(known.lastSeen, record.lastSeen);
      known.record = record;
      if (known.isForgotten) this.forgotten--;
      known.isForgotten = false;
    }
  }

  /** How many series there are; `takeBack` returns to it. */
  mark(): number {
    return this.series.length;
  }

  /** Forgets the series added since `mark`, and those of `devices` that only they brought: their commit failed. */
  takeBack(mark: number, devices: ReadonlyMap<string, DeviceRecord>): void {
    for (const series of this.series.slice(mark)) {
      const device = series?.device;
      if (!device) continue;
      // The last ones of their device, too.
      device.series = device.series.slice(0, -1);
      if (device.isForgotten && device.series.length === 0) this.#drop(device);
    }
    this.series.length = mark;
    this.heads.length = mark;
    for (const [device, record] of devices)
      if (this.devices.get(device)?.record === record) this.devices.delete(device);
  }

  get headReadings(): number {
    let readings = 0;
    for (const state of this.series) readings += state?.head.count ?? 0;
    return readings;
  }

  /** Devices that were forgotten earlier and of which the commit has readings. */
  #heardAgain(commit: Commit, forgotten: ReadonlySet<string>, changed: Map<string, DeviceRecord>): void {
    const { count, series } = commit.readings;
    for (let row = 0; row < count; row++) {
      const owner = this.series[series[row]]?.device;
      if (!owner?.isForgotten) continue;
      const { device } = owner.record;
      if (!forgotten.has(device) && !changed.has(device)) changed.set(device, newDevice(device, commit.at));
    }
  }

  #forget(device: string): void {
    const known = this.devices.get(device);
    if (!known || known.isForgotten) return;
    this.forgotten++;
    known.isForgotten = true;
    for (const { id } of known.series) this.newest.heardAt[id] = 0;
    if (known.series.length === 0) this.#drop(known);
  }

  #drop(device: DeviceState): void {
    this.devices.delete(device.record.device);
    this.forgotten--;
  }

  #isKnown(device: string): boolean {
    return this.devices.get(device)?.isForgotten === false;
  }

  #current(device: string): DeviceRecord | undefined {
    const known = this.devices.get(device);
    return known && !known.isForgotten ? { ...known.record, lastSeen: this.lastSeen(known) } : undefined;
  }
}
