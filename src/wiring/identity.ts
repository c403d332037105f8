import { DeviceBook } from '../access/device-book.ts';
import { FailedAttempts } from '../access/failed-attempts.ts';
import { MqttGatekeeper } from '../access/gatekeeper.ts';
import { KeyDesk } from '../access/key-desk.ts';
import { adminKeyRecord } from '../access/keys.ts';
import { type AccessPolicy, isOpenMode, judgeBind } from '../access/open-mode.ts';
import { Provisioning } from '../access/provisioning.ts';
import { RequestJudge } from '../access/request-judge.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Config } from '../config/schema.ts';
import type { KeyRecord } from '../domain/key.ts';
import type { Mapping } from '../domain/mapping.ts';
import { Units } from '../latest/units.ts';
import type { EntryChanges } from '../pipeline/entry.ts';
import type { DeviceFact } from '../domain/device.ts';
import type { Memory } from './memory.ts';
import { StartRefusedError, type Surroundings } from './surroundings.ts';

/** A listener would be open to others though nobody made a key. */
export class BindRefusedError extends StartRefusedError {
  override readonly name = 'BindRefusedError';
}

/** Who may do what, as people decided it. */
export interface Identity {
  readonly book: DeviceBook;
  readonly gatekeeper: MqttGatekeeper;
  readonly requests: RequestJudge;
  readonly keys: KeyDesk;
  readonly provisioning: Provisioning;
  readonly units: Units;
  /** Those of the catalog, then those of the configuration. */
  mappings(): readonly Mapping[];
}

type Policy = Pick<AccessPolicy, 'openMode' | 'keys' | 'corsOrigins'>;

/** What holds now: keys come and go while the gateway runs. */
export function accessPolicy({ config, clock }: Surroundings, catalog: Catalog): () => Policy {
  const { http, mqtt, access } = config;
  const admin: readonly KeyRecord[] =
    access.adminKey === '' ? [] : [adminKeyRecord(access.adminKey, new Date(clock.now()).toISOString())];
  const origins = http.publicUrl === '' ? [] : [new URL(http.publicUrl).origin];
  const hosts = mqtt.mode === 'embedded' ? [http.host, mqtt.host] : [http.host];
  let kept: readonly KeyRecord[] | undefined;
  let policy: Policy;
  return () => {
    // Asked for every connection and request: the same answer while the catalog's keys are the same.
    if (kept !== catalog.keys()) {
      kept = catalog.keys();
      const keys = [...admin, ...kept];
      const openMode = isOpenMode({ hasKeys: keys.length > 0, trustProxy: http.trustProxy, hosts });
      policy = { openMode, keys, corsOrigins: [...http.cors, ...origins] };
    }
    return policy;
  };
}

/** Throws `BindRefusedError` where others could come in though there is no key. */
export function refuseOpenBinds({ http, mqtt }: Config, { keys }: Policy): void {
  const listeners = [{ option: 'http.host', host: http.host }];
  if (mqtt.mode === 'embedded') listeners.push({ option: 'mqtt.host', host: mqtt.host });
  const reasons = listeners.flatMap((listener) => judgeBind({ ...listener, hasKeys: keys.length > 0 }) ?? []);
  if (http.trustProxy && keys.length === 0) {
    reasons.push(
      'http.trustProxy is set, so others can reach the gateway through a proxy, but there is no key yet. Make one with "pulsegate keys create NAME" (or set PULSEGATE_ADMIN_KEY_FILE).',
    );
  }
  if (reasons.length > 0) throw new BindRefusedError(reasons.join('\n'));
}

export interface IdentityParts {
  readonly catalog: Catalog;
  readonly memory: Memory;
  readonly policy: () => Policy;
  /** Filters of mappings that give this device's id. */
  readonly mappedFilters: (device: string) => readonly string[];
  /** Resolves once it is on disk and known to every book. */
  readonly commit: (parts: {
    readonly facts?: readonly DeviceFact[];
    readonly changes?: EntryChanges;
  }) => Promise<void>;
}

export function buildIdentity(surroundings: Surroundings, parts: IdentityParts): Identity {
  const { config, clock, random } = surroundings;
  const { catalog, memory, policy, mappedFilters, commit } = parts;
  const { devices, tokens, recovered } = memory;
  const now = (): number => clock.now();
  const book = new DeviceBook({
    decided: () => catalog.snapshot(),
    devices,
    hasKeys: () => policy().keys.length > 0,
    autoCreate: config.device.autoCreate,
    autoCreateMax: config.device.autoCreateMax,
    clock,
  });
  book.load(recovered.devices);
  const provisioning = new Provisioning({
    random,
    now,
    keys: () => catalog.provisioningKeys(),
    registration: (device) => catalog.snapshot().registrations.get(device),
    devices,
    hasTokens: (device) => tokens.hasTokens(device),
    commit: ({ facts, tokens: changes }) => commit({ facts, changes: { tokens: changes } }),
  });
  provisioning.load(recovered.devices);
  const failures = new FailedAttempts({ clock, perMinute: config.access.failuresPerMinute });
  const mappings = joinedMappings(catalog, config.ingest.mappings);
  return {
    book,
    provisioning,
    mappings,
    units: new Units({ profileOf: (device) => book.profileOf(device), mappings }),
    gatekeeper: new MqttGatekeeper({
      policy,
      tokens,
      devices: book,
      provisioning,
      mappedFilters,
      failures,
      denySubscribe: config.mqtt.denySubscribe,
      identity: config.mqtt.tls.identity,
      now,
    }),
    requests: new RequestJudge({ policy, tokens, devices: book, failures, now }),
    keys: new KeyDesk({ store: catalog, hasAdminKey: config.access.adminKey !== '', random, clock }),
  };
}

/** The same list while the catalog's is the same. */
function joinedMappings(catalog: Catalog, configured: readonly Mapping[]): () => readonly Mapping[] {
  let known: readonly Mapping[] | undefined;
  let joined: readonly Mapping[] = configured;
  return () => {
    const { mappings } = catalog.snapshot();
    if (mappings === known) return joined;
    known = mappings;
    joined = [...mappings, ...configured];
    return joined;
  };
}
