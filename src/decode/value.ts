import { RejectedError } from '../base/errors.ts';
import { ownText } from '../base/own-text.ts';
import { textBytesMax, type Value } from '../domain/reading.ts';

/** A JSON value as a reading. Throws `value_not_finite`, `value_too_long` and `value_invalid`. */
export function decodeValue(value: unknown, pointer: string): Value {
  switch (typeof value) {
    case 'number':
      if (Number.isFinite(value)) return value;
      throw new RejectedError('value_not_finite', 'the number is beyond the range of a 64-bit float', { pointer });
    case 'boolean':
      return value;
    case 'string':
      // An escape such as \ud800 makes text that no UTF-8 can hold: it would come back from disk as another value.
      if (!value.isWellFormed()) {
        throw new RejectedError('value_invalid', 'the text holds half a character (a lone surrogate)', { pointer });
      }
      // It may be a piece of a payload, and stays as the latest value.
      if (Buffer.byteLength(value) <= textBytesMax) return ownText(value);
      throw new RejectedError('value_too_long', `a text reading holds at most ${textBytesMax} bytes of UTF-8`, {
        pointer,
      });
    default:
      throw new RejectedError(
        'value_invalid',
        'a reading is a number, true, false or a short text; send nested objects as several metrics, "a.b" for example',
        {
          pointer,
        },
      );
  }
}
