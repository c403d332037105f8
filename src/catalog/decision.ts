import type { Fault } from '../base/errors.ts';
import { RejectedError } from '../base/errors.ts';
import type { RuleDraft, RulePatch } from '../contract/rule.ts';
import type { WebhookDraft, WebhookPatch } from '../contract/webhook.ts';
import type { MappingPatch } from '../contract/mapping.ts';
import type { ProfileDraft, ProfilePatch } from '../contract/profile.ts';
import type { Mapping } from '../domain/mapping.ts';
import { mappingFaults } from '../domain/mapping-faults.ts';
import type { RetentionRule } from '../domain/retention.ts';
import type { Profile } from '../domain/profile.ts';
import type { Rule } from '../domain/rule.ts';
import type { Webhook } from '../domain/webhook.ts';

import { retentionListFaults } from './catalog-text.ts';
import { ruleFaults } from './rule-faults.ts';
import { webhookFaults } from './webhook-faults.ts';

/* Drafts and patches become rules, webhooks, profiles and mappings here, or `RejectedError` (`validation_failed`) with every fault. */

export function newRule(id: string, draft: RuleDraft, now: string): Rule {
  return sound('rule', { id, ...draft, createdAt: now, updatedAt: now }, ruleFaults);
}

export function newWebhook(id: string, draft: WebhookDraft, now: string): Webhook {
  return sound('webhook', { id, ...draft, createdAt: now, updatedAt: now }, webhookFaults);
}

/** Replaces the fields given; the condition as a whole. */
export function patchedRule(rule: Rule, patch: RulePatch, updatedAt: string): Rule {
  const patched = {
    id: rule.id,
    name: patch.name ?? rule.name,
    device: patch.device ?? rule.device,
    metric: patch.metric ?? rule.metric,
    condition: patch.condition ?? rule.condition,
    for: patch.for ?? rule.for,
    severity: patch.severity ?? rule.severity,
    enabled: patch.enabled ?? rule.enabled,
    createdAt: rule.createdAt,
    updatedAt,
  };
  return sound('rule', patched, ruleFaults);
}

export function patchedWebhook(webhook: Webhook, patch: WebhookPatch, updatedAt: string): Webhook {
  const patched = {
    id: webhook.id,
    url: patch.url ?? webhook.url,
    events: patch.events ?? webhook.events,
    format: patch.format ?? webhook.format,
    enabled: patch.enabled ?? webhook.enabled,
    description: patch.description ?? webhook.description,
    createdAt: webhook.createdAt,
    updatedAt,
  };
  return sound('webhook', patched, webhookFaults);
}

export function newProfile(draft: ProfileDraft, createdAt: string, updatedAt: string): Profile {
  const { id, description, metrics, dialect, presence, interval, gateway } = draft;
  return { id, description, metrics, dialect, presence, interval, gateway, createdAt, updatedAt };
}

export function patchedProfile(profile: Profile, patch: ProfilePatch, updatedAt: string): Profile {
  return {
    id: profile.id,
    description: patch.description ?? profile.description,
    metrics: patch.metrics ?? profile.metrics,
    dialect: patch.dialect ?? profile.dialect,
    presence: patch.presence ?? profile.presence,
    interval: patch.interval === undefined ? profile.interval : patch.interval,
    gateway: patch.gateway ?? profile.gateway,
    createdAt: profile.createdAt,
    updatedAt,
  };
}

export function newMapping(spec: Mapping): Mapping {
  return sound('mapping', spec, mappingFaults);
}

export function patchedMapping(mapping: Mapping, patch: MappingPatch): Mapping {
  const patched: Mapping = {
    name: mapping.name,
    topic: patch.topic ?? mapping.topic,
    device: patch.device ?? mapping.device,
    format: patch.format ?? mapping.format,
    metrics: patch.metrics ?? mapping.metrics,
    time: patch.time === undefined ? mapping.time : patch.time,
    timeFormat: patch.timeFormat ?? mapping.timeFormat,
    ignore: patch.ignore ?? mapping.ignore,
  };
  return sound('mapping', patched, mappingFaults);
}

/** Pointers are into the list as `PUT /retention` carries it. */
export function newRetention(rules: readonly RetentionRule[]): readonly RetentionRule[] {
  return sound('list', rules, (list) => retentionListFaults('/rules', list));
}

function sound<T>(kind: string, entry: T, faultsOf: (entry: T) => readonly Fault[]): T {
  const faults = faultsOf(entry);
  if (faults.length === 0) return entry;
  const message = faults.length === 1 ? faults[0].detail : `the ${kind} has ${faults.length} faults`;
  throw new RejectedError('validation_failed', message, { pointer: faults[0].pointer, errors: faults });
}
