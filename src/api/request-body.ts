import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { messageOf } from '../base/errors.ts';
import { RequestRefused } from './problem.ts';

/** What else than the plain thing a route takes. */
export interface BodyLeniency {
  /** Whether a body without a content type is of the first of the types. */
  readonly mayBeUntyped: boolean;
  /** Whether the body may come with `Content-Encoding: gzip`. */
  readonly mayBeGzip: boolean;
}

export const strictBody: BodyLeniency = { mayBeUntyped: false, mayBeGzip: false };

/**
 * Reads a body of at most `bytesMax` bytes, counted as they arrive. A larger one is refused with 413: when it is not
 * much larger it is read to its end first and dropped, so that a sender which reads only after writing sees the answer;
 * otherwise the connection closes behind the answer.
 */
export async function readBody(request: IncomingMessage, response: ServerResponse, bytesMax: number): Promise<Buffer> {
  const announced = Number(request.headers['content-length'] ?? Number.NaN);
  const isWaiting = /^100-continue$/i.test(request.headers.expect ?? '');
  if (announced > bytesMax && (isWaiting || announced > 2 * bytesMax)) throw tooLarge(bytesMax, true);
  if (isWaiting) response.writeContinue();
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of bytesOf(request)) {
    size += chunk.length;
    if (size <= bytesMax) chunks.push(chunk);
    else chunks.length = 0;
    if (size > 2 * bytesMax) throw tooLarge(bytesMax, true);
  }
  if (size > bytesMax) throw tooLarge(bytesMax, false);
  return Buffer.concat(chunks, size);
}

async function* bytesOf(request: IncomingMessage): AsyncGenerator<Buffer> {
  // Left early, the iterator must not destroy the request: the answer goes out over the same socket.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    if (chunk instanceof Buffer) yield chunk;
  }
}

/** `application/json; charset=utf-8` as its parts; null when the header is malformed. Lower case. */
export function parseMediaType(header: string): { readonly type: string; readonly charset: string | null } | null {
  const [type = '', ...parameters] = header.split(';').map((part) => part.trim());
  if (!/^[\w.+-]+\/[\w.+-]+$/.test(type)) return null;
  const charset = parameters.find((parameter) => /^charset=/i.test(parameter));
  return {
    type: type.toLowerCase(),
    charset: charset ? charset.slice('charset='.length).replaceAll('"', '').toLowerCase() : null,
  };
}

/** Refuses with 415 what the route does not take; returns the type that was sent. */
export function checkMediaType(
  request: IncomingMessage,
  accepted: readonly string[],
  { mayBeUntyped, mayBeGzip }: BodyLeniency = strictBody,
): string {
  const list = accepted.join(' or ');
  const header = request.headers['content-type'] ?? (mayBeUntyped ? accepted[0] : undefined);
  const sent = header === undefined ? null : parseMediaType(header);
  if (!sent || !accepted.includes(sent.type) || (sent.charset !== null && sent.charset !== 'utf-8')) {
    const what = header === undefined ? 'no content type was sent' : `"${header.slice(0, 100)}" is not taken here`;
    throw new RequestRefused('unsupported_media_type', `${what}; send ${list} in UTF-8`, {
      headers: { accept: accepted.join(', ') },
    });
  }
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity' && !(mayBeGzip && isGzip(request))) {
    throw new RequestRefused(
      'unsupported_media_type',
      `content-encoding "${encoding.slice(0, 100)}" is not taken here`,
      {
        headers: { 'accept-encoding': mayBeGzip ? 'gzip, identity' : 'identity' },
      },
    );
  }
  return sent.type;
}

export function isGzip(request: IncomingMessage): boolean {
  return /^(?:x-)?gzip$/i.test(request.headers['content-encoding'] ?? '');
}

const gunzipped = promisify(gunzip);
/** Text of readings shrinks to a tenth, now and then to a fiftieth; what claims much more is out to fill the memory. */
const gzipRatioMax = 250;
/** Below this the ratio does not matter. */
const gzipFreeBytes = 64 * 1024;

/**
 * What a gzip body holds. Unpacked it may have `bytesMax` bytes, and not be out of all proportion to what was sent:
 * beyond either it is refused with 413, before it is unpacked further. Refused with 400 when it is not gzip, or cut.
 */
export async function unpackGzip(packed: Uint8Array, bytesMax: number): Promise<Uint8Array> {
  const maxOutputLength = Math.min(bytesMax, gzipFreeBytes + packed.length * gzipRatioMax);
  try {
    return await gunzipped(packed, { maxOutputLength });
  } catch (error) {
    if (error instanceof RangeError) {
      throw new RequestRefused(
        'payload_too_large',
        `unpacked a body may have ${bytesMax} bytes and ${gzipRatioMax} times its packed size; send it in parts`,
      );
    }
    throw new RequestRefused('bad_request', `the body is not gzip, or it was cut: ${messageOf(error)}`);
  }
}

/** Reads JSON text. Refuses what is empty, not UTF-8 or not JSON. */
export function parseJson(bytes: Uint8Array): unknown {
  if (bytes.length === 0) throw new RequestRefused('payload_empty', 'send a JSON body');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new RequestRefused('payload_not_utf8', 'the body must be UTF-8 text');
  }
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch (error) {
    throw new RequestRefused('payload_not_json', messageOf(error));
  }
}

function tooLarge(bytesMax: number, mustClose: boolean): RequestRefused {
  return new RequestRefused('payload_too_large', `a body may have ${bytesMax} bytes; send it in parts`, {
    headers: mustClose ? { connection: 'close' } : {},
  });
}
