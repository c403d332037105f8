import { RejectedError } from '../base/errors.ts';
import type { Value } from '../domain/reading.ts';
import { decodeText } from './text.ts';
import { decodeValue } from './value.ts';

const number = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/;

/**
 * The native dialect on `devices/{device}/telemetry/{metric}`: one bare value. `true`, `false`, `on` and `off` in any
 * case are booleans, a decimal number is a number, a JSON string or any other short text is a text reading.
 * Throws `RejectedError`, also for JSON objects and arrays, which belong on the topic without a metric.
 */
export function decodeBare(payload: Uint8Array): Value {
  const text = decodeText(payload).trim();
  if (text === '') throw new RejectedError('payload_empty', 'the payload is blank');
  if (number.test(text)) return decodeValue(Number(text), '');
  switch (text.toLowerCase()) {
    case 'true':
    case 'on':
      return true;
    case 'false':
    case 'off':
      return false;
    case 'nan':
    case 'inf':
    case '+inf':
    case '-inf':
    case 'infinity':
    case '+infinity':
    case '-infinity':
      throw new RejectedError('value_not_finite', `"${text}" is not a finite number`);
    case 'null':
      throw new RejectedError('value_invalid', 'null is no reading; leave the message out instead');
    default:
  }
  if (text.startsWith('{') || text.startsWith('[')) {
    throw new RejectedError(
      'payload_shape',
      'a JSON object or array goes to devices/{device}/telemetry, without a metric in the topic',
    );
  }
  if (text.startsWith('"')) return decodeQuoted(text);
  return decodeValue(text, '');
}

function decodeQuoted(text: string): Value {
  try {
    const parsed: unknown = JSON.parse(text);
    return decodeValue(parsed, '');
  } catch (error) {
    if (error instanceof RejectedError) throw error;
    throw new RejectedError('payload_not_json', 'the payload begins with a quote but is not a JSON string', {
      cause: error,
    });
  }
}
