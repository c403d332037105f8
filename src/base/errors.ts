/** Ours: an invariant is broken. The process stops, because what it would do next cannot be trusted. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/**
 * Theirs: what was sent is refused, and sending it again will be refused again. `code` is one of the registry in
 * `contract/error-codes.ts`; it is what REST, WebSocket and the quarantine show. `message` says how to mend it.
 */
export class RejectedError extends Error {
  override readonly name = 'RejectedError';
  readonly code: string;
  /** Where in what was sent: an RFC 6901 JSON pointer ("/values/temperature"), or "" for the whole. */
  readonly pointer: string;
  /** Every single fault, where several were found at once; else empty. */
  readonly errors: readonly Fault[];

  constructor(
    code: string,
    message: string,
    options: { pointer?: string; errors?: readonly Fault[]; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.code = code;
    this.pointer = options.pointer ?? '';
    this.errors = options.errors ?? [];
  }
}

/** One fault among several in one request or message. */
export interface Fault {
  /** RFC 6901 JSON pointer. */
  readonly pointer: string;
  readonly code: string;
  readonly detail: string;
}

/**
 * Nobody's: the same thing may succeed later. Retried on a schedule with jitter and an end. `code` is one of the registry
 * in `contract/error-codes.ts`, and says what has to pass first.
 */
export class TransientError extends Error {
  override readonly name = 'TransientError';
  readonly code: string;

  constructor(message: string, options: { code?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.code = options.code ?? 'overloaded';
  }
}

/** The message of anything thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
