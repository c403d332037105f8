import { RejectedError } from '../base/errors.ts';
import type { KeyRecord } from '../domain/key.ts';
import type { Principal, TopicRights } from '../domain/principal.ts';
import { isDeviceId } from '../domain/series.ts';
import { type CompiledFilters, compileFilters, isReservedTopic, isTopicFilter } from '../domain/topic-filter.ts';
import { deviceRights, isDownward, provisioningRights } from './device-rights.ts';
import { type DeviceTokenBook, isTokenShaped } from './device-tokens.ts';
import type { FailedAttempts } from './failed-attempts.ts';
import { isExpired, mqttRights, readKey, verifyKey } from './keys.ts';
import { isLoopbackAddress } from './loopback.ts';

/** What a CONNECT (MQTT 3.1.1 section 3.1) and its connection say of who is there. */
export interface ConnectFacts {
  readonly remoteAddress: string | undefined;
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** The verified client certificate of a TLS connection, or null. */
  readonly certificate: { readonly commonName: string | null; readonly names: readonly string[] } | null;
}

/** `code` is the CONNACK return code of a refusal (section 3.2.2.3), `detail` a sentence for the log. */
export type Admission =
  | { readonly allowed: true; readonly principal: Principal }
  | { readonly allowed: false; readonly code: 2 | 3 | 4 | 5; readonly detail: string };

/** What decides about MQTT clients. All of it is asked each time, and answers from memory. */
export interface GatekeeperParts {
  /** Whether open mode holds now, and the keys that there are. */
  policy(): { readonly openMode: boolean; readonly keys: readonly KeyRecord[] };
  readonly tokens: DeviceTokenBook;
  readonly devices: DeviceStanding;
  readonly provisioning: ProvisioningKeys;
  /** Filters of mappings that give this device's id; the same array while nothing changed. */
  mappedFilters(device: string): readonly string[];
  readonly failures: FailedAttempts;
  /** Filters that nobody may subscribe to (`mqtt.denySubscribe`). */
  readonly denySubscribe: readonly string[];
  /** Where a certificate names the device: its common name, or the first of its alternative names. */
  readonly identity: 'cn' | 'san';
  /** Epoch ms. */
  now(): number;
}

/** What people decided about devices, and which there are. */
export interface DeviceStanding {
  /** Why the device may not connect: blocked, or neither known nor allowed to come by itself. null when it may. */
  refusal(device: string): { readonly code: string; readonly detail: string } | null;
  /** Whether its profile lets it speak for other devices. */
  isGateway(device: string): boolean;
  /** Whether there is such a device, registered or seen. */
  isKnown(device: string): boolean;
}

export interface ProvisioningKeys {
  /** The provisioning key that was presented; null when there is none such, or its time is over. */
  verify(presented: string): { readonly id: string; readonly profile: string } | null;
  /** Whether the key still holds. */
  holds(id: string): boolean;
}

/** A principal's rights, compiled once. */
interface Rights {
  readonly publish: CompiledFilters;
  readonly subscribe: CompiledFilters;
  /** The array of mapped filters that went into it. */
  readonly mapped: readonly string[];
  /** Topics that were asked for lately, for a client sends to the same few: whether it may publish there. */
  readonly decided: Map<string, boolean>;
}

const decidedMax = 64;
const nobody: readonly never[] = [];
const everything: TopicRights = { publish: ['#'], subscribe: ['#'] };
const provisioningUser = 'provision';

/**
 * Who may connect, and what each may publish, subscribe to and receive. One decision serves all three, and it is made
 * again for each message: what was refused as a subscription is not delivered by any other way either.
 */
export class MqttGatekeeper {
  readonly #parts: GatekeeperParts;
  readonly #denied: CompiledFilters;
  readonly #rights = new WeakMap<Principal, Rights>();

  /** Throws `RejectedError` for a denied filter that is none: it would protect nothing. */
  constructor(parts: GatekeeperParts) {
    this.#parts = parts;
    const wrong = parts.denySubscribe.find((filter) => !isTopicFilter(filter));
    if (wrong !== undefined)
      throw new RejectedError('filter_invalid', `mqtt.denySubscribe: "${wrong}" is no MQTT filter`);
    this.#denied = compileFilters(parts.denySubscribe);
  }

  /** Whether the address has failed too often lately; asked before a CONNECT is looked at. */
  isBarred(remoteAddress: string | undefined): Promise<boolean> {
    return Promise.resolve(!this.#isOwn(remoteAddress) && this.#parts.failures.barredFor(remoteAddress) > 0);
  }

  /** Judges a CONNECT. Wrong credentials count against the address; none at all do not. */
  async admit(facts: ConnectFacts): Promise<Admission> {
    const { failures } = this.#parts;
    if (this.#isOwn(facts.remoteAddress)) return this.#judge(facts);
    const admission = await failures.attempt(facts.remoteAddress, () => {
      const verdict = this.#judge(facts);
      return { verdict, isWrong: !verdict.allowed && verdict.code === 4 };
    });
    return admission ?? refuse(5, 'too many wrong credentials came from this address; it is let in again in a minute');
  }

  mayPublish(principal: Principal, topic: string): boolean {
    if (isReservedTopic(topic)) return false;
    if (principal.kind === 'open') return true;
    const { publish, decided } = this.#rightsOf(principal);
    const before = decided.get(topic);
    if (before !== undefined) return before;
    const may = publish.matches(topic) && !(principal.kind === 'device' && isDownward(principal.device, topic));
    if (decided.size >= decidedMax) decided.clear();
    decided.set(topic, may);
    return may;
  }

  /**
   * Whether every topic that the filter matches may be received. A filter that has a topic in common with one that is
   * denied to everybody is refused as a whole, for a subscription cannot be granted in part.
   */
  maySubscribe(principal: Principal, filter: string): boolean {
    // $SYS would let anybody watch and drive the broker, $share would be granted and never deliver.
    if (isReservedTopic(filter) || this.#denied.overlaps(filter)) return false;
    return principal.kind === 'open' || this.#rightsOf(principal).subscribe.covers(filter);
  }

  mayReceive(principal: Principal, topic: string): boolean {
    if (isReservedTopic(topic) || this.#denied.matches(topic)) return false;
    return principal.kind === 'open' || this.#rightsOf(principal).subscribe.matches(topic);
  }

  /** Whether the credential still holds and still means the same; asked when keys, tokens or registrations change. */
  isValid(principal: Principal): boolean {
    const { tokens, devices, provisioning } = this.#parts;
    const now = this.#parts.now();
    if (principal.kind === 'open') return this.#parts.policy().openMode;
    if (principal.kind === 'provisioning') return provisioning.holds(principal.key);
    if (principal.kind === 'key') {
      const record = this.#parts.policy().keys.find(({ id }) => id === principal.id);
      const rights = record && !isExpired(record, now) ? mqttRights(record) : null;
      return rights !== null && isSameRights(rights, principal.mqtt);
    }
    const { device, credential, forOthers } = principal;
    const holds = credential.startsWith(certificatePrefix) || tokens.holds(device, credential, now);
    return holds && devices.refusal(device) === null && devices.isGateway(device) === forOthers;
  }

  /** In open mode this machine is never barred: a typing mistake must not lock out whoever sits at it. */
  #isOwn(remoteAddress: string | undefined): boolean {
    return remoteAddress !== undefined && isLoopbackAddress(remoteAddress) && this.#parts.policy().openMode;
  }

  #judge(facts: ConnectFacts): Admission {
    const { tokens, provisioning } = this.#parts;
    const now = this.#parts.now();
    const { certificate, username = '', password = '' } = facts;
    const { openMode, keys } = this.#parts.policy();
    const key = password === '' ? null : verifyKey(password, keys);
    // Where every client needs a certificate, a person comes with one and a key, too.
    if (certificate && !key) return this.#admitCertificate(certificate, facts);
    if (openMode && !(facts.remoteAddress !== undefined && isLoopbackAddress(facts.remoteAddress))) {
      return refuse(5, 'without keys only clients on this machine are let in');
    }
    if (key) return this.#admitKey(key);
    if (password === '') {
      // ThingsBoard's way: the token stands where the user name does, and says by itself whose it is.
      const token = tokens.find(username, now);
      if (token) return this.#admitDevice(token.device, token.id, facts);
      if (isTokenShaped(username)) return refuse(4, 'the device token in the user name is unknown or has expired');
      if (openMode && !tokens.hasTokens(username)) return { allowed: true, principal: { kind: 'open' } };
      return refuse(5, 'a device token or a key is needed as the password');
    }
    const token = tokens.verify(username, password, now);
    if (token) return this.#admitDevice(token.device, token.id, facts);
    const provisioned = provisioning.verify(password);
    if (provisioned) return this.#admitProvisioning(provisioned, facts);
    if (openMode && !tokens.hasTokens(username) && !isTokenShaped(password)) {
      return { allowed: true, principal: { kind: 'open' } };
    }
    const mistyped = readKey(password).kind === 'mistyped';
    return refuse(4, mistyped ? 'the key is mistyped: its check characters do not fit' : whyWrong(password));
  }

  #admitKey(key: KeyRecord): Admission {
    if (isExpired(key, this.#parts.now())) return refuse(5, `the key ${key.id} has expired`);
    const mqtt = mqttRights(key);
    if (!mqtt) return refuse(5, `the key ${key.id} has not the scope "mqtt"`);
    return { allowed: true, principal: { kind: 'key', id: key.id, mqtt } };
  }

  #admitCertificate(certificate: NonNullable<ConnectFacts['certificate']>, facts: ConnectFacts): Admission {
    const { identity } = this.#parts;
    const named = identity === 'cn' ? certificate.commonName : deviceOfName(certificate.names[0]);
    if (named === null || !isDeviceId(named)) {
      return refuse(5, `the certificate names no device: mqtt.tls.identity is ${identity}`);
    }
    if (facts.username !== undefined && facts.username !== '' && facts.username !== named) {
      return refuse(4, `the user name is another than the device ${named} of the certificate`);
    }
    return this.#admitDevice(named, certificatePrefix + named, facts);
  }

  #admitDevice(device: string, credential: string, { clientId }: ConnectFacts): Admission {
    const { devices } = this.#parts;
    const refusal = devices.refusal(device);
    if (refusal) return refuse(5, refusal.detail);
    const forOthers = devices.isGateway(device);
    if (!forOthers && this.#isOfAnother(clientId, device)) return refuse(2, whoseId(device));
    return { allowed: true, principal: { kind: 'device', device, credential, forOthers } };
  }

  #admitProvisioning(key: { readonly id: string; readonly profile: string }, facts: ConnectFacts): Admission {
    const { username = '', clientId } = facts;
    const device = username === provisioningUser || username === '' ? clientId : username;
    if (!isDeviceId(device)) return refuse(5, 'the user name, or the client id, must be the device id that is wanted');
    if (this.#isOfAnother(clientId, device)) return refuse(2, whoseId(device));
    return { allowed: true, principal: { kind: 'provisioning', key: key.id, profile: key.profile, device } };
  }

  /** A client id ends the connection that has it, so a device may not come under the name of another. */
  #isOfAnother(clientId: string, device: string): boolean {
    return clientId !== device && this.#parts.devices.isKnown(clientId);
  }

  #rightsOf(principal: Principal): Rights {
    const mapped = principal.kind === 'device' ? this.#parts.mappedFilters(principal.device) : nobody;
    const known = this.#rights.get(principal);
    if (known && known.mapped === mapped) return known;
    const { publish, subscribe } = rightsOf(principal, mapped);
    const rights = {
      publish: compileFilters(publish),
      subscribe: compileFilters(subscribe),
      mapped,
      decided: new Map(),
    };
    this.#rights.set(principal, rights);
    return rights;
  }
}

/** Names the credential of a device that came with a certificate; no token's id begins so. */
const certificatePrefix = 'certificate:';

function rightsOf(principal: Principal, mapped: readonly string[]): TopicRights {
  if (principal.kind === 'open') return everything;
  if (principal.kind === 'key') return principal.mqtt;
  if (principal.kind === 'provisioning') return provisioningRights(principal.device);
  return deviceRights(principal.device, { forOthers: principal.forOthers, mapped });
}

/** A DNS name as it is; of a URI (`urn:device:wearable-01`, `mqtt://fleet/wearable-01`) what follows the last `/` or `:`. */
function deviceOfName(name: string | undefined): string | null {
  if (name === undefined) return null;
  return /^[A-Za-z][A-Za-z0-9+.-]*:/.test(name) ? (/[^/:]+$/.exec(name)?.[0] ?? null) : name;
}

function whyWrong(password: string): string {
  return isTokenShaped(password)
    ? 'the device token is not one of this device, or has expired'
    : 'the password is neither a token of this device nor a key';
}

function whoseId(device: string): string {
  return `the client id is that of another device; ${device} may use its own`;
}

function isSameRights(left: TopicRights, right: TopicRights): boolean {
  return left === right || JSON.stringify(left) === JSON.stringify(right);
}

function refuse(code: 2 | 3 | 4 | 5, detail: string): Admission {
  return { allowed: false, code, detail };
}
