import type { Decoded, DialectMessage } from '../decode/decoded.ts';
import type { AlertState, Transition } from '../domain/alert.ts';
import type { Command, CommandReply } from '../domain/command.ts';
import type { Commit, CommitResult, CommittedBatch, Deleted, LogPage } from '../domain/commit.ts';
import type { Delivery, DeliveryRecord } from '../domain/delivery.ts';
import type { StatusChange } from '../domain/device.ts';
import type { Value } from '../domain/reading.ts';
import type { ErrorCode } from '../contract/error-codes.ts';
import type { MetricProfile, PayloadDialect } from '../domain/profile.ts';
import type { Rule } from '../domain/rule.ts';
import type { Series } from '../domain/series.ts';

/** Where a commit goes. The full contract is `history/engine.ts`. */
export interface CommitStore {
  commit(commit: Commit): Promise<CommitResult>;
  /** Asked for a commit whose outcome was unknown and that turns out to be on disk. */
  readonly reader: {
    log(query: { readonly after: number; readonly readingsMax: number }): Promise<LogPage>;
  };
}

/** What readings do to alerts: decided on an overlay that is applied only once the commit is on disk. */
export interface AlertJudge {
  begin(): AlertDraft;
  /** Receipt time (epoch ms) at which the earliest pending alert fires though its device fell silent; null for none. */
  nextDeadline(): number | null;
}

export interface AlertDraft {
  /** Whether any rule looks at this series; the answer may be remembered until the rules change. */
  watches(series: Series): boolean;
  /** A reading newer than everything the series has. */
  read(series: Series, time: number, value: Value, receivedAt: number): void;
  expire(now: number): void;
  setRules(rules: readonly Rule[], now: number): void;
  readonly transitions: readonly Transition[];
  readonly states: readonly AlertState[];
  apply(): void;
}

/** What people decided about a device, as far as taking its messages is concerned. */
export interface DeviceTerms {
  /** Why nothing of it is taken; null when all is well. */
  readonly refusal: { readonly code: ErrorCode; readonly detail: string } | null;
  /** How payloads on `devices/{device}/telemetry` are written. */
  readonly dialect: PayloadDialect;
  /** The profile of a metric for its plausible range; null when no profile has one, which saves asking for each reading. */
  readonly metric: ((metric: string) => MetricProfile | null) | null;
}

/** Asked for every message, so it answers from memory, and with the same object while nothing changed. */
export interface DeviceBook {
  terms(device: string): DeviceTerms;
}

/** How messages that are not native are understood; `decode/dialects.ts`. */
export interface MessageDialects {
  /** Whether any dialect understands messages on the topic; the others are relayed. Asked for every message that is not native. */
  claims(topic: string): boolean;
  /** Throws `RejectedError`. */
  decode(message: DialectMessage): Decoded;
  /** A payload on `devices/{device}/telemetry`, when the terms of the device say that it is not native. Throws `RejectedError`. */
  decodePayload(dialect: PayloadDialect, device: string, message: DialectMessage): Decoded;
}

/** How long readings are kept; `history/retention-book.ts`. */
export interface RetentionTerms {
  /**
   * A reading of this time or later is kept at `now`, whatever its series; -Infinity when everything is kept for ever and
   * nothing is gone. Asked for every message. Epoch ms.
   */
  keptFrom(now: number): number;
  /**
   * Why a reading is too old to be kept, or comes among those that are deleted, for people; null when it is not. Asked only
   * of those before `keptFrom`.
   */
  expired(device: string, metric: string, time: number, now: number): string | null;
}

/** What becomes of a command whose device answered. */
export interface CommandReplies {
  /** The command as it is from then on, to be kept in the commit of the reply; null for one that nobody waits for. `at`: time of receipt, epoch ms. */
  reply(reply: CommandReply, at: number): Command | null;
}

/**
 * Which deliveries transitions and devices that came or went make; pure. `seq` and `at` are those of the commit that
 * will carry them.
 */
export type DeliveryPlanner = (
  transitions: readonly Transition[],
  commit: { readonly seq: number; readonly at: number },
  statusChanges: readonly StatusChange[],
) => readonly Delivery[];

/** The newest time of a series as committed, epoch ms; -Infinity when it has no reading. */
export type NewestTime = (series: number) => number;

/** Hears of every commit, in order, after its receipts were settled. */
export type CommitListener = (committed: Committed) => void;

export interface Committed {
  readonly commit: Commit;
  /** What the outside hears: identical readings left out. */
  readonly batch: CommittedBatch;
  readonly deliveries: readonly DeliveryRecord[];
  /** What was deleted, before the readings of the batch; null where nothing was, or a reopened store had to tell. */
  readonly deleted: Deleted | null;
  /** From handing it to the engine until it was on disk, ms; 0 where a reopened store had to tell. */
  readonly durationMs: number;
}
