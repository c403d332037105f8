import { decodeAttributes, decodeStatus } from '../../src/decode/attributes.ts';
import { decodeBare } from '../../src/decode/bare.ts';
import { decodeCommandReply } from '../../src/decode/command-reply.ts';
import type { Dialect } from '../../src/decode/decoded.ts';
import { Dialects } from '../../src/decode/dialects.ts';
import { decodeFlat } from '../../src/decode/flat-json.ts';
import { Homie } from '../../src/decode/homie.ts';
import { decodeInflux, decodeInfluxBatch, type InfluxPrecision } from '../../src/decode/influx.ts';
import { decodeAny, decodeTelemetry, valuePointer } from '../../src/decode/native.ts';
import { decodeReadings } from '../../src/decode/readings-json.ts';
import { decodeSenml } from '../../src/decode/senml.ts';
import { Sparkplug } from '../../src/decode/sparkplug.ts';
import { Thingsboard } from '../../src/decode/thingsboard.ts';
import { isTopicName } from '../../src/domain/topic-filter.ts';
import { loadMappings, mappingFiles } from '../support/mapping-files.ts';
import { attributes, bare, casesOf, flat, posted, postedLines, replies, statuses, telemetry } from './seeds.ts';
import { expectReadings, expectSound, type FuzzTarget, payloadsOnly, rejecting } from './target.ts';

const receivedAt = 1_790_000_000_000;
const precisions: readonly InfluxPrecision[] = ['ns', 'us', 'ms', 's', 'm', 'h'];

/** What one value says, as a message that must be sound. */
const ofValue = (value: number | boolean | string): void =>
  expectReadings([{ metric: 'value', time: null, value }], ['']);

/** Everything that reads payloads. */
export const decoderTargets: readonly FuzzTarget[] = [
  target('native', telemetry, (payload) => {
    const { readings, timePointers } = decodeTelemetry(payload);
    expectReadings(readings, timePointers);
    if (!valuePointer(payload, readings.length - 1).startsWith('/')) throw new Error('a value stands nowhere');
  }),
  target('native, quick reader', flat, (payload) => {
    const quick = decodeFlat(payload);
    const general = decodeAny(payload);
    if (quick !== null && !isSame(quick, general)) throw new Error('the quick reader reads something else');
  }),
  target('bare', bare, (payload) => ofValue(decodeBare(payload))),
  target('attributes', attributes, (payload) => {
    for (const value of Object.values(decodeAttributes(payload))) ofValue(value);
  }),
  target('status', statuses, (payload) => {
    decodeStatus(payload);
  }),
  target('command reply', replies, (payload) => {
    expectSound({ devices: [], requests: [], replies: [decodeCommandReply('d1', 'cmd_1', payload)] });
  }),
  posts('POST /readings', 'json', posted),
  posts('POST /readings, NDJSON', 'ndjson', postedLines),
  senml('senml', 'json'),
  senml('senml-cbor', 'cbor'),
  {
    name: 'influx',
    seeds: payloadsOnly(casesOf('influx').map(({ payload }) => payload)),
    start:
      () =>
      ({ payload }, mutator) => {
        const named = mutator.once(2);
        const options = {
          precision: mutator.pick(precisions),
          device: named ? 'probe' : null,
          fallback: mutator.once(2) ? 'gateway' : null,
        };
        const code = rejecting(() => expectSound(decodeInflux(payload, options)));
        return (
          rejecting(() => {
            const { devices, refused, faults } = decodeInfluxBatch(payload, options);
            expectSound({ devices, replies: [], requests: [] });
            if (refused > 0 !== faults.length > 0) throw new Error('lines are refused without a fault');
            if (code === null && refused > 0) throw new Error('a line is refused only in a batch');
            if (code !== null && code !== 'payload_empty' && refused === 0) throw new Error(`${code} is lost`);
          }) ?? code
        );
      },
  },
  dialect('thingsboard', () => only(new Thingsboard({ attributes: () => ({ firmware: '1.4.2' }) }))),
  dialect('sparkplug', () => only(new Sparkplug({ host: 'pulsegate', nodesMax: 200, metricsMax: 2_000 }))),
  dialect('homie', () => only(new Homie({ devicesMax: 200, propertiesMax: 2_000 }))),
  dialect('mapping', () => new Dialects({ mappings: mappingFiles().flatMap(loadMappings), dialects: [] })),
];

function target(name: string, payloads: readonly Buffer[], take: (payload: Buffer) => void): FuzzTarget {
  return { name, seeds: payloadsOnly(payloads), start: () => (input) => rejecting(() => take(input.payload)) };
}

function posts(name: string, format: 'json' | 'ndjson', payloads: readonly Buffer[]): FuzzTarget {
  return target(name, payloads, (payload) => {
    const { readings, pointers, faults } = decodeReadings(payload, format);
    expectReadings(readings, pointers);
    if (readings.length === 0 && faults.length === 0) throw new Error('nothing was said of the body');
  });
}

function senml(folder: string, format: 'json' | 'cbor'): FuzzTarget {
  return {
    name: folder,
    seeds: payloadsOnly(casesOf(folder).map(({ payload }) => payload)),
    start:
      () =>
      ({ payload }, mutator) => {
        const device = mutator.once(2) ? 'probe' : null;
        return rejecting(() => expectSound(decodeSenml(payload, { format, device, receivedAt })));
      },
  };
}

/** One that is shown a message after the other and remembers what it wants. */
function dialect(folder: string, make: () => Dialects): FuzzTarget {
  return {
    name: folder,
    seeds: casesOf(folder),
    start: () => {
      const decoder = make();
      let at = receivedAt;
      return ({ topic, payload }, mutator) => {
        if (!isTopicName(topic)) return 'no topic';
        if (!decoder.claims(topic)) return 'topic not claimed';
        at += mutator.below(2_000);
        const message = {
          topic,
          payload,
          receivedAt: at,
          sender: { device: mutator.once(8) ? null : 'probe', forOthers: mutator.once(2) },
          again: mutator.once(8),
        };
        if (mutator.once(16)) decoder.prime([{ topic, payload }]);
        return rejecting(() => expectSound(decoder.decode(message)));
      };
    },
  };
}

function only(one: Dialect): Dialects {
  return new Dialects({ mappings: [], dialects: [one] });
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
