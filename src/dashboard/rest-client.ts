/** A refusal or failure in words: an RFC 9457 problem, or what stands in for one when the gateway cannot be reached. */
export class ProblemError extends Error {
  /** HTTP status; 0 when no answer came. */
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  /** The gateway's error code, or `unreachable`. */
  readonly code: string;

  constructor(problem: { status: number; title: string; detail: string; code: string }) {
    super(`${problem.title}: ${problem.detail}`);
    this.status = problem.status;
    this.title = problem.title;
    this.detail = problem.detail;
    this.code = problem.code;
  }
}

/** Asks the gateway, relative to where the page was loaded from, so that a base path needs no setting. */
export class RestClient {
  readonly #base: string;
  readonly #fetch: typeof fetch;
  readonly #now: () => number;
  /** How far the gateway's clock is ahead of this browser's, ms; 0 while they agree within two seconds. */
  clockAhead = 0;

  constructor(options: { readonly base: string; readonly fetch: typeof fetch; readonly now: () => number }) {
    this.#base = options.base;
    this.#fetch = options.fetch;
    this.#now = options.now;
  }

  /**
   * GETs JSON. `Body` is the shape that the contract gives for the path.
   * Throws `ProblemError` for every answer that is not 2xx and when no answer came; an abort passes through.
   */
  async get<Body>(path: string, query: Readonly<Record<string, string>> = {}, signal?: AbortSignal): Promise<Body> {
    const response = await this.#send(path, query, 'application/json', signal);
    // The contract says what the path answers; there is nothing here that could check it without carrying the schemas.
    return (await response.json()) as Body;
  }

  /** GETs text, for the metrics page. Throws like `get`. */
  async text(path: string, signal?: AbortSignal): Promise<string> {
    return (await this.#send(path, {}, 'text/plain', signal)).text();
  }

  /** The gateway's wall time as far as the page knows, epoch ms. */
  gatewayNow(): number {
    return this.#now() + this.clockAhead;
  }

  async #send(
    path: string,
    query: Readonly<Record<string, string>>,
    accept: string,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    const url = new URL(path, this.#base);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const asked = this.#now();
    let response: Response;
    try {
      response = await this.#fetch(url, { headers: { accept }, ...(signal === undefined ? {} : { signal }) });
    } catch (error) {
      if (signal?.aborted === true) throw error;
      throw new ProblemError({
        status: 0,
        title: 'The gateway cannot be reached',
        detail: 'Nothing answered. Is it running, and is this device on its network?',
        code: 'unreachable',
      });
    }
    this.#compareClocks(response.headers.get('date'), asked);
    if (!response.ok) throw await problemOf(response);
    return response;
  }

  /** The Date header counts whole seconds, so it is half a second behind on average. */
  #compareClocks(date: string | null, asked: number): void {
    const served = date === null ? Number.NaN : Date.parse(date);
    if (Number.isNaN(served)) return;
    const ahead = served + 500 - (asked + this.#now()) / 2;
    this.clockAhead = Math.abs(ahead) > 2_000 ? ahead : 0;
  }
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
  });
}
