import { RejectedError } from '../base/errors.ts';
import type { CommandReply, Json } from '../domain/command.ts';
import type { OutgoingMessage } from '../domain/outgoing-message.ts';
import type { Value } from '../domain/reading.ts';
import { shown } from '../domain/topic.ts';
import { decodeAttributeValues } from './attributes.ts';
import { toJson } from './command-reply.ts';
import { type Decoded, type DeviceMessage, type DialectMessage, deviceMessage, nothingDecoded } from './decoded.ts';
import { escapePointer, isObject, parseJson } from './native.ts';
import { decodeText } from './text.ts';
import { outgoing } from './thingsboard-command.ts';
import { thingsboardDeviceId } from './thingsboard-name.ts';
import { decodeThingsboardTelemetry } from './thingsboard-telemetry.ts';

/** What a gateway said, and what it calls the devices of which it spoke. */
export interface GatewayDecoded {
  readonly decoded: Decoded;
  /** By device id. */
  readonly names: ReadonlyMap<string, string>;
}

type Fields = Readonly<Record<string, unknown>>;

/**
 * A message on `v1/gateway/…`: `telemetry` and `attributes` of several devices by name, `connect` and `disconnect` of
 * one, `attributes/request`, and `rpc`, the answer to a command. Throws `RejectedError`.
 */
export function decodeThingsboardGateway(
  { topic, payload, sender }: DialectMessage,
  attributes: (device: string) => Readonly<Record<string, Value>>,
): GatewayDecoded {
  const fields = parseJson(decodeText(payload));
  if (!isObject(fields)) throw new RejectedError('payload_shape', 'messages of a gateway are objects');
  switch (topic) {
    case 'v1/gateway/telemetry':
      return ofDevices(fields, decodeThingsboardTelemetry);
    case 'v1/gateway/attributes':
      return ofDevices(fields, (device, facts, at) =>
        deviceMessage(device, { attributes: decodeAttributeValues(facts, at) }),
      );
    case 'v1/gateway/connect':
      return ofDevice(fields, (device) => ({ devices: [deviceMessage(device, { status: 'online' })] }));
    case 'v1/gateway/disconnect':
      return ofDevice(fields, (device) => ({ devices: [deviceMessage(device, { status: 'offline' })] }));
    case 'v1/gateway/rpc':
      return ofDevice(fields, (device) => ({ replies: [decodeReply(device, fields)] }));
    case 'v1/gateway/attributes/request':
      return ofDevice(fields, (device, name) => ({
        requests: [answerAttributes(fields, name, attributes(device), sender.device)],
      }));
    default:
      throw new RejectedError('topic_invalid', `"${shown(topic)}" is not taken here`);
  }
}

/** An object with a member for each device. */
function ofDevices(
  fields: Fields,
  read: (device: string, value: unknown, at: string) => DeviceMessage,
): GatewayDecoded {
  const names = new Map<string, string>();
  const devices = Object.keys(fields).map((name) => {
    const at = `/${escapePointer(name)}`;
    const device = thingsboardDeviceId(name, at);
    names.set(device, name);
    return read(device, fields[name], at);
  });
  if (devices.every(({ readings, attributes }) => readings.length === 0 && attributes === null)) {
    throw new RejectedError('payload_empty', 'the payload says nothing of any device');
  }
  return { decoded: { ...nothingDecoded, devices }, names };
}

/** An object that names one device in its member `device`. */
function ofDevice(fields: Fields, read: (device: string, name: string) => Partial<Decoded>): GatewayDecoded {
  const name = fields.device;
  if (typeof name !== 'string') {
    throw new RejectedError('payload_shape', '"device" is the name of a device', { pointer: '/device' });
  }
  const device = thingsboardDeviceId(name, '/device');
  return { decoded: { ...nothingDecoded, ...read(device, name) }, names: new Map([[device, name]]) };
}

/** `{"device":"A","id":7,"data":…}`; data with a member `error` is a failure, as the gateways of ThingsBoard tell it. */
function decodeReply(device: string, fields: Fields): CommandReply {
  const result = toJson(fields.data);
  return { device, id: String(requestNumber(fields)), status: failed(result) ? 'failed' : 'succeeded', result };
}

/** Whether an answer says that it is none: an object with a member `error`. */
export function failed(result: Json): boolean {
  return isObject(result) && Object.hasOwn(result, 'error');
}

/** `{"id":7,"device":"A","client":true,"key":"a"}` is answered with `value`, `"keys":["a","b"]` with `values`. */
function answerAttributes(
  fields: Fields,
  name: string,
  attributes: Readonly<Record<string, Value>>,
  gateway: string | null,
): OutgoingMessage {
  const { key, keys = [] } = fields;
  const known = fields.client === true ? attributes : {};
  const answer = { id: requestNumber(fields), device: name };
  if (typeof key === 'string') {
    const value = Object.hasOwn(known, key) ? known[key] : null;
    return outgoing('v1/gateway/attributes/response', { ...answer, value }, gateway);
  }
  if (!Array.isArray(keys)) throw new RejectedError('payload_shape', '"keys" is a list of names', { pointer: '/keys' });
  const values = Object.fromEntries(Object.entries(known).filter(([name]) => keys.includes(name)));
  return outgoing('v1/gateway/attributes/response', { ...answer, values }, gateway);
}

function requestNumber({ id }: Fields): number {
  if (typeof id === 'number' && Number.isSafeInteger(id) && id >= 0) return id;
  throw new RejectedError('payload_shape', '"id" is the number of the request', { pointer: '/id' });
}
