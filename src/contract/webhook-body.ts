import { z } from 'zod';
import { webhookEventTypes } from '../domain/webhook.ts';
import { Alert } from './alert.ts';

/** What is posted to a webhook when an alert changes state: the body of Standard Webhooks 1.0 (`type`, `timestamp`, `data`). */
export const AlertWebhookBody = z
  .strictObject({
    type: z.enum(webhookEventTypes),
    timestamp: z.iso
      .datetime({ precision: 3 })
      .meta({ description: 'When it happened, in the time of the reading that caused it' }),
    data: z.strictObject({
      alert: Alert.extend({
        deviceName: z.string(),
        url: z.string().nullable().meta({ description: 'Where a person sees it; null without `http.publicUrl`' }),
      }),
      sequence: z
        .int()
        .min(1)
        .meta({ description: 'Counts per rule and series; one that is lower than the last seen is stale' }),
      cursor: z
        .string()
        .meta({ description: 'The commit it belongs to; GET /stream and the live stream go on from it' }),
    }),
  })
  .meta({ id: 'AlertWebhookBody', description: 'An alert changed state.' });

export type AlertWebhookBody = z.infer<typeof AlertWebhookBody>;
