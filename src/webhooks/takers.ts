import { compileGlob } from '../domain/glob.ts';
import type { Webhook, WebhookEventType } from '../domain/webhook.ts';

/** Tells for a type of event the ids of the enabled webhooks that want it. */
export function takersOf(webhooks: readonly Webhook[]): (type: WebhookEventType) => readonly string[] {
  const endpoints = webhooks
    .filter((webhook) => webhook.enabled)
    .map((webhook) => ({ id: webhook.id, wants: compileGlob(webhook.events.join(',')) }));
  return (type) => endpoints.filter((endpoint) => endpoint.wants(type)).map((endpoint) => endpoint.id);
}
