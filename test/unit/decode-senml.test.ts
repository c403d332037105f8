import { encode } from 'cborg';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RejectedError } from '../../src/base/errors.ts';
import type { Decoded } from '../../src/decode/decoded.ts';
import { decodeSenml } from '../../src/decode/senml.ts';
import { splitSenmlName } from '../../src/decode/senml-name.ts';
import { isMetricName } from '../../src/domain/series.ts';
import { isTakenOrRefused, mutatedPayloads } from '../support/fuzz-corpus.ts';

// Single packs are in test/decode-cases/senml and senml-cbor; here is what holds for all of them.

const receivedAt = Date.parse('2026-09-21T14:13:20Z');
const numbers = { bs: -6, bv: -5, bu: -4, bt: -3, bn: -2, n: 0, u: 1, v: 2, vs: 3, vb: 4, s: 5, t: 6 } as const;

const finite = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 });
const pack = fc.array(
  fc.tuple(
    fc.record(
      {
        bn: fc.constantFrom('probe/', 'urn:dev:ow:10e2073a01080063:', '2001:db8::2/'),
        bt: fc.integer({ min: 1_700_000_000, max: 1_800_000_000 }),
        bv: finite,
        bs: finite,
        bu: fc.constantFrom('Cel', '%RH'),
      },
      { requiredKeys: [] },
    ),
    fc.record({ n: fc.stringMatching(/^[a-z]{1,8}$/) }),
    fc.record({ t: finite, s: finite, u: fc.constant('V') }, { requiredKeys: [] }),
    fc.oneof(
      finite.map((v) => ({ v })),
      fc.string({ maxLength: 20 }).map((vs) => ({ vs })),
      fc.boolean().map((vb) => ({ vb })),
    ),
  ),
  { minLength: 1, maxLength: 20 },
);
interface SenmlFields {
  readonly [label: string]: string | number | boolean | undefined;
}
const packs = pack.map((records) => records.map((parts): SenmlFields => Object.assign({}, ...parts)));

function decoded(format: 'json' | 'cbor', payload: Uint8Array, device: string | null = 'probe'): Decoded {
  return decodeSenml(payload, { format, device, receivedAt });
}

function numbered(record: SenmlFields): Map<number, unknown> {
  const named = Object.entries(numbers).filter(([label]) => record[label] !== undefined);
  return new Map(named.map(([label, number]) => [number, record[label]]));
}

describe('SenML', () => {
  it('says the same in JSON and in CBOR', () => {
    fc.assert(
      fc.property(packs, (records) => {
        const json = decoded('json', Buffer.from(JSON.stringify(records)));
        const cbor = decoded('cbor', encode(records.map(numbered), { float64: true }));
        expect(cbor).toEqual(json);
      }),
    );
  });

  it('says the same of a pack and of the same pack resolved, record by record', () => {
    fc.assert(
      fc.property(packs, (records) => {
        const base = { name: '', time: 0, value: 0, sum: 0, hasSum: false };
        const resolved = records.map((record) => {
          base.name = String(record.bn ?? base.name);
          base.time = Number(record.bt ?? base.time);
          base.value = Number(record.bv ?? base.value);
          base.sum = Number(record.bs ?? base.sum);
          base.hasSum ||= record.bs !== undefined;
          return {
            n: base.name + String(record.n),
            t: base.time + Number(record.t ?? 0),
            ...(typeof record.v === 'number' ? { v: record.v + base.value } : { vs: record.vs, vb: record.vb }),
            ...((base.hasSum || record.s !== undefined) && { s: base.sum + Number(record.s ?? 0) }),
          };
        });
        expect(decoded('json', Buffer.from(JSON.stringify(resolved)))).toEqual(
          decoded('json', Buffer.from(JSON.stringify(records))),
        );
      }),
    );
  });

  it('gives every reading to the device that the topic names, under a valid name and with a place for its time', () => {
    fc.assert(
      fc.property(packs, (records) => {
        const [only, ...others] = decoded('json', Buffer.from(JSON.stringify(records)), 'thermo-1').devices;
        expect(others).toEqual([]);
        expect(only.device).toBe('thermo-1');
        expect(only.readings.every(({ metric }) => isMetricName(metric))).toBe(true);
        expect(only.timePointers).toHaveLength(only.readings.length);
      }),
    );
  });

  it('says at which byte CBOR breaks', () => {
    const cut = Buffer.from('82a2006770726f62652f610201', 'hex');
    expect(() => decoded('cbor', cut)).toThrow(/at byte 13/);
  });

  it.each(['json', 'cbor'] as const)('either refuses or decodes whatever bytes come as %s', (format) => {
    const folder = format === 'json' ? 'senml' : 'senml-cbor';
    fc.assert(
      fc.property(mutatedPayloads(folder), (payload) => isTakenOrRefused(() => decoded(format, payload, null))),
      { numRuns: 5_000 },
    );
  });

  it('refuses any depth without running out of stack', () => {
    for (const opening of [0x81, 0x9f, 0xa1, 0xbf, 0xc4]) {
      expect(() => decoded('cbor', Buffer.alloc(200_000, opening))).toThrow(RejectedError);
    }
    expect(() => decoded('json', Buffer.alloc(200_000, '['))).toThrow(RejectedError);
  });
});

describe('names', () => {
  it.each([
    ['probe', null, null, 'probe'],
    ['probe/temp', null, 'probe', 'temp'],
    ['hall/probe/temp', null, 'hall-probe', 'temp'],
    ['probe:temp', null, 'probe', 'temp'],
    ['probe/', null, 'probe', ''],
    ['2001:db8::2', null, '2001:db8::2', ''],
    ['2001:db8::2/temp', null, '2001:db8::2', 'temp'],
    ['urn:dev:ow:10e2073a01080063', null, 'urn:dev:ow:10e2073a01080063', ''],
    ['urn:dev:ow:10e2073a01080063:a/b', null, 'urn:dev:ow:10e2073a01080063', 'a.b'],
    ['probe/temp', 'probe', 'probe', 'temp'],
    ['probe', 'probe', 'probe', ''],
    ['probes/temp', 'probe', 'probe', 'probes.temp'],
    ['hall/temp/', 'probe', 'probe', 'hall.temp'],
    ['urn:dev:ow:10e2073a01080063:temp', 'probe', 'probe', 'temp'],
    ['urn:dev:ow:10e2073a01080063_s1', null, 'urn:dev:ow:10e2073a01080063', 's1'],
    ['probe:', null, 'probe', ''],
    ['probe_temp', 'probe', 'probe', 'temp'],
    ['probe/_temp:', null, 'probe', '_temp:'],
    ['probe/_temp:', 'probe', 'probe', '_temp:'],
    ['urn:dev:ow:10e2073a01080063/_temp', null, 'urn:dev:ow:10e2073a01080063', '_temp'],
    ['_temp', 'probe', 'probe', '_temp'],
    ['hall/probe/-temp', null, 'hall-probe', 'temp'],
  ])('%s on the topic of %s is device %s, metric %s', (name, topicDevice, device, metric) => {
    expect(splitSenmlName(name, topicDevice)).toEqual({ device, metric });
  });
});
