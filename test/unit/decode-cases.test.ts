import { describe, expect, it } from 'vitest';
import type { Decoded, Dialect, DialectMessage } from '../../src/decode/decoded.ts';
import { Homie } from '../../src/decode/homie.ts';
import { type InfluxPrecision, decodeInflux } from '../../src/decode/influx.ts';
import { decodeSenml } from '../../src/decode/senml.ts';
import { Sparkplug } from '../../src/decode/sparkplug.ts';
import { Thingsboard } from '../../src/decode/thingsboard.ts';
import { decodeMapped } from '../support/mapping-files.ts';
import { type CaseDecoder, type CaseOptions, caseFolders, caseOutcome, loadCases } from '../support/decode-cases.ts';

// Bytes in, readings out: every folder below test/decode-cases is decoded by the dialect that is named here. The
// decoder is made anew for each case, so that what a dialect remembers does not reach the next one.

const dialects: Readonly<Record<string, () => CaseDecoder>> = {
  influx: () => influx,
  senml: () => senml('json'),
  'senml-cbor': () => senml('cbor'),
  thingsboard: () => {
    const dialect = new Thingsboard({ attributes: () => ({ firmware: '1.4.2', model: 'TH-2' }) });
    return (message) => dialect.decode(message);
  },
  mapping: () => decodeMapped,
  homie: () => remembering(new Homie()),
  sparkplug: () => remembering(new Sparkplug({ host: 'pulsegate' })),
};

const precisions: readonly InfluxPrecision[] = ['ns', 'us', 'ms', 's', 'm', 'h'];

function influx({ payload }: DialectMessage, options: CaseOptions): Decoded {
  const precision = precisions.find((known) => known === options.precision) ?? 'ns';
  return decodeInflux(payload, { precision, device: options.device ?? null, fallback: options.fallback ?? null });
}

function remembering(dialect: Dialect): CaseDecoder {
  return (message) => dialect.decode(message);
}

function senml(format: 'json' | 'cbor'): CaseDecoder {
  return ({ payload, receivedAt }, { device = null }) => decodeSenml(payload, { format, device, receivedAt });
}

it('every folder of cases belongs to a dialect, and every dialect has cases', () => {
  expect(caseFolders()).toEqual(Object.keys(dialects).sort());
});

describe.each(Object.entries(dialects))('%s', (folder, make) => {
  const cases = loadCases(folder);

  it.each([...cases.values()].map((found) => [found.name, found] as const))('decodes %s', (_name, found) => {
    const decode = make();
    for (const name of found.before) {
      const earlier = cases.get(name);
      if (!earlier) throw new Error(`there is no case ${name}`);
      decode(earlier.message, earlier.options);
    }
    expect(caseOutcome(() => decode(found.message, found.options))).toEqual(found.expected);
  });
});
