import { isRange, type Range } from './chart-range.ts';

/** Where the page is; everything that a shared link must say is in the hash. */
export type Route =
  | { readonly page: 'overview' }
  | { readonly page: 'devices' }
  | { readonly page: 'device'; readonly device: string; readonly range: Range }
  /** With the episode that a webhook linked to. */
  | { readonly page: 'alerts'; readonly alert: string | null }
  | { readonly page: 'webhooks' }
  | { readonly page: 'quarantine' }
  | { readonly page: 'unknown'; readonly hash: string };

/** Reads `#/devices/fridge-01?range=6h`. */
export function parseRoute(hash: string): Route {
  const [path = '', search = ''] = hash.replace(/^#\/?/, '').split('?', 2);
  const [page = '', name, ...rest] = path.split('/');
  if (rest.length > 0) return { page: 'unknown', hash };
  if (page === '' && name === undefined) return { page: 'overview' };
  const named = name === undefined || name === '' ? null : decoded(name);
  if (named === undefined) return { page: 'unknown', hash };
  if (page === 'alerts') return { page, alert: named };
  if ((page === 'devices' || page === 'webhooks' || page === 'quarantine') && named === null) return { page };
  if (page !== 'devices' || named === null) return { page: 'unknown', hash };
  const range = new URLSearchParams(search).get('range');
  return { page: 'device', device: named, range: isRange(range) ? range : '5m' };
}

/** The link to a device, and to a span of its charts. */
export function deviceHash(device: string, range?: Range): string {
  return `#/devices/${encodeURIComponent(device)}${range === undefined ? '' : `?range=${range}`}`;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
