// The tree of topic filters beside the plainest matching there is, over random filters that come and go.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { FilterTree } from '../../src/ingest/embedded/filter-tree.ts';

/** MQTT 3.1.1 section 4.7 as a regular expression. */
function isMatch(filter: string, topic: string): boolean {
  const pattern = filter
    .split('/')
    .map((level) => (level === '+' ? '[^/]*' : level === '#' ? '.*' : level))
    .join('/')
    .replace(/^\.\*$/, '.*')
    .replace(/\/\.\*$/, '(/.*)?');
  return new RegExp(`^${pattern}$`).test(topic);
}

const level = fc.constantFrom('a', 'b', '');
const topics = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join('/'));
const filters = fc
  .tuple(fc.array(fc.oneof(level, fc.constant('+')), { maxLength: 3 }), fc.boolean())
  .filter(([levels, isDeep]) => levels.length > 0 || isDeep)
  .map(([levels, isDeep]) => [...levels, ...(isDeep ? ['#'] : [])].join('/'));

it('a topic matches as long as one of the filters that were added and not taken back does', () => {
  const steps = fc.array(fc.record({ filter: filters, adds: fc.boolean() }), { maxLength: 30 });
  fc.assert(
    fc.property(steps, fc.array(topics, { minLength: 1, maxLength: 5 }), (script, asked) => {
      const tree = new FilterTree();
      const held: string[] = [];
      for (const { filter, adds } of script) {
        if (adds) {
          tree.add(filter);
          held.push(filter);
        } else {
          tree.remove(filter);
          const at = held.indexOf(filter);
          if (at >= 0) held.splice(at, 1);
        }
        for (const topic of asked) {
          expect(tree.matches(topic), `${topic} of ${held.join(' ')}`).toBe(held.some((one) => isMatch(one, topic)));
        }
      }
    }),
    { numRuns: 500 },
  );
});
