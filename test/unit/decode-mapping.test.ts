import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvariantError, RejectedError } from '../../src/base/errors.ts';
import { MappingSpec } from '../../src/contract/mapping.ts';
import type { Decoded } from '../../src/decode/decoded.ts';
import { Dialects } from '../../src/decode/dialects.ts';
import { compileMapping } from '../../src/decode/mapping.ts';
import { type Mapping, type MappedMetric } from '../../src/domain/mapping.ts';
import { mappingFaults } from '../../src/domain/mapping-faults.ts';
import { anySender } from '../../src/domain/principal.ts';
import { compileTopicPattern, topicPatternFaults } from '../../src/domain/topic-pattern.ts';
import { filterMatches } from '../../src/domain/topic-filter.ts';
import { usualPayloadOptions } from '../../src/decode/payload.ts';
import { tryMapping } from '../../src/wiring/try-mapping.ts';
import { loadCases } from '../support/decode-cases.ts';
import { loadMappings, mappingFiles } from '../support/mapping-files.ts';

const receivedAt = Date.parse('2026-09-21T14:13:20Z');

function mapping(parts: object): Mapping {
  return MappingSpec.parse({ name: 'mine', topic: 'x/{device}', ...parts });
}

function decode(parts: object, payload: unknown, topic = 'x/a'): Decoded {
  const dialects = new Dialects({ mappings: [mapping(parts)], dialects: [] });
  const bytes = Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload));
  return dialects.decode({ topic, payload: bytes, sender: anySender, receivedAt });
}

/** The readings of a message as `device/metric value`, and its refusal as `code pointer`. */
function told(parts: object, payload: unknown, topic?: string): readonly string[] {
  try {
    return decode(parts, payload, topic).devices.flatMap(({ device, readings }) =>
      readings.map(({ metric, value }) => `${device}/${metric} ${value}`),
    );
  } catch (error) {
    if (error instanceof RejectedError) return [`${error.code} ${error.pointer}`];
    throw error;
  }
}

function metric(parts: Partial<MappedMetric>): object {
  return { path: '/t', metric: 't', ...parts };
}

describe('a topic pattern', () => {
  it.each([
    ['a/{device}', 'a/b', { device: 'b' }],
    ['a/{device}', 'a/b/c', null],
    ['a/{device}', 'a/', null],
    ['a/{device}', 'a', null],
    ['+/{device}/c', 'x/b/c', { device: 'b' }],
    ['a/{device}/#', 'a/b/c/d', { device: 'b' }],
    ['a/{device}/#', 'a/b', { device: 'b' }],
    ['{device}/#', '$SYS/x', null],
    ['shelly{model}-{id}', 'shellyplus1pm-a8', { model: 'plus1pm', id: 'a8' }],
    ['shelly{model}-{id}', 'shellyplug-s-a8', { model: 'plug-s', id: 'a8' }],
    ['shelly{model}-{id}', 'shelly-a8', null],
    ['shelly{model}-{id}', 'shellyplug-', null],
    ['{a}-{b}-{c}', 'x-y-z', { a: 'x', b: 'y', c: 'z' }],
    ['{a}-{b}-{c}', '-y-z', null],
    ['{a}-{b}-{c}', 'x--z', null],
    ['{a}.json', 'x.json', { a: 'x' }],
    ['{a}.json', '.json', null],
    ['a{b}a', 'a', null],
    ['a{b}a', 'aa', null],
  ])('%s on %s finds %o', (pattern, topic, parts) => {
    const match = compileTopicPattern(pattern).match(topic);
    expect(match && Object.fromEntries(match.parts)).toEqual(parts);
  });

  it.each([
    ['a/#/b', 1],
    ['a+/b', 1],
    ['{a}{b}', 1],
    ['{a}/{a}', 1],
    ['{1a}', 1],
    ['{}', 1],
    ['a{b', 1],
    ['$SYS/{a}', 1],
    ['devices/{a}', 1],
    ['devices/{a/{b}{b}', 4],
    ['x/{a}-{b}/+/#', 0],
  ])('%s has %i faults', (pattern, count) => {
    expect(topicPatternFaults(pattern)).toHaveLength(count);
  });

  it('finds again the parts that a topic was made of, and none where the texts differ', () => {
    const text = fc.stringMatching(/^[a-c-]{1,4}$/);
    fc.assert(
      fc.property(text, text, text, (one, two, three) => {
        const pattern = compileTopicPattern('{one}-x-{two}/l{three}');
        const match = pattern.match(`${one}-x-${two}/l${three}`);
        expect(match && Object.fromEntries(match.parts)).toEqual({ one, two, three });
        expect(pattern.match(`${one}-y-${two}/l${three}`)).toBeNull();
      }),
    );
  });
});

describe('a mapping', () => {
  it.each([
    ['a number is scaled', metric({ scale: 0.1, offset: -40 }), { t: 650 }, ['a/t 25']],
    ['a decimal text is scaled', metric({ scale: 2 }), { t: '1.5' }, ['a/t 3']],
    ['a text without a scale stays one', metric({}), { t: '1.5' }, ['a/t 1.5']],
    ['another text cannot be scaled', metric({ scale: 2 }), { t: 'warm' }, ['mapping_mismatch /t']],
    ['a boolean cannot be scaled', metric({ scale: 2 }), { t: true }, ['mapping_mismatch /t']],
    ['the table comes before the scale', metric({ values: { '255': 0 }, scale: 2 }), { t: 255 }, ['a/t 0']],
    ['null is skipped', metric({}), { t: null }, ['mapping_mismatch /t']],
    ['an object is no value', metric({}), { t: { u: 1 } }, ['mapping_mismatch /t']],
    ['a long text is refused', metric({}), { t: 'x'.repeat(257) }, ['value_too_long /t']],
    ['beyond all numbers is refused', metric({ scale: 1e308 }), { t: 1e9 }, ['value_not_finite /t']],
    [
      'a star is every member',
      metric({ path: '/s/*/t', metric: '{*}.t' }),
      { s: { k: { t: 1 }, l: {}, m: { t: 2 } } },
      ['a/k.t 1', 'a/m.t 2'],
    ],
    ['a star is every place', metric({ path: '/*', metric: 'p{*}' }), [1, null, 3], ['a/p0 1', 'a/p2 3']],
    ['several stars are joined', metric({ path: '/*/*', metric: '{*}' }), { a: { b: 1 } }, ['a/a.b 1']],
    ['~1 and ~0 are / and ~', metric({ path: '/a~1b/~0' }), { 'a/b': { '~': 1 } }, ['a/t 1']],
    ['an inherited member is none', metric({ path: '/constructor' }), {}, ['mapping_mismatch /constructor']],
    ['a part of the topic is inserted', metric({ metric: '{device}.t' }), { t: 1 }, ['a/a.t 1']],
  ])('%s', (_name, wanted, payload, readings) => {
    expect(told({ metrics: [wanted] }, payload)).toEqual(readings);
  });

  it('without metrics takes every member, skips null, long texts and what is to be ignored', () => {
    const payload = { a: 1, b: { c: true, d: null, e: ['x', 2] }, long: 'x'.repeat(257), skip: { me: 1 }, 'a b/c%': 5 };
    const readings = ['a/a 1', 'a/b.c true', 'a/b.e.0 x', 'a/b.e.1 2', 'a/a_b.c_ 5'];
    expect(told({ ignore: ['/skip'] }, payload)).toEqual(readings);
  });

  it('puts the part {metric} before the names of members, and makes it the name of a bare value', () => {
    expect(told({ topic: 'x/{device}/{metric}' }, { a: 1 }, 'x/d/switch:0')).toEqual(['d/switch:0.a 1']);
    expect(told({ topic: 'x/{metric}/{device}', format: 'bare' }, '1', 'x/power/d')).toEqual(['d/power 1']);
  });

  it.each([
    ['x/{device}/#', 'x/d/relay/0/power', 'd/relay.0.power 1'],
    ['x/{device}', 'x/d', 'd/value 1'],
    ['x/{room}/{device}/v', 'x/r/d/v', 'd/v 1'],
  ])('names a bare value on %s by what follows the device', (topic, at, reading) => {
    expect(told({ topic, format: 'bare' }, '1', at)).toEqual([reading]);
  });

  it('makes a device id of what stands in the topic, or refuses', () => {
    expect(told({ metrics: [metric({})] }, { t: 1 }, 'x/Büro 1')).toEqual(['B-ro-1/t 1']);
    expect(told({ metrics: [metric({})] }, { t: 1 }, 'x/-')).toEqual(['device_invalid ']);
    const named = { topic: '{site}/{room}', device: '{site}:{room}', metrics: [metric({})] };
    expect(told(named, { t: 1 }, 'west/hall')).toEqual(['west:hall/t 1']);
  });

  it.each([
    ['ms', 1_789_999_999_440, '2026-09-21T14:13:19.440Z'],
    ['ms', '1789999999440', '2026-09-21T14:13:19.440Z'],
    ['s', 1_789_999_999.44, '2026-09-21T14:13:19.440Z'],
    ['s', '1789999999', '2026-09-21T14:13:19.000Z'],
    ['rfc3339', '2026-09-21T16:13:19.44+02:00', '2026-09-21T14:13:19.440Z'],
  ])('reads a time in %s', (timeFormat, at, expected) => {
    const { devices } = decode({ time: '/at', timeFormat }, { at, t: 1 });
    const [{ readings, timePointers, truncated }] = devices;
    expect(readings.map(({ metric: name, time }) => [name, new Date(time ?? 0).toISOString()])).toEqual([
      ['t', expected],
    ]);
    expect([timePointers, truncated]).toEqual([['/at'], 0]);
  });

  it.each([
    ['ms', 1_789_999_999, 'time_looks_like_seconds /at'],
    ['s', 'noon', 'time_invalid /at'],
    ['rfc3339', 5, 'time_invalid /at'],
    ['rfc3339', 'noon', 'time_invalid /at'],
  ])('refuses a time that is not in %s', (timeFormat, at, refusal) => {
    expect(told({ time: '/at', timeFormat }, { at, t: 1 })).toEqual([refusal]);
  });

  it('without a time in the payload leaves it to the receipt', () => {
    const { devices } = decode({ time: '/at' }, { t: 1 });
    expect(devices[0].readings).toEqual([{ metric: 't', time: null, value: 1 }]);
  });

  it('in another format than json hands the payload on', () => {
    expect(told({ format: 'native' }, [{ t: 1 }, { u: 2 }])).toEqual(['a/t 1', 'a/u 2']);
    expect(
      told({ format: 'bare', metrics: [metric({ path: '', metric: 'on', values: { on: 'ON!' } })] }, 'on'),
    ).toEqual(['a/on ON!']);
  });

  it('names itself in every refusal', () => {
    expect(() => decode({}, '{')).toThrow(/^mapping mine: the payload is not JSON/);
  });

  it.each([
    [{ topic: 'a/{b' }, '/topic'],
    [{ topic: 'devices/{device}/x' }, '/topic'],
    [{ device: '{dev}' }, '/device'],
    [{ device: '{device' }, '/device'],
    [{ device: '-x' }, '/device'],
    [{ format: 'senml', metrics: [metric({})] }, '/metrics'],
    [{ format: 'bare', metrics: [metric({})] }, '/metrics'],
    [{ format: 'bare', time: '/t' }, '/time'],
    [{ metrics: [metric({})], ignore: ['/u'] }, '/ignore'],
    [{ metrics: [metric({ metric: '{*}' })] }, '/metrics/0/metric'],
    [{ metrics: [metric({}), metric({ metric: 'a b' })] }, '/metrics/1/metric'],
    [{ metrics: [metric({ metric: '$state' })] }, '/metrics/0/metric'],
  ])('%o has a fault at %s, and is not compiled', (parts, pointer) => {
    expect(mappingFaults(mapping(parts)).map((fault) => fault.pointer)).toEqual([pointer]);
    expect(() => compileMapping(mapping(parts))).toThrow(InvariantError);
  });
});

describe('the filters of a device', () => {
  it('are those of mappings whose device is one whole level', () => {
    const mappings = [
      mapping({ topic: 'tele/{device}/SENSOR' }),
      mapping({ topic: '+/{device}/{part}/l{x}/#' }),
      mapping({ topic: 'shelly{model}-{id}/x', device: '{id}' }),
      mapping({ topic: 'site/{room}', device: '{room}-x' }),
    ];
    const dialects = new Dialects({ mappings, dialects: [] });
    expect(dialects.mappedFilters('lamp')).toEqual(['tele/lamp/SENSOR', '+/lamp/+/+/#']);
  });

  it('cover every topic from which the device is read', () => {
    const level = fc.constantFrom('a', 'b', 'lamp');
    const pattern = fc.constantFrom('{device}/+', 'a/{device}/{x}', '{x}/{device}/#', 'l{x}/{device}');
    fc.assert(
      fc.property(pattern, fc.array(level, { minLength: 1, maxLength: 4 }), (topic, levels) => {
        const dialects = new Dialects({ mappings: [mapping({ topic, format: 'bare' })], dialects: [] });
        const at = levels.join('/');
        if (!dialects.claims(at)) return;
        const read = dialects.decode({ topic: at, payload: Buffer.from('1'), sender: anySender, receivedAt });
        const [{ device }] = read.devices;
        expect(dialects.mappedFilters(device).some((filter) => filterMatches(filter, at))).toBe(true);
      }),
    );
  });
});

describe('the examples in config/mappings', () => {
  it.each(mappingFiles())('%s have no fault', (file) => {
    expect(loadMappings(file).flatMap((each) => mappingFaults(each))).toEqual([]);
  });
});

it('only refusals come of mutated payloads, whatever the mapping', () => {
  const cases = [...loadCases('mapping').values()];
  const dialects = new Map(
    mappingFiles().map((file) => [file, new Dialects({ mappings: loadMappings(file), dialects: [] })]),
  );
  const byte = fc.nat(255);
  fc.assert(
    fc.property(
      fc.constantFrom(...cases),
      fc.array(fc.tuple(fc.nat(400), byte), { maxLength: 4 }),
      ({ message, options }, edits) => {
        const payload = Buffer.from(message.payload);
        for (const [at, value] of edits) if (payload.length > 0) payload[at % payload.length] = value;
        try {
          dialects.get(options.file ?? '')?.decode({ ...message, payload });
        } catch (error) {
          expect(error).toBeInstanceOf(RejectedError);
        }
      },
    ),
    { numRuns: 2_000 },
  );
});

it('a mapping with faults that is only tried out is refused with all of them, not taken for a fault of ours', () => {
  const tried = mapping({ topic: 'x/{devic}e}', device: '{device}' });
  const errors = mappingFaults(tried).map((fault) => ({ ...fault, pointer: `/mapping${fault.pointer}` }));
  expect(errors).not.toEqual([]);
  expect(() => tryMapping(tried, 'x/a', Buffer.from('{"t":1}'), receivedAt, usualPayloadOptions)).toThrow(
    expect.objectContaining({ name: 'RejectedError', code: 'validation_failed', errors }),
  );
});
