import type { Commit, CommitResult, CommittedBatch } from '../domain/commit.ts';
import type { Command } from '../domain/command.ts';
import type { Deletion } from '../domain/deletion.ts';
import type { Attempt } from '../domain/delivery.ts';
import type { DeviceFact } from '../domain/device.ts';
import type { TokenChange } from '../domain/device-token.ts';
import type { QuarantineEntry } from '../domain/quarantine.ts';
import { disposition, type ReadingColumns, valueAt } from '../domain/reading.ts';
import { ReadingBuilder } from '../domain/reading-builder.ts';
import type { Series } from '../domain/series.ts';
import type { SessionChange } from '../domain/session-row.ts';
import { SettledBuilder, type SettledColumns } from '../domain/settled-columns.ts';
import type { AlertDraft, AlertJudge, DeliveryPlanner, NewestTime } from './ports.ts';
import { deletesReadings, type Entry, type EntryChanges, type Outcome } from './entry.ts';
import type { SeriesRegistry } from './series-registry.ts';
import type { StatusBook, StatusDraft } from './status-book.ts';

/** What a batch is made with. */
export interface BatchParts {
  readonly seq: number;
  /** Receipt clock, epoch ms: alerts whose deadline has passed by then fire in this batch. */
  readonly now: number;
  readonly registry: SeriesRegistry;
  readonly judge: AlertJudge;
  readonly statuses: StatusBook;
  readonly plan: DeliveryPlanner;
  readonly newestTime: NewestTime;
}

export interface Batch {
  readonly commit: Commit;
  /** Applied once the commit is on disk, dropped when it is not. */
  readonly draft: AlertDraft;
  /** As `draft`. */
  readonly statuses: StatusDraft;
  /** Nothing in it needs the disk. */
  readonly isEmpty: boolean;
}

/** Entries, in order of arrival, as one commit: readings in columns, what they do to alerts, whom that is told. */
export function buildBatch(entries: readonly Entry[], parts: BatchParts): Batch {
  const draft = parts.judge.begin();
  const statuses = parts.statuses.begin();
  const newest = new Map<number, number>();
  const facts: DeviceFact[] = [];
  const attempts: Attempt[] = [];
  const cancelledWebhooks: string[] = [];
  const quarantine: QuarantineEntry[] = [];
  const changes = noChanges();
  let at = 0;
  for (const entry of entries) {
    at = Math.max(at, entry.receivedAt);
    if (entry.rules) draft.setRules(entry.rules, entry.receivedAt);
    for (const { series, time, value } of entry.readings) {
      if (!draft.watches(parts.registry.series(series))) continue;
      // A reading that is not newer than what its series has never moves an alert.
      if (time <= (newest.get(series) ?? parts.newestTime(series))) continue;
      newest.set(series, time);
      draft.read(parts.registry.series(series), time, value, entry.receivedAt);
    }
    for (const fact of entry.facts) if (statuses.admit(fact)) facts.push(fact);
    if (entry.attempt) attempts.push(entry.attempt);
    for (const webhook of entry.removedWebhooks) cancelledWebhooks.push(webhook);
    if (entry.quarantine) quarantine.push(entry.quarantine);
    if (entry.changes) gather(entry.changes, { changes, facts, statuses });
  }
  draft.expire(parts.now);
  const newSeries = parts.registry.unpersisted();
  // A series that comes with this very commit has nothing to delete, and the store does not know it yet.
  const firstNew = newSeries[0]?.id ?? Number.POSITIVE_INFINITY;
  const commit: Commit = {
    seq: parts.seq,
    at: Math.max(at, 1),
    newSeries,
    readings: readingsOf(entries),
    settled: settledOf(entries),
    deviceFacts: [
      ...births(newSeries, [...facts.map(({ device }) => device), ...changes.forgottenDevices], at),
      ...facts,
    ],
    transitions: draft.transitions,
    alertStates: draft.states,
    deliveries: parts.plan(draft.transitions, { seq: parts.seq, at }, statuses.changes()),
    attempts,
    cancelledWebhooks,
    quarantine,
    ...changes,
    deletions: changes.deletions.filter(({ series }) => series < firstNew),
  };
  return { commit, draft, statuses, isEmpty: isEmpty(commit) };
}

interface Changes {
  readonly quarantineRemoved: number[];
  readonly tokens: TokenChange[];
  readonly sessions: SessionChange[];
  readonly commands: Command[];
  readonly forgottenDevices: string[];
  readonly deletions: Deletion[];
  readonly erasedDevices: string[];
}

function noChanges(): Changes {
  return {
    quarantineRemoved: [],
    tokens: [],
    sessions: [],
    commands: [],
    forgottenDevices: [],
    deletions: [],
    erasedDevices: [],
  };
}

interface Gathered {
  readonly changes: Changes;
  readonly facts: DeviceFact[];
  readonly statuses: StatusDraft;
}

function gather(from: EntryChanges, to: Gathered): void {
  const { changes } = to;
  if (from.quarantineRemoved) changes.quarantineRemoved.push(...from.quarantineRemoved);
  if (from.tokens) changes.tokens.push(...from.tokens);
  if (from.sessions) changes.sessions.push(...from.sessions);
  if (from.commands) changes.commands.push(...from.commands);
  if (from.deletions) changes.deletions.push(...from.deletions);
  if (from.erasedDevices) changes.erasedDevices.push(...from.erasedDevices);
  if (from.forgottenDevices) forget(from.forgottenDevices, to);
}

/** The store forgets first and takes facts and tokens in afterwards: what was told before goes with the device. */
function forget(devices: readonly string[], { changes, facts, statuses }: Gathered): void {
  const gone = new Set(devices);
  changes.forgottenDevices.push(...devices);
  removeWhere(facts, ({ device }) => gone.has(device));
  removeWhere(changes.tokens, (change) => gone.has(change.kind === 'put' ? change.token.device : change.device));
  for (const device of gone) statuses.forget(device);
}

function removeWhere<T>(list: T[], isGone: (one: T) => boolean): void {
  const kept = list.filter((one) => !isGone(one));
  list.length = 0;
  for (const one of kept) list.push(one);
}

/** A device is born in the commit of its first series. */
function births(newSeries: readonly Series[], told: readonly string[], at: number): readonly DeviceFact[] {
  if (newSeries.length === 0) return [];
  const known = new Set(told);
  return [...new Set(newSeries.map((series) => series.device))].flatMap((device) =>
    known.has(device) ? [] : { device, at },
  );
}

function isEmpty(commit: Commit): boolean {
  return (
    commit.readings.count === 0 &&
    commit.settled.count === 0 &&
    commit.deviceFacts.length === 0 &&
    commit.transitions.length === 0 &&
    commit.alertStates.length === 0 &&
    commit.deliveries.length === 0 &&
    commit.attempts.length === 0 &&
    commit.cancelledWebhooks.length === 0 &&
    commit.quarantine.length === 0 &&
    commit.quarantineRemoved.length === 0 &&
    commit.tokens.length === 0 &&
    commit.sessions.length === 0 &&
    commit.commands.length === 0 &&
    commit.forgottenDevices.length === 0 &&
    commit.deletions.length === 0 &&
    commit.erasedDevices.length === 0
  );
}

/** The readings of entries, in order of arrival, as columns. */
export function readingsOf(entries: readonly Entry[]): ReadingColumns {
  let count = 0;
  for (const entry of entries) count += entry.readings.length;
  const readings = new ReadingBuilder(count);
  for (const entry of entries) {
    for (const { series, time, value } of entry.readings) readings.add(series, time, value);
  }
  return readings.build();
}

/** The identities of the messages that are settled with the entries. */
export function settledOf(entries: readonly Entry[]): SettledColumns {
  let count = 0;
  for (const { settled } of entries) if (settled) count++;
  const messages = new SettledBuilder(count);
  for (const { settled } of entries) if (settled) messages.add(settled);
  return messages.build();
}

/** What each entry is told, in order of arrival. */
export function outcomes(
  entries: readonly Entry[],
  result: Pick<CommitResult, 'seq' | 'dispositions' | 'deleted'>,
): readonly Outcome[] {
  const { seq, dispositions } = result;
  // As a rule all readings are stored, and entries with as many of them are told the same.
  const whole: Outcome[] = [];
  let row = 0;
  return entries.map((entry): Outcome => {
    const deleted = deletesReadings(entry) ? result.deleted : null;
    if (entry.quarantine) return { kind: 'quarantined', seq, code: entry.quarantine.reason };
    const count = entry.readings.length;
    if (!dispositions && !deleted) {
      return (whole[count] ??= { kind: 'committed', seq, stored: count, replaced: 0, identical: 0, deleted });
    }
    const counts = [0, 0, 0];
    for (const end = row + count; row < end; row++) counts[dispositions?.[row] ?? disposition.stored]++;
    return { kind: 'committed', seq, stored: counts[0], replaced: counts[1], identical: counts[2], deleted };
  });
}

/** The commit as the outside hears of it. */
export function committedBatch(commit: Commit, result: CommitResult): CommittedBatch {
  return {
    seq: result.seq,
    at: commit.at,
    readings: withoutIdentical(result.readings, result.dispositions),
    transitions: commit.transitions,
  };
}

function withoutIdentical(columns: ReadingColumns, dispositions: Uint8Array | null): ReadingColumns {
  if (!dispositions?.includes(disposition.identical)) return columns;
  const kept = new ReadingBuilder(columns.count);
  for (let row = 0; row < columns.count; row++) {
    if (dispositions[row] !== disposition.identical)
      kept.add(columns.series[row], columns.times[row], valueAt(columns, row));
  }
  return kept.build();
}
