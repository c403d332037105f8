import { RequestRefused } from './problem.ts';

/** What a request line asks for, below the base path. */
export interface Target {
  /** Begins with a slash; still percent-encoded. null: outside the base path. */
  readonly path: string | null;
  readonly query: URLSearchParams;
  /** The base path without its slash at the end, to which a page's relative links would not belong. */
  readonly isBareBase: boolean;
}

/**
 * Reads a request target (RFC 9112 section 3.2), origin form or absolute form. Refuses with 400 any percent sign that
 * is not followed by two hexadecimal digits, and bytes that are not UTF-8: routers and URLSearchParams would let them
 * through changed.
 */
export function parseTarget(url: string, basePath: string): Target {
  const originForm = url.replace(/^https?:\/\/[^/?#]*/i, '');
  const [, rawPath = '', search = ''] = /^([^?#]*)(?:\?([^#]*))?/.exec(originForm) ?? [];
  const path = rawPath === '' && originForm !== url ? '/' : rawPath;
  if (!path.startsWith('/')) throw new RequestRefused('bad_request', 'the request target must be a path');
  for (const part of [path, search]) {
    try {
      decodeURIComponent(part);
    } catch {
      throw new RequestRefused('bad_request', 'the address holds a malformed percent sign; write %25 for a plain one');
    }
  }
  const query = new URLSearchParams(search);
  const isBareBase = basePath !== '' && path === basePath;
  if (basePath === '') return { path, query, isBareBase };
  return { path: path.startsWith(`${basePath}/`) ? path.slice(basePath.length) : null, query, isBareBase };
}
