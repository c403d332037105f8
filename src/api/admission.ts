import type { IncomingMessage } from 'node:http';
import { answerHeaders } from './headers.ts';
import type { ApiPorts, Asset } from './ports.ts';
import { problemOf, problemType, RequestRefused } from './problem.ts';
import { parseTarget, type Target } from './request-target.ts';
import type { Route } from './route.ts';
import type { RouteMatcher } from './router.ts';

/** The only address that may be upgraded. */
export const livePath = '/api/v1/live';

export interface Admission {
  /** What a request asks for. Throws when its target is malformed or access says no. */
  admit(request: IncomingMessage): Admitted;
  /** As `Api.refuseUpgrade`. */
  refuseUpgrade(request: IncomingMessage, requestId: string): string | null;
}

export interface Admitted {
  readonly target: Target;
  readonly route: Route | null;
  readonly asset: Asset | undefined;
}

/** Asks access before anything is read or looked up; an address that does not exist needs a key like any other. */
export function createAdmission(ports: ApiPorts, router: RouteMatcher): Admission {
  return {
    admit(request) {
      const target = parseTarget(request.url ?? '/', ports.basePath);
      const method = request.method ?? 'GET';
      const route = target.path === null ? null : router.match(method, target.path).route;
      const asset = target.path === null || route ? undefined : ports.assets.find(target.path);
      const isPublic = route?.isPublic === true || asset !== undefined || target.isBareBase || method === 'OPTIONS';
      judge(request, { isPublic, isUpgrade: false }, route !== null);
      return { target, route, asset };
    },

    refuseUpgrade(request, requestId) {
      try {
        const { path } = parseTarget(request.url ?? '/', ports.basePath);
        judge(request, { isPublic: false, isUpgrade: true }, true);
        if (path === livePath) return null;
        throw new RequestRefused('not_found', `WebSockets are served at ${ports.basePath}${livePath}`);
      } catch (error) {
        return rawProblem(error, requestId);
      }
    },
  };

  function judge(
    request: IncomingMessage,
    kind: { readonly isPublic: boolean; readonly isUpgrade: boolean },
    isTaken: boolean,
  ): void {
    const { headers } = request;
    const verdict = ports.access.judge({
      method: request.method ?? 'GET',
      host: headers.host,
      origin: headers.origin,
      authorization: headers.authorization,
      contentType: headers['content-type'],
      forwarded: Object.keys(headers).some((name) => name === 'forwarded' || name.startsWith('x-forwarded-')),
      ...kind,
    });
    if (verdict.allowed) return;
    // A body that nobody reads needs no media type; the answer is 404 or 405.
    if (verdict.code === 'unsupported_media_type' && !isTaken) return;
    throw new RequestRefused(verdict.code, verdict.detail, {
      headers: verdict.code === 'unauthorized' ? { 'www-authenticate': 'Bearer realm="pulsegate"' } : {},
    });
  }
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
