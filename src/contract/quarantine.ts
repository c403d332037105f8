import { z } from 'zod';
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
