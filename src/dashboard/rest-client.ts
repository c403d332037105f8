/** One of several faults of a request, with the place in its body. */
export interface Fault {
  readonly pointer: string;
  readonly detail: string;
}

/** A refusal or failure in words: an RFC 9457 problem, or what stands in for one when the gateway cannot be reached. */
export class ProblemError extends Error {
  /** HTTP status; 0 when no answer came. */
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  /** The gateway's error code, or `unreachable`. */
  readonly code: string;
  /** What is wrong with the body, place by place; empty where the gateway did not say. */
  readonly faults: readonly Fault[];

  constructor(problem: { status: number; title: string; detail: string; code: string; faults?: readonly Fault[] }) {
    super(`${problem.title}: ${problem.detail}`);
    this.faults = problem.faults ?? [];
    this.status = problem.status;
    this.title = problem.title;
    this.detail = problem.detail;
    this.code = problem.code;
  }
}

export interface RestClientOptions {
  /** Where the page was loaded from. */
  readonly base: string;
  readonly fetch: typeof fetch;
  readonly now: () => number;
  /** The key to ask with; null without one. */
  readonly key?: () => string | null;
  /** Told of every answer that a key is needed, or that this one is no good. */
  readonly onUnauthorized?: (problem: ProblemError) => void;
}

/** Asks the gateway, relative to where the page was loaded from, so that a base path needs no setting. */
export class RestClient {
  readonly #options: RestClientOptions;
  /** How far the gateway's clock is ahead of this browser's, ms; 0 while they agree within two seconds. */
  clockAhead = 0;

  constructor(options: RestClientOptions) {
    this.#options = options;
  }

  /**
   * GETs JSON. `Body` is the shape that the contract gives for the path.
   * Throws `ProblemError` for every answer that is not 2xx and when no answer came; an abort passes through.
   */
  async get<Body>(path: string, query: Readonly<Record<string, string>> = {}, signal?: AbortSignal): Promise<Body> {
    const response = await this.#send({ path, query, signal });
    // The contract says what the path answers; there is nothing here that could check it without carrying the schemas.
    return (await response.json()) as Body;
  }

  /** GETs text, for the metrics page. Throws like `get`. */
  async text(path: string, signal?: AbortSignal): Promise<string> {
    return (await this.#send({ path, accept: 'text/plain', signal })).text();
  }

  /** Changes something; resolves with what the gateway answers, undefined for an empty answer. Throws like `get`. */
  async send<Body>(method: 'POST' | 'PATCH' | 'DELETE', path: string, body?: unknown): Promise<Body> {
    const response = await this.#send({ path, method, body });
    return (response.status === 204 ? undefined : await response.json()) as Body;
  }

  /** Whether the gateway lets this key in: resolves, or throws like `get`. Nothing is remembered of it. */
  async tryKey(key: string): Promise<void> {
    await this.#send({ path: 'api/v1/devices', query: { limit: '1' }, key });
  }

  /** The gateway's wall time as far as the page knows, epoch ms. */
  gatewayNow(): number {
    return this.#options.now() + this.clockAhead;
  }

  async #send(asked: Asked): Promise<Response> {
    const { path, query = {}, method = 'GET', accept = 'application/json', body, signal } = asked;
    const { base, now, fetch } = this.#options;
    const key = asked.key ?? this.#options.key?.() ?? null;
    const url = new URL(path, base);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const headers = {
      accept,
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
      ...(method === 'GET' ? {} : { 'content-type': 'application/json' }),
    };
    const began = now();
    let response: Response;
    try {
      response = await fetch(url, {
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (error) {
      if (signal?.aborted === true) throw error;
      throw new ProblemError({
        status: 0,
        title: 'The gateway cannot be reached',
        detail: 'Nothing answered. Is it running, and is this device on its network?',
        code: 'unreachable',
      });
    }
    this.#compareClocks(response.headers.get('date'), began);
    if (response.ok) return response;
    const problem = await problemOf(response);
    // An answer to a key that is only tried, or that was changed meanwhile, says nothing about the one in use.
    const isCurrent = asked.key === undefined && key === (this.#options.key?.() ?? null);
    if (problem.status === 401 && isCurrent) this.#options.onUnauthorized?.(problem);
    throw problem;
  }

  /** The Date header counts whole seconds, so it is half a second behind on average. */
  #compareClocks(date: string | null, began: number): void {
    const served = date === null ? Number.NaN : Date.parse(date);
    if (Number.isNaN(served)) return;
    const ahead = served + 500 - (began + this.#options.now()) / 2;
    this.clockAhead = Math.abs(ahead) > 2_000 ? ahead : 0;
  }
}

interface Asked {
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly method?: string;
  readonly accept?: string;
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
  /** In place of the key in use. */
  readonly key?: string;
}

async function problemOf(response: Response): Promise<ProblemError> {
  const body: unknown = await response.json().catch(() => null);
  const member = (name: string): string => {
    const value: unknown = typeof body === 'object' && body !== null ? Reflect.get(body, name) : undefined;
    return typeof value === 'string' ? value : '';
  };
  return new ProblemError({
    status: response.status,
    title: member('title') || `The gateway answered ${response.status}`,
    detail: member('detail'),
    code: member('code') || 'unknown',
    faults: faultsOf(body),
  });
}

function faultsOf(body: unknown): Fault[] {
  const errors: unknown = typeof body === 'object' && body !== null ? Reflect.get(body, 'errors') : undefined;
  if (!Array.isArray(errors)) return [];
  return errors.flatMap((error: unknown) => {
    if (typeof error !== 'object' || error === null) return [];
    const pointer: unknown = Reflect.get(error, 'pointer');
    const detail: unknown = Reflect.get(error, 'detail');
    return typeof detail === 'string' ? [{ pointer: typeof pointer === 'string' ? pointer : '', detail }] : [];
  });
}
