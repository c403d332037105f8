import type { AlertState, Transition } from './alert.ts';
import type { Command } from './command.ts';
import type { Deletion } from './deletion.ts';
import type { Attempt, Delivery } from './delivery.ts';
import type { DeviceFact } from './device.ts';
import type { TokenChange } from './device-token.ts';
import type { QuarantineEntry } from './quarantine.ts';
import type { ReadingColumns, Value } from './reading.ts';
import type { Series } from './series.ts';
import type { SessionChange } from './session-row.ts';
import type { SettledColumns } from './settled-columns.ts';

/** One atomic step of the engine: all of it is on disk, or none of it ever happened. */
export interface Commit {
  /** One more than the last committed. Given out again when this commit fails. */
  readonly seq: number;
  /** Receipt time of the newest message in it, epoch ms. */
  readonly at: number;
  /** Series that appear for the first time; their ids continue where the last commit ended. */
  readonly newSeries: readonly Series[];
  readonly readings: ReadingColumns;
  readonly settled: SettledColumns;
  readonly deviceFacts: readonly DeviceFact[];
  readonly transitions: readonly Transition[];
  readonly alertStates: readonly AlertState[];
  readonly deliveries: readonly Delivery[];
  readonly attempts: readonly Attempt[];
  /** Webhooks that are gone: their pending deliveries become `cancelled`. */
  readonly cancelledWebhooks: readonly string[];
  readonly quarantine: readonly QuarantineEntry[];
  /** Quarantined messages, by id, that are gone: tried again with success, or thrown away. One that is not there is fine. */
  readonly quarantineRemoved: readonly number[];
  readonly tokens: readonly TokenChange[];
  readonly sessions: readonly SessionChange[];
  /** Commands as they are now, in order; one with a known id replaces it, unless that is in a final state. */
  readonly commands: readonly Command[];
  /**
   * Devices that are forgotten: their row and tokens. Readings and series stay, and the next reading brings the device
   * back as a new one. Applied before the facts and tokens of the same commit, which tell of a new device of that name;
   * its readings in the same commit do not.
   */
  readonly forgottenDevices: readonly string[];
  /**
   * Readings that are to be gone: from chunks, rollups, heads and the commit log. Applied before the readings of the same
   * commit. What the log held of them is never told again from this commit on, and is overwritten soon after.
   */
  readonly deletions: readonly Deletion[];
  /** Devices of which no refused message shall be left: those they sent, and those on topics that name them. */
  readonly erasedDevices: readonly string[];
}

/** What makes a redelivery recognisable after its message was settled, also across a kill. */
export interface SettledMessage {
  /** MQTT client id. */
  readonly client: string;
  /** 1 … 65,535. */
  readonly packetId: number;
  /** A 53-bit hash over topic and payload, see `ingest/fingerprint.ts`. */
  readonly hash: number;
}

export interface CommitResult {
  readonly seq: number;
  /** The commit's columns, handed back so that their arrays can be used again. */
  readonly readings: ReadingColumns;
  /** One of `disposition` a row; null when every row was stored. */
  readonly dispositions: Uint8Array<ArrayBuffer> | null;
  /** What `deletions` did; null when there were none. */
  readonly deleted: Deleted | null;
}

export interface Deleted {
  readonly readings: number;
  /** The newest reading of each series of which something was deleted, as it was before the commit's own readings; null where none is left. */
  readonly newest: readonly {
    readonly series: number;
    readonly time: number | null;
    readonly value: Value | null;
  }[];
}

/** A commit as the outside hears of it: identical readings are left out. From memory when live, from the log on resume. */
export interface CommittedBatch {
  readonly seq: number;
  readonly at: number;
  readonly readings: ReadingColumns;
  readonly transitions: readonly Transition[];
}

/** A stretch of the commit log. */
export interface LogPage {
  /** In order of `seq`; every batch is whole. */
  readonly batches: readonly CommittedBatch[];
  /** The last commit examined; reading goes on after it. */
  readonly last: number;
  /** The log is kept from this commit on; a position before `firstKept − 1` cannot be resumed without a gap. */
  readonly firstKept: number;
}
