import { z } from 'zod';
import { isTimeZone } from '../base/time-zone.ts';
import { deviceIdRule, isDeviceId } from '../domain/series.ts';
import { MetricKind, Name, Span } from './profile.ts';
import { CursorText, listOf, Next, Time, Unit, Value } from './rest.ts';

export const DeviceState = z.enum(['online', 'offline', 'unknown']).meta({
  id: 'DeviceState',
  description: 'From its connection, its status topic, its last will and its silence; unknown until one of them told',
});
export type DeviceState = z.infer<typeof DeviceState>;

export const Approval = z.enum(['approved', 'pending', 'blocked']).meta({
  id: 'Approval',
  description:
    '`pending`: it asked for its own token with a provisioning key that wants a person to approve. `blocked`: it may not connect, and its readings are refused',
});
export type Approval = z.infer<typeof Approval>;

const stateCauses = ['reported', 'connected', 'disconnected', 'connection_lost', 'silent', 'heard'] as const;

const deviceFields = {
  id: z.string().meta({ example: 'wearable-01' }),
  name: z.string().meta({ description: 'For people; "" when it has none' }),
  profile: z.string().nullable(),
  tags: z.record(z.string(), z.string()),
  timeZone: z.string().nullable().meta({ description: 'IANA name', example: 'Europe/Berlin' }),
  approval: Approval,
  registered: z.boolean().meta({ description: 'Whether a person registered it; false: it came by itself' }),
  state: DeviceState,
  stateSince: Time.nullable().meta({ description: 'When the state was last told' }),
  stateCause: z.enum(stateCauses).nullable().meta({ description: 'How the state became known' }),
  firstSeen: Time.nullable().meta({ description: 'null for a device that was never heard of' }),
  lastSeen: Time.nullable().meta({ description: 'Receipt of the newest message; null when there was none' }),
  attributes: z
    .record(z.string(), Value)
    .meta({ description: 'Facts about the device: firmware, model. At most 250, of which those told first make room' }),
  clockCorrected: z.int().meta({ description: 'Messages whose time was ahead and was shifted to the time of receipt' }),
  metricCount: z.int(),
};

export const Device = z.object(deviceFields).meta({ id: 'Device' });
export type Device = z.infer<typeof Device>;

export const DeviceList = listOf('DeviceList', Device);
export type DeviceList = z.infer<typeof DeviceList>;

/** What is known about a metric of a device, by its profile; without one only the unit that its name tells. */
export const DeviceMetric = z
  .object({
    unit: Unit,
    kind: MetricKind.nullable(),
    interval: z.string().nullable().meta({ description: 'How often a reading is expected', example: '10s' }),
    min: z.number().nullable(),
    max: z.number().nullable(),
  })
  .meta({ id: 'DeviceMetric' });
export type DeviceMetric = z.infer<typeof DeviceMetric>;

/** `GET /devices/{id}`: the device with its metrics. */
export const DeviceDetail = z
  .object({
    ...deviceFields,
    metrics: z.array(z.string()).meta({ description: 'In alphabetical order' }),
    metricFacts: z.record(z.string(), DeviceMetric).meta({ description: 'By metric: what its profile says' }),
  })
  .meta({ id: 'DeviceDetail' });
export type DeviceDetail = z.infer<typeof DeviceDetail>;

/** Keys and values of tags are short, so that 100,000 devices fit in memory and `tag=key:value` in a query. */
const tagKey = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, {
  error: 'a tag is named with 1 to 64 characters of A-Z a-z 0-9 . _ -',
});
const tagsMax = 32;
const draftFields = {
  name: z.string().trim().max(200),
  profile: Name.nullable(),
  tags: z
    .record(tagKey, z.string().max(200))
    .refine((tags) => Object.keys(tags).length <= tagsMax, { error: `at most ${tagsMax} tags` }),
  timeZone: z.string().max(64).refine(isTimeZone, { error: 'must be an IANA name such as Europe/Berlin' }).nullable(),
  approval: z.enum(['approved', 'blocked']),
};

/** A registration without its times, as a person writes it: in a request, and in `devices.json`. */
export const RegistrationDraft = z
  .strictObject({
    id: z
      .string()
      .refine(isDeviceId, { error: `a device id has ${deviceIdRule}` })
      .meta({ example: 'fridge-07' }),
    name: draftFields.name.default(''),
    profile: draftFields.profile.default(null),
    tags: draftFields.tags.default({}),
    timeZone: draftFields.timeZone.default(null),
    approval: draftFields.approval.default('approved'),
  })
  .meta({ id: 'RegistrationDraft' });
export type RegistrationDraft = z.output<typeof RegistrationDraft>;

/** `POST /devices`: with `"token": false` no token is made. */
export const DeviceDraft = z
  .strictObject({ ...RegistrationDraft.shape, token: z.boolean().default(true) })
  .meta({ id: 'DeviceDraft' });
export type DeviceDraft = z.output<typeof DeviceDraft>;

/** Most devices of one `POST /devices`. */
export const devicesPerRequest = 10_000;
export const DeviceDrafts = z.union([DeviceDraft, z.array(DeviceDraft).min(1).max(devicesPerRequest)]);

/** `PATCH /devices/{id}`: only what changes; `tags` are replaced as a whole. */
export const DevicePatch = z.strictObject(draftFields).partial().meta({ id: 'DevicePatch' });
export type RegistrationPatch = z.output<typeof DevicePatch>;

const Token = z
  .string()
  .meta({ description: 'The password of the device on MQTT; shown this once', example: 'pulsedev_…' });
export const DeviceCreated = z
  .object({ ...deviceFields, token: Token.nullable().meta({ description: 'null where none was asked for' }) })
  .meta({ id: 'DeviceCreated' });
export type DeviceCreated = z.infer<typeof DeviceCreated>;

export const DevicesCreated = z
  .union([DeviceCreated, z.object({ items: z.array(DeviceCreated) })])
  .meta({ description: 'One device, or `items` in the order of the request' });
export type DevicesCreated = z.infer<typeof DevicesCreated>;

/** `POST /devices/approve`: these, or those that match and wait. */
export const ApprovalRequest = z
  .union([
    z.strictObject({ devices: z.array(z.string()).min(1).max(devicesPerRequest) }),
    z.strictObject({ device: z.string().min(1).max(1024).meta({ description: 'Glob; of the pending ones' }) }),
  ])
  .meta({ id: 'ApprovalRequest' });

export const Approved = z.object({ approved: z.int() }).meta({ id: 'Approved' });

const tokenFields = {
  id: z.string().meta({ description: 'Names the token; it stands in the token, too' }),
  createdAt: Time,
  expiresAt: Time.nullable(),
};
/** A token as it is shown after its creation. */
export const DeviceToken = z.object(tokenFields).meta({ id: 'DeviceToken' });
export const DeviceTokenList = listOf('DeviceTokenList', DeviceToken);
export const DeviceTokenCreated = z.object({ ...tokenFields, token: Token }).meta({ id: 'DeviceTokenCreated' });

/** `POST /devices/{id}/tokens`. */
export const Rotation = z
  .strictObject({
    overlap: Span.optional().meta({ description: 'How long the older tokens still work; left out, they end at once' }),
  })
  .meta({ id: 'Rotation' });

export const LatestValue = z
  .object({
    value: Value,
    time: Time,
    unit: Unit,
    ageMs: z.int().meta({ description: 'Milliseconds from `time` to now; never below 0' }),
  })
  .meta({ id: 'LatestValue' });
export type LatestValue = z.infer<typeof LatestValue>;

/** `GET /devices/{id}/latest`: current values by metric. */
export const DeviceLatest = z
  .object({ device: z.string(), values: z.record(z.string(), LatestValue) })
  .meta({ id: 'DeviceLatest' });
export type DeviceLatest = z.infer<typeof DeviceLatest>;

export const FleetValue = z
  .object({ device: z.string(), metric: z.string(), time: Time, value: Value, unit: Unit })
  .meta({ id: 'FleetValue' });
export type FleetValue = z.infer<typeof FleetValue>;

/** `GET /latest`: current values across the fleet; `cursor` is where to go on from with stream or WebSocket. */
export const FleetLatest = z
  .object({ cursor: CursorText, items: z.array(FleetValue), next: Next })
  .meta({ id: 'FleetLatest' });
export type FleetLatest = z.infer<typeof FleetLatest>;
