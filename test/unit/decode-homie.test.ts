import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { RejectedError } from '../../src/base/errors.ts';
import { Dialects } from '../../src/decode/dialects.ts';
import { Homie } from '../../src/decode/homie.ts';
import { homieDatatypes, type HomieProperty } from '../../src/decode/homie-description.ts';
import { homiePayload, homieValue } from '../../src/decode/homie-value.ts';
import type { Command, Json } from '../../src/domain/command.ts';
import { anySender } from '../../src/domain/principal.ts';
import { isDeviceId, isMetricName } from '../../src/domain/series.ts';
import { unitFault } from '../../src/domain/unit.ts';
import { loadCases } from '../support/decode-cases.ts';

const receivedAt = Date.parse('2026-09-21T14:13:20Z');
const cases = loadCases('homie');

let homie: Homie;

beforeEach(() => {
  homie = new Homie();
});

function description(properties: object): Buffer {
  return Buffer.from(JSON.stringify({ homie: '5.0', nodes: { n: { properties } } }));
}

function send(topic: string, payload: string | Uint8Array, again = false): readonly string[] {
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
  const { devices } = homie.decode({ topic: `homie/5/${topic}`, payload: bytes, sender: anySender, receivedAt, again });
  return devices.flatMap(({ device, readings }) =>
    readings.map(({ metric, value }) => `${device}/${metric} ${JSON.stringify(value)}`),
  );
}

/** The description that the cases share. */
function describeRoom(): void {
  const found = cases.get('description');
  if (!found) throw new Error('the case of the description is gone');
  homie.decode(found.message);
}

function command(name: string, params: Json, device = 'living-room'): Command {
  const base = { id: '1', device, name, params, state: 'queued', result: null } as const;
  return { ...base, createdAt: 0, expiresAt: 0, sentAt: null, settledAt: null };
}

describe('a description', () => {
  it('that was retained over a restart is known before the first message, and makes no reading', () => {
    const dialects = new Dialects({ mappings: [], dialects: [homie] });
    dialects.prime([
      { topic: 'homie/5/d/$description', payload: description({ p: { datatype: 'string' } }) },
      { topic: 'homie/5/d/n/p', payload: Buffer.from('1') },
      { topic: 'homie/5/e/$description', payload: Buffer.from('broken') },
      { topic: 'homie/5/-/$description', payload: description({}) },
    ]);
    expect(send('d/n/p', '12')).toEqual(['d/n.p "12"']);
    expect(send('e/n/p', '12')).toEqual(['e/n.p 12']);
  });

  it('replaces the one before it', () => {
    send('d/$description', description({ p: { datatype: 'string' } }));
    send('d/$description', description({ p: { datatype: 'integer' } }));
    expect(send('d/n/p', '12')).toEqual(['d/n.p 12']);
  });

  it('that is refused, or tried again, leaves the one before it', () => {
    send('d/$description', description({ p: { datatype: 'string' } }));
    expect(() => send('d/$description', '{"homie":"4.0"}')).toThrow(RejectedError);
    send('d/$description', description({ p: { datatype: 'integer' } }), true);
    expect(send('d/n/p', '12')).toEqual(['d/n.p "12"']);
  });

  it('is forgotten when there are too many, the oldest first', () => {
    homie = new Homie({ devicesMax: 2 });
    for (const device of ['a', 'b', 'c']) send(`${device}/$description`, description({ p: { datatype: 'string' } }));
    expect(['a', 'b', 'c'].flatMap((device) => send(`${device}/n/p`, '1'))).toEqual([
      'a/n.p 1',
      'b/n.p "1"',
      'c/n.p "1"',
    ]);
    homie = new Homie({ propertiesMax: 3 });
    for (const device of ['a', 'b', 'c']) send(`${device}/$description`, description({ p: {}, q: {} }));
    expect(['a', 'b', 'c'].flatMap((device) => send(`${device}/n/p`, '1'))).toEqual([
      'a/n.p 1',
      'b/n.p 1',
      'c/n.p "1"',
    ]);
  });

  it('is forgotten to make room for long texts, too', () => {
    homie = new Homie({ propertiesMax: 10 });
    send('a/$description', description({ p: { datatype: 'string' } }));
    send('b/$description', description({ p: { datatype: 'enum', format: 'x,'.repeat(1_280) } }));
    expect(send('a/n/p', '1')).toEqual(['a/n.p 1']);
  });

  it('gives units as UCUM codes, and none that is not one', () => {
    const named = [
      '°C',
      '°F',
      '°',
      'L',
      'gal',
      'V',
      'W',
      'kW',
      'kWh',
      'A',
      'Hz',
      'rpm',
      '%',
      'm',
      'm³',
      'ft',
      'm/s',
      'kn',
      'Pa',
      'psi',
      'ppm',
      's',
      'min',
      'h',
      'lx',
      'K',
      'mired',
      '#',
    ];
    const properties = Object.fromEntries([...named, 'furlong'].map((unit, index) => [`p${index}`, { unit }]));
    send('d/$description', description(properties));
    const units = named.map((_, index) => homie.unitOf('d', `n.p${index}`) ?? '');
    expect(units.filter((unit) => unitFault(unit) !== null)).toEqual([]);
    expect([units[0], homie.unitOf('d', `n.p${named.length}`), homie.unitOf('e', 'n.p0')]).toEqual(['Cel', null, null]);
  });
});

describe('a command', () => {
  it.each([
    ['climate.setpoint', 21.5, 'climate/setpoint', '21.5'],
    ['climate/setpoint', 5, 'climate/setpoint', '5'],
    ['climate.mode', 'off', 'climate/mode', 'off'],
    ['climate.label', 'cosy', 'climate/label', 'cosy'],
    ['climate.label', '', 'climate/label', '\0'],
  ])('%s %j is published on …/%s/set', (name, params, path, payload) => {
    describeRoom();
    expect(homie.encode(command(name, params))).toEqual({
      topic: `homie/5/living-room/${path}/set`,
      payload: Buffer.from(payload),
      qos: 1,
      retain: false,
      device: null,
    });
  });

  it.each([
    ['climate.temperature', 1],
    ['climate.nothing', 1],
    ['climate.setpoint', '21'],
    ['climate.setpoint', null],
    ['climate.mode', 'cool'],
    ['climate.label', 5],
  ])('%s %j makes no sense to the device', (name, params) => {
    describeRoom();
    expect(() => homie.encode(command(name, params))).toThrow(RejectedError);
  });

  it('to a device without a description is not for this dialect', () => {
    expect(homie.encode(command('climate.setpoint', 1))).toBeNull();
  });
});

it('what a command writes is what the property then says', () => {
  const property: HomieProperty = { node: 'n', id: 'p', datatype: 'string', format: '', settable: true, unit: null };
  const value = fc.oneof(
    fc.maxSafeInteger(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.constantFrom(...homieDatatypes), value, (datatype, wanted) => {
      const typed = { ...property, datatype };
      let payload: Buffer;
      try {
        payload = homiePayload(typed, wanted);
      } catch (error) {
        expect(error).toBeInstanceOf(RejectedError);
        return;
      }
      if (datatype === 'duration') return;
      const said = homieValue(typed, payload);
      if (datatype === 'json') expect(said).toBe(JSON.stringify(wanted));
      else expect(said).toEqual(wanted === 0 ? 0 : wanted);
    }),
  );
});

it('only refusals come of mutated payloads and topics, and names that hold', () => {
  const seeds = [...cases.values()];
  const edits = fc.array(fc.tuple(fc.nat(900), fc.nat(255)), { maxLength: 4 });
  const tail = fc.constantFrom('', '/x', '/$target', '/ ', '/$x/y');
  fc.assert(
    fc.property(fc.constantFrom(...seeds), edits, tail, ({ message }, changes, end) => {
      const payload = Buffer.from(message.payload);
      for (const [at, byte] of changes) if (payload.length > 0) payload[at % payload.length] = byte;
      try {
        const { devices } = homie.decode({ ...message, topic: `${message.topic}${end}`, payload });
        for (const { device, readings } of devices) {
          expect(isDeviceId(device) && readings.every(({ metric }) => isMetricName(metric))).toBe(true);
        }
      } catch (error) {
        expect(error).toBeInstanceOf(RejectedError);
      }
    }),
    { numRuns: 3_000 },
  );
});
