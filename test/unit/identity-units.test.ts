import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ProfileDraft, showProfile } from '../../src/contract/profile.ts';
import { knownUnits, unitFault } from '../../src/domain/unit.ts';

test.each(['{steps}', 'm{total}/s', '10*3/ul', 'kg.m/s2', 'mol/(l.h)', '[in_i]', 'mm[Hg]', 'ms-1', 'dB[mW]', '/min'])(
  '%s is a UCUM code, known or not',
  (code) => expect(unitFault(code)).toBeNull(),
);

test('every unit of the table is one, and so is every product of two', () => {
  for (const code of knownUnits) expect([code, unitFault(code)]).toEqual([code, null]);
  fc.assert(
    fc.property(fc.constantFrom(...knownUnits), fc.constantFrom(...knownUnits), (left, right) => {
      if (!right.startsWith('/')) expect(unitFault(`${left}.${right}`)).toBeNull();
    }),
  );
});

test.each([
  ['°C', 'written "Cel"'],
  ['Celsius', 'written "Cel"'],
  ['ppm', 'written "[ppm]"'],
  ['kWh', 'written "kW.h"'],
  ['µg/m³', 'written "ug/m3"'],
  ['m//s', 'did you mean "m/s"?'],
  ['[ppm', 'did you mean "[ppm]"?'],
  ['two words', 'for example'],
  ['{a b}', 'for example'],
  ['x'.repeat(41), 'for example'],
])('%s is refused, saying what to write: %s', (code, expected) => {
  expect(unitFault(code)).toContain(expected);
});

test('any text is judged, and what is wrong with it is one line', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const fault = unitFault(text.replaceAll(/\s/g, ' '));
      expect(fault === null || !fault.includes('\n')).toBe(true);
    }),
  );
});

test('a profile that is shown can be sent back as it was, spans included', () => {
  const span = fc.integer({ min: 1, max: 10_000_000 }).map((ms) => `${ms}ms`);
  fc.assert(
    fc.property(fc.option(span), fc.option(span), (own, metric) => {
      const draft = { id: 'a', interval: own, metrics: { x: { interval: metric, unit: 'Cel', min: 1, max: 2 } } };
      const kept = { ...ProfileDraft.parse(draft), createdAt: '', updatedAt: '' };
      const { createdAt: _createdAt, updatedAt: _updatedAt, ...shown } = showProfile(kept);
      expect(ProfileDraft.parse(shown)).toEqual(ProfileDraft.parse(draft));
    }),
  );
});
