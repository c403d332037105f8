import { parseDuration } from '../base/duration.ts';
import { InvariantError } from '../base/errors.ts';
import type { AlertState } from '../domain/alert.ts';
import type { Glob } from '../domain/glob.ts';
import { compileGlob } from '../domain/glob.ts';
import type { Rule } from '../domain/rule.ts';

/** A rule made ready for readings: nothing is parsed again while they flow. */
export interface CompiledRule {
  readonly rule: Rule;
  readonly device: Glob;
  readonly metric: Glob;
  readonly direction: 'above' | 'below';
  readonly threshold: number;
  /** null: the alert clears as soon as it no longer breaches. */
  readonly clear: number | null;
  /** How long it must hold, ms of reading time. */
  readonly forMs: number;
}

/** The catalog lets only sound rules in (see `ruleFaults` there), so anything else is our own fault. */
export function compileRule(rule: Rule): CompiledRule {
  const { above, below, clearBelow, clearAbove } = rule.condition;
  const threshold = above ?? below;
  if (threshold === undefined || (above !== undefined && below !== undefined)) {
    throw new InvariantError(`rule ${rule.id} does not have exactly one of above and below`);
  }
  return {
    rule,
    device: compileGlob(rule.device),
    metric: compileGlob(rule.metric),
    direction: above === undefined ? 'below' : 'above',
    threshold,
    clear: (above === undefined ? clearAbove : clearBelow) ?? null,
    forMs: parseDuration(rule.for),
  };
}

/**
 * What a reading means for a rule: `pend` a breach begins, `hold` it goes on, `reset` it ended before it fired,
 * `fire`, `clear` the open alert ends, `stay` nothing.
 */
export type Judgement = 'stay' | 'pend' | 'hold' | 'reset' | 'fire' | 'clear';

/**
 * Judges one reading. Hysteresis belongs to open alerts only: a pending breach ends with the first reading that does not
 * breach. A reading that is not newer than the beginning of the breach says nothing (the pipeline hands in none).
 */
export function judge(rule: CompiledRule, state: AlertState | null, time: number, value: number): Judgement {
  if (state === null || state.since === null) {
    if (!breaches(rule, value)) return 'stay';
    return rule.forMs === 0 ? 'fire' : 'pend';
  }
  if (time <= state.since) return 'stay';
  if (state.phase === 'firing') return clears(rule, value) ? 'clear' : 'stay';
  if (!breaches(rule, value)) return 'reset';
  return time >= state.since + rule.forMs ? 'fire' : 'hold';
}

export function breaches(rule: CompiledRule, value: number): boolean {
  return rule.direction === 'above' ? value > rule.threshold : value < rule.threshold;
}

function clears(rule: CompiledRule, value: number): boolean {
  if (rule.clear === null) return !breaches(rule, value);
  return rule.direction === 'above' ? value < rule.clear : value > rule.clear;
}
