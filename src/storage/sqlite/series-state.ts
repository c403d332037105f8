import type { DeviceRecord } from '../../domain/device.ts';
import type { Value } from '../../domain/reading.ts';
import { Head } from './chunks/head.ts';
import type { NewestReadings } from './newest-readings.ts';

/** What the writer knows of one series: its head, and how far its chunks reach. Its newest reading is in `NewestReadings`. */
export class SeriesState {
  readonly id: number;
  readonly device: DeviceState;
  readonly metric: string;
  readonly head = new Head();
  readonly #newest: NewestReadings;

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

  constructor(id: number, device: DeviceState, metric: string, newest: NewestReadings) {
    this.id = id;
    this.device = device;
    this.metric = metric;
    this.#newest = newest;
  }

  /** Greatest time of a committed reading, epoch ms; -Infinity when there is none. */
  get time(): number {
    return this.#newest.times[this.id];
  }

  /** The value at that time, as it stands in columns; 0 for a text. */
  get value(): number {
    return this.#newest.values[this.id];
  }

  get kind(): number {
    return this.#newest.kinds[this.id];
  }

  get text(): string {
    return this.#newest.textOf(this.id);
  }

  /** The newest value; null without a reading. */
  newest(): Value | null {
    return this.#newest.valueOf(this.id);
  }

  /** Sets what is newest; `text` counts for a text only. Null: there is no reading. */
  setNewest(newest: NewestReading | null): void {
    if (newest) this.#newest.set(this.id, newest.time, newest.value, newest.kind, newest.text);
    else this.#newest.clear(this.id);
  }
}

/** A reading with its value as it stands in columns: 0 and `text` for a text. */
export interface NewestReading {
  readonly time: number;
  readonly value: number;
  readonly kind: number;
  readonly text: string;
}

/** A device as the writer keeps it. */
export interface DeviceState {
  record: DeviceRecord;
  /** As of the start, or of the last fact if that is later; `WriterState.lastSeen` also knows of its readings. */
  lastSeen: number;
  /** Its series; they outlive it when it is forgotten. */
  series: readonly SeriesState[];
  /** It has no row: only its series are left. Its next reading brings it back. */
  isForgotten: boolean;
}
