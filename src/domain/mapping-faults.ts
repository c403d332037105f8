import type { Fault } from '../base/errors.ts';
import type { MappedMetric, Mapping } from './mapping.ts';
import { deviceIdRule, isDeviceId, isMetricName, metricNameRule } from './series.ts';
import { compileTopicPattern, insertedNames, topicPatternFaults } from './topic-pattern.ts';

/** The metric of a mapping that is no metric but the status of its device. */
export const statusMetric = '$status';

/** What of a mapping can be wrong although every field has the right type; pointers are into the mapping. */
export function mappingFaults(mapping: Mapping): readonly Fault[] {
  const topicFaults = topicPatternFaults(mapping.topic);
  if (topicFaults.length > 0) return topicFaults.map((detail) => fault('/topic', detail));
  const { names } = compileTopicPattern(mapping.topic);
  const faults = templateFaults('/device', mapping.device, [...names]);
  if (insertedNames(mapping.device).length === 0 && faults.length === 0 && !isDeviceId(mapping.device)) {
    faults.push(fault('/device', `a device id must be ${deviceIdRule}`));
  }
  faults.push(...formatFaults(mapping));
  for (const [index, metric] of mapping.metrics.entries()) {
    faults.push(...metricFaults(`/metrics/${index}/metric`, metric, [...names]));
  }
  return faults;
}

function formatFaults({ format, metrics, ignore, time }: Mapping): readonly Fault[] {
  const faults: Fault[] = [];
  const isJson = format === 'json';
  if (!isJson && format !== 'bare' && metrics.length > 0) {
    faults.push(fault('/metrics', `a payload in ${format} names its metrics itself; leave "metrics" out`));
  }
  if (format === 'bare' && metrics.some(({ path }) => path !== '')) {
    faults.push(fault('/metrics', 'a bare value has no members; its path is ""'));
  }
  if (!isJson && time !== null) faults.push(fault('/time', `"time" is for payloads in json, not in ${format}`));
  if (ignore.length > 0 && (!isJson || metrics.length > 0)) {
    faults.push(fault('/ignore', '"ignore" is for payloads in json of which every member is a metric'));
  }
  return faults;
}

function metricFaults(pointer: string, { path, metric }: MappedMetric, names: readonly string[]): readonly Fault[] {
  if (metric === statusMetric) return [];
  const faults = templateFaults(pointer, metric, path.split('/').includes('*') ? [...names, '*'] : names);
  if (faults.length > 0) return faults;
  // With one letter in the place of what is inserted the rest must be fit for a name.
  const sample = metric.replaceAll(/\{[^{}]*\}/g, 'x').replaceAll('/', '.');
  if (!isMetricName(sample)) faults.push(fault(pointer, `a metric name must be ${metricNameRule}`));
  return faults;
}

function templateFaults(pointer: string, template: string, names: readonly string[]): Fault[] {
  const faults = insertedNames(template)
    .filter((name) => !names.includes(name))
    .map((name) => {
      const known = names.length > 0 ? `; there is ${names.map((each) => `{${each}}`).join(', ')}` : '';
      return fault(pointer, `"{${name}}" stands for nothing in the topic${known}`);
    });
  if (/[{}]/.test(template.replaceAll(/\{[^{}]*\}/g, ''))) faults.push(fault(pointer, 'a brace is not closed'));
  return faults;
}

function fault(pointer: string, detail: string): Fault {
  return { pointer, code: 'validation_failed', detail };
}
