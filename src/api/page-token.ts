import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { RejectedError } from '../base/errors.ts';

/**
 * Where a list goes on: base64url of JSON `[hash of the filters, key]`. The key is the last one shown, never a count,
 * so what is inserted or deleted between two pages neither repeats nor hides anything else. The hash ties the token to
 * its question; relative times are resolved on the first page and travel in the key.
 */
export function writePage(filters: string, key: unknown): string {
  return Buffer.from(JSON.stringify([hashOf(filters), key])).toString('base64url');
}

/** Throws `RejectedError` (`page_invalid`) for a token that is not ours or belongs to other filters. */
export function readPage<T>(filters: string, token: string, key: z.ZodType<T>): T {
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(token, 'base64url').toString());
  } catch {
    throw malformed();
  }
  if (!Array.isArray(parsed) || parsed.length !== 2) throw malformed();
  const [hash, value]: readonly unknown[] = parsed;
  const result = key.safeParse(value);
  if (typeof hash !== 'string' || !result.success) throw malformed();
  if (hash !== hashOf(filters)) {
    throw new RejectedError(
      'page_invalid',
      'the page token belongs to other filters; repeat the filters of the first page, or begin without `page`',
    );
  }
  return result.data;
}

function hashOf(filters: string): string {
  return createHash('sha256').update(filters).digest('base64url').slice(0, 12);
}

function malformed(): RejectedError {
  return new RejectedError('page_invalid', 'pass `next` of the page before as it was given, or leave `page` away');
}
