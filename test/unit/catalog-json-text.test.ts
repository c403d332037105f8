import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { JsonTextError, pointerOf, readJsonText } from '../../src/catalog/json-text.ts';

test('every JSON text reads as JSON.parse reads it', () => {
  fc.assert(
    fc.property(fc.json(), fc.constantFrom(undefined, 2, '\t'), (json, indent) => {
      const text = JSON.stringify(JSON.parse(json), null, indent);
      expect(readJsonText(text).value).toEqual(JSON.parse(text));
    }),
  );
});

test('a text is refused exactly when JSON.parse refuses it', () => {
  const damaged = fc
    .tuple(fc.json(), fc.nat(), fc.constantFrom('', '"', ',', '{', ']', '0', '\\', '\n', 'x', '\u0001'))
    .map(([json, at, put]) => json.slice(0, at % (json.length + 1)) + put + json.slice((at % (json.length + 1)) + 1));
  fc.assert(
    fc.property(damaged, (text) => {
      const refused = refusalOf(text);
      if (isJson(text)) expect(refused?.message ?? 'given twice').toContain('given twice');
      else expect(refused).toBeInstanceOf(JsonTextError);
    }),
    { numRuns: 2_000 },
  );
});

test.each([
  ['{\n  "a": 1,\n  "b": \n}', 4, 1, 'a value should stand here'],
  ['{\n  "a": 1\n  "b": 2\n}', 3, 3, '"," or "}" should stand here'],
  ['{"a": 1,\n}', 2, 1, 'a comma must not stand before this bracket'],
  ['[1,\n 2,]', 2, 4, 'a comma must not stand before this bracket'],
  ['{"a" 1}', 1, 6, '":" should stand here'],
  ["{'a': 1}", 1, 2, 'a name in double quotes should stand here'],
  ['{"a": "b\n"}', 1, 7, 'not closed on its line'],
  ['{\n "a": 1,\n "a": 2\n}', 3, 2, 'given twice'],
  ['{"a": 1}\n}', 2, 1, 'the file should end here'],
  ['{"a": [1, 2', 1, 12, 'the file ends too early; "," or "]" should stand here'],
  ['', 1, 1, 'the file ends too early'],
  ['{"a": // why\n 1}', 1, 7, 'a value should stand here'],
  ['['.repeat(80), 1, 66, 'nested too deeply'],
])('%j is broken at line %i, column %i', (text, line, column, message) => {
  expect(refusalOf(text)).toMatchObject({ message: expect.stringContaining(message), place: { line, column } });
});

test('a pointer leads to the place of the member, and one that is not there to what would hold it', () => {
  const json = readJsonText('\ufeff{\n  "rules": [\n    { "id": "a", "x/y": 1 },\n    {}\n  ]\n}');
  expect(json.placeOf('/rules/0/id')).toEqual({ line: 3, column: 7 });
  expect(json.placeOf(pointerOf(['rules', 0, 'x/y']))).toEqual({ line: 3, column: 18 });
  expect(json.placeOf('/rules/1/name')).toEqual({ line: 4, column: 5 });
  expect(json.placeOf('/other')).toEqual({ line: 1, column: 2 });
});

function refusalOf(text: string): JsonTextError | null {
  try {
    readJsonText(text);
    return null;
  } catch (error) {
    if (error instanceof JsonTextError) return error;
    throw error;
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
