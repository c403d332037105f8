import type { ErrorCode } from '../contract/error-codes.ts';
import type { KeyRecord, RouteScope } from '../domain/key.ts';
import type { Caller } from '../domain/principal.ts';
import { hasScope, isExpired, readKey, verifyKey } from './keys.ts';
import { isLoopbackBind, isLoopbackHost } from './loopback.ts';

/**
 * Closed by default. Open mode (no keys) exists for the first minute only: it lets in what comes from this machine and
 * could not have been sent by a web page elsewhere. Any key, a trusted proxy or a bind beyond loopback ends it.
 */

/** What decides about an HTTP request or an upgrade; header values as they came, or as a trusted proxy tells them. */
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

/** What the operator decided. */
export interface AccessPolicy {
  readonly openMode: boolean;
  readonly keys: readonly KeyRecord[];
  /** Origins of other sites whose pages may ask with a key (`http.cors`, and the origin of `http.publicUrl`). */
  readonly corsOrigins: readonly string[];
  /** Epoch ms; keys run out. */
  readonly now: number;
  /** Whose token this is, if it is a device's: the device, or why it is not let in. null: not a device's token. */
  device(presented: string): Verdict | null;
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

const openCaller: Verdict = { allowed: true, caller: { kind: 'open' } };
const anyone: Verdict = { allowed: true, caller: { kind: 'anyone' } };

/** Open mode holds while nobody made a key and nothing but this machine can reach the listeners. */
export function isOpenMode(facts: {
  readonly hasKeys: boolean;
  readonly trustProxy: boolean;
  readonly hosts: readonly string[];
}): boolean {
  return !facts.hasKeys && !facts.trustProxy && facts.hosts.every(isLoopbackBind);
}

/** Why a listener must not start, as a sentence for people; null when it may. `option` is its name in the configuration. */
export function judgeBind(facts: {
  readonly option: string;
  readonly host: string;
  readonly hasKeys: boolean;
}): string | null {
  if (facts.hasKeys || isLoopbackBind(facts.host)) return null;
  return (
    `${facts.option} is ${facts.host}, which others can reach, but there is no key yet, so anybody could read and write. ` +
    'Make one with "pulsegate keys create NAME" (or set PULSEGATE_ADMIN_KEY_FILE), or listen on 127.0.0.1.'
  );
}

/** Judges an HTTP request or upgrade. Pure; the caller reads the headers and answers. */
export function judgeRequest(request: RequestFacts, policy: AccessPolicy): Verdict {
  return policy.openMode ? judgeOpen(request) : judgeWithKeys(request, policy);
}

function judgeOpen(request: RequestFacts): Verdict {
  if (request.host === undefined || !isLoopbackHost(request.host)) {
    return refuse(
      'host_not_allowed',
      'without keys only localhost, 127.0.0.0/8 and [::1] are served; make a key to use another name',
    );
  }
  if (request.origin !== undefined && !isSameHost(request.origin, request.host, request.scheme)) {
    return refuse('origin_not_allowed', 'without keys only pages of this gateway may ask; make a key for others');
  }
  if (request.forwarded) {
    return refuse(
      'proxy_not_allowed',
      'the request came through a proxy; make a key and set http.trustProxy before putting the gateway behind one',
    );
  }
  // A form or a script elsewhere can send simple content types unasked; JSON makes the browser ask first.
  const carriesBody = ['POST', 'PUT', 'PATCH'].includes(request.method.toUpperCase());
  if (carriesBody && !isJson(request.contentType)) {
    return refuse(
      'unsupported_media_type',
      'without keys a change needs the header "content-type: application/json" (or application/x-ndjson), also where it has no body',
    );
  }
  return openCaller;
}

function judgeWithKeys(request: RequestFacts, policy: AccessPolicy): Verdict {
  const { origin, host } = request;
  if (
    origin !== undefined &&
    !isListed(origin, policy.corsOrigins) &&
    !(host !== undefined && isSameHost(origin, host, request.scheme))
  ) {
    return refuse('origin_not_allowed', 'pages of this origin may not ask; http.cors lists those that may');
  }
  if (request.isPublic) return anyone;
  const presented = presentedKey(request.authorization);
  if (presented === null) return refuse('unauthorized', 'send a key as "Authorization: Bearer pulse_…"');
  const key = verifyKey(presented, policy.keys);
  if (key) return judgeKey(key, request.scope, policy.now);
  const device = policy.device(presented);
  if (!device) return refuse('unauthorized', whyUnknown(presented));
  if (!device.allowed || request.forDevices) return device;
  return refuse('forbidden', 'a device may send its own readings to POST /api/v1/readings, and nothing else');
}

/**
 * The key or token of an `Authorization` header (RFC 9110 section 11.6.2): `Bearer`, or `Token` as InfluxDB's clients
 * write it. null when there is none. Never taken from the address, which is logged along the way.
 */
export function presentedKey(authorization: string | undefined): string | null {
  return /^(?:Bearer|Token) +(\S+)$/i.exec(authorization ?? '')?.[1] ?? null;
}

function judgeKey(key: KeyRecord, scope: RouteScope | null, now: number): Verdict {
  if (isExpired(key, now)) return refuse('unauthorized', `the key pulse_${key.id}_… has expired`);
  if (scope !== null && !hasScope(key, scope)) {
    return refuse('forbidden', `the key pulse_${key.id}_… has not the scope "${scope}" that this needs`);
  }
  return { allowed: true, caller: { kind: 'key', id: key.id, scopes: key.scopes } };
}

function whyUnknown(text: string): string {
  const mistyped = readKey(text).kind === 'mistyped';
  return mistyped ? 'the key is mistyped: its check characters do not fit' : 'the key is unknown';
}

/**
 * Whether an `Origin` (RFC 6454) is http or https, as the request was where that is known, and has the host and port of
 * `Host`. `null` and the malformed are not.
 */
function isSameHost(origin: string, host: string, scheme: RequestFacts['scheme']): boolean {
  const from = URL.parse(origin);
  if (!from || !/^https?:$/.test(from.protocol) || origin !== from.origin) return false;
  if (scheme !== null && from.protocol !== `${scheme}:`) return false;
  return URL.parse(`${from.protocol}//${host}`)?.host === from.host;
}

function isListed(origin: string, origins: readonly string[]): boolean {
  return (
    origin !== 'null' && origins.some((listed) => listed.replace(/\/$/, '').toLowerCase() === origin.toLowerCase())
  );
}

function isJson(contentType: string | undefined): boolean {
  return /^application\/(json|x-ndjson)\s*(;|$)/i.test(contentType?.trim() ?? '');
}

function refuse(code: ErrorCode, detail: string): Verdict {
  return { allowed: false, code, detail };
}
