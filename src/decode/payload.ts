import type { PayloadDialect } from '../domain/profile.ts';
import { decodeBare } from './bare.ts';
import { type Decoded, deviceMessage, type DialectMessage } from './decoded.ts';
import { decodeInflux, type InfluxTags, usualInfluxTags } from './influx.ts';
import { decodeTelemetry } from './native.ts';
import { decodeSenml } from './senml.ts';

/** The metric of a bare value on a topic that names none. */
const bareMetric = 'value';

type PayloadDecoder = (
  device: string,
  message: Pick<DialectMessage, 'payload' | 'receivedAt'>,
  options: PayloadOptions,
) => Decoded;

/** What people decided of payloads, whatever their device. */
export interface PayloadOptions {
  readonly influxTags: InfluxTags;
}

export const usualPayloadOptions: PayloadOptions = { influxTags: usualInfluxTags };

const decoders: Readonly<Record<PayloadDialect, PayloadDecoder>> = {
  native: (device, { payload }) => ofDevice(device, decodeTelemetry(payload)),
  bare: (device, { payload }) =>
    ofDevice(device, {
      readings: [{ metric: bareMetric, time: null, value: decodeBare(payload) }],
      timePointers: [''],
      valuePointers: [''],
    }),
  senml: (device, { payload, receivedAt }) => decodeSenml(payload, { format: 'json', device, receivedAt }),
  'senml-cbor': (device, { payload, receivedAt }) => decodeSenml(payload, { format: 'cbor', device, receivedAt }),
  influx: (device, { payload }, { influxTags }) =>
    decodeInflux(payload, { precision: 'ns', device, fallback: null, tags: influxTags }),
};

/** A payload whose topic already says which device it is from. Throws `RejectedError`. */
export function decodePayload(
  dialect: PayloadDialect,
  device: string,
  message: DialectMessage,
  options: PayloadOptions = usualPayloadOptions,
): Decoded {
  return decoders[dialect](device, message, options);
}

function ofDevice(device: string, parts: Parameters<typeof deviceMessage>[1]): Decoded {
  return { devices: [deviceMessage(device, parts)], replies: [], requests: [] };
}
