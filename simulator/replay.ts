import { setTimeout as sleep } from 'node:timers/promises';
import type { Message } from './connection.ts';
import type { Publisher } from './publisher.ts';
import type { Recording, RecordedRow } from './recording.ts';

/** A timer cannot wait for more than 24 days; an hour at a time is as good. */
const longestSleepMs = 3_600_000;

export interface ReplayPlan {
  readonly recording: Recording;
  readonly publisher: Publisher;
  /** Factor of real time; Infinity sends as fast as the gateway acknowledges. */
  readonly speed: number;
  /** Readings in a message at least, before it is sent. */
  readonly batch: number;
}

interface Dispatch {
  readonly senderIndex: number;
  /** Recorded time at which a device would have sent this. */
  readonly dueMs: number;
  readonly message: Message;
}

/** What one device has read and not yet sent. */
interface Collected {
  readonly index: number;
  rows: RecordedRow[];
  readings: number;
}

/**
 * Sends a recording: paced as it was recorded and then in order of time, or, unpaced, in the order of the file. A
 * message waits for its place in flight; nothing is dropped. Resolves early when `signal` aborts.
 */
export async function replay(plan: ReplayPlan, signal: AbortSignal): Promise<void> {
  signal.addEventListener('abort', () => plan.publisher.interrupt(), { once: true });
  const isPaced = Number.isFinite(plan.speed);
  let startedMs = Number.NaN;
  let firstDueMs = Number.NaN;
  for (const { senderIndex, dueMs, message } of dispatches(plan, isPaced)) {
    if (!Number.isNaN(startedMs) && isPaced) await sleepUntil(startedMs + (dueMs - firstDueMs) / plan.speed, signal);
    if (signal.aborted) return;
    if (!(await plan.publisher.send(senderIndex, message, signal))) return;
    if (Number.isNaN(startedMs)) {
      startedMs = performance.now();
      firstDueMs = dueMs;
    }
  }
}

function* dispatches({ recording, batch }: ReplayPlan, inOrderOfTime: boolean): Generator<Dispatch> {
  const rows = inOrderOfTime ? recording.rows.toSorted((a, b) => a.time - b.time) : recording.rows;
  const senders = new Map<string, Collected>();
  for (const [index, device] of recording.devices.entries()) senders.set(device, { index, rows: [], readings: 0 });
  for (const row of rows) {
    const sender = senders.get(row.device);
    if (sender === undefined) continue;
    sender.rows.push(row);
    sender.readings += Object.keys(row.values).length;
    if (sender.readings < batch) continue;
    yield { senderIndex: sender.index, dueMs: row.time, message: toMessage(sender.rows, sender.readings) };
    sender.rows = [];
    sender.readings = 0;
  }
  for (const sender of senders.values()) {
    const last = sender.rows.at(-1);
    if (last === undefined) continue;
    yield { senderIndex: sender.index, dueMs: last.time, message: toMessage(sender.rows, sender.readings) };
  }
}

function toMessage(rows: readonly RecordedRow[], readings: number): Message {
  const entries = rows.map(({ time, values }) => ({ ts: time, values }));
  const payload = JSON.stringify(entries.length === 1 ? entries[0] : entries);
  return { topic: `devices/${rows[0]?.device ?? ''}/telemetry`, payload, readings };
}

async function sleepUntil(atMs: number, signal: AbortSignal): Promise<void> {
  for (let waitMs = atMs - performance.now(); waitMs > 0 && !signal.aborted; waitMs = atMs - performance.now()) {
    await sleep(Math.min(waitMs, longestSleepMs), undefined, { signal }).catch(() => {});
  }
}
