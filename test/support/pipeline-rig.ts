import type { Log } from '../../src/base/log.ts';
import type { Transition } from '../../src/domain/alert.ts';
import type { Commit, CommitResult, CommittedBatch, Deleted, LogPage } from '../../src/domain/commit.ts';
import type { Deletion } from '../../src/domain/deletion.ts';
import { anySender, type Sender } from '../../src/domain/principal.ts';
import type { Receipt } from '../../src/domain/message.ts';
import { disposition, type Value, valueAt } from '../../src/domain/reading.ts';
import { ReadingBuilder } from '../../src/domain/reading-builder.ts';
import type { Rule } from '../../src/domain/rule.ts';
import { LatestValues } from '../../src/latest/latest-values.ts';
import { committedBatch } from '../../src/pipeline/batch.ts';
import { type Entry, entry, type Outcome } from '../../src/pipeline/entry.ts';
import { Intake, type IntakeParts } from '../../src/pipeline/intake.ts';
import { Ledger } from '../../src/pipeline/ledger.ts';
import { Pipeline } from '../../src/pipeline/pipeline.ts';
import type { AlertDraft, AlertJudge, Committed, CommitStore, DeliveryPlanner } from '../../src/pipeline/ports.ts';
import { ReceiptClock } from '../../src/pipeline/receipt-clock.ts';
import { SeriesRegistry } from '../../src/pipeline/series-registry.ts';
import { Window } from '../../src/pipeline/window.ts';
import { FakeClock } from './fake-clock.ts';

/** Lets everything run that needs no clock: the store of the rig answers in promises alone. */
export async function settle(turns = 40): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** How the store of the rig fails. */
export class StoreFailure extends Error {
  override readonly name = 'StoreFailure';
  readonly kind: 'wait' | 'refused' | 'unknown';

  constructor(kind: 'wait' | 'refused' | 'unknown') {
    super(`the store says ${kind}`);
    this.kind = kind;
  }
}

/** The stranger behind the pipeline: keeps readings by identity, and fails as it is told. */
export class ScriptedStore implements CommitStore {
  readonly commits: Commit[] = [];
  /** The value of every reading, by `series@time`. */
  readonly readings = new Map<string, Value>();
  /** Every call of `commit`, also those that failed. */
  attempts = 0;
  inFlight = 0;
  inFlightMost = 0;
  /** The next commits fail like this; `written`: it is on disk nevertheless. */
  readonly failures: { readonly kind: 'wait' | 'refused' | 'unknown'; readonly written?: boolean }[] = [];
  /** Fails every commit with `wait`. */
  full = false;
  /** Whether it can be opened again. */
  opens = true;
  /** A commit that holds one of these values is refused. */
  readonly poisons = new Set<Value>();
  #gate: PromiseWithResolvers<void> | undefined;
  /** What the log keeps of each commit: its readings without the identical ones. */
  readonly #logged: CommittedBatch[] = [];

  get seq(): number {
    return this.commits.at(-1)?.seq ?? 0;
  }

  /** From now on a commit waits until `release`. */
  hold(): void {
    this.#gate ??= Promise.withResolvers();
  }

  release(): void {
    this.#gate?.resolve();
    this.#gate = undefined;
  }

  async commit(commit: Commit): Promise<CommitResult> {
    this.attempts++;
    this.inFlightMost = Math.max(this.inFlightMost, ++this.inFlight);
    try {
      await this.#gate?.promise;
      return this.#write(commit);
    } finally {
      this.inFlight--;
    }
  }

  readonly reader = {
    log: async ({ after }: { readonly after: number }): Promise<LogPage> => {
      const batches = this.#logged.filter(({ seq }) => seq > after).slice(0, 1);
      return { batches, last: batches.at(-1)?.seq ?? after, firstKept: 1 };
    },
  };

  async reopen(): Promise<number> {
    await this.#gate?.promise;
    if (!this.opens) throw new Error('the file cannot be opened');
    return this.seq;
  }

  #write(commit: Commit): CommitResult {
    if (this.full) throw new StoreFailure('wait');
    const failure = this.failures.shift();
    if (failure) {
      if (failure.written) this.#keep(commit);
      // As after a transfer to another thread: the caller's arrays are gone.
      Object.assign(commit.readings, { ...new ReadingBuilder(0).build(), count: commit.readings.count });
      throw new StoreFailure(failure.kind);
    }
    for (let row = 0; row < commit.readings.count; row++) {
      if (this.poisons.has(valueAt(commit.readings, row))) throw new StoreFailure('refused');
    }
    return this.#keep(commit);
  }

  #delete(deletions: readonly Deletion[]): Deleted | null {
    if (deletions.length === 0) return null;
    let readings = 0;
    const touched = new Set<number>();
    for (const { series, from, to } of deletions) {
      for (const { key, time } of this.#rows(series)) {
        if (time < from || time >= to) continue;
        this.readings.delete(key);
        touched.add(series);
        readings++;
      }
    }
    const newest = [...touched].map((series) => {
      const last = this.#rows(series).toSorted((one, other) => other.time - one.time)[0];
      return { series, time: last?.time ?? null, value: last?.value ?? null };
    });
    return { readings, newest };
  }

  #rows(series: number): readonly { readonly key: string; readonly time: number; readonly value: Value }[] {
    return [...this.readings].flatMap(([key, value]) => {
      const [of, time] = key.split('@').map(Number);
      return of === series && time !== undefined ? { key, time, value } : [];
    });
  }

  #keep(commit: Commit): CommitResult {
    if (commit.seq !== this.seq + 1) throw new Error(`commit ${commit.seq} does not follow ${this.seq}`);
    const { readings } = commit;
    const deleted = this.#delete(commit.deletions);
    const dispositions = new Uint8Array(readings.count);
    for (let row = 0; row < readings.count; row++) {
      const key = `${readings.series[row]}@${readings.times[row]}`;
      const value = valueAt(readings, row);
      const known = this.readings.get(key);
      if (known !== undefined) dispositions[row] = known === value ? disposition.identical : disposition.replaced;
      this.readings.set(key, value);
    }
    this.commits.push({ ...commit, readings: { ...readings } });
    const result = {
      seq: commit.seq,
      readings,
      dispositions: dispositions.some(Boolean) ? dispositions : null,
      deleted,
    };
    // A copy, since the arrays go back to the caller.
    const { series, times, values, kinds } = readings;
    const kept = {
      ...readings,
      series: series.slice(),
      times: times.slice(),
      values: values.slice(),
      kinds: kinds.slice(),
    };
    this.#logged.push(committedBatch(commit, { ...result, readings: kept }));
    return result;
  }
}

/** Writes down what it is asked; a number over 100 is a transition. */
export class RecordingJudge implements AlertJudge {
  /** What every draft was told to read, as `device/metric time value`. */
  readonly reads: string[] = [];
  /** Transitions of drafts that were applied. */
  readonly applied: Transition[] = [];
  readonly appliedRules: (readonly Rule[])[] = [];
  /** Metrics that a rule looks at. */
  readonly watched = new Set(['watched']);
  deadline: number | null = null;
  drafts = 0;
  /** Until when the last draft let pending alerts expire, epoch ms. */
  expiredAt = 0;

  begin(): AlertDraft {
    this.drafts++;
    const transitions: Transition[] = [];
    const rules: (readonly Rule[])[] = [];
    return {
      transitions,
      states: [],
      watches: ({ metric }) => this.watched.has(metric),
      read: ({ device, metric }, time, value) => {
        this.reads.push(`${device}/${metric} ${time} ${value}`);
        if (typeof value === 'number' && value > 100) transitions.push(transition(device, metric, time, value));
      },
      expire: (now) => {
        this.expiredAt = now;
      },
      setRules: (next) => void rules.push(next),
      apply: () => {
        this.applied.push(...transitions);
        this.appliedRules.push(...rules);
        this.deadline = null;
      },
    };
  }

  nextDeadline(): number | null {
    return this.deadline;
  }
}

function transition(device: string, metric: string, time: number, value: number): Transition {
  const rule = { id: 'rule', name: 'over 100' };
  const base = {
    id: `alert-${time}`,
    rule,
    device,
    metric,
    severity: 'info',
    state: 'firing',
    threshold: 100,
  } as const;
  const alert = { ...base, value, startedAt: time, firedAt: time, resolvedAt: null, reason: null };
  return { id: `transition-${time}`, type: 'alert.firing', sequence: 1, at: time, alert };
}

export interface RigOptions {
  readonly lastCommitAt?: number;
  readonly messagesMax?: number;
  readonly bytesMax?: number;
  readonly seriesMax?: number;
  readonly metricsMax?: number;
  /** What the intake asks beside the pipeline. */
  readonly ports?: Pick<IntakeParts, 'devices' | 'dialects' | 'commands' | 'publish' | 'retention'>;
}

/** Intake, pipeline and latest values as the gateway wires them, over a scripted store and a fake clock. */
export class PipelineRig {
  readonly clock = new FakeClock();
  readonly store = new ScriptedStore();
  readonly judge = new RecordingJudge();
  readonly ledger = new Ledger();
  readonly registry: SeriesRegistry;
  readonly window: Window;
  readonly latest: LatestValues;
  readonly pipeline: Pipeline;
  readonly intake: Intake;
  /** What the planner answers. */
  plan: DeliveryPlanner = () => [];
  readonly told: Committed[] = [];
  readonly health: boolean[] = [];
  readonly fatal: unknown[] = [];
  readonly errors: string[] = [];
  /** What happened, in order: `settle NAME`, `fail NAME`, `told SEQ`. */
  readonly order: string[] = [];

  constructor({
    lastCommitAt = 0,
    messagesMax = 1_000,
    bytesMax = 1e9,
    seriesMax = 1e6,
    metricsMax = 500,
    ports = {},
  }: RigOptions = {}) {
    this.registry = new SeriesRegistry({ seriesMax, metricsMax });
    this.window = new Window({ messagesMax, bytesMax });
    this.latest = new LatestValues(this.registry);
    const receiptClock = new ReceiptClock(this.clock);
    const log: Log = {
      info: () => {},
      warn: () => {},
      debug: () => {},
      error: (_, message) => void this.errors.push(message),
    };
    this.pipeline = new Pipeline({
      store: this.store,
      reopen: () => this.store.reopen(),
      classify: (error) => (error instanceof StoreFailure ? error.kind : 'unknown'),
      registry: this.registry,
      judge: this.judge,
      plan: (...parts) => this.plan(...parts),
      newestTime: (series) => this.latest.newestTime(series),
      receiptClock,
      clock: this.clock,
      log,
      ledger: this.ledger,
      fatal: (error) => void this.fatal.push(error),
    });
    this.intake = new Intake({
      registry: this.registry,
      window: this.window,
      ledger: this.ledger,
      receiptClock,
      submit: (added) => this.pipeline.submit(added),
      futureMax: 60_000,
      lastCommitAt,
      ...ports,
    });
    this.pipeline.onCommitted((committed) => {
      this.latest.apply(committed.batch, committed.deleted);
      if (committed.deleted) this.intake.deleted(committed.deleted.newest);
      this.told.push(committed);
      this.order.push(`told ${committed.commit.seq}`);
    });
    this.pipeline.onHealth((healthy) => void this.health.push(healthy));
    this.pipeline.start(0);
  }

  /** A message of a broker; its receipt is written into `order` under `name`. */
  publish(
    name: string,
    topic: string,
    payload: string | Uint8Array,
    qos: 0 | 1 | 2 = 1,
    sender: Sender = anySender,
  ): void {
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
    this.intake.receive({ topic, payload: bytes, qos, client: 'client', sender, identity: null }, this.receipt(name));
  }

  receipt(name: string): Receipt {
    return (failure) => void this.order.push(failure ? `fail ${name}` : `settle ${name}`);
  }

  /** An entry of our own, as the composition root makes them. */
  submit(name: string, parts: Partial<Entry>): void {
    this.pipeline.submit(
      entry({
        receivedAt: this.clock.now(),
        settle: (outcome: Outcome) => void this.order.push(`${outcome.kind === 'failed' ? 'fail' : 'settle'} ${name}`),
        ...parts,
      }),
    );
  }

  /** Everything that was settled, without what was told. */
  get answers(): readonly string[] {
    return this.order.filter((line) => !line.startsWith('told'));
  }

  /** The readings on disk as `device/metric time value`, in order of commit. */
  get stored(): readonly string[] {
    return this.store.commits.flatMap(({ readings }) =>
      Array.from({ length: readings.count }, (_, row) => {
        const { device, metric } = this.registry.series(readings.series[row]);
        return `${device}/${metric} ${readings.times[row]} ${valueAt(readings, row)}`;
      }),
    );
  }
}
