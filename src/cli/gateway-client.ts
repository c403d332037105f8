import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { type Clock, systemClock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { parseRetryAfter } from '../base/retry-schedule.ts';
import { Problem } from '../contract/rest.ts';

/** Where a command finds the gateway, as commander hands it over. */
export interface ClientFlags {
  readonly url: string;
  readonly key?: string | undefined;
}

/** A command could not be carried out; the message is for people. */
export class GatewayAnswerError extends Error {
  override readonly name = 'GatewayAnswerError';
  /** The code of the problem; null when no gateway answered at all. */
  readonly code: string | null;
  /** Of the answer; null when there was none, or none to the end. */
  readonly status: number | null;
  /** Milliseconds after which the gateway wants to be asked again; null when it did not say. */
  readonly retryAfter: number | null;
  /** Whether the same request may succeed in a moment. */
  readonly isTransient: boolean;

  constructor(
    message: string,
    code: string | null,
    {
      status = null,
      retryAfter = null,
      isTransient = false,
    }: Partial<Omit<GatewayAnswerError, keyof Error | 'code'>> = {},
  ) {
    super(message);
    this.code = code;
    this.status = status;
    this.retryAfter = retryAfter;
    this.isTransient = isTransient;
  }
}

/** What is asked beside method and path. */
export interface Question {
  readonly accept?: string;
  readonly type?: string;
  readonly body?: Uint8Array | string;
  readonly signal?: AbortSignal;
  /** After so many milliseconds in which nothing comes the connection is given up; left out, never. */
  readonly silenceMax?: number;
}

/** What Node and OpenSSL call a certificate that they do not trust. */
const certificateFault = /CERT|UNABLE_TO_VERIFY/;

/** REST as the command line speaks it: what is not a success is an error that says what to do. */
export class GatewayClient {
  readonly #base: URL;
  readonly #key: string | undefined;
  readonly #clock: Clock;

  /** Throws `GatewayAnswerError` for a URL that is none. The key may come from `PULSEGATE_KEY`. */
  constructor(flags: ClientFlags, env: Readonly<Record<string, string | undefined>>, clock: Clock = systemClock) {
    const base = URL.parse(flags.url);
    if (!base || !/^https?:$/.test(base.protocol)) {
      throw new GatewayAnswerError(`"${flags.url}" is not an http or https URL; see --url`, null);
    }
    this.#base = base;
    this.#key = flags.key ?? env.PULSEGATE_KEY;
    this.#clock = clock;
  }

  /** The JSON of the answer, undefined for an empty one. `path` begins behind `/api/v1`. */
  async ask(method: string, path: string, body?: unknown): Promise<unknown> {
    const question = body === undefined ? {} : { body: JSON.stringify(body) };
    const answer = await this.open(method, path, question);
    const text = await textOf(answer);
    return text === '' ? undefined : JSON.parse(text);
  }

  /**
   * The answer, once its head is there; the caller reads it, or destroys it. Rejects with `GatewayAnswerError` for
   * everything that is not a success.
   */
  async open(method: string, path: string, question: Question = {}): Promise<IncomingMessage> {
    const answer = await this.#send(method, path, question);
    const { statusCode: status = 0 } = answer;
    if (status >= 200 && status < 300) return answer;
    const retryAfter = parseRetryAfter(answer.headers['retry-after'], this.#clock.now());
    throw refusal(status, await textOf(answer), retryAfter);
  }

  #send(method: string, path: string, { accept, type, body, signal, silenceMax }: Question): Promise<IncomingMessage> {
    const url = new URL(`${this.#base.pathname.replace(/\/$/, '')}/api/v1${path}`, this.#base);
    const headers: Record<string, string> = { accept: accept ?? 'application/json' };
    if (this.#key !== undefined) headers.authorization = `Bearer ${this.#key}`;
    if (body !== undefined) headers['content-length'] = String(Buffer.byteLength(body));
    if (body !== undefined || method !== 'GET') headers['content-type'] = type ?? 'application/json';
    const send = url.protocol === 'https:' ? requestHttps : requestHttp;
    return new Promise((resolve, reject) => {
      const sent = send(url, { method, headers, signal }, resolve);
      if (silenceMax !== undefined) {
        sent.setTimeout(silenceMax, () => sent.destroy(new Error(`nothing came for ${silenceMax / 1_000} s`)));
      }
      sent.on('error', (error: NodeJS.ErrnoException) => reject(noAnswer(url, error)));
      sent.end(body);
    });
  }
}

function noAnswer(url: URL, error: NodeJS.ErrnoException): GatewayAnswerError {
  const isUntrusted = certificateFault.test(error.code ?? '');
  const advice = isUntrusted
    ? 'NODE_EXTRA_CA_CERTS=ca.pem makes an authority of your own trusted'
    : 'is one running there? "pulsegate start" starts it, --url says where it is';
  return new GatewayAnswerError(`No gateway answers at ${url.origin} (${error.message}); ${advice}.`, null, {
    isTransient: !isUntrusted,
  });
}

/** The rest of an answer. Rejects with `GatewayAnswerError` when it is cut. */
export async function textOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk);
  } catch (error) {
    throw new GatewayAnswerError(`The answer was cut off: ${messageOf(error)}.`, null, { isTransient: true });
  }
  return Buffer.concat(chunks).toString();
}

/** Of the gateway itself, and of a proxy in front of it that cannot reach it. */
const transientStatuses = new Set([429, 502, 503, 504]);

function refusal(status: number, text: string, retryAfter: number | null): GatewayAnswerError {
  const facts = { status, retryAfter, isTransient: transientStatuses.has(status) };
  const problem = Problem.safeParse(parsed(text));
  if (!problem.success) {
    return new GatewayAnswerError(`The answer was ${status} and not of a gateway; see --url.`, null, facts);
  }
  const { code, detail, errors = [] } = problem.data;
  const faults = errors.map(({ pointer, parameter = '', detail: fault }) => {
    // Of a single one the detail has said it all but where it is.
    return fault === detail ? `  at ${pointer ?? parameter}` : `  ${pointer ?? parameter} ${fault}`;
  });
  const advice = code === 'unauthorized' ? '; this command takes it from PULSEGATE_KEY or --key' : '';
  return new GatewayAnswerError([`${detail}${advice} (${code})`, ...faults].join('\n'), code, facts);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
