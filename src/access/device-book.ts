import type { Clock } from '../base/clock.ts';
import type { ErrorCode } from '../contract/error-codes.ts';
import type { Commit } from '../domain/commit.ts';
import type { DeviceRecord } from '../domain/device.ts';
import { hasRanges, type MetricProfile, metricOf, type PayloadDialect, type Profile } from '../domain/profile.ts';
import type { Registration } from '../domain/registration.ts';

/** Why nothing of a device is taken, in a code of the registry and a sentence for its owner. */
export interface DeviceRefusal {
  readonly code: ErrorCode;
  readonly detail: string;
}

/** What follows from people's decisions for the messages of a device. Frozen. */
export interface DeviceTerms {
  readonly refusal: DeviceRefusal | null;
  /** How payloads on `devices/{device}/telemetry` are written. */
  readonly dialect: PayloadDialect;
  /** What the profile says of a metric; null when it has no plausible range at all. */
  readonly metric: ((metric: string) => MetricProfile | null) | null;
}

export interface DeviceBookParts {
  /** What people decided; `registrations` is live. */
  decided(): {
    readonly registrations: ReadonlyMap<string, Registration>;
    readonly profiles: readonly Profile[];
  };
  /** What the engine knows, as of the last commit that this book was told of. */
  readonly devices: { get(device: string): DeviceRecord | undefined };
  /** Whether any API key exists: with the first, `open` auto-creation ends. */
  hasKeys(): boolean;
  /** `device.autoCreate` */
  readonly autoCreate: 'open' | 'always' | 'never';
  /** `device.autoCreateMax`; 0: no limit. */
  readonly autoCreateMax: number;
  readonly clock: Clock;
}

/** How long a device that was let in may take to come to be, before its place goes to another, ms of the monotonic clock. */
const arrivalMs = 60_000;

const refusals = {
  blocked: { code: 'device_blocked', detail: 'this device was blocked; POST /api/v1/devices/{id}/approve lets it in' },
  pending: {
    code: 'device_pending',
    detail:
      'this device waits for approval; POST /api/v1/devices/{id}/approve lets it in. What it sent is kept in the quarantine, and POST /api/v1/quarantine/retry with {"reason":"device_pending"} takes it in then',
  },
  unknown: {
    code: 'device_unknown',
    detail:
      'this device is not registered, and devices do not register themselves here; POST /api/v1/devices registers it',
  },
  full: {
    code: 'device_limit',
    detail: 'device.autoCreateMax devices came by themselves already; POST /api/v1/devices registers this one',
  },
} as const satisfies Record<string, DeviceRefusal>;

/**
 * Which devices may speak, and on what terms: people's decisions and what the engine has seen, answered from memory.
 * Terms are made once and kept until something they follow from changes; a message costs one look-up. Nothing is kept of
 * a device that is turned away for being unknown, however many names a stranger tries.
 */
export class DeviceBook {
  readonly #parts: DeviceBookParts;
  readonly #terms = new Map<string, DeviceTerms>();
  readonly #profiles = new Map<string, Profile>();
  /** Devices that exist though nobody registered or provisioned them: what `autoCreateMax` bounds. */
  readonly #unasked = new Set<string>();
  /** Those let in whose first commit is still to come, and since when. */
  readonly #arriving = new Map<string, number>();

  constructor(parts: DeviceBookParts) {
    this.#parts = parts;
    this.#loadProfiles();
  }

  /** What the engine knows at the start; in addition to what `devices` answers. */
  load(records: Iterable<DeviceRecord>): void {
    for (const { device } of records) this.#count(device);
  }

  /** The same object while nothing changed. A device that is let in for the first time takes a place of the quota. */
  terms(device: string): DeviceTerms {
    return this.#terms.get(device) ?? this.#judge(device);
  }

  /**
   * Why the device may not connect. One that waits for approval may: what it sends is refused, and so kept for the day on
   * which it is let in. Takes no place of the quota: only a message brings a device into being.
   */
  refusal(device: string): DeviceRefusal | null {
    const decided = this.#decidedRefusal(device);
    if (decided !== undefined) return decided === refusals.pending ? null : decided;
    if (this.#isExpected(device)) return null;
    return this.#strangerRefusal();
  }

  /** Whether there is such a device, registered or seen. */
  isKnown(device: string): boolean {
    return this.#parts.decided().registrations.has(device) || this.#parts.devices.get(device) !== undefined;
  }

  /** Whether its profile lets it speak for other devices, which only a person's approval makes hold. */
  isGateway(device: string): boolean {
    return (this.profileOf(device)?.gateway ?? false) && this.approvalOf(device) === 'approved';
  }

  /** That of its registration; without one, that it was provisioned with. */
  profileOf(device: string): Profile | null {
    const registration = this.#parts.decided().registrations.get(device);
    const id = registration ? registration.profile : (this.#parts.devices.get(device)?.provisioned?.profile ?? null);
    return id === null ? null : (this.#profiles.get(id) ?? null);
  }

  approvalOf(device: string): 'approved' | 'pending' | 'blocked' {
    const registration = this.#parts.decided().registrations.get(device);
    if (registration) return registration.approval;
    return this.#parts.devices.get(device)?.provisioned?.needsApproval ? 'pending' : 'approved';
  }

  /** After every commit, once `devices` knows it. Costs what is new in it, not what there is. */
  apply(commit: Pick<Commit, 'newSeries' | 'deviceFacts' | 'forgottenDevices'>): void {
    for (const { device } of commit.newSeries) this.#count(device);
    for (const { device, provisioned } of commit.deviceFacts) {
      if (provisioned) this.#terms.delete(device);
      this.#count(device);
    }
    for (const device of commit.forgottenDevices) {
      this.#terms.delete(device);
      this.#count(device);
    }
  }

  /** People decided about these devices. */
  registrationsChanged(devices: readonly string[]): void {
    for (const device of devices) {
      this.#terms.delete(device);
      this.#count(device);
    }
  }

  /** Profiles changed, or the first key was made or the last one deleted. */
  changed(): void {
    this.#loadProfiles();
    this.#terms.clear();
    // Whoever has not come to be yet is judged by what holds now.
    this.#arriving.clear();
  }

  #judge(device: string): DeviceTerms {
    const decided = this.#decidedRefusal(device);
    if (decided === undefined && !this.#isExpected(device)) {
      const refusal = this.#strangerRefusal();
      if (refusal !== null) return turnedAway.get(refusal) ?? refusedTerms(refusal);
      this.#arriving.set(device, this.#parts.clock.monotonic());
    }
    const terms = termsOf(decided ?? null, this.profileOf(device));
    this.#terms.set(device, terms);
    return terms;
  }

  /** What people's decisions alone say; undefined when there are none about this device. */
  #decidedRefusal(device: string): DeviceRefusal | null | undefined {
    const registration = this.#parts.decided().registrations.get(device);
    if (registration) return registration.approval === 'blocked' ? refusals.blocked : null;
    const provisioned = this.#parts.devices.get(device)?.provisioned;
    if (provisioned) return provisioned.needsApproval ? refusals.pending : null;
    return undefined;
  }

  #isExpected(device: string): boolean {
    return this.#parts.devices.get(device) !== undefined || this.#arriving.has(device);
  }

  #strangerRefusal(): DeviceRefusal | null {
    const { autoCreate, autoCreateMax } = this.#parts;
    if (autoCreate === 'never' || (autoCreate === 'open' && this.#parts.hasKeys())) return refusals.unknown;
    if (autoCreateMax === 0 || this.#places() < autoCreateMax) return null;
    this.#giveUpLate();
    return this.#places() < autoCreateMax ? null : refusals.full;
  }

  #places(): number {
    return this.#unasked.size + this.#arriving.size;
  }

  /** Whoever was let in and never came to be (every message was refused) makes room. */
  #giveUpLate(): void {
    const late = this.#parts.clock.monotonic() - arrivalMs;
    for (const [device, since] of this.#arriving) {
      if (since > late) break;
      this.#arriving.delete(device);
      this.#terms.delete(device);
    }
  }

  #count(device: string): void {
    const record = this.#parts.devices.get(device);
    const isAsked = this.#parts.decided().registrations.has(device) || (record?.provisioned ?? null) !== null;
    if (record || isAsked) this.#arriving.delete(device);
    if (record && !isAsked) this.#unasked.add(device);
    else this.#unasked.delete(device);
  }

  #loadProfiles(): void {
    this.#profiles.clear();
    for (const profile of this.#parts.decided().profiles) this.#profiles.set(profile.id, profile);
  }
}

function termsOf(refusal: DeviceRefusal | null, profile: Profile | null): DeviceTerms {
  if (refusal === null && profile === null) return plainTerms;
  const metric = profile !== null && hasRanges(profile) ? (name: string) => metricOf(profile, name) : null;
  return Object.freeze({ refusal, dialect: profile?.dialect ?? 'native', metric });
}

function refusedTerms(refusal: DeviceRefusal): DeviceTerms {
  return Object.freeze({ refusal, dialect: 'native', metric: null });
}

const plainTerms: DeviceTerms = Object.freeze({ refusal: null, dialect: 'native', metric: null });
/** One object for all who are turned away for the same reason. */
const turnedAway = new Map<DeviceRefusal, DeviceTerms>(
  Object.values(refusals).map((refusal) => [refusal, refusedTerms(refusal)]),
);
