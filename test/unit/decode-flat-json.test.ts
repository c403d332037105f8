// The quick reader against the general one: what it accepts means the same there.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeFlat } from '../../src/decode/flat-json.ts';
import { decodeAny, type DecodedMessage } from '../../src/decode/native.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);

/** What the general reader makes of it, or the code of its refusal. */
function general(payload: Uint8Array): DecodedMessage | string {
  try {
    return decodeAny(payload);
  } catch (error) {
    return String(error);
  }
}

/** Payloads as devices write them, and some that only look like it. */
const name = fc.oneof(
  { weight: 40, arbitrary: fc.stringMatching(/^[a-z][a-z0-9_.]{0,12}$/) },
  {
    weight: 2,
    arbitrary: fc.constantFrom('ts', 'time', 'values', 'a', 'b', '__proto__', 'constructor', '7', '007', 'x/y'),
  },
  { weight: 1, arbitrary: fc.string() },
);
const number = fc.oneof(
  { weight: 12, arbitrary: fc.integer({ min: -99_999, max: 99_999 }).map((tenths) => (tenths / 100).toFixed(2)) },
  fc
    .tuple(fc.integer(), fc.integer({ min: 0, max: 8 }))
    .map(([whole, decimals]) => (whole / 10 ** decimals).toFixed(decimals)),
  fc.double({ noDefaultInfinity: true, noNaN: true }).map(String),
  fc.integer({ min: 0, max: 4e12 }).map(String),
  fc.constantFrom(
    '-0',
    '0',
    '00',
    '01',
    '-',
    '1.',
    '.5',
    '1e5',
    '1E400',
    '123456789012345',
    '1234567890123456',
    '0.000000000000001',
  ),
);
const value = fc.oneof(
  { weight: 30, arbitrary: number },
  { weight: 1, arbitrary: fc.constantFrom('true', 'false', 'null', 'tru', '"on"', '{}', '[1]') },
);
const blank = fc.oneof(
  { weight: 40, arbitrary: fc.constantFrom('', '', '', ' ') },
  { weight: 1, arbitrary: fc.constantFrom('  ', '\n') },
);
const member = fc
  .tuple(blank, name, blank, value, fc.constantFrom(...Array.from({ length: 30 }, () => ''), ' '))
  .map(([before, key, between, text, after]) => `${before}${JSON.stringify(key)}:${between}${text}${after}`);
const payload = fc
  .tuple(fc.array(member, { maxLength: 6 }), fc.constantFrom('', '', ' '))
  .map(([members, after]) => `{${members.join(',')}}${after}`);

describe('the quick reader of flat objects', () => {
  it('says what the general reader says, or nothing', () => {
    let accepted = 0;
    fc.assert(
      fc.property(payload, (text) => {
        const quick = decodeFlat(bytes(text));
        if (quick === null) return;
        accepted++;
        expect(quick).toEqual(general(bytes(text)));
      }),
      { numRuns: 20_000 },
    );
    expect(accepted).toBeGreaterThan(2_000);
  });

  it('says what the general reader says, or nothing, also of payloads with a byte too many, too few or changed', () => {
    fc.assert(
      fc.property(payload, fc.nat(), fc.nat(255), fc.integer({ min: 0, max: 2 }), (text, place, byte, kind) => {
        const mutated = [...bytes(text)];
        mutated.splice(place % (mutated.length + 1), kind === 0 ? 0 : 1, ...(kind === 1 ? [] : [byte]));
        const quick = decodeFlat(Uint8Array.from(mutated));
        if (quick !== null) expect(quick).toEqual(general(Uint8Array.from(mutated)));
      }),
      { numRuns: 20_000 },
    );
  });

  it('reads a decimal number to the same bits as JSON.parse', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 999_999_999_999_999n }),
        fc.nat(14),
        fc.boolean(),
        (digits, decimals, minus) => {
          const padded = digits.toString().padStart(decimals + 1, '0');
          const text = `${minus ? '-' : ''}${padded.slice(0, padded.length - decimals)}${decimals > 0 ? `.${padded.slice(-decimals)}` : ''}`;
          const quick = decodeFlat(bytes(`{"a":${text}}`));
          // More than fifteen digits, the leading zero counted, are left to the general reader.
          if (quick === null) expect(padded.length).toBeGreaterThan(15);
          else expect(Object.is(quick.readings[0].value, JSON.parse(text))).toBe(true);
        },
      ),
      { numRuns: 20_000 },
    );
  });

  it.each([
    '{"ts":1790000000000,"temperature":21.4,"humidity":40.5}',
    '{"temperature":21.4,"ts":1790000000000}',
    '{"a": -1, "b": true, "time": 1790000000000, "c": false}',
    '{"a":0}',
  ])('takes %s', (text) => {
    expect(decodeFlat(bytes(text))).toEqual(general(bytes(text)));
  });

  it.each([
    '',
    '{',
    '{}',
    '[{"a":1}]',
    '{"a":1,"a":2}',
    '{"a":1,}',
    '{"a":1}}',
    '{"a":1} ',
    '{"ts":1790000000000}',
    '{"ts":1790000000,"a":1}',
    '{"ts":1790000000000.5,"a":1}',
    '{"ts":1790000000000,"time":1790000000000,"a":1}',
    '{"values":1}',
    '{"a":01}',
    '{"a":"b"}',
    '{"é":1}',
    '{"a":1',
    '{"2":1,"1":2}',
  ])('leaves %s to the general reader', (text) => {
    expect(decodeFlat(bytes(text))).toBeNull();
  });

  it('goes on reading after more names than it remembers', () => {
    for (let count = 0; count < 5_000; count++) {
      const text = `{"metric_${count}":${count},"a":1}`;
      expect(decodeFlat(bytes(text))).toEqual(general(bytes(text)));
    }
  });
});
