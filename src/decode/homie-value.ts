import { RejectedError } from '../base/errors.ts';
import type { Json } from '../domain/command.ts';
import { textBytesMax, type Value } from '../domain/reading.ts';
import type { HomieProperty } from './homie-description.ts';
import { decodeText } from './text.ts';
import { decodeValue } from './value.ts';

const integer = /^[+-]?\d+$/;
const float = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
// ISO 8601 as the convention has it: hours, minutes and seconds.
const duration = /^PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?$/;

/** An empty payload deletes a retained message, so an empty text is written as one NUL. */
const emptyText = '\0';

/**
 * A value by the datatype of its property: numbers and booleans as such, a duration in seconds, everything else as text.
 * null for JSON that is too long for a text. Throws `RejectedError`.
 */
export function homieValue({ datatype, format }: HomieProperty, payload: Uint8Array): Value | null {
  const text = decodeText(payload);
  switch (datatype) {
    case 'integer':
      if (integer.test(text)) return decodeValue(Number(text), '');
      break;
    case 'float':
      if (float.test(text)) return decodeValue(Number(text), '');
      break;
    case 'boolean':
      if (text === 'true' || text === 'false') return text === 'true';
      break;
    case 'duration':
      return seconds(text);
    case 'enum':
      if (format === '' || names(format).includes(text)) return decodeValue(text, '');
      throw new RejectedError('value_invalid', `the description allows ${format}`);
    case 'json':
      return payload.length > textBytesMax ? null : decodeValue(text, '');
    default:
      return decodeValue(text === emptyText ? '' : text, '');
  }
  throw new RejectedError('value_invalid', `the description says that the value is of the datatype ${datatype}`);
}

/** What a command wants a property to be, as bytes. Throws `validation_failed`. */
export function homiePayload({ datatype, format }: HomieProperty, value: Json): Buffer {
  const fits = ((): boolean => {
    switch (datatype) {
      case 'integer':
        return Number.isSafeInteger(value);
      case 'float':
        return typeof value === 'number' && Number.isFinite(value);
      case 'boolean':
        return typeof value === 'boolean';
      case 'enum':
        return typeof value === 'string' && value !== '' && (format === '' || names(format).includes(value));
      case 'json':
        return true;
      default:
        return typeof value === 'string';
    }
  })();
  if (!fits) {
    const allowed = datatype === 'enum' && format !== '' ? ` (${format})` : '';
    throw new RejectedError('validation_failed', `the property is of the datatype ${datatype}${allowed}`, {
      pointer: '/params',
    });
  }
  if (typeof value !== 'string' || datatype === 'json') return Buffer.from(JSON.stringify(value));
  return Buffer.from(value === '' ? emptyText : value);
}

function names(format: string): readonly string[] {
  return format.split(',');
}

function seconds(text: string): number {
  const match = duration.exec(text);
  if (!match || text === 'PT') {
    throw new RejectedError(
      'value_invalid',
      'a duration is ISO 8601 in hours, minutes and seconds, PT1H30M for example',
    );
  }
  const [, hours = '0', minutes = '0', rest = '0'] = match;
  return Number(hours) * 3_600 + Number(minutes) * 60 + Number(rest);
}
