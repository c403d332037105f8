/** A whole MQTT packet as it stands in the stream. */
export interface InboundPacket {
  /** Control packet type, 1 … 15 (MQTT 3.1.1 section 2.2.1). */
  readonly type: number;
  /** The low four bits of the first byte. */
  readonly flags: number;
  /** The packet from its first byte on; a view that is good until it is kept no longer. */
  readonly bytes: Buffer;
  /** Where the variable header begins in `bytes`. */
  readonly body: number;
}

/** The broker on the other side does not keep to the protocol, or sends more than is allowed. */
export class InboundPacketError extends Error {
  override readonly name = 'InboundPacketError';
}

/** Cuts a byte stream into packets (MQTT 3.1.1 section 2.2), whatever pieces it comes in. */
export class InboundPackets {
  readonly #packetBytesMax: number;
  #rest: Buffer | null = null;

  constructor(packetBytesMax: number) {
    this.#packetBytesMax = packetBytesMax;
  }

  /** The packets that `chunk` completes, in order. Throws `InboundPacketError`; nothing more can be read after it. */
  *take(chunk: Buffer): Generator<InboundPacket> {
    const bytes = this.#rest === null ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = null;
    let at = 0;
    while (at < bytes.length) {
      const header = this.#header(bytes, at);
      if (header === null || header.end > bytes.length) {
        // Copied, so that a short rest does not keep a long chunk alive.
        this.#rest = Buffer.from(bytes.subarray(at));
        return;
      }
      yield {
        type: bytes[at] >> 4,
        flags: bytes[at] & 0x0f,
        bytes: bytes.subarray(at, header.end),
        body: header.body - at,
      };
      at = header.end;
    }
  }

  /** Where the packet at `at` has its body and its end; null while that cannot be known. */
  #header(bytes: Buffer, at: number): { readonly body: number; readonly end: number } | null {
    let length = 0;
    for (let place = 0; place < 4; place++) {
      const index = at + 1 + place;
      if (index >= bytes.length) return null;
      length += (bytes[index] & 0x7f) * 128 ** place;
      if (bytes[index] >= 0x80) continue;
      if (length > this.#packetBytesMax) {
        throw new InboundPacketError(
          `the broker sent a packet of ${length} bytes; mqtt.packetBytesMax is ${this.#packetBytesMax}`,
        );
      }
      return { body: index + 1, end: index + 1 + length };
    }
    throw new InboundPacketError('the broker sent a packet whose length has no end');
  }
}

/** What a PUBLISH carries (MQTT 3.1.1 section 3.3, MQTT 5 section 3.3). */
export interface InboundPublish {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
  readonly dup: boolean;
  readonly retain: boolean;
  /** 0 for QoS 0, which has none. */
  readonly packetId: number;
}

/** Reads a PUBLISH. `protocol` 5 has properties before its payload, which are skipped. Throws `InboundPacketError`. */
export function readPublish({ flags, bytes, body }: InboundPacket, protocol: 4 | 5): InboundPublish {
  const qos = (flags >> 1) & 3;
  if (qos === 3) throw new InboundPacketError('the broker sent a PUBLISH of QoS 3');
  if (body + 2 > bytes.length) throw truncated();
  const topicEnd = body + 2 + bytes.readUInt16BE(body);
  let at = topicEnd;
  let packetId = 0;
  if (qos > 0) {
    if (at + 2 > bytes.length) throw truncated();
    packetId = bytes.readUInt16BE(at);
    at += 2;
  }
  if (protocol === 5) at = afterProperties(bytes, at);
  if (at > bytes.length) throw truncated();
  return {
    topic: bytes.toString('utf8', body + 2, topicEnd),
    payload: bytes.subarray(at),
    qos: qos === 0 ? 0 : qos === 1 ? 1 : 2,
    dup: (flags & 8) !== 0,
    retain: (flags & 1) !== 0,
    packetId,
  };
}

/** The packet id of an acknowledgement. Throws `InboundPacketError`. */
export function readPacketId({ bytes, body }: InboundPacket): number {
  if (body + 2 > bytes.length) throw truncated();
  return bytes.readUInt16BE(body);
}

/** PUBACK, PUBREC and PUBCOMP in their short form, which both protocol versions share. */
export function acknowledgement(type: 'puback' | 'pubrec' | 'pubcomp', packetId: number): Buffer {
  const first = type === 'puback' ? 0x40 : type === 'pubrec' ? 0x50 : 0x70;
  return Buffer.from([first, 2, packetId >> 8, packetId & 0xff]);
}

function afterProperties(bytes: Buffer, at: number): number {
  let length = 0;
  for (let place = 0; place < 4; place++) {
    const index = at + place;
    if (index >= bytes.length) throw truncated();
    length += (bytes[index] & 0x7f) * 128 ** place;
    if (bytes[index] < 0x80) return index + 1 + length;
  }
  throw new InboundPacketError('the broker sent properties whose length has no end');
}

function truncated(): InboundPacketError {
  return new InboundPacketError('the broker sent a packet that ends too early');
}
