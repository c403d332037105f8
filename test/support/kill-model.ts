import { expect } from 'vitest';
import type { ManyReadings } from '../../src/contract/reading.ts';
import { ask } from './http-client.ts';

export type Value = number | boolean | string;

/** One reading that was sent. */
export interface Write {
  readonly device: string;
  readonly metric: string;
  /** Epoch ms; null where the message names none, then the value is a serial number of its own. */
  readonly time: number | null;
  readonly value: Value;
  isAcknowledged: boolean;
}

/** Readings as the gateway has them: by series, time to value. */
export type Kept = ReadonlyMap<string, readonly { readonly time: number; readonly value: Value }[]>;

/**
 * What was sent and what was acknowledged, in order of sending for each series (a series has one sender, which keeps its
 * order). No two writes are equal, except where the same reading was meant to be repeated.
 */
export class SentReadings {
  /** By series and time: the writes of one reading, the last wins. */
  readonly #timed = new Map<string, Map<number, Write[]>>();
  /** By series and serial. */
  readonly #timeless = new Map<string, Map<Value, Write>>();
  readonly #all: Write[] = [];

  add(device: string, metric: string, time: number | null, value: Value): Write {
    const write = { device, metric, time, value, isAcknowledged: false };
    const name = `${device}/${metric}`;
    this.#all.push(write);
    if (time === null) inside(this.#timeless, name).set(value, write);
    else {
      const writes = inside(this.#timed, name);
      const same = writes.get(time);
      if (same) same.push(write);
      else writes.set(time, [write]);
    }
    return write;
  }

  get size(): number {
    return this.#all.length;
  }

  /** Every write that changed something, each once, as `device metric time value` (`*` for a time of receipt). */
  changes(matches: (series: { device: string; metric: string }) => boolean): string[] {
    const texts = this.#all.filter(matches).map((write) => changeText(write, write.time));
    return [...new Set(texts)];
  }

  /** Whether the series' readings name no time. */
  isTimeless(device: string, metric: string): boolean {
    return this.#timeless.has(`${device}/${metric}`);
  }

  /** The values of a series in order of sending. */
  values(device: string, metric: string): Write[] {
    return this.#all.filter((write) => write.device === device && write.metric === metric);
  }

  /**
   * Everything acknowledged is there once, with the value that was acknowledged last or one that was sent after it; what
   * was not acknowledged may be there; nothing else is.
   */
  expectKept(kept: Kept): void {
    const faults: string[] = [];
    for (const [name, writes] of this.#timed) faults.push(...timedFaults(name, writes, kept.get(name) ?? []));
    for (const [name, writes] of this.#timeless) faults.push(...timelessFaults(name, writes, kept.get(name) ?? []));
    for (const name of kept.keys()) {
      if (!this.#timed.has(name) && !this.#timeless.has(name)) faults.push(`${name} was never sent`);
    }
    expect(faults.slice(0, 20), `${faults.length} faults in ${this.size} readings`).toEqual([]);
  }
}

/** As `SentReadings.changes` has it. */
export function changeText(of: { device: string; metric: string; value: Value }, time: number | null): string {
  return `${of.device} ${of.metric} ${time ?? '*'} ${JSON.stringify(of.value)}`;
}

/** Everything that the gateway has, by REST. */
export async function readAll(httpPort: number): Promise<Kept> {
  const kept = new Map<string, { time: number; value: Value }[]>();
  const range = 'from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00Z&limit=10000';
  let page: string | null = '';
  while (page !== null) {
    const { text, status } = await ask(httpPort, `/api/v1/readings?${range}${page && `&page=${page}`}`);
    expect(status, text).toBe(200);
    const answer: ManyReadings = JSON.parse(text);
    for (const { device, metric, readings } of answer.series) {
      const name = `${device}/${metric}`;
      const before = kept.get(name) ?? [];
      kept.set(name, before);
      for (const { time, value } of readings) before.push({ time: Date.parse(time), value });
    }
    page = answer.next;
  }
  return kept;
}

type Rows = readonly { readonly time: number; readonly value: Value }[];

function timedFaults(name: string, sent: ReadonlyMap<number, readonly Write[]>, rows: Rows): string[] {
  const faults: string[] = [];
  const found = new Map<number, Value>();
  for (const { time, value } of rows) {
    if (found.has(time)) faults.push(`${name} has ${time} twice`);
    found.set(time, value);
    if (!sent.has(time)) faults.push(`${name} has ${time}, which was never sent`);
  }
  for (const [time, writes] of sent) {
    const acknowledged = writes.findLastIndex((write) => write.isAcknowledged);
    const value = found.get(time);
    const isRight =
      value === undefined ? acknowledged < 0 : writes.findLastIndex((w) => w.value === value) >= acknowledged;
    const shown = writes.map((write) => `${write.value}${write.isAcknowledged ? '' : '?'}`).join(', ');
    if (!isRight) faults.push(`${name} has ${value} at ${time}, where ${shown} was sent`);
  }
  return faults;
}

function timelessFaults(name: string, sent: ReadonlyMap<Value, Write>, rows: Rows): string[] {
  const faults: string[] = [];
  const times = new Set<number>();
  const found = new Set<Value>();
  for (const { time, value } of rows) {
    if (times.has(time)) faults.push(`${name} has ${time} twice`);
    if (found.has(value)) faults.push(`${name} has the message ${value} twice`);
    if (!sent.has(value)) faults.push(`${name} has ${value}, which was never sent`);
    times.add(time);
    found.add(value);
  }
  for (const [value, { isAcknowledged }] of sent) {
    if (isAcknowledged && !found.has(value)) faults.push(`${name} has lost the message ${value}`);
  }
  return faults;
}

function inside<K, V>(maps: Map<string, Map<K, V>>, name: string): Map<K, V> {
  let map = maps.get(name);
  if (!map) maps.set(name, (map = new Map()));
  return map;
}
