import { z } from 'zod';
import type { Fault } from '../base/errors.ts';
import { Time } from '../contract/rest.ts';
import { RuleDraft } from '../contract/rule.ts';
import { WebhookDraft } from '../contract/webhook.ts';
import type { Rule } from '../domain/rule.ts';
import type { Webhook } from '../domain/webhook.ts';
import { ruleFaults } from './rule-faults.ts';
import { readVersioned } from './schema-faults.ts';
import { webhookFaults } from './webhook-faults.ts';

/** What people decided: `catalog.json`. */
export interface CatalogContents {
  readonly version: 1;
  readonly rules: readonly Rule[];
  readonly webhooks: readonly Webhook[];
}

export const emptyCatalog: CatalogContents = { version: 1, rules: [], webhooks: [] };

export const Id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, 'an id is 1 to 64 letters, digits, _ and -');

/**
 * Reads `catalog.json`. What may be left out of a request may be left out by hand as well; without times a rule or webhook
 * counts as made at `now` (RFC 3339). Throws `FileFaults`.
 */
export function readCatalogText(text: string, now: string): CatalogContents {
  const times = { createdAt: Time.default(now), updatedAt: Time.default(now) };
  const schema = z.strictObject({
    version: z.literal(1),
    rules: z.array(z.strictObject({ id: Id, ...RuleDraft.shape, ...times })),
    webhooks: z.array(z.strictObject({ id: Id, ...WebhookDraft.shape, ...times })),
  });
  return readVersioned(text, schema, catalogFaults);
}

/** Indented and in one order, so that a change of one rule is a change of its lines only. */
export function writeCatalogText(contents: CatalogContents): string {
  return `${JSON.stringify(contents, null, 2)}\n`;
}

/** The faults that one rule or webhook cannot show alone come first; pointers are into the file. */
function catalogFaults({ rules, webhooks }: CatalogContents): readonly Fault[] {
  return [
    ...duplicates('/rules', rules),
    ...duplicates('/webhooks', webhooks),
    ...rules.flatMap((rule, index) => below(`/rules/${index}`, ruleFaults(rule))),
    ...webhooks.flatMap((webhook, index) => below(`/webhooks/${index}`, webhookFaults(webhook))),
  ];
}

function duplicates(pointer: string, entries: readonly { readonly id: string }[]): Fault[] {
  const seen = new Set<string>();
  return entries.flatMap(({ id }, index) => {
    if (!seen.has(id)) {
      seen.add(id);
      return [];
    }
    return [{ pointer: `${pointer}/${index}/id`, code: 'validation_failed', detail: `the id "${id}" is given twice` }];
  });
}

function below(pointer: string, faults: readonly Fault[]): Fault[] {
  return faults.map((fault) => ({ ...fault, pointer: pointer + fault.pointer }));
}
