import { RejectedError } from '../base/errors.ts';

const decoder = new TextDecoder('utf-8', { fatal: true });

/** UTF-8 bytes to text. Throws `payload_empty` and `payload_not_utf8`. */
export function decodeText(payload: Uint8Array): string {
  if (payload.length === 0) throw new RejectedError('payload_empty', 'the payload is empty');
  try {
    return decoder.decode(payload);
  } catch (error) {
    throw new RejectedError('payload_not_utf8', 'the payload is not valid UTF-8', { cause: error });
  }
}
