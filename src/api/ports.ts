import type { Clock } from '../base/clock.ts';
import type { Fault } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { Broker } from '../contract/broker.ts';
import type { ErrorCode } from '../contract/error-codes.ts';
import type { KeyDraft, KeyPatch } from '../contract/key.ts';
import type { RegistrationDraft, RegistrationPatch } from '../contract/device.ts';
import type { MappingPatch } from '../contract/mapping.ts';
import type { ProfileBody, ProfileDraft, ProfilePatch } from '../contract/profile.ts';
import type { ProvisioningKeyPatch } from '../contract/provisioning.ts';
import type { RuleDraft, RulePatch } from '../contract/rule.ts';
import type { StreamReading } from '../contract/reading.ts';
import type { StorageState } from '../contract/storage.ts';
import type { WebhookDraft, WebhookPatch } from '../contract/webhook.ts';
import type { Command, Json } from '../domain/command.ts';
import type { Deleted } from '../domain/commit.ts';
import type { Deletion } from '../domain/deletion.ts';
import type { DeviceMessage } from '../decode/decoded.ts';
import type { InfluxBatch, InfluxPrecision } from '../decode/influx.ts';
import type { DeviceRecord } from '../domain/device.ts';
import type { DeviceToken, TokenChange } from '../domain/device-token.ts';
import type { KeyRecord, RouteScope } from '../domain/key.ts';
import type { Caller, Sender } from '../domain/principal.ts';
import type { Mapping } from '../domain/mapping.ts';
import type { MetricProfile, Profile } from '../domain/profile.ts';
import type { QuarantineRecord } from '../domain/quarantine.ts';
import type { Value } from '../domain/reading.ts';
import type { ProvisioningKey, Registration } from '../domain/registration.ts';
import type { RetentionPolicy, RetentionRule } from '../domain/retention.ts';
import type { Rule } from '../domain/rule.ts';
import type { Series } from '../domain/series.ts';
import type { Webhook } from '../domain/webhook.ts';
import type { AcrossColumns, Asker, Reduction } from '../history/queries.ts';
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
  readonly lasting: LastingCallers;
  readonly proxies: ProxyTrust;
  readonly keys: Keys;
  readonly intake: Intake;
  readonly latest: LatestValues;
  readonly names: SeriesNames;
  readonly devices: Devices;
  readonly reader: HistoryReader;
  readonly across: Across;
  readonly stream: Stream;
  readonly catalog: Catalog;
  readonly decisions: Decisions;
  readonly identity: Identity;
  readonly tokens: DeviceTokens;
  readonly provisioning: Provisioning;
  readonly units: Units;
  readonly commands: Commands;
  readonly retention: Retention;
  readonly erasure: Erasure;
  /** What the store holds and how it grows. Rejects when the store does not answer. */
  storage(): Promise<StorageState>;
  readonly quarantine: Quarantine;
  /** What a mapping makes of a message; times null where it is the time of receipt. Throws `RejectedError`. */
  tryMapping(mapping: Mapping, topic: string, payload: Uint8Array): readonly MappedReading[];
  /**
   * Reads InfluxDB line protocol: the good lines, and the faults of the others. `fallback` is the device of lines that name
   * none. Throws `RejectedError` where there is no line at all.
   */
  decodeLines(
    body: Uint8Array,
    options: { readonly precision: InfluxPrecision; readonly fallback: string | null },
  ): InfluxBatch;
  /** Faults of a rule that a schema cannot see; pointers into the rule. */
  ruleFaults(rule: RuleDraft): readonly Fault[];
  /** Throws `RejectedError` (`target_not_allowed`) for a URL that webhooks must not reach. */
  checkTarget(url: string): void;
  /** The position of the newest commit. */
  cursor(): string;
  ready(): Readiness;
  /** Where devices connect. */
  broker(): Broker;
  readonly metrics: Metrics;
  readonly assets: Assets;
  readonly backup: Backup;
}

/** Backups of everything, one at a time. */
export interface Backup {
  /** A name for one that is made now. */
  nameNow(): string;
  /** Its bytes; begins with the first step, and is ended early when nobody wants them any more. */
  write(): AsyncIterable<Uint8Array>;
}

export interface ApiLimits {
  /** Largest request body, bytes. */
  readonly bodyBytesMax: number;
  /** Longest `wait` of `GET /stream`, milliseconds. */
  readonly waitMaxMs: number;
  /** Answers without an end of their own that are written at once; one more is refused. */
  readonly downloadsMax: number;
}

/** Judges who may ask, from memory; it waits only for the guesses of others to be counted. */
export interface Access {
  judge(facts: RequestFacts): Promise<Verdict> | Verdict;
}

/** Who waits for an answer that takes long. */
export interface LastingCallers {
  /** `end` is called when the caller would not be let in any more; what comes back is to be called when the answer is over. */
  add(caller: Caller, scope: RouteScope, end: () => void): () => void;
}

export interface RequestFacts {
  readonly method: string;
  /** Who asks: the other end of the connection, or whom a trusted proxy names. */
  readonly remoteAddress: string | undefined;
  readonly host: string | undefined;
  /** `http` or `https` where that is known; null where a proxy that is not trusted may have ended TLS. */
  readonly scheme: 'http' | 'https' | null;
  readonly origin: string | undefined;
  readonly authorization: string | undefined;
  readonly contentType: string | undefined;
  /** Whether `Forwarded` or any `X-Forwarded-*` header is there. */
  readonly forwarded: boolean;
  readonly isUpgrade: boolean;
  /** The address holds nothing that a key protects: health, the page itself, a preflight. Host and Origin still count. */
  readonly isPublic: boolean;
  /** What a key must be allowed for this; null where there is nothing, which any key may hear. */
  readonly scope: RouteScope | null;
  /** Whether a device may come with its own token. */
  readonly forDevices: boolean;
}

export type Verdict =
  | { readonly allowed: true; readonly caller: Caller }
  | {
      readonly allowed: false;
      readonly code: ErrorCode;
      readonly detail: string;
      /** When it is worth asking again, ms; only of `rate_limited`. */
      readonly retryAfterMs?: number;
    };

/** Which proxies are believed when they say who asks (`http.trustProxy`, `http.trustedProxies`). */
export interface ProxyTrust {
  readonly trustProxy: boolean;
  /** Addresses and networks (CIDR). */
  readonly trustedProxies: readonly string[];
}

/** The keys of people and programs. Changes resolve once they are durable. */
export interface Keys {
  list(): readonly KeyRecord[];
  /** Makes a key, which is answered here and never shown again. */
  create(draft: KeyDraft): Promise<{ readonly key: string; readonly record: KeyRecord }>;
  /** Throws `RejectedError`: `not_found`, or `conflict` when nobody could make a key afterwards. */
  update(id: string, patch: KeyPatch): Promise<KeyRecord>;
  /** As `update`; `force` removes the last key that could make another. */
  remove(id: string, options: { readonly force: boolean }): Promise<void>;
}

/** Takes readings in over HTTP. */
export interface Intake {
  /**
   * Resolves once the readings are on disk. Rejects with `RejectedError` and every fault in its `errors` (then nothing
   * was stored), or with `TransientError` when the same may succeed later. With `partial`, what is wrong is left out.
   */
  post(
    body: Uint8Array,
    format: 'json' | 'ndjson',
    options: { readonly partial: boolean; readonly sender: Sender },
  ): Promise<PostOutcome>;
  /** As `post`, for a body of `bytes` bytes that a dialect decoded, with what it found wrong in it. */
  postBatch(
    devices: readonly DeviceMessage[],
    options: {
      readonly partial: boolean;
      readonly sender: Sender;
      readonly bytes: number;
      readonly faults: readonly Fault[];
    },
  ): Promise<PostOutcome>;
}

export interface PostOutcome {
  /** The commit. */
  readonly seq: number;
  readonly stored: number;
  readonly replaced: number;
  readonly identical: number;
  readonly refused: readonly Fault[];
}

/** How long series are kept. */
export interface Retention {
  /** In order: the first that matches holds. */
  rules(): readonly RetentionRule[];
  /** Of series that no rule matches. */
  readonly defaults: RetentionPolicy;
  /** Replaces the rules; resolves once they are durable. Rejects with every fault, or with `conflict`. */
  put(rules: readonly RetentionRule[]): Promise<unknown>;
  /** What holds for a series, and by which rule; null: by the default. */
  of(device: string, metric: string): { readonly policy: RetentionPolicy; readonly rule: RetentionRule | null };
  /** Readings of a series before this time are refused, for their age or because those around them are gone; epoch ms, or -Infinity. */
  keptFrom(device: string, metric: string, now: number): number;
}

/** Deletes readings for good. */
export interface Erasure {
  /** About how many readings there are in these ranges, at most 1,000 of them. */
  estimate(ranges: readonly Deletion[], asker: Asker): Promise<{ readonly readings: number }>;
  /**
   * Resolves once they are gone, in one commit with the rest, and every book knows. `deleted` is null where the store had
   * to be opened anew to tell that it is done. Rejects as a commit fails.
   */
  erase(changes: {
    readonly deletions: readonly Deletion[];
    /** Refused messages of these devices go, too. */
    readonly erasedDevices?: readonly string[];
    readonly forgottenDevices?: readonly string[];
    readonly tokens?: readonly TokenChange[];
    readonly commands?: readonly Command[];
  }): Promise<{ readonly seq: number; readonly deleted: Deleted | null }>;
}

/** How partial sums over series become one, and what is told of them. */
export interface Across {
  merge(parts: readonly AcrossColumns[]): AcrossColumns;
  /** One for each bucket. */
  reduce(columns: AcrossColumns, reduction: Reduction): readonly (number | null)[];
}

/** Every series that was ever numbered, 1 to `size`; a number keeps its name. */
export interface SeriesNames {
  readonly size: number;
  series(id: number): Series;
}

/** Current values, from memory. A series without a reading on disk is not there. */
export interface LatestValues {
  find(device: string, metric: string): CurrentValue | undefined;
  /** In any order; empty for an unknown device. */
  device(device: string): Iterable<CurrentValue>;
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
  /** In order of their ids, those behind `device`; null for all. */
  after(device: string | null): Iterable<DeviceRecord>;
  get(device: string): DeviceRecord | undefined;
}

/** Commands that are not final yet; the others are asked of the reader. */
export interface Commands {
  /** Resolves once the command is on disk. Rejects with `RejectedError` (`too_many_commands`), or with `TransientError`. */
  create(draft: {
    readonly device: string;
    readonly name: string;
    readonly params: Json;
    /** ms */
    readonly ttl: number;
  }): Promise<Command>;
  find(id: string): Command | undefined;
  /** The command once it is final; undefined when it is not open, when the time is over, or the signal aborts. */
  waitAtMost(id: string, waitMs: number, signal: AbortSignal): Promise<Command | undefined>;
  /** The command as it ended, which need not be by being cancelled; undefined when it is not open. */
  cancel(id: string): Promise<Command | undefined>;
  /** What becomes of a device's open commands when it is forgotten, to be kept in that commit. */
  cancelled(device: string): readonly Command[];
}

/** What can be done about refused messages. */
export interface Quarantine {
  /**
   * Tries a message again; resolves once its readings are on disk and its row is gone. Rejects with `RejectedError` when
   * it is still wrong (then it stays), or with `TransientError`.
   */
  retry(record: QuarantineRecord): Promise<PostOutcome>;
  /** Throws messages away; resolves once that is on disk, rejects with `TransientError`. */
  remove(ids: readonly number[]): Promise<void>;
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

/**
 * What people decide about devices and what they have in common. Changes resolve once they are durable; they reject with
 * `not_found` for what is gone, `conflict` for a name that is taken, `device_exists`, or `validation_failed` with every fault.
 */
export interface Decisions {
  snapshot(): {
    /** Live, by device id. */
    readonly registrations: ReadonlyMap<string, Registration>;
    readonly profiles: readonly Profile[];
    readonly mappings: readonly Mapping[];
  };
  /** In order of their ids, those behind `device`; null for all. */
  registrationsAfter(device: string | null): Iterable<Registration>;
  provisioningKeys(): readonly ProvisioningKey[];
  /** All of them or none. */
  createRegistrations(drafts: readonly RegistrationDraft[]): Promise<readonly Registration[]>;
  /** Who is not registered is by this, from `unregistered`. */
  updateRegistration(id: string, patch: RegistrationPatch, unregistered?: RegistrationDraft): Promise<Registration>;
  /** Registers those who are not, with the profile given. */
  decideApprovals(
    decisions: readonly {
      readonly id: string;
      readonly approval: Registration['approval'];
      readonly profile: string | null;
    }[],
  ): Promise<void>;
  deleteRegistration(id: string): Promise<void>;
  createProfile(draft: ProfileDraft): Promise<Profile>;
  putProfile(id: string, body: ProfileBody): Promise<Profile>;
  updateProfile(id: string, patch: ProfilePatch): Promise<Profile>;
  deleteProfile(id: string): Promise<void>;
  createMapping(spec: Mapping): Promise<Mapping>;
  putMapping(spec: Mapping): Promise<Mapping>;
  updateMapping(name: string, patch: MappingPatch): Promise<Mapping>;
  deleteMapping(name: string): Promise<void>;
  addProvisioningKey(record: ProvisioningKey): Promise<void>;
  updateProvisioningKey(id: string, patch: ProvisioningKeyPatch): Promise<ProvisioningKey>;
  removeProvisioningKey(id: string): Promise<void>;
}

/** What the engine keeps of devices. */
export interface Identity {
  /** Resolves once it is on disk and known to every book. Rejects as a commit fails. */
  commit(changes: {
    readonly tokens?: readonly TokenChange[];
    readonly forgottenDevices?: readonly string[];
    readonly commands?: readonly Command[];
  }): Promise<void>;
}

export interface DeviceTokens {
  /** Makes a token without keeping it. Times are epoch ms. */
  issue(
    device: string,
    now: number,
    options?: { readonly expiresAt?: number | null },
  ): { readonly token: string; readonly record: DeviceToken };
  /** Oldest first, expired ones included. */
  ofDevice(device: string): readonly DeviceToken[];
}

export interface Provisioning {
  newKey(facts: Omit<ProvisioningKey, 'id' | 'hash'>): { readonly key: string; readonly record: ProvisioningKey };
  /** The key that was presented; null when there is none such, or its time is over. */
  verify(presented: string): ProvisioningKey | null;
  /** How many devices the key has made that still exist. */
  madeBy(key: string): number;
  /** Rejects with `device_invalid`, `device_exists`, `device_blocked`, `device_limit` or `unauthorized`. */
  provision(wish: {
    readonly device: string;
    readonly key: string;
  }): Promise<{ readonly token: string; readonly approval: 'approved' | 'pending' }>;
}

export interface Units {
  /** UCUM code of a metric of a device; null when nobody says. */
  of(device: string, metric: string): string | null;
  /** What the profile of the device says of the metric. */
  metric(device: string, metric: string): MetricProfile | null;
}

export interface MappedReading {
  readonly device: string;
  readonly metric: string;
  /** Epoch ms, or null. */
  readonly time: number | null;
  readonly value: Value;
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
