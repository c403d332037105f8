import { batch, type ReadonlySignal, type Signal, signal } from '@preact/signals';
import type { Drawing, FrameLoop } from './frame-loop.ts';

/** What a cell shows. `time` is epoch ms. */
export interface LatestValue {
  readonly value: number | boolean | string;
  readonly time: number;
  readonly unit: string | null;
}

/**
 * The newest value of each series that any cell watches. Readings are collected and handed to the cells once a frame:
 * a thousand readings in a frame change a cell once.
 */
export class LatestValues {
  readonly #cells = new Map<string, Signal<LatestValue | null>>();
  readonly #pending = new Map<string, LatestValue>();
  readonly #drawing: Drawing;

  constructor(frames: FrameLoop) {
    this.#drawing = frames.add(() => this.#flush());
  }

  cell(device: string, metric: string): ReadonlySignal<LatestValue | null> {
    return this.#cell(keyOf(device, metric));
  }

  /** A reading or a current value; an older time than the one known never wins. A missing unit keeps the known one. */
  offer(reading: { device: string; metric: string; time: string; value: LatestValue['value']; unit?: string | null }) {
    const key = keyOf(reading.device, reading.metric);
    const time = Date.parse(reading.time);
    const known = this.#pending.get(key) ?? this.#cell(key).peek();
    if (known !== null && known.time > time) return;
    this.#pending.set(key, { value: reading.value, time, unit: reading.unit ?? known?.unit ?? null });
    this.#drawing.invalidate();
  }

  #cell(key: string): Signal<LatestValue | null> {
    let cell = this.#cells.get(key);
    if (cell === undefined) {
      cell = signal<LatestValue | null>(null);
      this.#cells.set(key, cell);
    }
    return cell;
  }

  #flush(): void {
    batch(() => {
      for (const [key, value] of this.#pending) this.#cell(key).value = value;
      this.#pending.clear();
    });
  }
}

/** Neither a device id nor a metric name can hold a space. */
function keyOf(device: string, metric: string): string {
  return `${device} ${metric}`;
}
