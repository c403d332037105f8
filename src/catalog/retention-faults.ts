import { formatDuration } from '../base/duration.ts';
import type { Fault } from '../base/errors.ts';
import { isGlob } from '../domain/glob.ts';
import { type RetentionRule, rollupTiers } from '../domain/retention.ts';
import { isTagGlob } from '../domain/tag-glob.ts';

/** Least that readings are kept, ms: one window of rollups. */
const rawMin = rollupTiers.minute.windowMs;

/** What of a retention rule can be wrong although every field has the right type. Pointers are into the rule. */
export function retentionFaults(rule: RetentionRule): readonly Fault[] {
  const faults: Fault[] = [];
  for (const name of ['device', 'metric'] as const) {
    if (isGlob(rule[name])) continue;
    const detail = 'a pattern holds letters, digits, . _ : - and the wildcards * and ?; commas separate alternatives';
    faults.push({ pointer: `/${name}`, code: 'validation_failed', detail });
  }
  if (rule.tag !== null && !isTagGlob(rule.tag)) {
    const detail = 'a tag is written key:value, for example site:north*; null stands for whatever tags';
    faults.push({ pointer: '/tag', code: 'validation_failed', detail });
  }
  if (rule.raw !== null && rule.raw < rawMin) {
    const least = formatDuration(rawMin);
    const detail = `readings are kept at least ${least}: live clients resume from them, and rollups are made of whole windows of ${least}`;
    faults.push({ pointer: '/raw', code: 'validation_failed', detail });
  }
  return faults;
}
