import { RejectedError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import type { Commit } from '../domain/commit.ts';
import type { DeviceFact, DeviceRecord } from '../domain/device.ts';
import type { TokenChange } from '../domain/device-token.ts';
import type { ProvisioningKey, Registration } from '../domain/registration.ts';
import { deviceIdRule, isDeviceId } from '../domain/series.ts';
import { issueToken } from './device-tokens.ts';
import { isExpired } from './keys.ts';
import { hashOf, isSameHash, newSecret } from './secret-text.ts';

/** Makes a provisioning key, `pulseprov_…` (see `secret-text.ts`). The key itself is shown once and kept nowhere. */
export function newProvisioningKey(
  random: Random,
  facts: Omit<ProvisioningKey, 'id' | 'hash'>,
): { readonly key: string; readonly record: ProvisioningKey } {
  const { text, id, hash } = newSecret('pulseprov', random);
  const { name, profile, approval, devicesMax, createdAt, expiresAt } = facts;
  return { key: text, record: { id, name, hash, profile, approval, devicesMax, createdAt, expiresAt } };
}

/** What is asked before a device gets a token of its own. */
export interface ProvisioningFacts {
  readonly key: ProvisioningKey | undefined;
  /** How many devices the key has made that still exist. */
  readonly made: number;
  readonly device: string;
  readonly record: DeviceRecord | undefined;
  readonly registration: Registration | undefined;
  readonly hasToken: boolean;
  /** Epoch ms. */
  readonly now: number;
}

/**
 * Whether the device is approved from the start. Throws `RejectedError`: `device_invalid`, `unauthorized` (no such key, or
 * its time is over), `device_blocked`, `device_exists` (it has a token, or came to be otherwise), `device_limit`.
 */
export function judgeProvisioning(facts: ProvisioningFacts): {
  readonly key: ProvisioningKey;
  readonly approval: 'approved' | 'pending';
} {
  const { key, device, record, registration, now } = facts;
  if (!isDeviceId(device)) throw new RejectedError('device_invalid', `a device id has ${deviceIdRule}`);
  if (!key || isExpired(key, now))
    throw new RejectedError('unauthorized', 'the provisioning key is gone or has expired');
  if (registration?.approval === 'blocked')
    throw new RejectedError('device_blocked', `the device "${device}" is blocked`);
  const isOwn = record?.provisioned?.key === key.id;
  const isOthers = !isOwn && (registration !== undefined || (record?.provisioned ?? null) !== null);
  if (facts.hasToken || isOthers) {
    const what = facts.hasToken ? 'has a token already' : 'was made otherwise';
    throw new RejectedError('device_exists', `the device "${device}" ${what}; a person can give it a new token`);
  }
  if (!isOwn && facts.made >= key.devicesMax) {
    const detail = `the provisioning key "${key.name}" has made ${facts.made} devices, which is all it may`;
    throw new RejectedError('device_limit', detail);
  }
  return { key, approval: key.approval && registration === undefined ? 'pending' : 'approved' };
}

export interface ProvisioningParts {
  readonly random: Random;
  /** Epoch ms. */
  now(): number;
  keys(): readonly ProvisioningKey[];
  registration(device: string): Registration | undefined;
  readonly devices: { get(device: string): DeviceRecord | undefined };
  hasTokens(device: string): boolean;
  /** Resolves once both are on disk and known to every book. */
  commit(changes: { readonly facts: readonly DeviceFact[]; readonly tokens: readonly TokenChange[] }): Promise<void>;
}

/** Devices that ask for a token of their own, over REST or MQTT. */
export class Provisioning {
  readonly #parts: ProvisioningParts;
  /** Device → the key that made it. */
  readonly #madeBy = new Map<string, string>();
  readonly #made = new Map<string, number>();
  /** Device → key. */
  readonly #underWay = new Map<string, string>();

  constructor(parts: ProvisioningParts) {
    this.#parts = parts;
  }

  /** What the engine knows at the start. */
  load(records: Iterable<DeviceRecord>): void {
    for (const { device, provisioned } of records) if (provisioned) this.#count(device, provisioned.key);
  }

  /** After every commit. */
  apply(commit: Pick<Commit, 'deviceFacts' | 'forgottenDevices'>): void {
    // A fact of the same commit makes the device anew.
    for (const device of commit.forgottenDevices) this.#count(device, null);
    for (const { device, provisioned } of commit.deviceFacts) if (provisioned) this.#count(device, provisioned.key);
  }

  /** The provisioning key that was presented; null when there is none such, or its time is over. */
  verify(presented: string): ProvisioningKey | null {
    const hash = hashOf(presented);
    let found: ProvisioningKey | null = null;
    for (const key of this.#parts.keys()) if (isSameHash(key.hash, hash)) found = key;
    return found && !isExpired(found, this.#parts.now()) ? found : null;
  }

  /** Whether the key with this id still holds. */
  holds(id: string): boolean {
    const key = this.#key(id);
    return key !== undefined && !isExpired(key, this.#parts.now());
  }

  /** How many devices the key has made that still exist. */
  madeBy(key: string): number {
    return this.#made.get(key) ?? 0;
  }

  /**
   * Gives the device a token of its own: the one answer that shows it, after it is on disk. `key` is the id of a
   * provisioning key that was verified. Rejects as `judgeProvisioning` throws, or as `commit` rejects.
   */
  async provision(wish: {
    readonly device: string;
    readonly key: string;
  }): Promise<{ readonly token: string; readonly approval: 'approved' | 'pending' }> {
    const { device } = wish;
    if (this.#underWay.has(device)) {
      throw new RejectedError('device_exists', `the device "${device}" is being given a token just now`);
    }
    const now = this.#parts.now();
    const underWay = [...this.#underWay.values()].filter((id) => id === wish.key).length;
    const { key, approval } = judgeProvisioning({
      key: this.#key(wish.key),
      // Those under way count, so that many at once do not pass the limit together.
      made: this.madeBy(wish.key) + underWay,
      device,
      record: this.#parts.devices.get(device),
      registration: this.#parts.registration(device),
      hasToken: this.#parts.hasTokens(device),
      now,
    });
    this.#underWay.set(device, key.id);
    try {
      const { token, record } = issueToken(this.#parts.random, device, now);
      const provisioned = { profile: key.profile, key: key.id, needsApproval: key.approval, at: now };
      await this.#parts.commit({ facts: [{ device, at: now, provisioned }], tokens: [{ kind: 'put', token: record }] });
      return { token, approval };
    } finally {
      this.#underWay.delete(device);
    }
  }

  #key(id: string): ProvisioningKey | undefined {
    return this.#parts.keys().find((key) => key.id === id);
  }

  #count(device: string, key: string | null): void {
    const before = this.#madeBy.get(device);
    if (before !== undefined) this.#made.set(before, this.madeBy(before) - 1);
    if (key === null) {
      this.#madeBy.delete(device);
      return;
    }
    this.#madeBy.set(device, key);
    this.#made.set(key, this.madeBy(key) + 1);
  }
}
