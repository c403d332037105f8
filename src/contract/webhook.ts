import { z } from 'zod';
import { CursorText, listOf, Time } from './rest.ts';

const draftFields = {
  url: z
    .string()
    .min(1)
    .max(2048)
    .meta({ description: 'http or https', example: 'https://example.org/hooks/pulsegate' }),
  events: z
    .array(z.string().min(1).max(64))
    .min(1)
    .max(32)
    .meta({ description: 'Event types; `*` stands for any run of characters', example: ['alert.*'] }),
  format: z.literal('standard').meta({ description: 'Standard Webhooks 1.0' }),
  enabled: z.boolean(),
  description: z.string().max(500),
};

/** `POST /webhooks`. */
export const WebhookDraft = z
  .strictObject({
    url: draftFields.url,
    events: draftFields.events.default(['alert.*']),
    format: draftFields.format.default('standard'),
    enabled: draftFields.enabled.default(true),
    description: draftFields.description.default(''),
  })
  .meta({ id: 'WebhookDraft' });
/** A draft with its defaults filled in. */
export type WebhookDraft = z.output<typeof WebhookDraft>;

/** `PATCH /webhooks/{id}`: only what changes. */
export const WebhookPatch = z.strictObject(draftFields).partial().meta({ id: 'WebhookPatch' });
export type WebhookPatch = z.output<typeof WebhookPatch>;

const webhookFields = { id: z.string().meta({ example: 'wh_8kQ…' }), ...draftFields, createdAt: Time, updatedAt: Time };

export const Webhook = z.object(webhookFields).meta({ id: 'Webhook' });
export type Webhook = z.infer<typeof Webhook>;

export const WebhookList = listOf('WebhookList', Webhook);
export type WebhookList = z.infer<typeof WebhookList>;

/** The answer to `POST /webhooks`, the only one that shows the secret. */
export const WebhookCreated = z
  .object({ ...webhookFields, secret: z.string().meta({ description: 'Shown this once', example: 'whsec_…' }) })
  .meta({ id: 'WebhookCreated' });
export type WebhookCreated = z.infer<typeof WebhookCreated>;

export const DeliveryState = z.enum(['pending', 'succeeded', 'failed', 'cancelled']).meta({ id: 'DeliveryState' });

const deliveryFields = {
  id: z.string().meta({ description: 'The webhook-id header; the same on every attempt', example: 'dlv_2mR…' }),
  webhook: z.string().meta({ description: 'Id of the webhook' }),
  type: z.string().meta({ example: 'alert.firing' }),
  sequence: z.int().meta({ description: 'Counts per rule and series' }),
  state: DeliveryState,
  attemptCount: z.int(),
  cursor: CursorText.meta({ description: 'The commit that made it' }),
  createdAt: Time,
  nextAttemptAt: Time.nullable().meta({ description: 'When it is tried next; null unless pending' }),
};

/** What is sent to one webhook about one occurrence. */
export const Delivery = z.object(deliveryFields).meta({ id: 'Delivery' });
export type Delivery = z.infer<typeof Delivery>;

export const DeliveryList = listOf('DeliveryList', Delivery);
export type DeliveryList = z.infer<typeof DeliveryList>;

/** One try of a delivery. */
export const Attempt = z
  .object({
    number: z.int().min(1),
    startedAt: Time,
    durationMs: z.number(),
    outcome: z.enum(['succeeded', 'retry', 'failed']),
    status: z.int().nullable().meta({ description: 'HTTP status; null when none came' }),
    error: z.string().nullable().meta({ description: 'A class of failure', example: 'timeout' }),
    excerpt: z.string().nullable().meta({ description: 'The beginning of the answer' }),
    nextAttemptAt: Time.nullable(),
  })
  .meta({ id: 'Attempt' });
export type Attempt = z.infer<typeof Attempt>;

/** `GET /deliveries/{id}`: a delivery with the exact body that is signed and every attempt, oldest first. */
export const DeliveryDetail = z
  .object({ ...deliveryFields, body: z.string(), attempts: z.array(Attempt) })
  .meta({ id: 'DeliveryDetail' });
export type DeliveryDetail = z.infer<typeof DeliveryDetail>;
