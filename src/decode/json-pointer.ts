import { RejectedError } from '../base/errors.ts';
import { escapePointer, isObject } from './native.ts';

/** A member of a JSON document, its place, and what the `*` of the path stood for. */
export interface Found {
  readonly value: unknown;
  /** RFC 6901. */
  readonly pointer: string;
  readonly stars: readonly string[];
}

/** Most members that one path may find. */
const foundMax = 10_000;

/** The tokens of an RFC 6901 pointer; `~1` is `/` and `~0` is `~`. */
export function pointerTokens(pointer: string): readonly string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/**
 * Every member of the document at the path, of which `*` as a token stands for every member of an object or array.
 * Nothing is found where a member is missing. Throws `payload_shape` for more than 10,000.
 */
export function findMembers(document: unknown, tokens: readonly string[]): readonly Found[] {
  let found: readonly Found[] = [{ value: document, pointer: '', stars: [] }];
  for (const token of tokens) {
    const next: Found[] = [];
    for (const each of found) {
      if (token === '*') {
        for (const name of namesOf(each.value)) step(each, name, [...each.stars, name], next);
      } else step(each, token, each.stars, next);
      if (next.length > foundMax) {
        throw new RejectedError('payload_shape', `a path finds more than ${foundMax} members`, {
          pointer: each.pointer,
        });
      }
    }
    found = next;
  }
  return found;
}

/** The names of an object's members, the indices of an array; none for anything else. */
export function namesOf(value: unknown): readonly string[] {
  return typeof value === 'object' && value !== null ? Object.keys(value) : [];
}

/** The member of an object or array by its name or index; undefined where there is none. */
export function memberOf(value: unknown, name: string): unknown {
  if (Array.isArray(value)) return /^(0|[1-9]\d*)$/.test(name) ? (value[Number(name)] as unknown) : undefined;
  return isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

function step(from: Found, name: string, stars: readonly string[], to: Found[]): void {
  const value = memberOf(from.value, name);
  if (value !== undefined) to.push({ value, pointer: `${from.pointer}/${escapePointer(name)}`, stars });
}
