import { RejectedError } from '../base/errors.ts';
import type { DeviceStatus } from '../domain/device.ts';
import type { Value } from '../domain/reading.ts';
import { escapePointer, isObject, parseJson } from './native.ts';
import { decodeText } from './text.ts';
import { decodeValue } from './value.ts';

/** Most attributes in one message. */
const attributesMax = 100;

/** `devices/{device}/attributes`: a flat JSON object of facts. Throws `RejectedError`. */
export function decodeAttributes(payload: Uint8Array): Readonly<Record<string, Value>> {
  return decodeAttributeValues(parseJson(decodeText(payload)), '');
}

/** The same of JSON that was parsed; pointers begin with `at`. Throws `RejectedError`. */
export function decodeAttributeValues(parsed: unknown, at: string): Readonly<Record<string, Value>> {
  if (!isObject(parsed))
    throw new RejectedError('payload_shape', 'attributes are an object such as {"firmware":"1.4.2"}', { pointer: at });
  const keys = Object.keys(parsed);
  if (keys.length > attributesMax)
    throw new RejectedError('payload_shape', `at most ${attributesMax} attributes in one message`, { pointer: at });
  const attributes: Record<string, Value> = {};
  for (const key of keys) {
    const pointer = `${at}/${escapePointer(key)}`;
    if (key === '__proto__' || key === '' || key.length > 128 || !key.isWellFormed()) {
      throw new RejectedError('payload_shape', 'an attribute name has 1 to 128 whole characters', { pointer });
    }
    const value = parsed[key];
    if (value !== null) attributes[key] = decodeValue(value, pointer);
  }
  return attributes;
}

/** `devices/{device}/status`: `online` or `offline`, bare or as a JSON string. Throws `value_invalid`. */
export function decodeStatus(payload: Uint8Array): DeviceStatus {
  const text = decodeText(payload).trim().toLowerCase();
  const bare = text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1) : text;
  if (bare === 'online' || bare === 'offline') return bare;
  throw new RejectedError('value_invalid', 'a status is "online" or "offline"');
}
