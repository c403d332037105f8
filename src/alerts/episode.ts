import type { Alert, AlertState, ResolveReason, Transition } from '../domain/alert.ts';
import type { AlertCell } from './standing.ts';
import type { CompiledRule } from './threshold.ts';

export type NewId = (prefix: 'alr' | 'trn') => string;

/** A state and the transition that led to it. */
export interface Episode {
  readonly state: AlertState;
  readonly transition: Transition;
}

/** Nothing is wrong; the count of transitions goes on. */
export function inactiveState(cell: AlertCell, sequence: number): AlertState {
  return {
    ruleId: cell.ruleId,
    device: cell.device,
    metric: cell.metric,
    phase: 'inactive',
    since: null,
    sinceReceived: null,
    value: null,
    alert: null,
    sequence,
  };
}

/** A breach began with this reading. */
export function pendingState(
  cell: AlertCell,
  sequence: number,
  reading: { readonly time: number; readonly value: number; readonly receivedAt: number },
): AlertState {
  return {
    ...inactiveState(cell, sequence),
    phase: 'pending',
    since: reading.time,
    sinceReceived: reading.receivedAt,
    value: reading.value,
  };
}

/**
 * Opens an alert. `since` is when the breach began (reading time) and `sinceReceived` its receipt time; `at` and `value`
 * are those of the reading that made it fire, or the deadline and the first value of the breach when silence did.
 */
export function openAlert(
  cell: AlertCell,
  rule: CompiledRule,
  cause: {
    readonly since: number;
    readonly sinceReceived: number | null;
    readonly at: number;
    readonly value: number;
    readonly sequence: number;
  },
  newId: NewId,
): Episode {
  const alert: Alert = {
    id: newId('alr'),
    rule: { id: rule.rule.id, name: rule.rule.name },
    device: cell.device,
    metric: cell.metric,
    severity: rule.rule.severity,
    state: 'firing',
    value: cause.value,
    threshold: rule.threshold,
    startedAt: cause.since,
    firedAt: cause.since + rule.forMs,
    resolvedAt: null,
    reason: null,
  };
  return {
    state: {
      ...inactiveState(cell, cause.sequence),
      phase: 'firing',
      since: cause.since,
      sinceReceived: cause.sinceReceived,
      alert,
    },
    transition: { id: newId('trn'), type: 'alert.firing', sequence: cause.sequence, at: cause.at, alert },
  };
}

/**
 * Ends an alert. `value` is the one that cleared it, or null where no reading did: then the value that fired it stays.
 * An alert never ends before it fired, even when the clearing reading carries an older time than the silence that fired it.
 */
export function resolveAlert(
  cell: AlertCell,
  alert: Alert,
  cause: {
    readonly reason: ResolveReason;
    readonly at: number;
    readonly value: number | null;
    readonly sequence: number;
  },
  newId: NewId,
): Episode {
  const resolved: Alert = {
    ...alert,
    state: 'resolved',
    value: cause.value ?? alert.value,
    resolvedAt: Math.max(cause.at, alert.firedAt),
    reason: cause.reason,
  };
  return {
    state: inactiveState(cell, cause.sequence),
    transition: { id: newId('trn'), type: 'alert.resolved', sequence: cause.sequence, at: cause.at, alert: resolved },
  };
}
