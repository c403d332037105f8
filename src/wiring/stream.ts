import { InvariantError, messageOf } from '../base/errors.ts';
import { randomId } from '../base/random.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Deleted } from '../domain/commit.ts';
import type { DeviceFact } from '../domain/device.ts';
import { CommitFailedError } from '../history/engine.ts';
import { type Entry, type EntryChanges, entry, type Outcome } from '../pipeline/entry.ts';
import { Pipeline } from '../pipeline/pipeline.ts';
import { ReceiptClock } from '../pipeline/receipt-clock.ts';
import { Window } from '../pipeline/window.ts';
import { planDeviceDeliveries } from '../webhooks/device-plan.ts';
import { planDeliveries } from '../webhooks/plan.ts';
import type { Memory } from './memory.ts';
import type { Surroundings } from './surroundings.ts';

/** The middle of the gateway: what comes in is grouped into commits, one at a time. */
export interface Stream {
  readonly receiptClock: ReceiptClock;
  readonly window: Window;
  readonly pipeline: Pipeline;
  /** For entries of our own that nobody waits for. */
  submit(parts: Partial<Entry>): void;
  /** Resolves once it is on disk and known to every book. Rejects as the commit fails. */
  commit(parts: { readonly facts?: readonly DeviceFact[]; readonly changes?: EntryChanges }): Promise<void>;
  /**
   * As `commit`, of changes that delete readings; `deleted` is null where the store had to be opened anew to tell whether
   * they were.
   */
  erase(changes: EntryChanges): Promise<{ readonly seq: number; readonly deleted: Deleted | null }>;
  /** Hears that the store was closed and opened again, of which it remembers what is on disk and no more. */
  onReopened(listener: () => Promise<void>): void;
}

export function buildStream(
  surroundings: Surroundings,
  {
    catalog,
    memory,
    reopened,
  }: {
    readonly catalog: Catalog;
    readonly memory: Memory;
    /** The store was opened anew: deliveries may be on disk that nobody was told of. */
    readonly reopened: () => Promise<void>;
  },
): Stream {
  const { config, clock, random, log, ledger, fatal, publicUrl } = surroundings;
  const { engine, registry, latest, devices, alerts, redelivery, cursorAt } = memory;
  const receiptClock = new ReceiptClock(clock);
  const window = new Window({
    messagesMax: config.ingest.inFlightMessagesMax,
    bytesMax: config.ingest.inFlightBytesMax,
  });
  const reopenedListeners: (() => Promise<void>)[] = [];
  const pipeline = new Pipeline({
    store: engine,
    reopen: async () => {
      await engine.close();
      const again = await engine.open();
      registry.load(again.series);
      // A deletion may be on disk that nobody could tell of.
      latest.load(again.series);
      reopened().catch((error: unknown) =>
        log.error({ error: messageOf(error) }, 'pending deliveries were not read again'),
      );
      for (const listener of reopenedListeners) {
        listener().catch((error: unknown) =>
          log.error({ error: messageOf(error) }, 'the opened store was not told all'),
        );
      }
      return again.seq;
    },
    classify: classifyFailure,
    registry,
    judge: alerts,
    plan(transitions, { seq, at }, changes) {
      const { webhooks, registrations } = catalog.snapshot();
      const nameOf = (device: string): string => registrations.get(device)?.name ?? '';
      const common = { webhooks, cursor: cursorAt(seq), at, newId: () => randomId('dlv', random) };
      return [
        ...planDeliveries({ ...common, transitions, publicUrl: publicUrl(), nameOf }),
        ...planDeviceDeliveries({
          ...common,
          changes,
          seq,
          describe: (device) => ({
            name: nameOf(device),
            lastSeen: devices.get(device)?.lastSeen ?? null,
          }),
        }),
      ];
    },
    newestTime: (series) => latest.newestTime(series),
    receiptClock,
    clock,
    log,
    ledger,
    fatal,
  });
  // Their senders come again, and must not be stored again.
  pipeline.onSettledAfterAll((messages) => redelivery.load(messages));

  return {
    receiptClock,
    window,
    pipeline,
    submit(parts) {
      pipeline.submit(entry({ receivedAt: receiptClock.now(), settle: () => {}, ...parts }));
    },
    async commit(parts) {
      await committed(parts);
    },
    async erase(changes) {
      const { seq, deleted } = await committed({ changes });
      return { seq, deleted };
    },
    onReopened(listener) {
      reopenedListeners.push(listener);
    },
  };

  function committed(parts: Partial<Entry>): Promise<Extract<Outcome, { kind: 'committed' }>> {
    return new Promise((resolve, reject) => {
      const settle: Entry['settle'] = (outcome) => {
        if (outcome.kind === 'failed') reject(outcome.error);
        else if (outcome.kind === 'quarantined') reject(new InvariantError('what is our own went to the quarantine'));
        // The books hear of a commit after its receipts: in the next turn they know.
        else setImmediate(resolve, outcome);
      };
      pipeline.submit(entry({ receivedAt: receiptClock.now(), ...parts, settle }));
    });
  }
}

function classifyFailure(error: unknown): 'wait' | 'refused' | 'unknown' {
  if (!(error instanceof CommitFailedError)) return 'unknown';
  if (error.outcome === 'unknown') return 'unknown';
  return error.reason === 'refused' ? 'refused' : 'wait';
}
