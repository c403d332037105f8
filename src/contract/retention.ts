import { z } from 'zod';
import { RejectedError } from '../base/errors.ts';
import { formatKeep, parseKeep } from '../domain/keep.ts';
import type { RetentionPolicy, RetentionRule as KeptRule } from '../domain/retention.ts';

/** How long something is kept, as people write it; milliseconds or null once it was read. */
const Keep = z
  .string()
  .transform((text, context) => {
    try {
      return parseKeep(text);
    } catch (error) {
      if (!(error instanceof RejectedError)) throw error;
      context.addIssue({ code: 'custom', message: error.message });
      return z.NEVER;
    }
  })
  .meta({ override: { type: 'string' }, description: 'Duration (`90d`, `1y`) or `forever`', example: '30d' });

/** A rule as people write it, in requests and in `catalog.json`. */
export const RetentionRuleDraft = z
  .strictObject({
    name: z
      .string()
      .trim()
      .min(1)
      .max(100)
      .meta({ description: 'For people; no two rules have the same', example: 'vibration' }),
    device: z.string().default('*').meta({ description: 'Glob on the device id', example: 'pump-*' }),
    metric: z.string().default('*').meta({ description: 'Glob on the metric', example: 'vibration*' }),
    tag: z.string().nullable().default(null).meta({
      description: '`key:value`, both globs, of the registration; null: whatever its tags',
      example: 'site:*',
    }),
    raw: Keep.meta({ description: 'How long readings are kept as they came, at least 6h' }),
    minute: Keep.default(null).meta({ description: 'How long what remains of them by the minute; `0s`: not at all' }),
    hour: Keep.default(null).meta({ description: 'The same by the hour' }),
  })
  .meta({ id: 'RetentionRuleDraft' });
export type RetentionRuleDraft = z.output<typeof RetentionRuleDraft>;

export const retentionRulesMax = 1_000;

/** `PUT /retention`: the list as a whole; of several rules that match a series the first one holds. */
export const RetentionBody = z
  .strictObject({ rules: z.array(RetentionRuleDraft).max(retentionRulesMax) })
  .meta({ id: 'RetentionBody' });

const KeepText = z.string().meta({ description: 'Duration or `forever`', example: '30d' });

/** How long a series is kept, as answers show it. */
export const Policy = z
  .object({ raw: KeepText, minute: KeepText, hour: KeepText })
  .meta({ id: 'RetentionPolicy', description: 'How long readings, and what remains of them, are kept' });
export type Policy = z.infer<typeof Policy>;

export const RetentionRule = z
  .object({ name: z.string(), device: z.string(), metric: z.string(), tag: z.string().nullable(), ...Policy.shape })
  .meta({ id: 'RetentionRule' });
export type RetentionRule = z.infer<typeof RetentionRule>;

/** `GET /retention`. */
export const Retention = z
  .object({
    rules: z.array(RetentionRule),
    default: Policy.meta({ description: 'Of series that no rule matches: `storage.keep*` of the configuration' }),
  })
  .meta({ id: 'Retention' });
export type Retention = z.infer<typeof Retention>;

/** `GET /retention/effective`. */
export const EffectiveRetention = z
  .object({
    items: z.array(
      z.object({
        device: z.string(),
        metric: z.string(),
        rule: z.string().nullable().meta({ description: 'Name of the rule that holds; null: the default' }),
        ...Policy.shape,
        keptFrom: z.string().nullable().meta({
          description:
            'Readings before this time are refused and deleted, or were deleted by a former rule or for room; null: none are',
        }),
      }),
    ),
    next: z.string().nullable(),
  })
  .meta({ id: 'EffectiveRetention' });
export type EffectiveRetention = z.infer<typeof EffectiveRetention>;

export function showPolicy({ raw, minute, hour }: RetentionPolicy): Policy {
  return { raw: formatKeep(raw), minute: formatKeep(minute), hour: formatKeep(hour) };
}

/** As people read and write it: in answers and in `catalog.json`. */
export function showRetentionRule(rule: KeptRule): RetentionRule {
  const { name, device, metric, tag } = rule;
  return { name, device, metric, tag, ...showPolicy(rule) };
}
