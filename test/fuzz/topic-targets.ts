import { compileMapping } from '../../src/decode/mapping.ts';
import { mappingFaults } from '../../src/domain/mapping-faults.ts';
import type { Mapping } from '../../src/domain/mapping.ts';
import { compileFilters, isTopicFilter, isTopicName } from '../../src/domain/topic-filter.ts';
import { compileTopicPattern, topicPatternFaults } from '../../src/domain/topic-pattern.ts';
import { parseDeviceTopic } from '../../src/domain/topic.ts';
import type { Mutator } from './mutator.ts';
import { filters, nativeTopics, patterns } from './seeds.ts';
import { type FuzzTarget, payloadsOnly, rejecting } from './target.ts';

const topics = [
  ...nativeTopics,
  'zigbee2mqtt/lamp',
  'tele/plug/SENSOR',
  'shellyplug-s-1/online/x',
  'a/b',
  '/',
  '$SYS/x',
].map((topic) => Buffer.from(topic));

const blank: Omit<Mapping, 'topic' | 'device'> = {
  name: 'fuzz',
  format: 'json',
  metrics: [],
  time: null,
  timeFormat: 'ms',
  ignore: [],
};

/** What reads topics, filters and patterns. */
export const topicTargets: readonly FuzzTarget[] = [
  {
    name: 'native topics',
    seeds: payloadsOnly(nativeTopics.map((topic) => Buffer.from(topic))),
    start:
      () =>
      ({ payload }) =>
        rejecting(() => {
          parseDeviceTopic(payload.toString());
        }),
  },
  {
    name: 'topic patterns',
    seeds: payloadsOnly(patterns),
    start:
      () =>
      ({ payload }, mutator) =>
        takePattern(payload.toString(), mutator),
  },
  {
    name: 'topic filters',
    seeds: payloadsOnly(filters),
    start:
      () =>
      ({ payload }, mutator) =>
        takeFilter(payload.toString(), mutator),
  },
];

/** A pattern without faults compiles, matches no topic that its filter does not, and makes a mapping. */
function takePattern(pattern: string, mutator: Mutator): string | null {
  if (topicPatternFaults(pattern).length > 0) return 'faults';
  const compiled = compileTopicPattern(pattern);
  const topic = mutator.mutated(topics).toString();
  const match = compiled.match(topic);
  for (const name of compiled.names) {
    const part = match?.parts.get(name);
    if (match && (part === undefined || part === '')) throw new Error(`the part ${name} is nothing`);
    if (part === undefined || !isTopicName(topic)) continue;
    const filter = compiled.filterWith(name, part);
    if (filter !== null && isTopicFilter(filter) && !compileFilters([filter]).matches(topic))
      throw new Error(`${JSON.stringify(filter)} is too narrow for ${JSON.stringify(topic)}`);
  }
  const device = mutator.pick(['probe', ...[...compiled.names].map((name) => `{${name}}`)]);
  const mapping = { ...blank, topic: pattern, device };
  if (mappingFaults(mapping).length > 0) return 'faults of the mapping';
  return rejecting(() => {
    compileMapping(mapping).at(topic);
  });
}

/** A filter covers itself and overlaps itself, and what covers it matches what it matches. */
function takeFilter(filter: string, mutator: Mutator): string | null {
  if (!isTopicFilter(filter)) return 'no filter';
  const one = compileFilters([filter]);
  if (!one.covers(filter) || !one.overlaps(filter)) throw new Error('a filter does not cover itself');
  const wider = mutator.mutated(filters).toString();
  const topic = mutator.mutated([...topics, Buffer.from(filter.replaceAll(/[+#]/g, 'x'))]).toString();
  if (!isTopicFilter(wider) || !isTopicName(topic)) return null;
  const other = compileFilters([wider]);
  const isMatched = one.matches(topic);
  if (isMatched && other.covers(filter) && !other.matches(topic))
    throw new Error(`${JSON.stringify(wider)} covers more than it matches: ${JSON.stringify(topic)}`);
  if (isMatched && other.matches(topic) && !one.overlaps(wider))
    throw new Error(`${JSON.stringify(wider)} has ${JSON.stringify(topic)} in common, and does not say so`);
  return null;
}
