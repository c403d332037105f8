import { parseDuration } from '../base/duration.ts';
import type { Fault } from '../base/errors.ts';
import { messageOf, RejectedError } from '../base/errors.ts';
import { isGlob } from '../domain/glob.ts';
import type { Rule, ThresholdCondition } from '../domain/rule.ts';

/** Longest `for`, ms: a breach that must hold for over a year was never meant. */
const forMax = 366 * 86_400_000;

/** What of a rule can be wrong although every field has the right type. Pointers are into the rule; empty means sound. */
export function ruleFaults(rule: Pick<Rule, 'device' | 'metric' | 'condition' | 'for'>): readonly Fault[] {
  return [
    ...globFaults('/device', rule.device),
    ...globFaults('/metric', rule.metric),
    ...conditionFaults(rule.condition),
    ...forFaults(rule.for),
  ];
}

function globFaults(pointer: string, glob: string): Fault[] {
  if (isGlob(glob)) return [];
  return [
    fault(pointer, 'a pattern holds letters, digits, . _ : - and the wildcards * and ?; commas separate alternatives'),
  ];
}

function conditionFaults(condition: ThresholdCondition): Fault[] {
  const { above, clearBelow, below, clearAbove } = condition;
  const faults: Fault[] = [];
  for (const [name, value] of Object.entries({ above, clearBelow, below, clearAbove })) {
    if (value !== undefined && !Number.isFinite(value)) {
      faults.push(fault(`/condition/${name}`, `${name} must be a finite number`));
    }
  }
  if (above !== undefined && below !== undefined) {
    faults.push(fault('/condition', 'give above or below, not both; two rules can watch both sides'));
  }
  if (above === undefined && below === undefined) faults.push(fault('/condition', 'above or below is needed'));
  if (clearBelow !== undefined && above === undefined) {
    faults.push(fault('/condition/clearBelow', 'clearBelow goes with above'));
  }
  if (clearAbove !== undefined && below === undefined) {
    faults.push(fault('/condition/clearAbove', 'clearAbove goes with below'));
  }
  if (clearBelow !== undefined && above !== undefined && clearBelow > above) {
    faults.push(fault('/condition/clearBelow', `clearBelow (${clearBelow}) must not be greater than above (${above})`));
  }
  if (clearAbove !== undefined && below !== undefined && clearAbove < below) {
    faults.push(fault('/condition/clearAbove', `clearAbove (${clearAbove}) must not be less than below (${below})`));
  }
  return faults;
}

function forFaults(text: string): Fault[] {
  try {
    if (parseDuration(text) <= forMax) return [];
    return [fault('/for', 'for is at most 366d')];
  } catch (error) {
    if (!(error instanceof RejectedError)) throw error;
    return [{ pointer: '/for', code: error.code, detail: messageOf(error) }];
  }
}

function fault(pointer: string, detail: string): Fault {
  return { pointer, code: 'validation_failed', detail };
}
