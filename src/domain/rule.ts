/** What people decide about alerts; kept in the catalog exactly as REST shows it. */
export interface Rule {
  readonly id: string;
  readonly name: string;
  /** Glob over device ids. */
  readonly device: string;
  /** Glob over metric names. */
  readonly metric: string;
  readonly condition: ThresholdCondition;
  /** How long, in reading time, the condition must hold before the alert fires; `"0s"` fires at once. */
  readonly for: string;
  readonly severity: Severity;
  readonly enabled: boolean;
  /** RFC 3339. */
  readonly createdAt: string;
  readonly updatedAt: string;
}

export type Severity = 'info' | 'warning' | 'critical';

/**
 * Exactly one of `above` and `below`. It breaches strictly beyond the threshold and clears strictly beyond the clear
 * value (`clearBelow` ≤ `above`, `clearAbove` ≥ `below`; left out, the alert clears as soon as it no longer breaches).
 */
export interface ThresholdCondition {
  readonly type: 'threshold';
  readonly above?: number | undefined;
  readonly clearBelow?: number | undefined;
  readonly below?: number | undefined;
  readonly clearAbove?: number | undefined;
}
