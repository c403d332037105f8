import type { Rule } from '../contract/rule.ts';
import { globMatches } from './glob-match.ts';

/** A line on a chart: where a rule begins to breach. */
export interface ThresholdLine {
  readonly ruleId: string;
  readonly name: string;
  readonly direction: 'above' | 'below';
  readonly value: number;
  readonly severity: 'info' | 'warning' | 'critical';
}

/** The lines of the enabled rules that watch this series. */
export function thresholdLines(rules: readonly Rule[], device: string, metric: string): ThresholdLine[] {
  return rules
    .filter((rule) => rule.enabled && globMatches(rule.device, device) && globMatches(rule.metric, metric))
    .flatMap(({ id, name, severity, condition }) => {
      const direction = condition.above === undefined ? 'below' : 'above';
      const value = condition.above ?? condition.below;
      return value === undefined ? [] : [{ ruleId: id, name, direction, value, severity }];
    });
}

/**
 * The vertical extent of a chart: the values with a margin, and the thresholds that lie in the same order of magnitude.
 * One that is far away would press the values flat; the chart names it in words instead.
 */
export function valueExtent(low: number, high: number, thresholds: readonly number[]): readonly [number, number] {
  const span = Math.max(high - low, Math.abs(high) * 0.02, 1e-6);
  const near = thresholds.filter((threshold) => {
    const wider = Math.max(high, threshold) - Math.min(low, threshold);
    return wider <= Math.max(span * 12, Math.abs(high) * 1.5);
  });
  const least = Math.min(low, ...near);
  const most = Math.max(high, ...near);
  const margin = Math.max((most - least) * 0.08, span * 0.1);
  return [least - margin, most + margin];
}
