import type { Clock } from '../base/clock.ts';
import type { Fault } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { ErrorCode } from '../contract/error-codes.ts';
import type { RuleDraft, RulePatch } from '../contract/rule.ts';
import type { StreamReading } from '../contract/reading.ts';
import type { WebhookDraft, WebhookPatch } from '../contract/webhook.ts';
import type { DeviceRecord } from '../domain/device.ts';
import type { Glob } from '../domain/glob.ts';
import type { Value } from '../domain/reading.ts';
import type { Rule } from '../domain/rule.ts';
import type { Webhook } from '../domain/webhook.ts';
import type { HistoryReader } from '../history/reader.ts';

/** What the API asks of the rest of the gateway. Everything is handed in; it keeps no state of its own. */
export interface ApiPorts {
  readonly version: string;
  /** Where the gateway lives below its host: "" or "/telemetry", never with a slash at the end. */
  readonly basePath: string;
  /** Origins of other sites whose pages may call the API (`http.cors`). */
  readonly corsOrigins: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly limits: ApiLimits;
  readonly access: Access;
  readonly intake: Intake;
  readonly latest: LatestValues;
  readonly devices: Devices;
  readonly reader: HistoryReader;
  readonly stream: Stream;
  readonly catalog: Catalog;
  /** Faults of a rule that a schema cannot see; pointers into the rule. */
  ruleFaults(rule: RuleDraft): readonly Fault[];
  /** Throws `RejectedError` (`target_not_allowed`) for a URL that webhooks must not reach. */
  checkTarget(url: string): void;
  /** The position of the newest commit. */
  cursor(): string;
  ready(): Readiness;
  readonly metrics: Metrics;
  readonly assets: Assets;
}

export interface ApiLimits {
  /** Largest request body, bytes. */
  readonly bodyBytesMax: number;
  /** Longest `wait` of `GET /stream`, milliseconds. */
  readonly waitMaxMs: number;
}

/** Judges who may ask. Decides at once and does no I/O. */
export interface Access {
  judge(facts: RequestFacts): Verdict;
}

export interface RequestFacts {
  readonly method: string;
  readonly host: string | undefined;
  readonly origin: string | undefined;
  readonly authorization: string | undefined;
  readonly contentType: string | undefined;
  /** Whether `Forwarded` or any `X-Forwarded-*` header is there. */
  readonly forwarded: boolean;
  readonly isUpgrade: boolean;
  /** The address holds nothing that a key protects: health, the page itself, a preflight. Host and Origin still count. */
  readonly isPublic: boolean;
}

export type Verdict =
  | { readonly allowed: true }
  | { readonly allowed: false; readonly code: ErrorCode; readonly detail: string };

/** Takes readings in over HTTP. */
export interface Intake {
  /**
   * Resolves once the readings are on disk. Rejects with `RejectedError` and every fault in its `errors` (then nothing
   * was stored), or with `TransientError` when the same may succeed later. With `partial`, what is wrong is left out.
   */
  post(body: Uint8Array, format: 'json' | 'ndjson', options: { readonly partial: boolean }): Promise<PostOutcome>;
}

export interface PostOutcome {
  /** The commit. */
  readonly seq: number;
  readonly stored: number;
  readonly replaced: number;
  readonly identical: number;
  readonly refused: readonly Fault[];
}

/** Current values, from memory. A series without a reading on disk is not there. */
export interface LatestValues {
  find(device: string, metric: string): CurrentValue | undefined;
  /** In any order; empty for an unknown device. */
  device(device: string): Iterable<CurrentValue>;
  select(device: Glob, metric: Glob): Iterable<CurrentValue>;
}

export interface CurrentValue {
  readonly series: number;
  readonly device: string;
  readonly metric: string;
  /** Epoch ms. */
  readonly time: number;
  readonly value: Value;
}

export interface Devices {
  list(): Iterable<DeviceRecord>;
  get(device: string): DeviceRecord | undefined;
}

/** The commit log as a polling reader sees it. */
export interface Stream {
  /**
   * Readings committed after `since` (undefined: from now on) whose device and metric match the patterns. A page ends
   * after a whole commit, at about `limit` readings. With nothing to tell it waits up to `waitMs`, or until `signal`
   * aborts, then answers empty.
   */
  poll(query: StreamQuery): Promise<StreamResult>;
}

export interface StreamQuery {
  /** Glob patterns. */
  readonly device: string;
  readonly metric: string;
  readonly since: string | undefined;
  readonly limit: number;
  readonly waitMs: number;
  readonly signal: AbortSignal;
}

export interface StreamResult {
  readonly cursor: string;
  /** Times as RFC 3339. */
  readonly readings: readonly StreamReading[];
  readonly gap: { readonly after: string; readonly resumed: string; readonly reason: string } | null;
}

/** What people decide. Changes resolve once they are durable; an id that is gone rejects with `not_found`. */
export interface Catalog {
  snapshot(): { readonly rules: readonly Rule[]; readonly webhooks: readonly Webhook[] };
  createRule(draft: RuleDraft): Promise<Rule>;
  updateRule(id: string, patch: RulePatch): Promise<Rule>;
  deleteRule(id: string): Promise<void>;
  createWebhook(draft: WebhookDraft): Promise<{ readonly webhook: Webhook; readonly secret: string }>;
  updateWebhook(id: string, patch: WebhookPatch): Promise<Webhook>;
  deleteWebhook(id: string): Promise<void>;
}

export interface Readiness {
  readonly ready: boolean;
  /** Sentences; empty when ready. */
  readonly reasons: readonly string[];
  /** The code of the refusal when not ready; `storage_unavailable` when left out. */
  readonly code?: ErrorCode | undefined;
}

export interface Metrics {
  /** The text exposition format, version 0.0.4. */
  render(): Promise<string>;
  /** Called once for every request that was answered. */
  observeRequest(request: { readonly route: string; readonly status: number; readonly durationMs: number }): void;
}

/** The files of the dashboard, by path below the base path ("/" is the page). */
export interface Assets {
  find(path: string): Asset | undefined;
}

export interface Asset {
  readonly bytes: Uint8Array;
  readonly contentType: string;
  /** Strong, with its quotes. */
  readonly etag: string;
  /** The name carries a hash of the content, so it may be kept for ever. */
  readonly immutable: boolean;
}
