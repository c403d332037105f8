import type { IncomingMessage } from 'node:http';

/** On every answer of the API: nothing of it is a page, is sniffed, framed or kept. */
export const answerHeaders: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cache-control': 'no-store',
};

/** On the dashboard's files: everything comes from here, nothing inline, nothing framed. */
export const pageHeaders: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'content-security-policy':
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
};

/** For a page of another site that `http.cors` lists; nothing for all others. */
export function corsHeaders(
  request: Pick<IncomingMessage, 'headers'>,
  origins: readonly string[],
): Record<string, string> {
  const { origin } = request.headers;
  const vary: Record<string, string> = origins.length === 0 ? {} : { vary: 'origin' };
  // As access compares them: a slash at the end and capital letters do not count.
  const isListed = origins.some((listed) => listed.replace(/\/$/, '').toLowerCase() === origin?.toLowerCase());
  if (origin === undefined || !isListed) return vary;
  return {
    ...vary,
    'cross-origin-resource-policy': 'cross-origin',
    'access-control-allow-origin': origin,
    'access-control-expose-headers':
      'allow, content-disposition, location, retry-after, x-damaged-first, x-damaged-readings, x-next-page, x-request-id, x-total-estimate',
  };
}

/** The answer to a preflight (Fetch standard, 3.2): what such a page may send. */
export function preflightHeaders(request: IncomingMessage, allowed: readonly string[]): Record<string, string> {
  if (request.headers['access-control-request-method'] === undefined) return {};
  return {
    'access-control-allow-methods': allowed.join(', '),
    'access-control-allow-headers': 'accept, authorization, content-type, x-request-id',
    'access-control-max-age': '600',
  };
}
