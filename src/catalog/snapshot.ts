import type { Rule } from '../domain/rule.ts';
import type { Webhook } from '../domain/webhook.ts';

/** What people decided, at one moment. Frozen; what did not change is the same object in the next snapshot. */
export interface CatalogSnapshot {
  readonly rules: readonly Rule[];
  readonly webhooks: readonly Webhook[];
}

/** The snapshot that follows `previous`; `previous` itself when nothing changed. */
export function nextSnapshot(previous: CatalogSnapshot, contents: CatalogSnapshot): CatalogSnapshot {
  const rules = reused(previous.rules, contents.rules);
  const webhooks = reused(previous.webhooks, contents.webhooks);
  if (isSameList(rules, previous.rules) && isSameList(webhooks, previous.webhooks)) return previous;
  return frozen({ rules, webhooks });
}

/** `next` with the objects of `previous` where nothing changed. */
function reused<T extends { readonly id: string }>(previous: readonly T[], next: readonly T[]): readonly T[] {
  const known = new Map(previous.map((entry) => [entry.id, entry]));
  return next.map((entry) => {
    const before = known.get(entry.id);
    return before && JSON.stringify(before) === JSON.stringify(entry) ? before : entry;
  });
}

function isSameList(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((entry, index) => entry === b[index]);
}

export function frozen({ rules, webhooks }: CatalogSnapshot): CatalogSnapshot {
  for (const rule of rules) Object.freeze(Object.freeze(rule).condition);
  for (const webhook of webhooks) Object.freeze(Object.freeze(webhook).events);
  return Object.freeze({ rules: Object.freeze([...rules]), webhooks: Object.freeze([...webhooks]) });
}
