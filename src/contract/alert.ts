import { z } from 'zod';
import type { Alert as DomainAlert } from '../domain/alert.ts';
import { unitOf } from '../domain/unit.ts';

/** RFC 3339 in UTC with milliseconds, the one way in which times go out. */
const timestamp = z.iso.datetime({ precision: 3 });

/** An alert as REST, the live stream and webhooks show it: one episode of a rule on a series, with its cause. */
export const Alert = z
  .strictObject({
    id: z.string(),
    rule: z.strictObject({ id: z.string(), name: z.string() }),
    device: z.string(),
    metric: z.string(),
    /** UCUM code of the metric, or null when unknown. */
    unit: z.string().nullable(),
    severity: z.enum(['info', 'warning', 'critical']),
    state: z.enum(['firing', 'resolved']),
    /** The value that fired it or, once resolved, that cleared it. */
    value: z.number(),
    /** The threshold that was crossed. */
    threshold: z.number(),
    startedAt: timestamp,
    firedAt: timestamp,
    resolvedAt: timestamp.nullable(),
    reason: z.enum(['cleared', 'rule_deleted', 'rule_changed']).nullable(),
  })
  .meta({ id: 'Alert', description: 'One episode of a rule on a series, with its cause.' });

export type Alert = z.infer<typeof Alert>;

/** The alert as it is shown to the outside: times as RFC 3339, the unit of its metric added. */
export function showAlert(alert: DomainAlert): Alert {
  return {
    id: alert.id,
    rule: { id: alert.rule.id, name: alert.rule.name },
    device: alert.device,
    metric: alert.metric,
    unit: unitOf(alert.metric),
    severity: alert.severity,
    state: alert.state,
    value: alert.value,
    threshold: alert.threshold,
    startedAt: new Date(alert.startedAt).toISOString(),
    firedAt: new Date(alert.firedAt).toISOString(),
    resolvedAt: alert.resolvedAt === null ? null : new Date(alert.resolvedAt).toISOString(),
    reason: alert.reason,
  };
}
