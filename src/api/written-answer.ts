/**
 * An answer that a handler has written itself, in one of the media types of its route: the bytes, or where there may be
 * more of them than fits into memory a stream of bytes. A stream begins with its first step: what it needs it takes then,
 * not when it is made, and gives back in a `finally`. It is asked for its next step while the one before is on its way, so
 * at most two are in memory, and is ended early when the client goes away or the gateway stops. What is known only when it
 * came to its end follows it in trailers, where the connection has them.
 */
export class WrittenAnswer {
  /** The content type, perhaps with parameters. */
  readonly contentType: string;
  readonly body: Uint8Array | AsyncIterable<Uint8Array>;
  readonly headers: Readonly<Record<string, string>>;
  /** Only of a stream. */
  readonly trailers: Trailers | null;

  constructor(
    contentType: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    headers: Readonly<Record<string, string>> = {},
    trailers: Trailers | null = null,
  ) {
    this.contentType = contentType;
    this.body = body;
    this.headers = headers;
    this.trailers = trailers;
  }
}

/** Fields behind the body. */
export interface Trailers {
  /** Those that may come, which the head announces. */
  readonly names: readonly string[];
  /** Those that come; asked for once the body has ended. */
  fields(): Readonly<Record<string, string>>;
}
