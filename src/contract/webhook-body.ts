import { z } from 'zod';
import { alertEventTypes, deviceEventTypes } from '../domain/webhook.ts';
import { Alert } from './alert.ts';
import { Time } from './rest.ts';

/** What is posted to a webhook when an alert changes state: the body of Standard Webhooks 1.0 (`type`, `timestamp`, `data`). */
export const AlertWebhookBody = z
  .strictObject({
    type: z.enum(alertEventTypes),
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

/** What is posted to a webhook when a device comes or goes. */
export const DeviceWebhookBody = z
  .strictObject({
    type: z.enum(deviceEventTypes),
    timestamp: Time.meta({ description: 'When it came or went, as far as the gateway can tell' }),
    data: z.strictObject({
      device: z.strictObject({
        id: z.string(),
        name: z.string().meta({ description: 'Its id where nobody gave it a name' }),
        state: z.enum(['online', 'offline']),
        since: Time,
        cause: z.enum(['reported', 'connected', 'disconnected', 'connection_lost', 'silent', 'heard']).meta({
          description:
            'How it became known: it said so (or its will did), its connection opened, ended or broke, it was silent for too long, or was heard of after that',
        }),
        lastSeen: Time.nullable().meta({ description: 'When its newest message came' }),
      }),
      sequence: z
        .int()
        .min(1)
        .meta({ description: 'Grows for each device; one that is lower than the last seen is stale' }),
      cursor: z.string().meta({ description: 'The commit it belongs to' }),
    }),
  })
  .meta({ id: 'DeviceWebhookBody', description: 'A device came or went.' });

export type DeviceWebhookBody = z.infer<typeof DeviceWebhookBody>;

/** Whatever is posted to a webhook. */
export const WebhookBody = z.discriminatedUnion('type', [AlertWebhookBody, DeviceWebhookBody]);

export type WebhookBody = z.infer<typeof WebhookBody>;
