import type { Clock, Timer } from '../base/clock.ts';
import { messageOf, RejectedError, TransientError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Commit, CommitResult, SettledMessage } from '../domain/commit.ts';
import type { DeviceRecord } from '../domain/device.ts';
import { settledMessages } from '../domain/settled-columns.ts';
import { type Batch, type BatchParts, buildBatch, committedBatch, outcomes, readingsOf, settledOf } from './batch.ts';
import { deletesReadings, type Entry, entry } from './entry.ts';
import type { Ledger } from './ledger.ts';
import type { AlertJudge, CommitListener, CommitStore, DeliveryPlanner, NewestTime } from './ports.ts';
import { readBack } from './read-back.ts';
import type { ReceiptClock } from './receipt-clock.ts';
import type { SeriesRegistry } from './series-registry.ts';
import { StatusBook } from './status-book.ts';

export interface PipelineParts {
  readonly store: CommitStore;
  /** After a COMMIT whose outcome is unknown: closes and opens the store, answers with its newest commit. */
  readonly reopen: () => Promise<number>;
  /** How a failed commit is to be understood. */
  readonly classify: (error: unknown) => 'wait' | 'refused' | 'unknown';
  readonly registry: SeriesRegistry;
  readonly judge: AlertJudge;
  readonly plan: DeliveryPlanner;
  readonly newestTime: NewestTime;
  readonly receiptClock: ReceiptClock;
  readonly clock: Clock;
  readonly log: Log;
  readonly ledger: Ledger;
  /** Something broke that must not be carried on with. */
  readonly fatal: (error: unknown) => void;
}

type Attempted = Pick<Batch, 'commit' | 'draft' | 'statuses'>;

/** So many entries do not wait for the end of the turn in which they came. */
const promptEntries = 500;

const retryFirstMs = 250;
const retryLastMs = 10_000;

/**
 * Groups what arrives while a commit is in flight into the next one (an idle pipeline adds no delay), commits it, and
 * then, in order: alert overlay becomes state, receipts settle in order of arrival, listeners hear of the commit.
 * One commit is in flight at a time.
 */
export class Pipeline {
  readonly #parts: PipelineParts;
  readonly #listeners: CommitListener[] = [];
  readonly #healthListeners: ((healthy: boolean) => void)[] = [];
  readonly #settledListeners: ((messages: readonly SettledMessage[]) => void)[] = [];
  readonly #statuses = new StatusBook();
  #queue: Entry[] = [];
  /** Whether an entry that deletes readings may be in the queue. */
  #deletes = false;
  #seq = 0;
  #running = false;
  #scheduled = false;
  #stopping = false;
  /** Nothing is committed any more: the store is about to be closed. */
  #ended = false;
  #healthy = true;
  #retryMs = retryFirstMs;
  #deadline: Timer | undefined;
  /** Set while nothing is committed until the store is asked again. */
  #probe: Timer | undefined;
  /** A commit that may be on disk or not, because the store could not be opened again since. */
  #unresolved: Attempted | undefined;
  #idle: (() => void)[] = [];

  constructor(parts: PipelineParts) {
    this.#parts = parts;
  }

  /** The newest commit. */
  get seq(): number {
    return this.#seq;
  }

  /** False from a failed commit until the next that succeeds; then messages are given back unacknowledged. */
  get healthy(): boolean {
    return this.#healthy;
  }

  get queued(): number {
    return this.#queue.length;
  }

  onCommitted(listener: CommitListener): void {
    this.#listeners.push(listener);
  }

  onHealth(listener: (healthy: boolean) => void): void {
    this.#healthListeners.push(listener);
  }

  /** Hears of messages that are on disk after all, though their senders were told that the commit failed. */
  onSettledAfterAll(listener: (messages: readonly SettledMessage[]) => void): void {
    this.#settledListeners.push(listener);
  }

  /** Takes over the devices that were recovered, so that only what really changes is told. */
  load(devices: readonly DeviceRecord[]): void {
    this.#statuses.load(devices);
  }

  /** Goes on after commit `seq`, with the deadlines that were recovered. */
  start(seq: number): void {
    this.#seq = seq;
    this.#setDeadline();
  }

  submit(added: Entry): void {
    if (this.#ended || (added.bytes > 0 && (this.#stopping || !this.#healthy))) {
      added.settle({
        kind: 'failed',
        error: this.#stopping
          ? new TransientError('the gateway is stopping', { code: 'stopping' })
          : new TransientError('storage is not available; try again', { code: 'storage_unavailable' }),
      });
      return;
    }
    this.#queue.push(added);
    this.#deletes ||= deletesReadings(added);
    this.#schedule();
  }

  /**
   * Commits what is queued and returns when nothing is in flight; messages that still arrive meanwhile are given back, and
   * afterwards everything is: a store that was closed must not be opened again for it.
   */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#deadline?.cancel();
    this.#probe?.cancel();
    this.#probe = undefined;
    if (!this.#running && this.#queue.length === 0) {
      this.#ended = true;
      return;
    }
    await new Promise<void>((resolve) => {
      this.#idle.push(resolve);
      this.#schedule();
    });
  }

  /**
   * The end of the current turn of the event loop: everything that the sockets hold ready joins the batch. When that is
   * a lot, the first part of it goes to the disk while the rest is decoded.
   */
  #schedule(): void {
    if (this.#running || this.#probe) return;
    if (this.#queue.length === promptEntries) queueMicrotask(() => this.#run());
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#run();
    });
  }

  #run(): void {
    if (this.#running) return;
    this.#running = true;
    this.#drain()
      .catch((error: unknown) => this.#parts.fatal(error))
      .finally(() => {
        this.#running = false;
        // Something may have been submitted between the last look at the queue and this turn.
        if (this.#queue.length > 0) this.#schedule();
        if (this.#scheduled || this.#idle.length === 0) return;
        this.#ended = true;
        for (const resolve of this.#idle.splice(0)) resolve();
      });
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0 && !this.#probe) {
      await this.#commit(this.#takeQueued());
    }
    this.#setDeadline();
  }

  /**
   * Everything that waits, but only up to the next entry that deletes readings: the store deletes before it writes, and
   * what came before such an entry is to be deleted, too.
   */
  #takeQueued(): readonly Entry[] {
    const next = this.#deletes ? this.#queue.findIndex((waiting, index) => index > 0 && deletesReadings(waiting)) : -1;
    if (next > 0) return this.#queue.splice(0, next);
    const entries = this.#queue;
    this.#queue = [];
    this.#deletes = false;
    return entries;
  }

  async #commit(entries: readonly Entry[]): Promise<void> {
    if (this.#unresolved && !(await this.#resolve(this.#unresolved))) {
      this.#giveBack(entries, new Error('the store cannot be opened'));
      return;
    }
    const { isEmpty, ...attempted } = buildBatch(entries, this.#batchParts());
    if (isEmpty && this.#healthy) {
      attempted.draft.apply();
      this.#settle(entries, { seq: this.#seq, dispositions: null, deleted: null });
      return;
    }
    const began = this.#parts.clock.monotonic();
    let result: CommitResult;
    try {
      result = await this.#parts.store.commit(attempted.commit);
    } catch (error) {
      await this.#failed(entries, attempted, error);
      return;
    }
    this.#succeeded(entries, attempted, result, this.#parts.clock.monotonic() - began);
  }

  #succeeded(entries: readonly Entry[], attempted: Attempted, result: CommitResult, durationMs: number): void {
    const { commit, draft, statuses } = attempted;
    this.#seq = result.seq;
    this.#parts.registry.persisted(commit.newSeries);
    this.#parts.ledger.commits++;
    this.#parts.ledger.quarantined += commit.quarantine.length;
    draft.apply();
    statuses.apply();
    this.#turnHealth(true);
    this.#settle(entries, result);
    this.#tell(commit, result, durationMs);
  }

  #batchParts(): BatchParts {
    const { registry, judge, plan, newestTime, receiptClock } = this.#parts;
    const statuses = this.#statuses;
    return { seq: this.#seq + 1, now: receiptClock.now(), registry, judge, statuses, plan, newestTime };
  }

  #settle(entries: readonly Entry[], result: Pick<CommitResult, 'seq' | 'dispositions' | 'deleted'>): void {
    const settled = outcomes(entries, result);
    for (let index = 0; index < entries.length; index++) entries[index].settle(settled[index]);
  }

  #tell(commit: Commit, result: CommitResult, durationMs: number): void {
    // The commit's own arrays went to the engine; what came back is the same readings.
    const committed = { ...commit, readings: result.readings };
    const batch = committedBatch(committed, result);
    const deliveries = commit.deliveries.map((delivery) => ({
      ...delivery,
      seq: result.seq,
      state: 'pending' as const,
      attempts: 0,
      nextAttemptAt: 0,
    }));
    const { deleted } = result;
    for (const listener of this.#listeners) listener({ commit: committed, batch, deliveries, deleted, durationMs });
  }

  async #failed(entries: readonly Entry[], attempted: Attempted, error: unknown): Promise<void> {
    this.#parts.ledger.commitFailures++;
    switch (this.#parts.classify(error)) {
      case 'refused':
        await this.#isolatePoison(entries, error);
        return;
      case 'unknown':
        await this.#resolveUnknown(entries, attempted, error);
        return;
      case 'wait':
        this.#giveBack(entries, error);
    }
  }

  /** The store refuses this very batch: halve it until the message that cannot be stored is alone, and quarantine it. */
  async #isolatePoison(entries: readonly Entry[], error: unknown): Promise<void> {
    if (entries.length > 1) {
      const middle = entries.length >> 1;
      // Back to the head of the queue, so that nothing overtakes it should the first half have to wait.
      this.#queue.unshift(...entries.slice(middle));
      await this.#commit(entries.slice(0, middle));
      return;
    }
    const [poison] = entries;
    if (!poison?.message) {
      // A request is answered; what is our own and must not be lost is tried again.
      if (poison && (poison.bytes > 0 || poison.attempt))
        poison.settle({ kind: 'failed', error: refusedByStore(error) });
      else this.#giveBack(entries, error);
      return;
    }
    this.#parts.log.error(
      { topic: poison.message.topic, error: messageOf(error) },
      'a message cannot be stored and goes to the quarantine',
    );
    const detail = 'the storage engine refused the readings of this message';
    await this.#commit([
      entry({
        receivedAt: poison.receivedAt,
        settled: poison.settled,
        bytes: poison.bytes,
        quarantine: {
          ...poison.message,
          // A copy: it crosses to another thread, and would take the whole chunk along in which it came.
          payload: new Uint8Array(poison.message.payload),
          receivedAt: poison.receivedAt,
          reason: 'message_poisonous',
          pointer: '',
          detail,
        },
        settle: (outcome) => poison.settle(outcome),
      }),
    ]);
  }

  /** COMMIT itself failed: only what the reopened store says is true. */
  async #resolveUnknown(entries: readonly Entry[], attempted: Attempted, error: unknown): Promise<void> {
    this.#parts.log.error(
      { seq: attempted.commit.seq, error: messageOf(error) },
      'the outcome of a commit is unknown; the store is opened again',
    );
    // The engine has the arrays of the failed call; the entries still know what was in them.
    const commit = { ...attempted.commit, readings: readingsOf(entries), settled: settledOf(entries) };
    const unresolved = { ...attempted, commit };
    let result: CommitResult | null;
    try {
      result = await this.#askReopened(commit);
    } catch (reopenError) {
      this.#unresolved = unresolved;
      this.#giveBack(entries, reopenError);
      return;
    }
    if (result) this.#succeeded(entries, unresolved, result, 0);
    else this.#giveBack(entries, error);
  }

  /**
   * The senders of this commit were told that it failed, and the store could not say more. Now it can: was it written,
   * then everybody inside hears of it before anything else is committed. False when the store is still closed.
   */
  async #resolve(unresolved: Attempted): Promise<boolean> {
    const { commit } = unresolved;
    let result: CommitResult | null;
    try {
      result = await this.#askReopened(commit);
    } catch (error) {
      this.#parts.log.error({ seq: commit.seq, error: messageOf(error) }, 'the store cannot be opened');
      return false;
    }
    this.#unresolved = undefined;
    if (result) {
      const messages = settledMessages(commit.settled);
      for (const listener of this.#settledListeners) listener(messages);
      this.#succeeded([], unresolved, result, 0);
    }
    return true;
  }

  /** Opens the store again; what it made of the commit, or null when it was not written. */
  async #askReopened(commit: Commit): Promise<CommitResult | null> {
    const newest = await this.#parts.reopen();
    if (newest >= commit.seq) return readBack(this.#parts.store, commit);
    this.#seq = newest;
    return null;
  }

  /** Nothing was written. Senders get their messages back, unacknowledged; what is our own is tried again. */
  #giveBack(entries: readonly Entry[], error: unknown): void {
    const failure = new TransientError(`storage is not available: ${messageOf(error)}`, {
      code: 'storage_unavailable',
      cause: error,
    });
    const all = [...entries, ...this.#queue];
    this.#queue = this.#stopping ? [] : all.filter(isOurOwn);
    const kept = new Set(this.#queue);
    this.#turnHealth(false);
    this.#parts.log.error(
      { entries: all.length, error: messageOf(error), retryMs: this.#retryMs },
      'a commit failed; messages were given back unacknowledged',
    );
    this.#probeLater();
    for (const given of all) {
      if (!kept.has(given)) given.settle({ kind: 'failed', error: failure });
    }
  }

  /** Asks the disk again with what was kept; an empty commit is as good a question as any. */
  #probeLater(): void {
    if (this.#probe || this.#stopping) return;
    this.#probe = this.#parts.clock.after(this.#retryMs, () => {
      this.#probe = undefined;
      this.#queue.push(entry({ receivedAt: this.#parts.receiptClock.now(), settle: () => {} }));
      this.#schedule();
    });
    this.#retryMs = Math.min(this.#retryMs * 2, retryLastMs);
  }

  #turnHealth(healthy: boolean): void {
    if (healthy) this.#retryMs = retryFirstMs;
    if (this.#healthy === healthy) return;
    this.#healthy = healthy;
    if (healthy) this.#parts.log.info({ seq: this.#seq }, 'storage is available again');
    for (const listener of this.#healthListeners) listener(healthy);
  }

  /** Wakes the pipeline when the next pending alert fires though nothing arrives. */
  #setDeadline(): void {
    this.#deadline?.cancel();
    const deadline = this.#parts.judge.nextDeadline();
    // While storage is unavailable the next probe sees to what is due.
    if (deadline === null || this.#stopping || this.#probe) return;
    this.#deadline = this.#parts.clock.after(deadline - this.#parts.receiptClock.now(), () => {
      this.submit(entry({ receivedAt: this.#parts.receiptClock.now(), settle: () => {} }));
    });
  }
}

/** What people decided: nobody sends it again, so it waits for the disk. */
function isOurOwn(waiting: Entry): boolean {
  return waiting.rules !== null || waiting.removedWebhooks.length > 0;
}

function refusedByStore(cause: unknown): RejectedError {
  return new RejectedError('message_poisonous', 'the storage engine refused it', { cause });
}
