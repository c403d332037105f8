import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import Koa, { type Next } from 'koa';
import { randomId } from '../base/random.ts';
import { gzipped, sendStream, StalledError, type StreamOptions } from './answer-stream.ts';
import { createAdmission, livePath, type UpgradeOffer, type UpgradeVerdict } from './admission.ts';
import { answerHeaders, corsHeaders, pageHeaders, preflightHeaders } from './headers.ts';
import type { ApiPorts, Asset } from './ports.ts';
import { CredentialEndedError, logFieldsOf, notFound, problemOf, problemType, RequestRefused } from './problem.ts';
import { checkMediaType, isGzip, readBody, unpackGzip } from './request-body.ts';
import type { Incoming, Outgoing, Route } from './route.ts';
import { type Context, createRouter, type RequestState } from './router.ts';
import { routeTable } from './routes.ts';
import { WrittenAnswer } from './written-answer.ts';

export interface Api {
  /** Answers one request; never throws. */
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** The flat route table. */
  readonly routes: readonly Route[];
  /** Whether an upgrade to one of the offered addresses (below the base path) may go ahead; never rejects. */
  judgeUpgrade(request: IncomingMessage, offers: ReadonlyMap<string, UpgradeOffer>): Promise<UpgradeVerdict>;
  /** Long polls end with 503 `stopping`, and so does everything that still comes. */
  stop(): void;
}

/**
 * The REST API on koa. Outermost stands a catch of our own: koa's drops every header and answers plain text. Whatever
 * is thrown below becomes problem+json, with the request id, the security headers and CORS as on any other answer.
 */
export function createApi(ports: ApiPorts, routes: readonly Route[] = routeTable(ports)): Api {
  const stopping = new AbortController();
  const router = createRouter(routes, serve);
  const admission = createAdmission(ports, router);
  const app = new Koa<RequestState>();
  // Errors of sockets that went away in the middle of an answer; nobody is left to tell.
  app.silent = true;
  app.use((context, next) => answerEverything(context, next));
  app.use((context, next) => admit(context, next));
  app.use(router.dispatch);
  app.use(answerUnmatched);
  const callback = app.callback();

  return {
    routes,
    handle(request, response) {
      void callback(request, response);
    },
    judgeUpgrade: (request, offers) => admission.judgeUpgrade(request, requestIdOf(request), offers),
    stop: () => stopping.abort(),
  };

  async function answerEverything(context: Context, next: Next): Promise<void> {
    const began = ports.clock.monotonic();
    const id = requestIdOf(context.req);
    context.set({ ...answerHeaders, 'x-request-id': id, ...corsHeaders(context.req, ports.corsOrigins) });
    const { life, release } = lifeOf(context);
    context.state = {
      id,
      life,
      routeId: 'unmatched',
      query: new URLSearchParams(),
      asset: undefined,
      caller: { kind: 'anyone' },
      prefix: '',
    };
    try {
      if (stopping.signal.aborted) throw isStopping();
      await next();
    } catch (error) {
      answerProblem(context, life.signal.aborted ? life.signal.reason : error);
    } finally {
      release();
      // After `stop` no further request is taken on this connection.
      if (stopping.signal.aborted) context.set('connection', 'close');
      const durationMs = ports.clock.monotonic() - began;
      ports.metrics.observeRequest({ route: context.state.routeId, status: context.status, durationMs });
    }
  }

  async function admit(context: Context, next: Next): Promise<void> {
    const { target, route, asset, client, caller } = await admission.admit(context.req);
    context.state.caller = caller;
    context.state.prefix = client.prefix;
    context.state.query = target.query;
    context.state.routeId = route?.id ?? (asset ? 'asset' : 'unmatched');
    context.state.asset = asset;
    if (target.isBareBase) {
      context.status = 308;
      context.set('location', `${client.prefix}${ports.basePath}/`);
      return;
    }
    if (target.path === null) throw new RequestRefused('not_found', `this gateway lives below ${ports.basePath}/`);
    context.path = target.path;
    await next();
  }

  async function serve(route: Route, params: Readonly<Record<string, string>>, context: Context): Promise<void> {
    // Where there are several forms, which of them there are depends on the question; the handler chooses.
    const isJsonOnly =
      route.success.mediaType === 'application/json' && Object.keys(route.success.alternatives).length === 0;
    if (isJsonOnly && !context.accepts('application/json')) {
      throw new RequestRefused('not_acceptable', 'answers come as application/json only');
    }
    const { signal } = context.state.life;
    const incoming: Incoming = {
      id: context.state.id,
      caller: context.state.caller,
      now: ports.clock.now(),
      signal,
      params,
      query: context.state.query,
      authorization: context.req.headers.authorization,
      accepts: (mediaTypes) => context.accepts([...mediaTypes]) || null,
      async readBody(types, leniency) {
        const type = checkMediaType(context.req, types, leniency);
        const { bodyBytesMax } = ports.limits;
        const bytes = await readBody(context.req, context.res, bodyBytesMax);
        return { type, bytes: isGzip(context.req) ? await unpackGzip(bytes, bodyBytesMax) : bytes };
      },
    };
    // What decides or takes in goes to its end: a key may have been revoked with itself.
    const { status, body, headers } = await (route.method === 'GET'
      ? whileLetIn(route, context, () => route.answer(incoming))
      : route.answer(incoming));
    if (signal.reason instanceof CredentialEndedError) throw signal.reason;
    if (body instanceof WrittenAnswer) {
      await sendWritten(body, { status, headers }, route, context);
      return;
    }
    context.status = status;
    context.set(headers);
    // A proxy that takes its own path away on the way in must find it again in links.
    if (headers.location !== undefined) context.set('location', `${context.state.prefix}${headers.location}`);
    if (status === 204) return;
    context.set('content-type', route.success.mediaType);
    context.body = route.success.mediaType === 'application/json' ? JSON.stringify(body) : body;
  }

  async function sendWritten(
    { contentType, headers, body, trailers }: WrittenAnswer,
    outgoing: Pick<Outgoing, 'status' | 'headers'>,
    route: Route,
    context: Context,
  ): Promise<void> {
    const begin = (encoding: 'gzip' | 'identity'): void => {
      context.status = outgoing.status;
      context.set({ ...outgoing.headers, ...headers, 'content-type': contentType });
      context.vary('accept, accept-encoding');
      if (encoding === 'gzip') context.set('content-encoding', encoding);
    };
    const encoding = encodingOf(context);
    if (body instanceof Uint8Array) {
      const isPacked = encoding === 'gzip' && body.length >= packedBytesMin;
      const bytes = isPacked ? await gzipBytes(body, { level: 1 }) : bufferOf(body);
      begin(isPacked ? 'gzip' : 'identity');
      context.body = bytes;
      return;
    }
    const { id, life } = context.state;
    const { signal } = life;
    const options: StreamOptions = {
      response: context.res,
      signal,
      clock: ports.clock,
      begin() {
        begin(encoding);
        if (trailers && isChunked(context.req)) context.set('trailer', trailers.names.join(', '));
        context.respond = false;
        context.flushHeaders();
      },
      trailers: () => trailers?.fields() ?? {},
    };
    const chunks = encoding === 'gzip' ? gzipped(body) : body;
    const failure = await whileLetIn(route, context, () => sendStream(chunks, options));
    if (failure === null || signal.aborted) return;
    const { method, path } = context;
    if (failure instanceof StalledError) ports.log.warn({ requestId: id, method, path }, failure.message);
    else ports.log.error({ requestId: id, method, path, ...logFieldsOf(failure) }, 'answer cut off');
  }

  /** Does what may take long, and ends it when what let the caller in does not hold any more. */
  async function whileLetIn<T>({ scope }: Route, { state }: Context, work: () => Promise<T>): Promise<T> {
    const over = ports.lasting.add(state.caller, scope, () => state.life.abort(new CredentialEndedError()));
    try {
      return await work();
    } finally {
      over();
    }
  }

  /** What no route took: files of the dashboard, OPTIONS, and the refusals 404 and 405. */
  function answerUnmatched(context: Context): void {
    const { method, path } = context;
    const { asset } = context.state;
    const methods = asset ? ['GET', 'HEAD', 'OPTIONS'] : router.match(method, path).methods;
    if (methods.length === 0) {
      const nothing = 'there is nothing at this address; GET /openapi.json lists what there is';
      throw notFound(path === livePath ? 'this address speaks WebSocket only' : nothing);
    }
    if (method === 'OPTIONS') {
      context.status = 204;
      context.set({ allow: methods.join(', '), ...preflightHeaders(context.req, methods) });
    } else if (asset && methods.includes(method)) {
      sendAsset(context, asset);
    } else {
      throw new RequestRefused(
        'method_not_allowed',
        `${method} is not offered here; offered are ${methods.join(', ')}`,
        {
          headers: { allow: methods.join(', ') },
        },
      );
    }
  }

  function answerProblem(context: Context, thrown: unknown): void {
    if (thrown instanceof ClientGoneError) {
      context.respond = false;
      return;
    }
    const { id } = context.state;
    const { body, headers, unexpected } = problemOf(thrown, id);
    if (unexpected) {
      const { method, path } = context;
      ports.log.error({ requestId: id, method, path, ...logFieldsOf(thrown) }, 'request failed');
    }
    context.status = body.status;
    context.set(headers);
    context.set('content-type', problemType);
    context.body = JSON.stringify(body);
  }

  function requestIdOf(request: IncomingMessage): string {
    const given = request.headers['x-request-id'];
    return typeof given === 'string' && /^[\w.:-]{1,64}$/.test(given) ? given : randomId('req', ports.random);
  }

  /** It aborts when the client goes away before its answer is written, or the gateway stops. */
  function lifeOf(context: Context): { readonly life: AbortController; readonly release: () => void } {
    const life = new AbortController();
    const onStop = (): void => life.abort(isStopping());
    stopping.signal.addEventListener('abort', onStop, { once: true });
    context.res.once('close', () => {
      if (!context.res.writableFinished) life.abort(new ClientGoneError());
    });
    return { life, release: () => stopping.signal.removeEventListener('abort', onStop) };
  }
}

/** There is nobody to answer. */
class ClientGoneError extends Error {
  override readonly name = 'ClientGoneError';

  constructor() {
    super('the client went away');
  }
}

function isStopping(): RequestRefused {
  return new RequestRefused('stopping', 'the gateway is stopping; ask again in a moment');
}

function sendAsset(context: Context, asset: Asset): void {
  context.set(pageHeaders);
  context.set('etag', asset.etag);
  context.set('cache-control', asset.immutable ? 'public, max-age=31536000, immutable' : 'no-cache');
  context.status = 200;
  if (context.fresh) {
    context.status = 304;
    return;
  }
  context.set('content-type', asset.contentType);
  context.body = bufferOf(asset.bytes);
}

const gzipBytes = promisify(gzip);
/** What is smaller costs more to pack than to send. */
const packedBytesMin = 4_096;

/** Nothing is packed for a peer on this machine, where the wire is quicker than any packing. */
function encodingOf(context: Context): 'gzip' | 'identity' {
  const { remoteAddress, localAddress } = context.req.socket;
  if (remoteAddress === localAddress) return 'identity';
  return context.acceptsEncodings('gzip', 'identity') === 'gzip' ? 'gzip' : 'identity';
}

/** The same memory as koa wants it. */
function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Whether the answer has room for trailers: it has a body, in chunks. */
function isChunked({ method, httpVersion }: IncomingMessage): boolean {
  return method !== 'HEAD' && httpVersion !== '1.0';
}
