import type { ServerResponse } from 'node:http';
import { pipeline, Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import type { Clock } from '../base/clock.ts';

export interface StreamOptions {
  readonly response: ServerResponse;
  /** Aborts when the client is gone or the gateway stops. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** Writes status and headers; called once, when the first bytes are there. */
  begin(): void;
  /** Fields behind the last byte; not called when the stream fails. HTTP/1.0 has no place for them. */
  trailers?(): Readonly<Record<string, string>>;
}

/** Bytes given to the socket at once: what a slow client must take within `stallMs`. */
const pieceBytes = 1_048_576;
/** A client that takes no piece for so long is gone, or holds what others wait for. */
const stallMs = 120_000;

/**
 * Sends `chunks` as the client takes them; each is asked for while the one before is on its way. Rejects without having
 * sent anything when the first chunk fails. Afterwards nothing can be said any more but that the answer is not whole: the
 * connection is cut off, which the client sees, and the error comes back; null when all was sent.
 */
export async function sendStream(chunks: AsyncIterable<Uint8Array>, options: StreamOptions): Promise<unknown> {
  const { response, signal } = options;
  const iterator = chunks[Symbol.asyncIterator]();
  try {
    let step = await iterator.next();
    signal.throwIfAborted();
    options.begin();
    if (response.req.method === 'HEAD') {
      response.end();
      return null;
    }
    try {
      while (step.done !== true) {
        const following = settled(iterator.next());
        await writePieces(step.value, options);
        const outcome = await following;
        if ('error' in outcome) throw outcome.error;
        step = outcome.step;
      }
      if (options.trailers) response.addTrailers(options.trailers());
      response.end();
      return null;
    } catch (error) {
      cutOff(response);
      return error;
    }
  } finally {
    // Stands behind a step that is still under way, and a failure on the way out is no news to anybody.
    await settled(Promise.resolve(iterator.return?.()));
  }
}

/**
 * HTTP/1.0, which some proxies speak to what is behind them, has no other sign of the end than the end of the connection:
 * there a reset has to say that this was none. TLS says it by itself.
 */
function cutOff(response: ServerResponse): void {
  const { socket, req } = response;
  const isPlain = socket !== null && !('encrypted' in socket);
  if (isPlain && req.httpVersion === '1.0' && !socket.destroyed) socket.resetAndDestroy();
  response.destroy();
}

/** The same bytes compressed, quickly rather than well. */
export async function* gzipped(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const gzip = createGzip({ level: 1, chunkSize: 65_536 });
  // Either end that fails or leaves destroys the other; the error comes out of the iteration.
  // One chunk at a time: by default sixteen are read ahead, each some megabytes.
  pipeline(Readable.from(chunks, { highWaterMark: 1 }), gzip, () => {});
  for await (const packed of gzip) if (packed instanceof Uint8Array) yield packed;
}

type Outcome<T> = { readonly step: T } | { readonly error: unknown };

/** A promise that may wait to be looked at without its rejection being nobody's. */
async function settled<T>(promise: Promise<T>): Promise<Outcome<T>> {
  try {
    return { step: await promise };
  } catch (error) {
    return { error };
  }
}

async function writePieces(chunk: Uint8Array, { response, signal, clock }: StreamOptions): Promise<void> {
  for (let at = 0; at < chunk.length; at += pieceBytes) {
    signal.throwIfAborted();
    if (!response.write(chunk.subarray(at, at + pieceBytes))) await drained(response, signal, clock);
  }
}

/** Resolves when the socket has taken what it was given; rejects when it never will. */
function drained(response: ServerResponse, signal: AbortSignal, clock: Clock): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(stallMs, () => end(new StalledError()));
    const onDrain = (): void => end();
    const onAbort = (): void => end(signal.reason);
    response.once('drain', onDrain);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();

    function end(error?: unknown): void {
      timer.cancel();
      response.off('drain', onDrain);
      signal.removeEventListener('abort', onAbort);
      if (error === undefined) resolve();
      else reject(error);
    }
  });
}

/** The client reads no more. */
export class StalledError extends Error {
  override readonly name = 'StalledError';

  constructor() {
    super(`the client took nothing for ${stallMs / 1_000} s`);
  }
}
