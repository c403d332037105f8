import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOf } from '../base/errors.ts';
import { RequestRefused } from './problem.ts';

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
export function checkMediaType(request: IncomingMessage, accepted: readonly string[]): string {
  const list = accepted.join(' or ');
  const header = request.headers['content-type'];
  const sent = header === undefined ? null : parseMediaType(header);
  if (!sent || !accepted.includes(sent.type) || (sent.charset !== null && sent.charset !== 'utf-8')) {
    const what = header === undefined ? 'no content type was sent' : `"${header.slice(0, 100)}" is not taken here`;
    throw new RequestRefused('unsupported_media_type', `${what}; send ${list} in UTF-8`, {
      headers: { accept: accepted.join(', ') },
    });
  }
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new RequestRefused(
      'unsupported_media_type',
      `content-encoding "${encoding.slice(0, 100)}" is not taken here`,
      {
        headers: { 'accept-encoding': 'identity' },
      },
    );
  }
  return sent.type;
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
