import { Buffer } from 'node:buffer';
import { Agent, type Dispatcher } from 'undici';
import type { Clock } from '../base/clock.ts';
import type { Duration } from '../base/duration.ts';
import type { TargetGuard } from './target-guard.ts';
import { TargetRefusedError } from './target-guard.ts';

export interface SenderLimits {
  readonly connectTimeout: Duration;
  /** From the first byte of the request to the last of the answer. */
  readonly attemptTimeout: Duration;
  /** Bytes of an answer's body that are read before the connection is cut. */
  readonly answerReadMax: number;
  /** Bytes of an answer's body that are kept as an excerpt. */
  readonly excerptMax: number;
}

/** What came of one request. A class for what went wrong, never an inner detail of the network. */
export type Answer =
  | {
      readonly kind: 'answered';
      readonly status: number;
      readonly retryAfter: string | null;
      readonly excerpt: string | null;
    }
  | { readonly kind: 'unanswered'; readonly error: string }
  /** We hung up ourselves; whether the receiver took it is unknown. */
  | { readonly kind: 'aborted' };

/** Posts one body to one URL. Follows no redirect and asks no proxy; every connection passes the guard. */
export class Sender {
  readonly #clock: Clock;
  readonly #limits: SenderLimits;
  readonly #agent: Agent;

  constructor(options: { readonly guard: TargetGuard; readonly clock: Clock; readonly limits: SenderLimits }) {
    this.#clock = options.clock;
    this.#limits = options.limits;
    // Undici's own timers are off: the whole attempt has one deadline.
    this.#agent = new Agent({
      connect: options.guard.connector(options.limits.connectTimeout),
      headersTimeout: 0,
      bodyTimeout: 0,
      pipelining: 1,
    });
  }

  /** Never rejects. The status decides as soon as it is there: a body that drips on after it is cut off at the deadline. */
  async post(
    url: string,
    request: { readonly headers: Record<string, string>; readonly body: string; readonly signal: AbortSignal },
  ): Promise<Answer> {
    const deadline = new AbortController();
    const timer = this.#clock.after(this.#limits.attemptTimeout, () => deadline.abort());
    try {
      const target = new URL(url);
      if (target.username !== '' || target.password !== '') return { kind: 'unanswered', error: 'target_not_allowed' };
      const response = await this.#agent.request({
        origin: target.origin,
        path: target.pathname + target.search,
        method: 'POST',
        headers: request.headers,
        body: request.body,
        signal: AbortSignal.any([request.signal, deadline.signal]),
      });
      return {
        kind: 'answered',
        status: response.statusCode,
        retryAfter: headerText(response.headers['retry-after']),
        excerpt: await this.#readExcerpt(response.body),
      };
    } catch (error) {
      if (request.signal.aborted) return { kind: 'aborted' };
      return { kind: 'unanswered', error: deadline.signal.aborted ? 'timeout' : classOf(error) };
    } finally {
      timer.cancel();
    }
  }

  /** Cuts every connection. */
  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #readExcerpt(body: Dispatcher.ResponseData['body']): Promise<string | null> {
    const kept: Buffer[] = [];
    let read = 0;
    let room = this.#limits.excerptMax;
    try {
      for await (const chunk of body as AsyncIterable<Buffer>) {
        read += chunk.length;
        if (room > 0) kept.push(chunk.subarray(0, room));
        room -= chunk.length;
        if (read >= this.#limits.answerReadMax) break;
      }
    } catch {
      // Cut off in the middle: what came before is the excerpt.
    }
    // A stream left early must not stay in its connection.
    body.destroy();
    return kept.length === 0 ? null : textOf(Buffer.concat(kept));
  }
}

/** Bytes as text that every store takes: a character cut in half at the end is dropped, NUL is replaced. */
function textOf(bytes: Buffer): string {
  return new TextDecoder().decode(bytes, { stream: true }).replaceAll('\0', '\uFFFD');
}

function headerText(value: string | string[] | undefined): string | null {
  return (Array.isArray(value) ? value[0] : value) ?? null;
}

const classes: Readonly<Record<string, string>> = {
  UND_ERR_CONNECT_TIMEOUT: 'connect_timeout',
  ETIMEDOUT: 'connect_timeout',
  ECONNREFUSED: 'connection_refused',
  ECONNRESET: 'connection_reset',
  EPIPE: 'connection_reset',
  UND_ERR_SOCKET: 'connection_reset',
  ENOTFOUND: 'name_not_resolved',
  EAI_AGAIN: 'name_not_resolved',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  EADDRNOTAVAIL: 'unreachable',
  UND_ERR_HEADERS_OVERFLOW: 'answer_malformed',
};

function classOf(error: unknown): string {
  if (error instanceof TargetRefusedError) return 'target_not_allowed';
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (code === 'ERR_INVALID_URL') return 'target_not_allowed';
  if (code.startsWith('HPE_')) return 'answer_malformed';
  if (/^(ERR_TLS|ERR_SSL|CERT|UNABLE_TO|DEPTH_ZERO|SELF_SIGNED|HOSTNAME_MISMATCH|EPROTO)/.test(code))
    return 'tls_failed';
  return classes[code] ?? 'network';
}
