import { z } from 'zod';
import { formatDuration, parseDuration } from '../base/duration.ts';
import { RejectedError } from '../base/errors.ts';
import { isGlob } from '../domain/glob.ts';
import { payloadDialects, type Profile as KeptProfile } from '../domain/profile.ts';
import { unitFault } from '../domain/unit.ts';
import { listOf, Time, Unit } from './rest.ts';

/** Names of profiles and mappings: fit for a path and for a file. */
export const Name = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, { error: 'must be 1 to 64 characters of A-Z a-z 0-9 . _ -' });

/** A span of time, written `30s`; milliseconds once it was read. */
export const Span = z
  .string()
  .transform((text, context) => {
    try {
      const span = parseDuration(text);
      if (span > 0) return span;
      context.addIssue({ code: 'custom', message: 'must be longer than nothing' });
    } catch (error) {
      if (!(error instanceof RejectedError)) throw error;
      context.addIssue({ code: 'custom', message: error.message });
    }
    return z.NEVER;
  })
  .meta({ override: { type: 'string' }, description: 'Duration: `10s`, `5m`, `1h`', example: '10s' });

/** A UCUM code, checked as far as its grammar goes. */
export const UnitCode = z
  .string()
  .superRefine((code, context) => {
    const fault = unitFault(code);
    if (fault !== null) context.addIssue({ code: 'custom', message: fault });
  })
  .meta({ description: 'UCUM code (ucum.org)', example: 'Cel' });

export const MetricKind = z.enum(['gauge', 'counter', 'state']).meta({
  id: 'MetricKind',
  description: '`gauge` goes up and down, `counter` only up until it is reset, `state` holds until the next reading',
});

const MetricDraft = z
  .strictObject({
    unit: UnitCode.nullable().default(null),
    kind: MetricKind.default('gauge'),
    interval: Span.nullable().default(null).meta({ description: 'How often a reading is expected' }),
    min: z.number().nullable().default(null).meta({ description: 'Least plausible value' }),
    max: z.number().nullable().default(null).meta({ description: 'Greatest plausible value' }),
  })
  .refine(({ min, max }) => min === null || max === null || min <= max, {
    path: ['max'],
    error: 'must not be below "min"',
  });

const metricsMax = 500;
const draftFields = {
  description: z.string().trim().max(500),
  metrics: z
    .record(
      z.string().refine(isGlob, { error: 'a metric name or a filter: name characters, *, ? and commas' }),
      MetricDraft,
    )
    .refine((metrics) => Object.keys(metrics).length <= metricsMax, { error: `at most ${metricsMax} metrics` })
    .meta({ description: 'By metric name or glob; the exact name wins, then the first glob that matches' }),
  dialect: z.enum(payloadDialects).meta({ description: 'How payloads on `devices/{device}/telemetry` are written' }),
  presence: z
    .enum(['always-on', 'sleepy'])
    .meta({ description: '`sleepy` devices wake, send and leave; they are given a long time' }),
  interval: Span.nullable().meta({ description: 'How often the device is heard of when all is well' }),
  gateway: z.boolean().meta({ description: 'Whether its devices may speak for other devices' }),
};

/** Everything of a profile but its name and times: `PUT /profiles/{id}`. */
export const ProfileBody = z
  .strictObject({
    description: draftFields.description.default(''),
    metrics: draftFields.metrics.default({}),
    dialect: draftFields.dialect.default('native'),
    presence: draftFields.presence.default('always-on'),
    interval: draftFields.interval.default(null),
    gateway: draftFields.gateway.default(false),
  })
  .meta({ id: 'ProfileBody' });
export type ProfileBody = z.output<typeof ProfileBody>;

/** `POST /profiles`. */
export const ProfileDraft = z.strictObject({ id: Name, ...ProfileBody.shape }).meta({ id: 'ProfileDraft' });
export type ProfileDraft = z.output<typeof ProfileDraft>;

/** `PATCH /profiles/{id}`: only what changes; `metrics` is replaced as a whole. */
export const ProfilePatch = z.strictObject(draftFields).partial().meta({ id: 'ProfilePatch' });
export type ProfilePatch = z.output<typeof ProfilePatch>;

const SpanText = z.string().nullable().meta({ description: 'Duration, null when nobody said', example: '10s' });

/** What a profile says of a metric, as answers show it. */
export const MetricFacts = z
  .object({ unit: Unit, kind: MetricKind, interval: SpanText, min: z.number().nullable(), max: z.number().nullable() })
  .meta({ id: 'MetricFacts' });
export type MetricFacts = z.infer<typeof MetricFacts>;

export const Profile = z
  .object({
    id: z.string().meta({ example: 'wearable' }),
    description: z.string(),
    metrics: z.record(z.string(), MetricFacts),
    dialect: draftFields.dialect,
    presence: draftFields.presence,
    interval: SpanText,
    gateway: z.boolean(),
    createdAt: Time,
    updatedAt: Time,
  })
  .meta({ id: 'Profile' });
export type Profile = z.infer<typeof Profile>;

export const ProfileList = listOf('ProfileList', Profile);
export type ProfileList = z.infer<typeof ProfileList>;

/** As people read and write it, durations as text: in answers and in `catalog.json`. */
export function showProfile(profile: KeptProfile): Profile {
  const { id, description, dialect, presence, gateway, createdAt, updatedAt } = profile;
  const metrics = Object.fromEntries(
    Object.entries(profile.metrics).map(([name, { unit, kind, interval, min, max }]) => [
      name,
      { unit, kind, interval: spanText(interval), min, max },
    ]),
  );
  const interval = spanText(profile.interval);
  return { id, description, metrics, dialect, presence, interval, gateway, createdAt, updatedAt };
}

export function spanText(span: number | null): string | null {
  return span === null ? null : formatDuration(span);
}
