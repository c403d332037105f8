import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  compileFilters,
  filterCovers,
  filterMatches,
  filtersOverlap,
  isTopicFilter,
  isTopicName,
} from '../../src/domain/topic-filter.ts';

// What a filter means is told by a matcher of another make over every topic of a small world. A world with a level that
// no filter names, and one level deeper than any filter, shows every difference that there is.

const literals = ['', 'a', 'b', '$a'];
const filterLevelsMax = 4;
const topics = words([...literals, 'unnamed'], filterLevelsMax + 1).filter((topic) => topic !== '');

/** MQTT 3.1.1 section 4.7 as a regular expression. */
function meaningOf(filter: string): RegExp {
  const noDollar = /^[+#]/.test(filter) ? '(?!\\$)' : '';
  const body = filter
    .replaceAll('$', '\\$')
    .replace(/^#$/, '[^]*')
    .replace(/\/#$/, '(?:/[^]*)?')
    .replaceAll('+', '[^/]*');
  return new RegExp(`^${noDollar}${body}$`);
}

const known = new Map<string, ReadonlySet<string>>();

/** Every topic of the small world that the filter matches. */
function matched(filter: string): ReadonlySet<string> {
  let set = known.get(filter);
  if (!set) {
    const meaning = meaningOf(filter);
    set = new Set(topics.filter((topic) => meaning.test(topic)));
    known.set(filter, set);
  }
  return set;
}

const aFilter = fc
  .tuple(fc.array(fc.constantFrom(...literals, '+', '+'), { maxLength: filterLevelsMax }), fc.boolean())
  .map(([levels, isOpen]) => [...levels, ...(isOpen ? ['#'] : [])].join('/'))
  .filter((filter) => filter !== '' && filter.split('/').length <= filterLevelsMax);

test('a filter covers another exactly when no topic tells them apart, on 100,000 random pairs', () => {
  let covered = 0;
  fc.assert(
    fc.property(aFilter, aFilter, (allowed, requested) => {
      const all = matched(allowed);
      const isCovered = [...matched(requested)].every((topic) => all.has(topic));
      if (isCovered) covered++;
      expect(filterCovers(allowed, requested), `${allowed} covers ${requested}`).toBe(isCovered);
    }),
    { numRuns: 100_000 },
  );
  // A test in which nothing was covered would hold for a function that always says no.
  expect(covered).toBeGreaterThan(1_000);
});

test('two filters overlap exactly when a topic is matched by both, on 100,000 random pairs', () => {
  let overlapping = 0;
  fc.assert(
    fc.property(aFilter, aFilter, (left, right) => {
      const others = matched(right);
      const isCommon = [...matched(left)].some((topic) => others.has(topic));
      if (isCommon) overlapping++;
      expect(filtersOverlap(left, right), `${left} and ${right}`).toBe(isCommon);
    }),
    { numRuns: 100_000 },
  );
  expect(overlapping).toBeGreaterThan(1_000);
});

test('compiled filters match what one of them matches', () => {
  fc.assert(
    fc.property(fc.array(aFilter, { maxLength: 5 }), fc.constantFrom(...topics), (filters, topic) => {
      const isMatched = filters.some((filter) => matched(filter).has(topic));
      expect(compileFilters(filters).matches(topic)).toBe(isMatched);
      expect(filters.some((filter) => filterMatches(filter, topic))).toBe(isMatched);
    }),
    { numRuns: 50_000 },
  );
});

test('a compiled list covers what one of its filters covers, and never what only all together do', () => {
  const halves = compileFilters(['devices/a/#', 'devices/b', 'devices/b/+/#']);
  expect(halves.covers('devices/a/telemetry/+')).toBe(true);
  expect(halves.covers('devices/+/telemetry')).toBe(false);
  expect(halves.covers('devices/b/#')).toBe(false);
  expect(compileFilters([]).covers('a')).toBe(false);
});

describe('what may be written', () => {
  test.each(['a', '/', '//', 'a/+/b', '+', '#', '+/#', 'a/#', '/#', ' ', '$SYS/#', 'a b/ü', 'x'.repeat(65_535)])(
    'a filter may be "%s"',
    (filter) => {
      expect(isTopicFilter(filter)).toBe(true);
    },
  );

  test.each(['', 'a#', 'a/#/b', '#/', 'a+', '+a/b', 'a/b+/c', 'a\0', 'ü'.repeat(32_768), 'x'.repeat(65_536)])(
    'a filter may not be "%s"',
    (filter) => {
      expect(isTopicFilter(filter)).toBe(false);
    },
  );

  test('a topic has no wildcard and is otherwise written as a filter', () => {
    expect(['a', '/', 'a//b', '$SYS/x', 'ü'.repeat(32_767)].map(isTopicName)).toEqual(Array(5).fill(true));
    expect(['', 'a/+', '#', 'a+', 'a#b', 'a\0b', 'ü'.repeat(32_768)].map(isTopicName)).toEqual(Array(7).fill(false));
  });
});

/** Every text of one to `levelsMax` levels. */
function words(levels: readonly string[], levelsMax: number): string[] {
  const longest: string[][] = [[...levels]];
  for (let length = 2; length <= levelsMax; length++) {
    longest.push((longest.at(-1) ?? []).flatMap((word) => levels.map((level) => `${word}/${level}`)));
  }
  return longest.flat();
}
