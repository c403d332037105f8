import { z } from 'zod';
import { keyScopes } from '../domain/key.ts';
import { isTopicFilter } from '../domain/topic-filter.ts';
import { listOf, Time } from './rest.ts';

const Scopes = z
  .array(z.enum(keyScopes))
  .min(1)
  .transform((scopes) => [...new Set(scopes)])
  .meta({
    description:
      '`read`: ask and watch; `write`: send readings and commands; `admin`: everything; `mqtt`: connect to the broker, within the filters of `mqtt`',
    override: { type: 'array', items: { type: 'string', enum: [...keyScopes] }, minItems: 1 },
    example: ['read'],
  });

const Filters = z
  .array(z.string().refine(isTopicFilter, { error: 'must be an MQTT filter such as "devices/+/telemetry"' }))
  .max(100);

const MqttRights = z
  .strictObject({ publish: Filters.default([]), subscribe: Filters.default([]) })
  .meta({ description: 'MQTT filters that a key with the scope `mqtt` may publish and subscribe to' });

const ExpiresAt = z.iso
  .datetime({ offset: true })
  .transform((text) => new Date(text).toISOString())
  .nullable()
  .meta({ description: 'RFC 3339; null for never', override: { type: ['string', 'null'], format: 'date-time' } });

const KeyName = z.string().trim().min(1).max(200).meta({ example: 'Grafana' });

/** `POST /keys`. */
export const KeyDraft = z
  .strictObject({
    name: KeyName,
    scopes: Scopes,
    mqtt: MqttRights.default({ publish: [], subscribe: [] }),
    expiresAt: ExpiresAt.default(null),
  })
  .meta({ id: 'KeyDraft' });
export type KeyDraft = z.output<typeof KeyDraft>;

export const KeyPatch = z
  .strictObject({ name: KeyName, scopes: Scopes, mqtt: MqttRights, expiresAt: ExpiresAt })
  .partial()
  .meta({ id: 'KeyPatch' });
export type KeyPatch = z.output<typeof KeyPatch>;

const shownFields = {
  id: z.string(),
  name: z.string(),
  mask: z.string().meta({ description: 'What can be shown of the key', example: 'pulse_8sKq02Zd_…' }),
  scopes: z.array(z.enum(keyScopes)),
  mqtt: z.strictObject({ publish: z.array(z.string()), subscribe: z.array(z.string()) }),
  createdAt: Time,
  expiresAt: Time.nullable(),
};

export const Key = z.strictObject(shownFields).meta({ id: 'Key' });
export type Key = z.output<typeof Key>;

export const KeyCreated = z
  .strictObject({ ...shownFields, key: z.string().meta({ description: 'The key itself; shown this once' }) })
  .meta({ id: 'KeyCreated' });
export type KeyCreated = z.output<typeof KeyCreated>;

export const KeyList = listOf('KeyList', Key);
