import type { Attempt } from '../domain/delivery.ts';
import type { DeviceFact } from '../domain/device.ts';
import type { Commit, Deleted, SettledMessage } from '../domain/commit.ts';
import type { QuarantineEntry } from '../domain/quarantine.ts';
import type { Sender } from '../domain/principal.ts';
import type { Value } from '../domain/reading.ts';
import type { Rule } from '../domain/rule.ts';

/** Something to be committed, and whom to tell. Entries are committed and answered in order of arrival. */
export interface Entry {
  readonly readings: readonly EntryReading[];
  readonly facts: readonly DeviceFact[];
  readonly settled: SettledMessage | null;
  readonly quarantine: QuarantineEntry | null;
  readonly attempt: Attempt | null;
  readonly rules: readonly Rule[] | null;
  readonly removedWebhooks: readonly string[];
  /** What seldom changes; null for an ordinary message. */
  readonly changes: EntryChanges | null;
  /** Receipt time, epoch ms. */
  readonly receivedAt: number;
  /** Size in the in-flight window; 0 for entries of our own, which do not pass through it. */
  readonly bytes: number;
  /** The message as it came, should it turn out that it cannot be stored. */
  readonly message: {
    readonly topic: string;
    readonly payload: Uint8Array;
    readonly client: string | null;
    readonly sender: Sender;
  } | null;
  readonly settle: (outcome: Outcome) => void;
}

/** Parts of a commit that are handed through as they are. */
export type EntryChanges = Partial<
  Pick<
    Commit,
    'quarantineRemoved' | 'tokens' | 'sessions' | 'commands' | 'forgottenDevices' | 'deletions' | 'erasedDevices'
  >
>;

export interface EntryReading {
  readonly series: number;
  readonly time: number;
  readonly value: Value;
}

/** Whether readings go with it. Such an entry is the first of its commit, for the store deletes before it writes. */
export function deletesReadings({ changes }: Entry): boolean {
  return (changes?.deletions?.length ?? 0) > 0;
}

/** What became of an entry. */
export type Outcome =
  | {
      readonly kind: 'committed';
      readonly seq: number;
      readonly stored: number;
      readonly replaced: number;
      readonly identical: number;
      /** What the entry deleted; null where it deletes nothing, or a reopened store had to tell. */
      readonly deleted: Deleted | null;
    }
  | { readonly kind: 'quarantined'; readonly seq: number; readonly code: string }
  | { readonly kind: 'failed'; readonly error: Error };

const nothing: readonly never[] = [];

/** An entry with nothing in it but what is given. Field by field, because every message becomes one. */
export function entry(parts: Partial<Entry> & Pick<Entry, 'receivedAt' | 'settle'>): Entry {
  return {
    readings: parts.readings ?? nothing,
    facts: parts.facts ?? nothing,
    settled: parts.settled ?? null,
    quarantine: parts.quarantine ?? null,
    attempt: parts.attempt ?? null,
    rules: parts.rules ?? null,
    removedWebhooks: parts.removedWebhooks ?? nothing,
    changes: parts.changes ?? null,
    receivedAt: parts.receivedAt,
    bytes: parts.bytes ?? 0,
    message: parts.message ?? null,
    settle: parts.settle,
  };
}
