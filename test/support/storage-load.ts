import { seededRandom } from '../../src/base/random.ts';
import type { Command } from '../../src/domain/command.ts';
import type { Commit } from '../../src/domain/commit.ts';
import type { DeviceToken } from '../../src/domain/device-token.ts';
import type { Value } from '../../src/domain/reading.ts';
import { valueAt } from '../../src/domain/reading.ts';
import type { SessionChange, SessionRow } from '../../src/domain/session-row.ts';
import { settledColumns } from '../../src/domain/settled-columns.ts';
import type { Recovered } from '../../src/history/engine.ts';
import type { Row } from './storage-commits.ts';
import { commitOf, newSeries } from './storage-commits.ts';

export const loadSeries = 6;

/**
 * Commit `seq` of an endless load that two processes can both work out: mostly in order, with late, repeated and
 * replaced readings, booleans and texts, bursts that fill heads, and a delivery now and then.
 */
export function loadCommit(seed: number, seq: number): Commit {
  const random = seededRandom(seed ^ Math.imul(seq, 0x9e37_79b1));
  const rows: Row[] = [];
  const count = random.next() < 0.05 ? 400 : 1 + Math.floor(random.next() * 30);
  for (let row = 0; row < count; row++) {
    const series = 1 + Math.floor(random.next() * loadSeries);
    const isLate = random.next() < 0.15;
    const time = isLate ? Math.floor(random.next() * seq * 100) : seq * 100 + Math.floor(random.next() * 100);
    rows.push([series, time, valueOf(series, random.next())]);
  }
  return commitOf(seq, rows, {
    ...(seq === 1 ? { newSeries: newSeries(loadSeries) } : {}),
    settled: settledColumns([{ client: `client-${seq % 7}`, packetId: 1 + (seq % 65_535), hash: seq }]),
    deliveries: seq % 5 === 0 ? [deliveryOf(seq)] : [],
    tokens: seq % 11 === 0 ? [{ kind: 'put', token: tokenOf(seq) }] : [],
    sessions: sessionChangesOf(seq),
    commands: seq % 13 === 0 ? [commandOf(seq)] : [],
  });
}

/** Few distinct values, so that some readings are repeated as they were. */
function valueOf(series: number, random: number): Value {
  if (series === 1) return random < 0.5;
  if (series === 2) return `state ${Math.floor(random * 3)}`;
  return Math.floor(random * 4) / 4;
}

function deliveryOf(seq: number): Commit['deliveries'][number] {
  return {
    id: `delivery-${seq}`,
    webhookId: 'w1',
    type: 'alert.firing',
    orderKey: 'k',
    sequence: seq,
    body: `{"sequence":${seq}}`,
    createdAt: seq,
  };
}

function tokenOf(seq: number): DeviceToken {
  return { device: `device-${seq % 3}`, id: `t${seq}`, hash: `h${seq}`, createdAt: seq, expiresAt: null };
}

/** A queue into which every commit puts a row and from which it takes one out; every fortieth is cleared. */
function sessionChangesOf(seq: number): SessionChange[] {
  const client = `client-${seq % 2}`;
  if (seq % 40 === 0) return [{ op: 'clear', client }];
  const put = { kind: 'queued', client, key: String(seq), bytes: Uint8Array.of(seq & 255) } as const;
  return [
    { op: 'put', row: put },
    { op: 'delete', kind: 'queued', client, key: String(seq - 6) },
  ];
}

function commandOf(seq: number): Command {
  return {
    id: `command-${seq}`,
    device: 'device-1',
    name: 'restart',
    params: { seq },
    state: 'queued',
    result: null,
    createdAt: seq,
    expiresAt: seq + 1,
    sentAt: null,
    settledAt: null,
  };
}

/** What the first `seq` commits of a load leave beside readings. */
export function loadBooks(seed: number, seq: number): Pick<Recovered, 'tokens' | 'sessions' | 'commands'> {
  const sessions = new Map<string, SessionRow>();
  const tokens: DeviceToken[] = [];
  const commands: Command[] = [];
  for (let at = 1; at <= seq; at++) {
    const commit = loadCommit(seed, at);
    for (const change of commit.tokens) if (change.kind === 'put') tokens.push(change.token);
    commands.push(...commit.commands);
    for (const change of commit.sessions) {
      if (change.op === 'put') sessions.set(`${change.row.client} ${change.row.key}`, change.row);
      else if (change.op === 'delete') sessions.delete(`${change.client} ${change.key}`);
      else for (const [name, { client }] of sessions) if (client === change.client) sessions.delete(name);
    }
  }
  tokens.sort((a, b) => (a.device < b.device ? -1 : a.device > b.device ? 1 : a.createdAt - b.createdAt));
  return { tokens, sessions: [...sessions.values()], commands };
}

/** What the first commits of a load amount to: for each series its readings by time. */
export class LoadModel {
  readonly series = new Map<number, Map<number, Value>>();
  readonly #seed: number;
  #seq = 0;

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** Brings the model to the state after commit `seq`. */
  advance(seq: number): void {
    while (this.#seq < seq) {
      const { readings } = loadCommit(this.#seed, ++this.#seq);
      for (let row = 0; row < readings.count; row++) {
        const of = readings.series[row] ?? 0;
        const kept = this.series.get(of) ?? new Map<number, Value>();
        this.series.set(of, kept);
        kept.set(readings.times[row] ?? 0, valueAt(readings, row));
      }
    }
  }

  samples(series: number): { time: number; value: Value }[] {
    return [...(this.series.get(series) ?? [])]
      .map(([time, value]) => ({ time, value }))
      .sort((a, b) => a.time - b.time);
  }
}
