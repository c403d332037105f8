import { z } from 'zod';
import { isTopicFilter } from '../domain/topic-filter.ts';
import { listOf, Time } from './rest.ts';

/** A refused message. In lists the payload is cut to its first 1,024 bytes. */
export const Quarantined = z
  .object({
    id: z.int(),
    receivedAt: Time,
    topic: z.string(),
    client: z.string().nullable().meta({ description: 'MQTT client id' }),
    reason: z.string().meta({ description: 'A code of the error registry', example: 'payload_not_json' }),
    pointer: z.string().meta({ description: 'RFC 6901 pointer into the payload, "" for the whole' }),
    detail: z.string(),
    payload: z.string(),
    encoding: z
      .enum(['utf-8', 'base64'])
      .meta({ description: 'How `payload` is written: base64 where it is not UTF-8 text' }),
    payloadBytes: z.int().meta({ description: 'Size of the whole payload' }),
    truncated: z.boolean(),
  })
  .meta({ id: 'Quarantined' });
export type Quarantined = z.infer<typeof Quarantined>;

export const QuarantineList = listOf('QuarantineList', Quarantined);
export type QuarantineList = z.infer<typeof QuarantineList>;

/** `POST /quarantine/retry`: which messages; without a filter all of them. */
export const RetryFilter = z
  .strictObject({
    reason: z
      .string()
      .max(64)
      .optional()
      .meta({ description: 'A code of the error registry', example: 'device_unknown' }),
    topic: z
      .string()
      .refine(isTopicFilter, { error: 'must be an MQTT topic filter' })
      .optional()
      .meta({ description: 'MQTT topic filter', example: 'zigbee2mqtt/#' }),
    limit: z.int().min(1).max(10_000).default(1_000).meta({ description: 'Most messages tried; the oldest first' }),
  })
  .meta({ id: 'RetryFilter' });
export type RetryFilter = z.output<typeof RetryFilter>;

/** What came of trying refused messages again. */
export const Retried = z
  .object({
    accepted: z.int().meta({ description: 'Messages that were taken and are no longer in the quarantine' }),
    refused: z.int().meta({ description: 'Messages that are still wrong, and stay' }),
    reasons: z.record(z.string(), z.int()).meta({ description: 'How often each reason to refuse' }),
    stored: z.int(),
    replaced: z.int(),
    identical: z.int(),
    more: z.boolean().meta({ description: 'Whether more than `limit` messages were meant' }),
  })
  .meta({ id: 'Retried' });
export type Retried = z.infer<typeof Retried>;
