import type { DeviceRecord } from '../../domain/device.ts';
import type { Value } from '../../domain/reading.ts';
import { valueKind } from '../../domain/reading.ts';
import { Head } from './chunks/head.ts';

/** What the writer knows of one series: its newest reading, its head, and how far its chunks reach. */
export class SeriesState {
  readonly id: number;
  readonly device: DeviceState;
  readonly metric: string;
  readonly head = new Head();

  /** Greatest time of a committed reading, epoch ms; -Infinity when there is none. */
  time = Number.NEGATIVE_INFINITY;
  /** The value at that time, as it stands in columns; `text` for text values. */
  value = 0;
  kind: number = valueKind.number;
  text = '';

  /** Greatest time in a chunk; -Infinity without chunks. */
  sealedTime = Number.NEGATIVE_INFINITY;
  /** The chunks hold every logged reading up to this commit. */
  sealedSeq = 0;
  /** Number of the next chunk. Numbers are not given twice. */
  chunks = 0;
  /** Deleted chunks of it are still on disk, hidden by their numbers: until they are gone no other chunk may take one. */
  isErasing = false;
  /** Chunks sealed that were far from full, since they were last merged. */
  smallChunks = 0;
  /** Waits for the sealer. */
  isDue = false;

  /** Rows of the commit being classified; they count only when `stamp` is that of the commit. */
  stamp = 0;
  stagedTime = 0;
  stagedRow = -1;
  stagedByTime: Map<number, number> | null = null;

  constructor(id: number, device: DeviceState, metric: string) {
    this.id = id;
    this.device = device;
    this.metric = metric;
  }

  /** Takes a committed reading in: into the head, and as the newest when it is. */
  apply(time: number, value: number, kind: number, text: string, seq: number, now: number): void {
    const head = this.head;
    if (head.count === 0) {
      head.firstSeq = seq;
      head.openedAt = now;
    }
    head.put(time, value, kind, text);
    if (time < this.time) return;
    this.time = time;
    this.value = value;
    this.kind = kind;
    this.text = text;
  }

  /** The newest value; null without a reading. */
  newest(): Value | null {
    if (this.time === Number.NEGATIVE_INFINITY) return null;
    if (this.kind === valueKind.text) return this.text;
    return this.kind === valueKind.boolean ? this.value !== 0 : this.value;
  }
}

/** A device as the writer keeps it; `lastSeen` moves with every commit and reaches the disk when a series is sealed. */
export interface DeviceState {
  record: DeviceRecord;
  lastSeen: number;
  /** Its series; they outlive it when it is forgotten. */
  series: SeriesState[];
  /** It has no row: only its series are left. Its next reading brings it back. */
  isForgotten: boolean;
}
