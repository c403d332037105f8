import type { IncomingMessage } from 'node:http';
import type { RouteScope } from '../domain/key.ts';
import type { Caller } from '../domain/principal.ts';
import { type Client, createClientReader } from './forwarded.ts';
import { answerHeaders } from './headers.ts';
import type { ApiPorts, Asset } from './ports.ts';
import { challenge, problemOf, problemType, RequestRefused } from './problem.ts';
import { parseTarget, type Target } from './request-target.ts';
import type { Route } from './route.ts';
import type { RouteMatcher } from './router.ts';

/** Where live clients connect. */
export const livePath = '/api/v1/live';

export interface Admission {
  /** What a request asks for. Rejects when its target is malformed or access says no. */
  admit(request: IncomingMessage): Promise<Admitted>;
  /** As `Api.judgeUpgrade`. */
  judgeUpgrade(
    request: IncomingMessage,
    requestId: string,
    offers: ReadonlyMap<string, UpgradeOffer>,
  ): Promise<UpgradeVerdict>;
}

export interface Admitted {
  readonly target: Target;
  readonly route: Route | null;
  readonly asset: Asset | undefined;
  readonly client: Client;
  readonly caller: Caller;
}

/** An address at which WebSockets are spoken. */
export interface UpgradeOffer {
  /** Judged by Host and Origin alone, for the credentials come later in a protocol of its own. */
  readonly isPublic: boolean;
}

export type UpgradeVerdict =
  | { readonly allowed: true; readonly path: string; readonly upgraded: Upgraded }
  /** The whole HTTP answer. */
  | { readonly allowed: false; readonly answer: string };

/** Who stands behind an upgraded connection. */
export interface Upgraded {
  readonly caller: Caller;
  /** The other end of the connection, or whom a trusted proxy names. */
  readonly remoteAddress: string | undefined;
}

/** What is asked for, as far as access goes. */
interface Question {
  readonly isPublic: boolean;
  readonly isUpgrade: boolean;
  readonly scope: RouteScope | null;
  readonly forDevices: boolean;
  /** In place of the headers of these names. */
  readonly authorization?: string | undefined;
  readonly contentType?: string | undefined;
}

/** Asks access before anything is read or looked up; an address that does not exist needs a key like any other. */
export function createAdmission(ports: ApiPorts, router: RouteMatcher): Admission {
  const clientOf = createClientReader(ports.proxies);
  return {
    async admit(request) {
      const target = parseTarget(request.url ?? '/', ports.basePath);
      const method = request.method ?? 'GET';
      const route = target.path === null ? null : router.match(method, target.path).route;
      const asset = target.path === null || route ? undefined : ports.assets.find(target.path);
      const isPublic = route?.isPublic === true || asset !== undefined || target.isBareBase || method === 'OPTIONS';
      const { scope = null, forDevices = false } = route ?? {};
      const client = clientOf(request);
      const question: Question = {
        isPublic,
        isUpgrade: false,
        scope,
        forDevices,
        ...presented(request, route, target),
      };
      const caller = await judge(request, client, question, route !== null);
      return { target, route, asset, client, caller };
    },

    async judgeUpgrade(request, requestId, offers) {
      try {
        const { path } = parseTarget(request.url ?? '/', ports.basePath);
        const offer = path === null ? undefined : offers.get(path);
        const client = clientOf(request);
        const isPublic = offer?.isPublic === true;
        const question: Question = {
          isPublic,
          isUpgrade: true,
          scope: offer ? 'read' : null,
          forDevices: false,
          ...(path === livePath ? { authorization: keyOfPage(request) } : {}),
        };
        const caller = await judge(request, client, question, true);
        if (path !== null && offer) return { allowed: true, path, upgraded: { caller, remoteAddress: client.address } };
        const served = [...offers.keys()].map((path) => `${ports.basePath}${path}`).join(' and ');
        throw new RequestRefused('not_found', `WebSockets are served at ${served}`);
      } catch (error) {
        return { allowed: false, answer: rawProblem(error, requestId) };
      }
    },
  };

  async function judge(
    request: IncomingMessage,
    client: Client,
    question: Question,
    isTaken: boolean,
  ): Promise<Caller> {
    const { headers } = request;
    const verdict = await ports.access.judge({
      method: request.method ?? 'GET',
      remoteAddress: client.address,
      host: client.host,
      scheme: client.scheme,
      origin: headers.origin,
      authorization: headers.authorization,
      contentType: headers['content-type'],
      forwarded: client.isForwarded,
      ...question,
    });
    if (verdict.allowed) return verdict.caller;
    // A body that nobody reads needs no media type; the answer is 404 or 405.
    if (verdict.code === 'unsupported_media_type' && !isTaken) return { kind: 'anyone' };
    throw new RequestRefused(verdict.code, verdict.detail, { headers: refusalHeaders(verdict) });
  }
}

/**
 * What clients of another product present. They may bring a key in a way of their own. They send plain text as well,
 * which no page can have sent that brings neither an `Origin` nor what browsers say of where a request comes from (Fetch
 * Metadata): such a body counts as if it was JSON.
 */
function presented(
  { headers }: IncomingMessage,
  route: Route | null,
  target: Target,
): Pick<Question, 'authorization' | 'contentType'> {
  if (!route?.foreign) return {};
  const isOfPage = headers.origin !== undefined || headers['sec-fetch-site'] !== undefined;
  return {
    authorization: route.foreign.authorization(headers.authorization, target.query) ?? headers.authorization,
    contentType: isOfPage ? headers['content-type'] : 'application/json',
  };
}

/** What stands before a key among the subprotocols that a page offers; it is never the one that is chosen. */
const keySubprotocol = 'pulsegate.key.';

/**
 * The credentials of a live client. A page can set no header of a WebSocket, so its key comes as a subprotocol beside
 * the one that is spoken (`pulsegate.v1.json, pulsegate.key.pulse_…`), not in the address, which is logged along the way.
 */
function keyOfPage({ headers }: IncomingMessage): string | undefined {
  if (headers.authorization !== undefined) return headers.authorization;
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((protocol) => protocol.trim());
  const key = offered.find((protocol) => protocol.startsWith(keySubprotocol));
  return key === undefined ? undefined : `Bearer ${key.slice(keySubprotocol.length)}`;
}

function refusalHeaders(verdict: { readonly code: string; readonly retryAfterMs?: number }): Record<string, string> {
  if (verdict.code === 'unauthorized') return challenge;
  if (verdict.retryAfterMs === undefined) return {};
  return { 'retry-after': String(Math.max(1, Math.ceil(verdict.retryAfterMs / 1_000))) };
}

/** A problem as the text of a whole HTTP/1.1 answer, for sockets that have no response object. */
export function rawProblem(thrown: unknown, requestId: string): string {
  const { body, headers } = problemOf(thrown, requestId);
  const text = JSON.stringify(body);
  const lines = Object.entries({
    ...answerHeaders,
    ...headers,
    'x-request-id': requestId,
    'content-type': problemType,
    'content-length': String(Buffer.byteLength(text)),
    connection: 'close',
  }).map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.1 ${body.status} ${body.title}`, ...lines, '', text].join('\r\n');
}
