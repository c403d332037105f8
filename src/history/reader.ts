import type { Alert, Transition } from '../domain/alert.ts';
import type { Command } from '../domain/command.ts';
import type { LogPage } from '../domain/commit.ts';
import type { Attempt, DeliveryRecord, DeliveryState } from '../domain/delivery.ts';
import type { QuarantineRecord } from '../domain/quarantine.ts';
import type { Value } from '../domain/reading.ts';
import type { HistoryQueries } from './queries.ts';

/** Asking the store. Every answer is one page; no answer holds a transaction open between two calls. */
export interface HistoryReader extends HistoryQueries {
  /**
   * The commit log after `after`, whole commits only, at most about `readingsMax` readings (one commit at least).
   * An empty page means that nothing was committed since. Commits trimmed away show as `firstKept > after + 1`.
   */
  log(query: { readonly after: number; readonly readingsMax: number }): Promise<LogPage>;
  /** Newest first by `firedAt`. */
  alerts(query: AlertsQuery): Promise<readonly Alert[]>;
  alert(id: string): Promise<Alert | null>;
  /** Transitions of one alert, oldest first. */
  transitions(alertId: string): Promise<readonly Transition[]>;
  /** Newest first by (`seq`, id), or oldest first when `order` is `asc`. */
  deliveries(query: DeliveriesQuery): Promise<readonly DeliveryRecord[]>;
  delivery(id: string): Promise<DeliveryRecord | null>;
  /** Oldest first. */
  attempts(deliveryId: string): Promise<readonly Attempt[]>;
  /** Newest first. */
  quarantine(query: {
    readonly limit: number;
    readonly before?: number | undefined;
  }): Promise<readonly QuarantineRecord[]>;
  /** One quarantined message, or null when it is gone. */
  quarantined(id: number): Promise<QuarantineRecord | null>;
  /** Newest first by (`createdAt`, id). */
  commands(query: CommandsQuery): Promise<readonly Command[]>;
  command(id: string): Promise<Command | null>;
  stats(): Promise<EngineStats>;
}

export interface CommandsQuery {
  readonly device?: string | undefined;
  readonly limit: number;
  /** Continue after this one. */
  readonly after?: { readonly createdAt: number; readonly id: string } | undefined;
}

export interface Sample {
  /** Epoch ms. */
  readonly time: number;
  readonly value: Value;
}

export interface AlertsQuery {
  readonly limit: number;
  readonly state?: 'firing' | 'resolved' | undefined;
  readonly ruleId?: string | undefined;
  readonly device?: string | undefined;
  /** Goes on after the alert with this (firedAt, id). */
  readonly after?: { readonly firedAt: number; readonly id: string } | undefined;
}

export interface DeliveriesQuery {
  readonly limit: number;
  readonly order: 'asc' | 'desc';
  readonly webhookId?: string | undefined;
  readonly state?: DeliveryState | undefined;
  /** Goes on after the delivery with this (seq, id) in the order asked for. */
  readonly after?: { readonly seq: number; readonly id: string } | undefined;
}

export interface EngineStats {
  readonly seq: number;
  readonly firstKept: number;
  /** Bytes of the database file and of its write-ahead log. */
  readonly fileBytes: number;
  readonly walBytes: number;
  readonly logReadings: number;
  /** Bytes of the commit log, which lies in the file. */
  readonly logBytes: number;
  readonly headReadings: number;
  readonly chunks: number;
  readonly chunkReadings: number;
  /** Bytes of the file in use; the rest is free pages that will be used again. */
  readonly usedBytes: number;
  /** Windows of rollups, of either tier. */
  readonly rollups: number;
  /** Chunks found damaged since the start. */
  readonly damagedChunks: number;
  /** Since the store was made: bytes of chunks first written when sealed, and written again by merging. */
  readonly sealedBytes: number;
  readonly mergedBytes: number;
  /** Readings deleted because their time was over, or for room; since the store was made. */
  readonly purgedReadings: number;
  /** Time of the oldest reading in a chunk, epoch ms; null without one. */
  readonly oldestTime: number | null;
  readonly quarantineEntries: number;
  readonly quarantineBytes: number;
  readonly pendingDeliveries: number;
  /** Questions about readings that were begun, take more than one run, and are neither answered nor given up. */
  readonly openQuestions: number;
  /** Runs of questions about readings since the start, pages among them. */
  readonly questionRuns: number;
  /** Of the linked library, for example "3.53.4". */
  readonly engineVersion: string;
}
