import type { PayloadDialect } from '../domain/profile.ts';
import { decodeBare } from './bare.ts';
import { type Decoded, deviceMessage, type DialectMessage } from './decoded.ts';
import { decodeInflux } from './influx.ts';
import { decodeTelemetry } from './native.ts';
import { decodeSenml } from './senml.ts';

/** The metric of a bare value on a topic that names none. */
const bareMetric = 'value';

/** A payload whose topic already says which device it is from. Throws `RejectedError`. */
export function decodePayload(dialect: PayloadDialect, device: string, message: DialectMessage): Decoded {
  switch (dialect) {
    case 'native':
      return ofDevice(device, decodeTelemetry(message.payload));
    case 'bare':
      return ofDevice(device, {
        readings: [{ metric: bareMetric, time: null, value: decodeBare(message.payload) }],
        timePointers: [''],
        valuePointers: [''],
        truncated: 0,
      });
    case 'senml':
      return decodeSenml(message.payload, { format: 'json', device, receivedAt: message.receivedAt });
    case 'senml-cbor':
      return decodeSenml(message.payload, { format: 'cbor', device, receivedAt: message.receivedAt });
    case 'influx':
      return decodeInflux(message.payload, { precision: 'ns', device, fallback: null });
  }
}

function ofDevice(device: string, parts: Parameters<typeof deviceMessage>[1]): Decoded {
  return { devices: [deviceMessage(device, parts)], replies: [], requests: [] };
}
