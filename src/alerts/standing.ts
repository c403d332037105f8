import type { AlertState } from '../domain/alert.ts';
import type { CompiledRule } from './threshold.ts';

/** Where a rule stands for a series, with what only memory knows. */
export interface Standing {
  /** null: it never left inactive. */
  readonly state: AlertState | null;
  /** While pending: receipt time of the newest reading of the breach, epoch ms. */
  readonly lastReceived: number;
  /** While pending: the longest silence between two readings of the breach, ms; 0 until a second one came. */
  readonly longestGap: number;
}

/** One rule on one series. The standing is what is committed; a draft keeps its own beside it. */
export interface AlertCell {
  readonly key: string;
  readonly ruleId: string;
  readonly device: string;
  readonly metric: string;
  standing: Standing;
  /** Deadline under which the cell stands in the deadline queue; infinite when it does not. */
  queuedAt: number;
}

export const untouched: Standing = { state: null, lastReceived: 0, longestGap: 0 };

/** Identity of a state. No name may contain a line break, so two identities never share a key. */
export function cellKey(ruleId: string, device: string, metric: string): string {
  return `${ruleId}\n${device}\n${metric}`;
}

export function newCell(ruleId: string, device: string, metric: string): AlertCell {
  return {
    key: cellKey(ruleId, device, metric),
    ruleId,
    device,
    metric,
    standing: untouched,
    queuedAt: Number.POSITIVE_INFINITY,
  };
}

/** The standing of a state as it was stored. The rhythm of the readings is not stored: it counts as silence since. */
export function storedStanding(state: AlertState): Standing {
  return { state, lastReceived: state.sinceReceived ?? 0, longestGap: 0 };
}

/** The standing after one more breaching reading of a pending state. */
export function heldOn(standing: Standing, receivedAt: number): Standing {
  const gap = receivedAt - standing.lastReceived;
  return {
    state: standing.state,
    lastReceived: Math.max(standing.lastReceived, receivedAt),
    longestGap: Math.max(standing.longestGap, gap),
  };
}

/**
 * Receipt time (epoch ms) at which a pending state fires without another reading; infinite when it is not pending.
 *
 * The timer closes silence and nothing else. While readings keep coming, the reading that is due around `since + for`
 * decides, not a race between its journey and our timer: the deadline waits for twice the rhythm seen in this breach,
 * but never longer than `for` after the last reading.
 */
export function silenceDeadline(rule: CompiledRule, standing: Standing): number {
  const state = standing.state;
  if (state?.phase !== 'pending' || state.sinceReceived === null) return Number.POSITIVE_INFINITY;
  const patience = Math.min(2 * standing.longestGap, rule.forMs);
  return Math.max(state.sinceReceived + rule.forMs, standing.lastReceived + patience);
}
