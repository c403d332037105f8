import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RejectedError } from '../../src/base/errors.ts';
import { decodeAttributes, decodeStatus } from '../../src/decode/attributes.ts';
import { decodeBare } from '../../src/decode/bare.ts';
import { decodeTelemetry } from '../../src/decode/native.ts';
import { decodeReadings } from '../../src/decode/readings-json.ts';
import { decodeTime } from '../../src/decode/time.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);

/** What a decoder refuses, as "code pointer". */
function refusal(decode: () => unknown): string {
  try {
    decode();
  } catch (error) {
    if (error instanceof RejectedError) return `${error.code} ${error.pointer}`.trim();
    throw error;
  }
  return 'accepted';
}

const telemetry = (text: string): string => refusal(() => decodeTelemetry(bytes(text)));

describe('telemetry', () => {
  it('reads all four shapes of the native dialect', () => {
    const ts = 1_790_000_000_000;
    expect(decodeTelemetry(bytes('{"temperature":21.4}')).readings).toEqual([
      { metric: 'temperature', time: null, value: 21.4 },
    ]);
    expect(decodeTelemetry(bytes(`{"ts":${ts},"temperature":21.4,"door":true}`)).readings).toEqual([
      { metric: 'temperature', time: ts, value: 21.4 },
      { metric: 'door', time: ts, value: true },
    ]);
    expect(decodeTelemetry(bytes(`{"time":"2026-09-21T14:13:20Z","values":{"mode":"eco","ts":1}}`)).readings).toEqual([
      { metric: 'mode', time: Date.parse('2026-09-21T14:13:20Z'), value: 'eco' },
      { metric: 'ts', time: Date.parse('2026-09-21T14:13:20Z'), value: 1 },
    ]);
    expect(decodeTelemetry(bytes(`[{"ts":${ts},"a":1},{"ts":${ts + 1},"values":{"a":2}}]`)).readings).toEqual([
      { metric: 'a', time: ts, value: 1 },
      { metric: 'a', time: ts + 1, value: 2 },
    ]);
  });

  it('skips null and makes dots of slashes in metric names', () => {
    expect(decodeTelemetry(bytes('{"a":null,"b/c":1}')).readings).toEqual([{ metric: 'b.c', time: null, value: 1 }]);
  });

  it('counts readings whose time was finer than a millisecond', () => {
    expect(decodeTelemetry(bytes('{"ts":1790000000000.7,"a":1,"b":2}'))).toEqual({
      readings: [
        { metric: 'a', time: 1_790_000_000_000, value: 1 },
        { metric: 'b', time: 1_790_000_000_000, value: 2 },
      ],
      timePointers: ['/ts', '/ts'],
      truncated: 2,
    });
  });

  it.each([
    ['', 'payload_empty'],
    ['{}', 'payload_empty'],
    ['[]', 'payload_empty'],
    ['{"a":null}', 'payload_empty'],
    ['{"a":1', 'payload_not_json'],
    ['NaN', 'payload_not_json'],
    ['{"a":NaN}', 'payload_not_json'],
    ['21.4', 'payload_shape'],
    ['[1]', 'payload_shape /0'],
    ['[[{"a":1}]]', 'payload_shape /0'],
    ['{"a":{"b":1}}', 'value_invalid /a'],
    ['{"a":[1]}', 'value_invalid /a'],
    ['{"a":1e400}', 'value_not_finite /a'],
    ['[{"a":1},{"a":-1e999}]', 'value_not_finite /1/a'],
    [`{"a":"${'ä'.repeat(129)}"}`, 'value_too_long /a'],
    ['{"__proto__":1}', 'metric_invalid /__proto__'],
    ['{"values":{"__proto__":1}}', 'metric_invalid /values/__proto__'],
    ['{"":1}', 'metric_invalid /'],
    ['{"a b":1}', 'metric_invalid /a b'],
    ['{"~/":1}', 'metric_invalid /~0~1'],
    ['{"ts":1790000000,"a":1}', 'time_looks_like_seconds /ts'],
    ['{"ts":1e400,"a":1}', 'time_invalid /ts'],
    ['{"ts":true,"a":1}', 'time_invalid /ts'],
    ['{"time":"yesterday","a":1}', 'time_invalid /time'],
    ['{"ts":1790000000000,"time":1790000000000,"a":1}', 'payload_shape /time'],
    ['{"values":{"a":1},"b":2}', 'payload_shape /b'],
    ['{"values":[1]}', 'payload_shape /values'],
  ])('refuses %s as %s', (payload, expected) => {
    expect(telemetry(payload)).toBe(expected);
  });

  it('refuses bytes that are not UTF-8, and survives any nesting', () => {
    expect(refusal(() => decodeTelemetry(Uint8Array.of(0x7b, 0xff, 0x7d)))).toBe('payload_not_utf8');
    expect(telemetry('['.repeat(200_000))).toMatch(/^payload_(not_json|too_deep)$/);
    expect(telemetry(`{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}`)).toMatch(/^(value_invalid|payload_too_deep)/);
  });

  it('says where the JSON breaks', () => {
    expect(() => decodeTelemetry(bytes('{"a":1,}'))).toThrow(/position 7|line 1/);
  });

  it('either refuses or returns finite readings with valid names, for any JSON and any bytes', () => {
    const payload = fc.oneof(
      fc.json(),
      fc.jsonValue().map((value) => JSON.stringify(value)),
      fc.string(),
    );
    fc.assert(
      fc.property(payload, (text) => {
        if (telemetry(text) !== 'accepted') return;
        for (const { metric, value } of decodeTelemetry(bytes(text)).readings) {
          expect(metric).toMatch(/^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,127}$/);
          if (typeof value === 'number') expect(Number.isFinite(value)).toBe(true);
        }
      }),
      { numRuns: 2_000 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (raw) => refusal(() => decodeTelemetry(raw)) !== ''),
      { numRuns: 2_000 },
    );
  });

  it('gives back every reading it was given', () => {
    const metric = fc
      .stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,20}$/)
      .filter((name) => !['ts', 'time', 'values', '__proto__'].includes(name));
    const value = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }).filter((number) => !Object.is(number, -0)),
      fc.boolean(),
      fc.string({ maxLength: 60 }),
    );
    fc.assert(
      fc.property(fc.dictionary(metric, value, { minKeys: 1 }), fc.integer({ min: 1e11, max: 4e12 }), (values, ts) => {
        const decoded = decodeTelemetry(bytes(JSON.stringify({ ts, values }))).readings;
        expect(Object.fromEntries(decoded.map((reading) => [reading.metric, reading.value]))).toEqual({ ...values });
        expect(decoded.every((reading) => reading.time === ts)).toBe(true);
      }),
    );
  });
});

describe('bare values', () => {
  it.each([
    ['21.4', 21.4],
    [' -3 \n', -3],
    ['+.5e1', 5],
    ['true', true],
    ['ON', true],
    ['off', false],
    ['open', 'open'],
    ['"21.4"', '21.4'],
  ])('reads %j as %j', (text, value) => {
    expect(decodeBare(bytes(text))).toBe(value);
  });

  it.each([
    ['', 'payload_empty'],
    ['  ', 'payload_empty'],
    ['NaN', 'value_not_finite'],
    ['-Infinity', 'value_not_finite'],
    ['1e400', 'value_not_finite'],
    ['null', 'value_invalid'],
    ['{"a":1}', 'payload_shape'],
    ['[1]', 'payload_shape'],
    ['"open', 'payload_not_json'],
    ['x'.repeat(257), 'value_too_long'],
  ])('refuses %j as %s', (text, expected) => {
    expect(refusal(() => decodeBare(bytes(text)))).toBe(expected);
  });
});

describe('times', () => {
  it.each([
    ['2026-09-21T14:13:20Z', 1_789_999_999_999 + 1 + 0, false],
    ['2026-09-21T16:13:20.5+02:00', 1_790_000_000_500, false],
    ['2026-09-21t14:13:20.123456z', 1_790_000_000_123, true],
    ['2026-09-21 14:13:20.120000Z', 1_790_000_000_120, false],
    ['2016-12-31T23:59:60Z', Date.parse('2017-01-01T00:00:00Z'), false],
  ])('reads %s', (text, time, truncated) => {
    expect(decodeTime(text, '')).toEqual({ time, truncated });
  });

  it.each([
    '2026-02-30T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-09-21',
    '2026-09-21T14:13:20',
    '2026-09-21T25:00:00Z',
    '',
  ])('refuses %j', (text) => {
    expect(refusal(() => decodeTime(text, '/ts'))).toBe('time_invalid /ts');
  });
});

describe('status and attributes', () => {
  it('reads a status bare, quoted and in any case, and refuses others', () => {
    expect([decodeStatus(bytes('online')), decodeStatus(bytes('"offline"')), decodeStatus(bytes('Online '))]).toEqual([
      'online',
      'offline',
      'online',
    ]);
    expect(refusal(() => decodeStatus(bytes('on')))).toBe('value_invalid');
  });

  it('reads flat attributes and refuses nested ones and __proto__', () => {
    expect(decodeAttributes(bytes('{"firmware":"1.4.2","cells":3,"solar":true,"gone":null}'))).toEqual({
      firmware: '1.4.2',
      cells: 3,
      solar: true,
    });
    expect(refusal(() => decodeAttributes(bytes('{"a":{}}')))).toBe('value_invalid /a');
    expect(refusal(() => decodeAttributes(bytes('{"__proto__":1}')))).toBe('payload_shape /__proto__');
    expect(refusal(() => decodeAttributes(bytes('[]')))).toBe('payload_shape');
  });
});

describe('posted readings', () => {
  it('reads an array and NDJSON alike', () => {
    const row = { device: 'd1', metric: 'm', time: 1_790_000_000_000, value: 1 };
    const expected = [row, { ...row, time: null, value: true }];
    const rows = [row, { device: 'd1', metric: 'm', value: true }];
    expect(decodeReadings(bytes(JSON.stringify(rows)), 'json').readings).toEqual(expected);
    expect(
      decodeReadings(bytes(`${rows.map((each) => JSON.stringify(each)).join('\n')}\n\n`), 'ndjson').readings,
    ).toEqual(expected);
  });

  it('reads one object as it reads an array of one, its faults pointing from the root', () => {
    const row = { device: 'd1', metric: 'm', time: 1_790_000_000_000, value: 1 };
    const { readings, pointers } = decodeReadings(bytes(JSON.stringify(row)), 'json');
    expect({ readings, pointers }).toEqual({ readings: [row], pointers: [''] });
    const { faults } = decodeReadings(bytes(JSON.stringify({ ...row, value: [] })), 'json');
    expect(faults).toMatchObject([{ pointer: '/value', code: 'value_invalid' }]);
  });

  it('collects every fault with its pointer and keeps the rest', () => {
    const body = [
      { device: '', metric: 'm', value: 1 },
      { device: 'd', metric: 'm', value: 1 },
      { device: 'd', metric: '__proto__', value: 1 },
      { device: 'd', metric: 'm', value: {} },
      { device: 'd', metric: 'm', ts: 1_790_000_000_000, value: 1 },
      7,
    ];
    const { readings, faults, pointers } = decodeReadings(bytes(JSON.stringify(body)), 'json');
    expect(readings).toHaveLength(1);
    expect(pointers).toEqual(['/1']);
    expect(faults.map(({ pointer, code }) => `${code} ${pointer}`)).toEqual([
      'device_invalid /0/device',
      'metric_invalid /2/metric',
      'value_invalid /3/value',
      'payload_shape /4/ts',
      'payload_shape /5',
    ]);
  });
});
