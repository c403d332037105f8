import type { Severity } from './rule.ts';

export type AlertPhase = 'inactive' | 'pending' | 'firing';

/** Where one rule stands for one series; written only when it changes, in the commit that changes it. */
export interface AlertState {
  readonly ruleId: string;
  readonly device: string;
  readonly metric: string;
  readonly phase: AlertPhase;
  /** Reading time (epoch ms) at which the breach began; null while inactive. */
  readonly since: number | null;
  /** Receipt time (epoch ms) of that reading, from which the timer that closes silence is set again after a restart. */
  readonly sinceReceived: number | null;
  /** The value that began the breach while pending, so that a timer can say what it fired on. */
  readonly value: number | null;
  /** The open episode while firing. */
  readonly alert: Alert | null;
  /** Transitions of this rule and series so far; never reset. */
  readonly sequence: number;
}

/** One episode of a rule on a series, with its cause. */
export interface Alert {
  readonly id: string;
  readonly rule: { readonly id: string; readonly name: string };
  readonly device: string;
  readonly metric: string;
  readonly severity: Severity;
  readonly state: 'firing' | 'resolved';
  /** The value that fired it or, once resolved, that cleared it. */
  readonly value: number;
  /** The threshold that was crossed. */
  readonly threshold: number;
  /** Reading time at which the breach began, epoch ms. */
  readonly startedAt: number;
  /** Reading time at which it fired (`startedAt` plus the rule's `for`), epoch ms. */
  readonly firedAt: number;
  readonly resolvedAt: number | null;
  readonly reason: ResolveReason | null;
}

export type ResolveReason = 'cleared' | 'rule_deleted' | 'rule_changed';

/** An alert changed state. */
export interface Transition {
  readonly id: string;
  readonly type: 'alert.firing' | 'alert.resolved';
  /** Counts per rule and series from 1. */
  readonly sequence: number;
  /** Reading time of the cause, epoch ms (receipt time where no reading caused it). */
  readonly at: number;
  /** The alert as it is after the transition. */
  readonly alert: Alert;
}
