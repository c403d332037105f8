import { RejectedError } from '../base/errors.ts';
import type { CommandReply, Json } from '../domain/command.ts';
import { isObject, parseJson } from './native.ts';
import { decodeText } from './text.ts';

/**
 * `devices/{device}/commands/{id}/reply`: `{"status":"succeeded"|"failed","result":…}`, `result` being any JSON or left
 * out. Throws `RejectedError`.
 */
export function decodeCommandReply(device: string, id: string, payload: Uint8Array): CommandReply {
  const parsed = parseJson(decodeText(payload));
  if (!isObject(parsed))
    throw new RejectedError('payload_shape', 'a reply is an object such as {"status":"succeeded"}');
  const { status } = parsed;
  if (status !== 'succeeded' && status !== 'failed') {
    throw new RejectedError('payload_shape', 'the status of a reply is "succeeded" or "failed"', {
      pointer: '/status',
    });
  }
  return { device, id, status, result: toJson(parsed.result) };
}

/** So deep a result may be nested. */
const depthMax = 32;

/** What `JSON.parse` made, or nothing, as JSON. Throws `payload_too_deep`. */
export function toJson(value: unknown, depth = 0): Json {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  if (typeof value !== 'object' || value === null) return null;
  if (depth === depthMax)
    throw new RejectedError('payload_too_deep', `JSON is nested over ${depthMax} levels deep here`);
  if (Array.isArray(value)) return value.map((member) => toJson(member, depth + 1));
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, toJson(member, depth + 1)]));
}
