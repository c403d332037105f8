import type { PayloadDialect } from '../domain/profile.ts';
import { decodeBare } from './bare.ts';
import { type Decoded, deviceMessage, type DialectMessage } from './decoded.ts';
import { decodeInflux } from './influx.ts';
import { decodeTelemetry } from './native.ts';
import { decodeSenml } from './senml.ts';

/** The metric of a bare value on a topic that names none. */
const bareMetric = 'value';

type PayloadDecoder = (device: string, message: Pick<DialectMessage, 'payload' | 'receivedAt'>) => Decoded;

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
  influx: (device, { payload }) => decodeInflux(payload, { precision: 'ns', device, fallback: null }),
};

/** A payload whose topic already says which device it is from. Throws `RejectedError`. */
export function decodePayload(dialect: PayloadDialect, device: string, message: DialectMessage): Decoded {
  return decoders[dialect](device, message);
}

function ofDevice(device: string, parts: Parameters<typeof deviceMessage>[1]): Decoded {
  return { devices: [deviceMessage(device, parts)], replies: [], requests: [] };
}
