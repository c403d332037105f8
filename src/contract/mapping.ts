import { z } from 'zod';
import { Name, UnitCode } from './profile.ts';
import { listOf, Time, Value } from './rest.ts';

const pointer = z.string().regex(/^(?:\/(?:[^/~]|~[01])*)*$/, {
  error: 'must be an RFC 6901 pointer such as "/temperature", or "" for the whole payload',
});

/** One reading that a mapping takes out of a JSON payload. */
export const MappedMetric = z.strictObject({
  path: pointer.meta({
    description: 'RFC 6901 pointer; `*` as a token stands for every member',
    example: '/temperature',
  }),
  metric: z
    .string()
    .min(1)
    .max(200)
    .meta({ description: '`{name}` inserts a part of the topic, `{*}` what the `*` of the path stood for' }),
  scale: z.number().default(1),
  offset: z.number().default(0),
  values: z.record(z.string(), z.union([z.number(), z.boolean(), z.string()])).default({}),
  unit: UnitCode.nullable().default(null),
});

/** How messages of a foreign device become readings. See `domain/mapping.ts`. */
export const MappingSpec = z.strictObject({
  name: Name,
  topic: z.string().min(1).max(512).meta({ example: 'zigbee2mqtt/{device}' }),
  device: z.string().min(1).max(200).default('{device}'),
  format: z.enum(['json', 'bare', 'senml', 'senml-cbor', 'influx', 'native']).default('json'),
  metrics: z.array(MappedMetric).max(500).default([]),
  time: pointer.nullable().default(null),
  timeFormat: z.enum(['ms', 's', 'rfc3339']).default('ms'),
  ignore: z.array(pointer).max(500).default([]),
});
export type MappingSpec = z.output<typeof MappingSpec>;

/** `PATCH /mappings/{name}`: only what changes; lists are replaced as a whole. */
export const MappingPatch = z
  .strictObject({
    topic: MappingSpec.shape.topic,
    device: MappingSpec.shape.device.unwrap(),
    format: MappingSpec.shape.format.unwrap(),
    metrics: MappingSpec.shape.metrics.unwrap(),
    time: MappingSpec.shape.time.unwrap(),
    timeFormat: MappingSpec.shape.timeFormat.unwrap(),
    ignore: MappingSpec.shape.ignore.unwrap(),
  })
  .partial()
  .meta({ id: 'MappingPatch' });
export type MappingPatch = z.output<typeof MappingPatch>;

/** `PUT /mappings/{name}`. */
export const MappingBody = MappingSpec.omit({ name: true }).meta({ id: 'MappingBody' });
export type MappingBody = z.output<typeof MappingBody>;

/** A mapping as answers show it. */
export const Mapping = MappingSpec.meta({ id: 'Mapping' });
export const MappingList = listOf('MappingList', Mapping);

/** `POST /mappings/test`: what would a mapping make of this message? */
export const MappingTrial = z
  .strictObject({
    mapping: MappingSpec,
    topic: z.string().min(1).max(65_535),
    payload: z.union([z.string(), z.record(z.string(), z.unknown()), z.array(z.unknown())]).meta({
      description: 'The payload as text, or JSON in place',
    }),
  })
  .meta({ id: 'MappingTrial' });

export const MappingTrialResult = z
  .object({
    readings: z.array(
      z.object({
        device: z.string(),
        metric: z.string(),
        time: Time.nullable().meta({ description: 'null: the time of receipt' }),
        value: Value,
      }),
    ),
  })
  .meta({ id: 'MappingTrialResult' });
