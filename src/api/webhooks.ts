import { z } from 'zod';
import { RejectedError } from '../base/errors.ts';
import { Webhook, WebhookCreated, WebhookDraft, WebhookList, WebhookPatch } from '../contract/webhook.ts';
import { compileGlob } from '../domain/glob.ts';
import type { Webhook as KeptWebhook } from '../domain/webhook.ts';
import { webhookEventTypes } from '../domain/webhook.ts';
import { limit, listMax, noParameters, page } from './parameters.ts';
import type { ApiPorts } from './ports.ts';
import { notFound, RequestRefused } from './problem.ts';
import { jsonBody, type Route, route } from './route.ts';
import { pageOfCreated } from './rules.ts';

export const webhookParams = z.object({ id: z.string().meta({ description: 'Webhook id' }) });

/** Throws 404 for a webhook that is not registered. */
export function webhookOf(ports: ApiPorts, id: string): KeptWebhook {
  const webhook = ports.catalog.snapshot().webhooks.find((webhook) => webhook.id === id);
  if (!webhook) throw notFound('there is no webhook with this id; GET /api/v1/webhooks lists them');
  return webhook;
}

export function webhookRoutes(ports: ApiPorts): readonly Route[] {
  const list = route({
    method: 'GET',
    path: '/api/v1/webhooks',
    id: 'listWebhooks',
    tag: 'webhooks',
    summary: 'Webhooks in order of creation',
    description: 'Secrets are never shown here.',
    params: noParameters,
    query: z.object({ limit: limit(listMax), page }),
    body: null,
    success: { status: 200, description: 'A page of webhooks', schema: WebhookList },
    handler({ query, filters }) {
      const page = pageOfCreated(ports.catalog.snapshot().webhooks, query, filters);
      return { items: page.items.map(showWebhook), next: page.next };
    },
  });

  const create = route({
    method: 'POST',
    path: '/api/v1/webhooks',
    id: 'createWebhook',
    tag: 'webhooks',
    summary: 'Register a webhook',
    description:
      'The secret in the answer is shown this once; verify `webhook-signature` with it (Standard Webhooks 1.0). Targets in private networks need `webhooks.allowTargets`.',
    params: noParameters,
    query: noParameters,
    body: jsonBody(WebhookDraft),
    success: { status: 201, description: 'The webhook is registered', schema: WebhookCreated },
    refusals: ['validation_failed', 'target_not_allowed', 'conflict'],
    location: (webhook) => `${ports.basePath}/api/v1/webhooks/${webhook.id}`,
    async handler({ body }) {
      checkEvents(body.events);
      checkTarget(body.url);
      const { webhook, secret } = await ports.catalog.createWebhook(body);
      return { ...showWebhook(webhook), secret };
    },
  });

  const one = route({
    method: 'GET',
    path: '/api/v1/webhooks/{id}',
    id: 'getWebhook',
    tag: 'webhooks',
    summary: 'One webhook',
    params: webhookParams,
    query: noParameters,
    body: null,
    success: { status: 200, description: 'The webhook', schema: Webhook },
    refusals: ['not_found'],
    handler: ({ params }) => showWebhook(webhookOf(ports, params.id)),
  });

  const update = route({
    method: 'PATCH',
    path: '/api/v1/webhooks/{id}',
    id: 'updateWebhook',
    tag: 'webhooks',
    summary: 'Change a webhook',
    description: 'Only what is sent changes.',
    params: webhookParams,
    query: noParameters,
    body: jsonBody(WebhookPatch),
    success: { status: 200, description: 'The webhook as it is now', schema: Webhook },
    refusals: ['not_found', 'validation_failed', 'target_not_allowed', 'conflict'],
    async handler({ params, body }) {
      webhookOf(ports, params.id);
      if (body.events !== undefined) checkEvents(body.events);
      // A webhook whose target has become forbidden can still be switched off.
      if (body.url !== undefined) checkTarget(body.url);
      return showWebhook(await ports.catalog.updateWebhook(params.id, body));
    },
  });

  const remove = route({
    method: 'DELETE',
    path: '/api/v1/webhooks/{id}',
    id: 'deleteWebhook',
    tag: 'webhooks',
    summary: 'Delete a webhook',
    description: 'Its pending deliveries are cancelled.',
    params: webhookParams,
    query: noParameters,
    body: null,
    success: { status: 204, description: 'The webhook is gone', schema: z.void() },
    refusals: ['not_found', 'conflict'],
    async handler({ params }) {
      await ports.catalog.deleteWebhook(webhookOf(ports, params.id).id);
    },
  });

  return [list, create, one, update, remove];

  function checkTarget(url: string): void {
    try {
      ports.checkTarget(url);
    } catch (error) {
      if (!(error instanceof RejectedError) || error.code !== 'target_not_allowed') throw error;
      const { code, message } = error;
      throw new RequestRefused(code, message, { errors: [{ pointer: '/url', code, detail: message }] });
    }
  }
}

/** Before anything is written, so that no secret is made for a webhook that would never be told anything. */
function checkEvents(patterns: readonly string[]): void {
  const errors = patterns.flatMap((pattern, index) => {
    if (webhookEventTypes.some(compileGlob(pattern))) return [];
    const detail = `no event type matches "${pattern}"; there are ${webhookEventTypes.join(', ')}`;
    return { pointer: `/events/${index}`, code: 'validation_failed', detail };
  });
  if (errors.length > 0) throw new RequestRefused('validation_failed', 'an event type is unknown', { errors });
}

/** Field by field: whatever else the catalog may keep of a webhook stays inside. */
function showWebhook(webhook: KeptWebhook): Webhook {
  const { id, url, events, format, enabled, description, createdAt, updatedAt } = webhook;
  return { id, url, events: [...events], format, enabled, description, createdAt, updatedAt };
}
