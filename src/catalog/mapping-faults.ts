import type { Fault } from '../base/errors.ts';
import type { Mapping } from '../domain/mapping.ts';
import { suggestion } from './schema-faults.ts';

const named = /^\{[A-Za-z][A-Za-z0-9_]*\}$/;
const inserted = /\{([^{}]*)\}/g;

/** What of a mapping can be wrong although every field has the right type; pointers are into the mapping. */
export function mappingFaults(mapping: Mapping): readonly Fault[] {
  const levels = mapping.topic.split('/');
  const parts = levels.filter((level) => named.test(level)).map((level) => level.slice(1, -1));
  const faults = topicFaults(mapping.topic, levels, parts);
  faults.push(...nameFaults('/device', mapping.device, parts));
  if (mapping.format !== 'json' && mapping.metrics.length > 0) {
    faults.push(
      fault('/metrics', `a payload of the format "${mapping.format}" names its metrics itself; leave "metrics" away`),
    );
  }
  if (mapping.metrics.length > 0 && mapping.ignore.length > 0) {
    faults.push(fault('/ignore', '"ignore" is for when every member is a metric; leave it away, or "metrics"'));
  }
  for (const [index, { path, metric }] of mapping.metrics.entries()) {
    const hasStar = path.split('/').includes('*');
    faults.push(...nameFaults(`/metrics/${index}/metric`, metric, hasStar ? [...parts, '*'] : parts));
  }
  return faults;
}

function topicFaults(topic: string, levels: readonly string[], parts: readonly string[]): Fault[] {
  const faults: Fault[] = [];
  if (topic.startsWith('$')) faults.push(fault('/topic', 'topics that begin with "$" are the broker\'s own'));
  for (const [index, level] of levels.entries()) {
    const isWildcard = level === '+' || (level === '#' && index === levels.length - 1);
    if (isWildcard || named.test(level) || !/[{}+#\0]/.test(level)) continue;
    faults.push(
      fault(
        '/topic',
        `"${level}" cannot be a level of a topic: write {name} or + alone between slashes, # alone at the end`,
      ),
    );
  }
  const twice = parts.find((part, index) => parts.indexOf(part) !== index);
  if (twice !== undefined) faults.push(fault('/topic', `the part "{${twice}}" is there twice`));
  return faults;
}

function nameFaults(pointer: string, template: string, parts: readonly string[]): Fault[] {
  const faults: Fault[] = [];
  for (const [, name] of template.matchAll(inserted)) {
    if (parts.includes(name)) continue;
    faults.push(fault(pointer, `"{${name}}" stands for nothing in the topic${suggestion(name, parts)}`));
  }
  if (/[{}]/.test(template.replaceAll(inserted, ''))) faults.push(fault(pointer, 'a brace is not closed'));
  return faults;
}

function fault(pointer: string, detail: string): Fault {
  return { pointer, code: 'validation_failed', detail };
}
