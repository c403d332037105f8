import type { Fault } from '../base/errors.ts';
import { messageOf, RejectedError, TransientError } from '../base/errors.ts';
import type { ErrorCode } from '../contract/error-codes.ts';
import { errorCodes, isErrorCode } from '../contract/error-codes.ts';
import type { Problem, ProblemFault } from '../contract/rest.ts';

export const problemType = 'application/problem+json';

/** A request that is refused by the API itself; what it says is shown. */
export class RequestRefused extends Error {
  override readonly name = 'RequestRefused';
  readonly code: ErrorCode;
  readonly headers: Readonly<Record<string, string>>;
  readonly errors: readonly ProblemFault[];

  constructor(
    code: ErrorCode,
    detail: string,
    options: { headers?: Readonly<Record<string, string>>; errors?: readonly ProblemFault[] } = {},
  ) {
    super(detail);
    this.code = code;
    this.headers = options.headers ?? {};
    this.errors = options.errors ?? [];
  }
}

/** Who asked would not be let in any more; the answer that he waits for, or that is on its way to him, ends. */
export class CredentialEndedError extends RequestRefused {
  constructor() {
    super('unauthorized', 'what let you in when you asked does not hold any more', { headers: challenge });
  }
}

/** What an answer 401 asks for. */
export const challenge = { 'www-authenticate': 'Bearer realm="pulsegate"' };

export function notFound(detail: string): RequestRefused {
  return new RequestRefused('not_found', detail);
}

/** One parameter that cannot stand as it is, for reasons its own schema does not see. */
export function parameterRefused(parameter: string, detail: string): RequestRefused {
  const code = 'parameter_invalid';
  return new RequestRefused(code, detail, { errors: [{ parameter, code, detail }] });
}

/** An answer that is not a success. */
export interface ProblemAnswer {
  readonly body: Problem;
  readonly headers: Readonly<Record<string, string>>;
  /** Ours rather than theirs: to be logged, because the answer does not say why. */
  readonly unexpected: boolean;
}

/** Seconds after which a busy gateway is worth asking again. */
const retryAfterSeconds = '1';

/** Turns anything thrown into a problem (RFC 9457). Never shows a cause that was not written for the outside. */
export function problemOf(thrown: unknown, requestId: string): ProblemAnswer {
  if (thrown instanceof RequestRefused) {
    return answer(requestId, thrown.code, thrown.message, { headers: thrown.headers, errors: thrown.errors });
  }
  if (thrown instanceof RejectedError && isErrorCode(thrown.code)) {
    return answer(requestId, thrown.code, thrown.message, { errors: faultsOf(thrown) });
  }
  const transient = transientCode(thrown);
  if (transient) {
    return answer(requestId, transient, 'nothing was stored; the same request may succeed in a moment', {
      headers: { 'retry-after': retryAfterSeconds },
    });
  }
  const detail = 'something went wrong here; the log has it under the request id';
  return { ...answer(requestId, 'internal', detail, {}), unexpected: true };
}

/** What goes into the log of an unexpected error; nobody outside sees it. */
export function logFieldsOf(thrown: unknown): object {
  return thrown instanceof Error
    ? {
        error: thrown.message,
        stack: thrown.stack,
        cause: thrown.cause === undefined ? undefined : messageOf(thrown.cause),
      }
    : { error: String(thrown) };
}

function answer(
  requestId: string,
  code: ErrorCode,
  detail: string,
  options: { headers?: Readonly<Record<string, string>>; errors?: readonly ProblemFault[] },
): ProblemAnswer {
  const { status, title } = errorCodes[code];
  const problem = { type: `urn:pulsegate:problem:${code}`, title, status, code, detail, instance: requestId };
  const errors = options.errors ?? [];
  return {
    body: errors.length === 0 ? problem : { ...problem, errors: [...errors] },
    headers: { ...(status === 503 && { 'retry-after': retryAfterSeconds }), ...options.headers },
    unexpected: false,
  };
}

function faultsOf(error: RejectedError): readonly ProblemFault[] {
  if (error.errors.length > 0) return error.errors.map(showFault);
  return error.pointer === '' ? [] : [{ pointer: error.pointer, code: error.code, detail: error.message }];
}

export function showFault(fault: Fault): ProblemFault {
  return { pointer: fault.pointer, code: fault.code, detail: fault.detail };
}

/** What has to pass before the same request can succeed; null where it is not known that it ever will. */
function transientCode(thrown: unknown): ErrorCode | null {
  if (isCommitFailure(thrown)) return 'storage_unavailable';
  if (!(thrown instanceof TransientError)) return null;
  if (isCommitFailure(thrown.cause)) return 'storage_unavailable';
  return isErrorCode(thrown.code) ? thrown.code : 'overloaded';
}

/** By name: the class belongs to the engine contract, of which this room knows only the types. */
function isCommitFailure(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.name === 'CommitFailedError';
}
