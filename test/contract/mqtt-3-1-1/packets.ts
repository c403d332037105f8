import { fixedHeader, type WirePacket } from '../../support/mqtt-wire.ts';

// Bytes of MQTT 3.1.1, right and wrong ones.

export function text(value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([uint16(bytes.length), bytes]);
}

export function uint16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

/** A packet with any first byte. */
export function raw(first: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([fixedHeader(first, body.length), body]);
}

/** A CONNECT with any flags (section 3.1.2.3) and any fields behind. */
export function rawConnect(
  flags: number,
  fields: readonly Uint8Array[],
  { name = 'MQTT', level = 4, keepalive = 0 } = {},
): Buffer {
  return raw(0x10, text(name), Buffer.from([level, flags]), uint16(keepalive), ...fields);
}

/** A SUBSCRIBE with a QoS for each filter. */
export function subscribe(
  id: number,
  ...wanted: readonly (readonly [filter: string | Uint8Array, qos: number])[]
): Buffer {
  return raw(0x82, uint16(id), ...wanted.map(([filter, qos]) => Buffer.concat([text(filter), Buffer.from([qos])])));
}

export function unsubscribe(id: number, ...filters: readonly (string | Uint8Array)[]): Buffer {
  return raw(0xa2, uint16(id), ...filters.map(text));
}

export function ack(type: 4 | 5 | 6 | 7, id: number): Buffer {
  return raw((type << 4) | (type === 6 ? 2 : 0), uint16(id));
}

export interface Published {
  readonly topic: string;
  readonly payload: string;
  readonly qos: number;
  readonly retain: boolean;
  readonly dup: boolean;
  /** 0 with QoS 0. */
  readonly id: number;
}

/** What a PUBLISH says. */
export function readPublish({ type, flags, body }: WirePacket): Published {
  if (type !== 3) throw new Error(`a packet of type ${type} is no PUBLISH`);
  const qos = (flags >> 1) & 3;
  const end = 2 + body.readUInt16BE(0);
  return {
    topic: body.subarray(2, end).toString(),
    payload: body.subarray(qos > 0 ? end + 2 : end).toString(),
    qos,
    retain: (flags & 1) === 1,
    dup: (flags & 8) === 8,
    id: qos > 0 ? body.readUInt16BE(end) : 0,
  };
}
