import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SortedNames } from '../../src/base/sorted-names.ts';

const name = fc.string({ minLength: 1, maxLength: 2, unit: fc.constantFrom('a', 'b', 'B', '9', 'ä', '\u{1f600}') });
const step = fc.record({ what: fc.constantFrom('add', 'delete', 'read'), name });

test('names come in order, those behind the one given, as a sorted set has them', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const names = new SortedNames();
      const model = new Set<string>();
      for (const { what, name } of steps) {
        if (what === 'add') {
          names.add(name);
          model.add(name);
        } else if (what === 'delete') {
          names.delete(name);
          model.delete(name);
        } else {
          const sorted = [...model].sort((a, b) => (a < b ? -1 : 1));
          expect([...names.after(null)]).toEqual(sorted);
          expect([...names.after(name)]).toEqual(sorted.filter((other) => other > name));
        }
      }
    }),
  );
});

test('a reading that has begun is not moved by what changes meanwhile', () => {
  const names = new SortedNames();
  for (const one of ['c', 'a', 'b']) names.add(one);
  const seen: string[] = [];
  for (const one of names.after(null)) {
    names.delete('b');
    names.add('aa');
    seen.push(one, ...(one === 'a' ? names.after('a') : []));
  }
  expect(seen).toEqual(['a', 'aa', 'c', 'b', 'c']);
});
