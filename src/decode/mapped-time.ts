import { RejectedError } from '../base/errors.ts';
import type { Mapping } from '../domain/mapping.ts';
import { findMembers, pointerTokens } from './json-pointer.ts';
import { type DecodedTime, decodeTime } from './time.ts';

/**
 * The time of a mapped message and where it stands; null where the mapping names none, or the payload has none there.
 * Throws `time_invalid` and `time_looks_like_seconds`.
 */
export function mappedTime(
  document: unknown,
  { time: path, timeFormat }: Pick<Mapping, 'time' | 'timeFormat'>,
): DecodedTime & { readonly pointer: string } {
  const found = path === null ? undefined : findMembers(document, pointerTokens(path))[0];
  if (!found) return { time: null, truncated: false, pointer: path ?? '' };
  const { value, pointer } = found;
  return {
    ...decodeTime(timeFormat === 'rfc3339' ? text(value, pointer) : number(value, timeFormat, pointer), pointer),
    pointer,
  };
}

function text(value: unknown, pointer: string): string | null {
  if (value === null || typeof value === 'string') return value;
  throw new RejectedError('time_invalid', 'the mapping says that the time is RFC 3339, and it is no text', { pointer });
}

function number(value: unknown, timeFormat: 'ms' | 's', pointer: string): number | null {
  if (value === null) return null;
  const given = typeof value === 'string' && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value;
  if (typeof given !== 'number') {
    throw new RejectedError('time_invalid', `the mapping says that the time is in ${timeFormat}, and it is no number`, {
      pointer,
    });
  }
  // Whole microseconds first: a decimal fraction of seconds times 1,000 is rarely whole though it stands for whole ms.
  return timeFormat === 's' ? Math.round(given * 1e6) / 1e3 : given;
}
