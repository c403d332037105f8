import { DeviceTokenBook, issueToken } from '../../src/access/device-tokens.ts';
import { newProvisioningKey, Provisioning } from '../../src/access/provisioning.ts';
import type { ApiPorts, Decisions } from '../../src/api/ports.ts';
import type { Clock } from '../../src/base/clock.ts';
import { RejectedError } from '../../src/base/errors.ts';
import type { Random } from '../../src/base/random.ts';
import type { DeviceFact, DeviceRecord } from '../../src/domain/device.ts';
import type { TokenChange } from '../../src/domain/device-token.ts';
import type { Profile } from '../../src/domain/profile.ts';
import { Units } from '../../src/latest/units.ts';

/** What the API asks about identity: the real books over devices in memory, and whatever keeps the decisions. */
export interface IdentityStrangers {
  readonly tokens: DeviceTokenBook;
  /** Devices that were forgotten, in order. */
  readonly forgotten: string[];
  /** Thrown by the next commits, where set. */
  failure: Error | null;
  readonly ports: Pick<ApiPorts, 'decisions' | 'identity' | 'tokens' | 'provisioning' | 'units' | 'tryMapping'>;
}

export function createIdentity(parts: {
  readonly devices: Map<string, DeviceRecord>;
  readonly clock: Clock;
  readonly random: Random;
  readonly decisions?: Decisions;
}): IdentityStrangers {
  const { devices, clock, random, decisions = nothingDecided } = parts;
  const tokens = new DeviceTokenBook();
  const registrationOf = (device: string) => decisions.snapshot().registrations.get(device);
  const provisioning = new Provisioning({
    random,
    now: () => clock.now(),
    keys: () => decisions.provisioningKeys(),
    registration: registrationOf,
    devices,
    hasTokens: (device) => tokens.hasTokens(device),
    commit,
  });
  const units = new Units({ profileOf, mappings: () => decisions.snapshot().mappings });
  const strangers: IdentityStrangers = {
    tokens,
    forgotten: [],
    failure: null,
    ports: {
      decisions,
      identity: { commit },
      tokens: {
        issue: (device, now, options) => issueToken(random, device, now, options),
        ofDevice: (device) => tokens.ofDevice(device),
      },
      provisioning: {
        newKey: (facts) => newProvisioningKey(random, facts),
        verify: (presented) => provisioning.verify(presented),
        madeBy: (key) => provisioning.madeBy(key),
        provision: (wish) => provisioning.provision(wish),
      },
      units,
      tryMapping(mapping, topic, payload) {
        if (topic !== 'room/fridge-1') throw new RejectedError('mapping_mismatch', `not a topic of ${mapping.name}`);
        return [{ device: 'fridge-1', metric: 'bytes', time: null, value: payload.length }];
      },
    },
  };
  return strangers;

  function profileOf(device: string): Profile | null {
    const id = registrationOf(device)?.profile ?? devices.get(device)?.provisioned?.profile;
    return decisions.snapshot().profiles.find((profile) => profile.id === id) ?? null;
  }

  function commit(changes: {
    readonly facts?: readonly DeviceFact[];
    readonly tokens?: readonly TokenChange[];
    readonly forgottenDevices?: readonly string[];
  }): Promise<void> {
    if (strangers.failure) return Promise.reject(strangers.failure);
    for (const fact of changes.facts ?? []) learn(fact);
    for (const change of changes.tokens ?? []) tokens.apply(change);
    for (const device of changes.forgottenDevices ?? []) {
      devices.delete(device);
      strangers.forgotten.push(device);
    }
    const told = { deviceFacts: changes.facts ?? [], forgottenDevices: changes.forgottenDevices ?? [] };
    provisioning.apply(told);
    return Promise.resolve();
  }

  function learn({ device, at, provisioned }: DeviceFact): void {
    const before = devices.get(device);
    const blank = { status: null, statusAt: null, statusCause: null, attributes: {}, clockCorrected: 0 };
    devices.set(device, {
      ...blank,
      device,
      firstSeen: at,
      ...before,
      lastSeen: at,
      provisioned: provisioned ?? before?.provisioned ?? null,
    });
  }
}

function refuse(): Promise<never> {
  return Promise.reject(new RejectedError('conflict', 'nothing is decided here'));
}

function missing(): Promise<never> {
  return Promise.reject(new RejectedError('not_found', 'nothing is decided here'));
}

/** For tests of other things: nobody decided anything, and nobody can. */
const nothingDecided: Decisions = {
  snapshot: () => ({ registrations: new Map(), profiles: [], mappings: [] }),
  registrationsAfter: () => [],
  provisioningKeys: () => [],
  createRegistrations: refuse,
  updateRegistration: refuse,
  decideApprovals: refuse,
  deleteRegistration: refuse,
  createProfile: refuse,
  putProfile: missing,
  updateProfile: missing,
  deleteProfile: missing,
  createMapping: refuse,
  putMapping: refuse,
  updateMapping: missing,
  deleteMapping: missing,
  addProvisioningKey: refuse,
  updateProvisioningKey: missing,
  removeProvisioningKey: missing,
};
