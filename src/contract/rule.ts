import { z } from 'zod';
import { listOf, Time } from './rest.ts';

export const Severity = z.enum(['info', 'warning', 'critical']).meta({ id: 'Severity' });

/** Exactly one of `above` and `below`; the clear value keeps an alert open until the value is well back. */
export const ThresholdCondition = z
  .strictObject({
    type: z.literal('threshold'),
    above: z.number().optional().meta({ description: 'Breaches when the value is greater' }),
    clearBelow: z
      .number()
      .optional()
      .meta({ description: 'With `above`: clears when the value is less; at most `above`' }),
    below: z.number().optional().meta({ description: 'Breaches when the value is less' }),
    clearAbove: z
      .number()
      .optional()
      .meta({ description: 'With `below`: clears when the value is greater; at least `below`' }),
  })
  .meta({ id: 'ThresholdCondition', example: { type: 'threshold', above: 120, clearBelow: 115 } });

const pattern = z.string().min(1).max(1024);
const draftFields = {
  name: z.string().trim().min(1).max(200).meta({ example: 'Heart rate high' }),
  device: pattern.meta({ description: 'Device ids: `*`, `?` and commas', example: 'wearable-*' }),
  metric: pattern.meta({ description: 'Metric names: `*`, `?` and commas', example: 'heart_rate' }),
  condition: ThresholdCondition,
  for: z.string().meta({ description: 'How long, in reading time, it must breach before it fires', example: '30s' }),
  severity: Severity,
  enabled: z.boolean(),
};

/** `POST /rules`. */
export const RuleDraft = z
  .strictObject({
    ...draftFields,
    device: draftFields.device.default('*'),
    for: draftFields.for.default('0s'),
    severity: Severity.default('warning'),
    enabled: draftFields.enabled.default(true),
  })
  .meta({ id: 'RuleDraft' });
/** A draft with its defaults filled in. */
export type RuleDraft = z.output<typeof RuleDraft>;

/** `PATCH /rules/{id}`: only what changes; the condition is replaced as a whole. */
export const RulePatch = z.strictObject(draftFields).partial().meta({ id: 'RulePatch' });
export type RulePatch = z.output<typeof RulePatch>;

export const Rule = z
  .object({ id: z.string().meta({ example: 'rule_5oJ…' }), ...draftFields, createdAt: Time, updatedAt: Time })
  .meta({ id: 'Rule' });
export type Rule = z.infer<typeof Rule>;

export const RuleList = listOf('RuleList', Rule);
export type RuleList = z.infer<typeof RuleList>;
