import { z } from 'zod';

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
  unit: z.string().max(40).nullable().default(null).meta({ description: 'UCUM code' }),
});

/** How messages of a foreign device become readings. See `domain/mapping.ts`. */
export const MappingSpec = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, { error: 'must be 1 to 64 characters of A-Z a-z 0-9 . _ -' }),
  topic: z.string().min(1).max(512).meta({ example: 'zigbee2mqtt/{device}' }),
  device: z.string().min(1).max(200).default('{device}'),
  format: z.enum(['json', 'bare', 'senml', 'senml-cbor', 'influx', 'native']).default('json'),
  metrics: z.array(MappedMetric).max(500).default([]),
  time: pointer.nullable().default(null),
  timeFormat: z.enum(['ms', 's', 'rfc3339']).default('ms'),
  ignore: z.array(pointer).max(500).default([]),
});
export type MappingSpec = z.output<typeof MappingSpec>;
