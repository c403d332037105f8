import { expect } from 'vitest';
import type { ClientFrame, ServerFrame } from '../../src/contract/live.ts';
import { parseCursor } from '../../src/domain/cursor.ts';
import { compileGlob } from '../../src/domain/glob.ts';
import { changeText, type Value } from './kill-model.ts';
import { LiveTestClient } from './live-client.ts';

type Filter = Omit<Extract<ClientFrame, { op: 'subscribe' }>, 'op' | 'id' | 'since'>;

/** A reading as a watcher saw it. */
export interface Seen {
  readonly device: string;
  readonly metric: string;
  readonly time: number;
  readonly value: Value;
}

/** A live client that keeps its cursor as the contract says, and goes on from it after every break. */
export class Watcher {
  readonly filter: Filter;
  /** In order of arrival, without those of snapshots. */
  readonly readings: Seen[] = [];
  /** `type alert sequence`, in order of arrival. */
  readonly transitions: string[] = [];
  readonly snapshot: Seen[] = [];
  readonly gaps: Extract<ServerFrame, { op: 'gap' }>[] = [];
  resumed = 0;
  cursor: string | null = null;
  /** The first thing that a frame should not have said. */
  fault: unknown = null;
  #client: LiveTestClient | null = null;
  #isSubscribed = false;
  #isInSnapshot = false;
  #names = new Map<number, { readonly device: string; readonly metric: string }>();

  constructor(filter: Filter) {
    this.filter = filter;
  }

  /** Subscribes from the cursor that it has. Resolves when the subscription is confirmed (and its snapshot complete). */
  async connect(httpPort: number): Promise<void> {
    const since = this.cursor;
    this.#names = new Map();
    this.#isSubscribed = false;
    const url = `ws://127.0.0.1:${httpPort}/api/v1/live`;
    const client = await LiveTestClient.connect(url, (frame) => this.#hearSafely(frame));
    this.#client = client;
    client.send({ op: 'subscribe', id: 's', ...this.filter, ...(since === null ? {} : { since }) });
    await client.until(() => this.fault !== null || (this.#isSubscribed && !this.#isInSnapshot));
  }

  /** Waits until everything up to commit `seq` was examined. */
  async reached(seq: number): Promise<void> {
    await this.#client?.until(
      () => this.fault !== null || (this.cursor !== null && parseCursor(this.cursor).seq >= seq),
    );
  }

  /** Resolves when the connection has ended and everything that came over it was heard. */
  async ended(): Promise<void> {
    await this.#client?.closing();
  }

  disconnect(): void {
    this.#client?.socket.terminate();
  }

  matches(series: { readonly device: string; readonly metric: string }): boolean {
    const { device = '*', metric = '*' } = this.filter;
    return compileGlob(device)(series.device) && compileGlob(metric)(series.metric);
  }

  /** As `SentReadings.changes` has them. */
  changes(isTimeless: (device: string, metric: string) => boolean): string[] {
    return this.readings.map((seen) => changeText(seen, isTimeless(seen.device, seen.metric) ? null : seen.time));
  }

  #hearSafely(frame: ServerFrame): void {
    try {
      this.#hear(frame);
    } catch (error) {
      this.fault ??= error;
    }
  }

  #hear(frame: ServerFrame): void {
    switch (frame.op) {
      case 'subscribed':
        this.#isSubscribed = true;
        this.#isInSnapshot = !frame.recovered;
        if (frame.recovered) {
          this.resumed++;
          expect(frame.cursor).toBe(this.cursor);
        } else this.cursor = frame.cursor;
        return;
      case 'gap':
        this.gaps.push(frame);
        return;
      case 'snapshot':
        if (!('alerts' in frame)) this.snapshot.push(...this.#rows(frame));
        this.#isInSnapshot = !frame.done;
        return;
      case 'readings':
        this.readings.push(...this.#rows(frame));
        this.cursor = frame.cursor;
        return;
      case 'alert':
        this.transitions.push(`${frame.type} ${frame.alert.id} ${frame.sequence}`);
        this.cursor = frame.cursor;
        return;
      case 'heartbeat':
        if (this.#isSubscribed && !this.#isInSnapshot) this.cursor = frame.cursor;
        return;
      case 'error':
        throw new Error(`${frame.code}: ${frame.message}`);
      default:
        return;
    }
  }

  #rows(frame: Extract<ServerFrame, { op: 'readings' | 'snapshot' }>): Seen[] {
    if ('readings' in frame) return frame.readings.map((row) => ({ ...row, time: Date.parse(row.time) }));
    if (!('points' in frame)) return [];
    for (const [n, device, metric] of frame.series) this.#names.set(n, { device, metric });
    return frame.points.map(([n, time, value]) => {
      const names = this.#names.get(n);
      if (!names) throw new Error(`the series ${n} was never told`);
      return { ...names, time, value };
    });
  }
}
