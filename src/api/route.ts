import type { z } from 'zod';
import type { ErrorCode } from '../contract/error-codes.ts';
import type { RouteScope } from '../domain/key.ts';
import type { Caller } from '../domain/principal.ts';
import { compareText } from './page.ts';
import { type BodyLeniency, parseJson, strictBody } from './request-body.ts';
import { parseBody, parseParameters } from './validation.ts';
import { WrittenAnswer } from './written-answer.ts';

/**
 * One line of the flat route table. The router, the answers 404, 405 and OPTIONS, and the OpenAPI document are made of
 * these and of nothing else, so they cannot drift apart.
 */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** As OpenAPI writes it: `/api/v1/devices/{id}`. Below the base path. */
  readonly path: string;
  /** Names the operation, in generated clients too. */
  readonly id: string;
  readonly tag: string;
  readonly summary: string;
  readonly description: string;
  /** Holds nothing that a key protects. */
  readonly isPublic: boolean;
  /** What a key must be allowed for this. */
  readonly scope: RouteScope;
  /** Whether a device may come with its own token. */
  readonly forDevices: boolean;
  readonly params: z.ZodObject;
  readonly query: z.ZodObject;
  readonly body: BodySpec<unknown> | null;
  readonly success: Success;
  /** Codes that this route answers beside those that every route may. */
  readonly refusals: readonly ErrorCode[];
  /** For clients of another product; null for our own API. */
  readonly foreign: ForeignProtocol | null;
  /** Parses what came and asks the handler. Throws what `problemOf` understands. */
  answer(incoming: Incoming): Promise<Outgoing>;
}

/** What a route does as another product's clients expect it. */
export interface ForeignProtocol {
  /** The shape in which it answers its own refusals, instead of problem+json. */
  readonly refusal: z.ZodType;
  /** An `Authorization` header with the key that came in a way of that product; undefined when none did. */
  authorization(header: string | undefined, query: URLSearchParams): string | undefined;
}

type SuccessStatus = 200 | 201 | 202 | 204;

export interface Success {
  readonly status: SuccessStatus;
  readonly description: string;
  readonly schema: z.ZodType | null;
  readonly mediaType: string;
  /** Other media types in which a handler may answer, itself written (`WrittenAnswer`), each with what it holds. */
  readonly alternatives: Readonly<Record<string, z.ZodType>>;
  /** Headers that an answer may have beside those of every answer, by their names. */
  readonly headers: Readonly<Record<string, z.ZodType>>;
  /** How the same body is answered once there is nothing more to wait for. */
  readonly final: { readonly status: SuccessStatus; readonly description: string } | null;
}

/** A request as the transport hands it over. */
export interface Incoming {
  readonly id: string;
  readonly caller: Caller;
  /** Wall time, epoch ms: the "now" of relative times. */
  readonly now: number;
  /** Aborts when the client is gone, its key is, or the gateway stops. */
  readonly signal: AbortSignal;
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** The header as it came, for routes that judge credentials of their own. */
  readonly authorization: string | undefined;
  /** Of these media types the one that the client likes best, the first where it has no preference; null: none. */
  readonly accepts: (mediaTypes: readonly string[]) => string | null;
  /** Checks the content type and reads the body; called at most once, after the parameters were found good. */
  readBody(
    types: readonly string[],
    leniency: BodyLeniency,
  ): Promise<{ readonly bytes: Uint8Array; readonly type: string }>;
}

export interface Outgoing {
  readonly status: number;
  /** What becomes JSON, text of the route's media type, or a `WrittenAnswer`. */
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string>>;
}

/** What a handler gets. */
export interface RouteRequest<P, Q, B> {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  /** Who asks. */
  readonly caller: Caller;
  /** The header as it came. */
  readonly authorization: string | undefined;
  readonly now: number;
  readonly signal: AbortSignal;
  readonly accepts: (mediaTypes: readonly string[]) => string | null;
  /** The question without `page` and `limit`: what a page token belongs to. */
  readonly filters: string;
}

interface RouteSpec<P extends z.ZodObject, Q extends z.ZodObject, B, S extends z.ZodType> {
  readonly method: Route['method'];
  readonly path: string;
  readonly id: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly isPublic?: boolean;
  /** Left out: `read` for GET, `admin` for everything else. */
  readonly scope?: RouteScope;
  readonly forDevices?: boolean;
  /** Throws for credentials that the route itself must judge, before any of the body is read. */
  readonly judge?: (authorization: string | undefined) => void;
  readonly params: P;
  readonly query: Q;
  readonly body: BodySpec<B> | null;
  readonly success: {
    readonly status: Success['status'];
    readonly description: string;
    readonly schema: S;
    readonly mediaType?: string;
    readonly alternatives?: Success['alternatives'];
    readonly headers?: Success['headers'];
    readonly final?: {
      readonly status: Success['status'];
      readonly description: string;
      is(body: z.output<S>): boolean;
    };
  };
  readonly refusals?: readonly ErrorCode[];
  /** Where what was made can be found, for the Location header of a 201. */
  readonly location?: (body: z.output<S>) => string;
  handler(
    request: RouteRequest<z.output<P>, z.output<Q>, B>,
  ): Promise<z.output<S> | WrittenAnswer> | z.output<S> | WrittenAnswer;
}

export interface BodySpec<B> {
  readonly types: readonly string[];
  readonly leniency: BodyLeniency;
  readonly schema: z.ZodType;
  read(bytes: Uint8Array, type: string): B;
}

/** Makes a line of the table; the handler's parameter and answer are typed by the schemas. */
export function route<P extends z.ZodObject, Q extends z.ZodObject, B, S extends z.ZodType>(
  spec: RouteSpec<P, Q, B, S>,
): Route {
  const { body, success } = spec;
  return {
    method: spec.method,
    path: spec.path,
    id: spec.id,
    tag: spec.tag,
    summary: spec.summary,
    description: spec.description ?? '',
    isPublic: spec.isPublic ?? false,
    scope: spec.scope ?? (spec.method === 'GET' ? 'read' : 'admin'),
    forDevices: spec.forDevices ?? false,
    params: spec.params,
    query: spec.query,
    body,
    success: {
      status: success.status,
      description: success.description,
      schema: success.status === 204 ? null : success.schema,
      mediaType: success.mediaType ?? 'application/json',
      alternatives: success.alternatives ?? {},
      headers: success.headers ?? {},
      final: success.final ? { status: success.final.status, description: success.final.description } : null,
    },
    refusals: spec.refusals ?? [],
    foreign: null,
    async answer(incoming) {
      const params = parseParameters(spec.params, new URLSearchParams(incoming.params));
      const query = parseParameters(spec.query, incoming.query);
      spec.judge?.(incoming.authorization);
      const { caller, authorization, now, signal } = incoming;
      const request = { params, query, caller, authorization, now, signal, filters: filtersOf(incoming) };
      const answer = await spec.handler({
        ...request,
        accepts: incoming.accepts,
        body: await readWith(body, incoming),
      });
      if (answer instanceof WrittenAnswer) return { status: success.status, body: answer, headers: {} };
      const headers: Record<string, string> = spec.location ? { location: spec.location(answer) } : {};
      const status = success.final?.is(answer) ? success.final.status : success.status;
      return { status, body: answer, headers };
    },
  };
}

/** A JSON body that must have the shape of `schema`. */
export function jsonBody<T extends z.ZodType>(schema: T): BodySpec<z.output<T>> {
  return {
    types: ['application/json'],
    leniency: strictBody,
    schema,
    read: (bytes) => parseBody(schema, parseJson(bytes)),
  };
}

/** A body that the handler reads itself; `schema` only documents it. */
export function bytesBody(
  types: readonly string[],
  schema: z.ZodType,
  leniency: BodyLeniency = strictBody,
): BodySpec<{ readonly bytes: Uint8Array; readonly type: string }> {
  return { types, leniency, schema, read: (bytes, type) => ({ bytes, type }) };
}

async function readWith<B>(spec: BodySpec<B> | null, incoming: Incoming): Promise<B> {
  // A route without a body has B = undefined; `route` cannot say so to the compiler.
  if (!spec) return undefined as B;
  const { bytes, type } = await incoming.readBody(spec.types, spec.leniency);
  return spec.read(bytes, type);
}

function filtersOf(incoming: Incoming): string {
  const filters = [...incoming.query].filter(([name]) => name !== 'page' && name !== 'limit');
  return JSON.stringify([Object.entries(incoming.params).sort(byName), filters.sort(byName)]);
}

/** A parameter is there at most once, so its name is its place. */
function byName(left: readonly string[], right: readonly string[]): number {
  return compareText(left[0], right[0]);
}
