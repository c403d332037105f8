import { z } from 'zod';
import type { Fault } from '../base/errors.ts';
import { MappingSpec } from '../contract/mapping.ts';
import { Name, ProfileBody, showProfile } from '../contract/profile.ts';
import { Time } from '../contract/rest.ts';
import { RetentionRuleDraft, retentionRulesMax, showRetentionRule } from '../contract/retention.ts';
import { RuleDraft } from '../contract/rule.ts';
import { WebhookDraft } from '../contract/webhook.ts';
import type { Mapping } from '../domain/mapping.ts';
import { mappingFaults } from '../domain/mapping-faults.ts';
import type { Profile } from '../domain/profile.ts';
import type { RetentionRule } from '../domain/retention.ts';
import type { Rule } from '../domain/rule.ts';
import type { Webhook } from '../domain/webhook.ts';

import { retentionFaults } from './retention-faults.ts';
import { ruleFaults } from './rule-faults.ts';
import { readVersioned } from './schema-faults.ts';
import { webhookFaults } from './webhook-faults.ts';

/** What people decided: `catalog.json`. */
export interface CatalogContents {
  readonly version: 1;
  readonly rules: readonly Rule[];
  readonly webhooks: readonly Webhook[];
  readonly profiles: readonly Profile[];
  /** Looked through in this order; the first whose topic fits is taken. */
  readonly mappings: readonly Mapping[];
  /** How long series are kept; the first that matches holds. */
  readonly retention: readonly RetentionRule[];
}

export const emptyCatalog: CatalogContents = {
  version: 1,
  rules: [],
  webhooks: [],
  profiles: [],
  mappings: [],
  retention: [],
};

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
    // Catalogs from before there were any have none of these.
    profiles: z.array(z.strictObject({ id: Name, ...ProfileBody.shape, ...times })).default([]),
    mappings: z.array(MappingSpec).default([]),
    retention: z.array(RetentionRuleDraft).max(retentionRulesMax).default([]),
  });
  return readVersioned(text, schema, catalogFaults);
}

/** Indented and in one order, so that a change of one rule is a change of its lines only. */
export function writeCatalogText(contents: CatalogContents): string {
  const { profiles, retention } = contents;
  const shown = { ...contents, profiles: profiles.map(showProfile), retention: retention.map(showRetentionRule) };
  return `${JSON.stringify(shown, null, 2)}\n`;
}

/** The faults that one rule or webhook cannot show alone come first; pointers are into the file. */
function catalogFaults({ rules, webhooks, profiles, mappings, retention }: CatalogContents): readonly Fault[] {
  return [
    ...duplicates('/rules', rules),
    ...duplicates('/webhooks', webhooks),
    ...duplicates('/profiles', profiles),
    ...duplicates('/mappings', mappings),
    ...mappings.flatMap((mapping, index) => below(`/mappings/${index}`, mappingFaults(mapping))),
    ...rules.flatMap((rule, index) => below(`/rules/${index}`, ruleFaults(rule))),
    ...webhooks.flatMap((webhook, index) => below(`/webhooks/${index}`, webhookFaults(webhook))),
    ...retentionListFaults('/retention', retention),
  ];
}

/** Everything that is wrong with a list of retention rules that stands at `pointer`. */
export function retentionListFaults(pointer: string, rules: readonly RetentionRule[]): readonly Fault[] {
  return [
    ...duplicates(pointer, rules),
    ...rules.flatMap((rule, index) => below(`${pointer}/${index}`, retentionFaults(rule))),
  ];
}

function duplicates(
  pointer: string,
  entries: readonly ({ readonly id: string } | { readonly name: string })[],
): Fault[] {
  const seen = new Set<string>();
  return entries.flatMap((entry, index) => {
    const [field, id] = 'id' in entry ? ['id', entry.id] : ['name', entry.name];
    if (!seen.has(id)) {
      seen.add(id);
      return [];
    }
    const detail = `the ${field} "${id}" is given twice`;
    return [{ pointer: `${pointer}/${index}/${field}`, code: 'validation_failed', detail }];
  });
}

function below(pointer: string, faults: readonly Fault[]): Fault[] {
  return faults.map((fault) => ({ ...fault, pointer: pointer + fault.pointer }));
}
