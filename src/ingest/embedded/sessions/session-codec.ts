/**
 * The bytes of a session's rows. Each begins with a version byte; numbers are big-endian as on the MQTT wire, a text is
 * its length in bytes (uint16) and UTF-8.
 *
 * ```
 *   session       1 · float64 epoch ms since when its client is away, 0 while connected · text owner
 *   subscription  1 · qos                                                             (key: the filter)
 *   queued        1 · flags · uint16 packet id · text topic · payload                 (key: its number, base 36)
 *                 flags: bits 0–1 qos · bit 2 has a packet id · bit 3 only its PUBREL is left
 *   incoming      1                                                                   (key: the packet id)
 *   retained      1 · qos · payload                                                   (key: the topic)
 *   will          1 · qos | retain << 2 · text owner · text topic · payload
 * ```
 */
const version = 1;

/** Bytes that this version did not write. The row is passed over, and said so, rather than the start refused. */
export class SessionRowError extends Error {
  override readonly name = 'SessionRowError';
}

type Qos = 0 | 1 | 2;

export interface SessionFacts {
  /** Epoch ms since when the client is away; 0 while it is connected. */
  readonly absentSince: number;
  /** Whose session it is, in the words of whoever let the client in; "" when nobody said. */
  readonly owner: string;
}

export interface QueuedFacts {
  readonly qos: Qos;
  /** 1 … 65,535, or 0 before it was first sent. */
  readonly packetId: number;
  /** Whether its PUBREC came: what is owed is the PUBREL alone. */
  readonly released: boolean;
  readonly topic: string;
  readonly payload: Uint8Array;
}

export interface RetainedFacts {
  readonly qos: Qos;
  readonly payload: Uint8Array;
}

export interface WillFacts extends RetainedFacts {
  readonly retain: boolean;
  readonly owner: string;
  readonly topic: string;
}

export function encodeSession({ absentSince, owner }: SessionFacts): Uint8Array {
  const head = Buffer.alloc(9);
  head[0] = version;
  head.writeDoubleBE(absentSince, 1);
  return Buffer.concat([head, text(owner)]);
}

export function decodeSession(bytes: Uint8Array): SessionFacts {
  const reader = new RowReader(bytes);
  return { absentSince: reader.float(), owner: reader.text() };
}

export function encodeSubscription(qos: number): Uint8Array {
  return Uint8Array.of(version, qos);
}

export function decodeSubscription(bytes: Uint8Array): Qos {
  return qosOf(new RowReader(bytes).byte());
}

export function encodeQueued({ qos, packetId, released, topic, payload }: QueuedFacts): Uint8Array {
  const head = Buffer.alloc(4);
  head[0] = version;
  head[1] = qos | (packetId > 0 ? 4 : 0) | (released ? 8 : 0);
  head.writeUInt16BE(packetId, 2);
  return Buffer.concat([head, text(topic), payload]);
}

export function decodeQueued(bytes: Uint8Array): QueuedFacts {
  const reader = new RowReader(bytes);
  const flags = reader.byte();
  const packetId = reader.uint16();
  if ((flags & 4) > 0 !== packetId > 0) throw new SessionRowError('a queued message contradicts itself');
  const released = (flags & 8) > 0;
  return { qos: qosOf(flags & 3), packetId, released, topic: reader.text(), payload: reader.rest() };
}

export function encodeIncoming(): Uint8Array {
  return Uint8Array.of(version);
}

export function encodeRetained({ qos, payload }: RetainedFacts): Uint8Array {
  return Buffer.concat([Uint8Array.of(version, qos), payload]);
}

export function decodeRetained(bytes: Uint8Array): RetainedFacts {
  const reader = new RowReader(bytes);
  return { qos: qosOf(reader.byte()), payload: reader.rest() };
}

export function encodeWill({ qos, retain, owner, topic, payload }: WillFacts): Uint8Array {
  return Buffer.concat([Uint8Array.of(version, qos | (retain ? 4 : 0)), text(owner), text(topic), payload]);
}

export function decodeWill(bytes: Uint8Array): WillFacts {
  const reader = new RowReader(bytes);
  const flags = reader.byte();
  return {
    qos: qosOf(flags & 3),
    retain: (flags & 4) > 0,
    owner: reader.text(),
    topic: reader.text(),
    payload: reader.rest(),
  };
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

function qosOf(value: number): Qos {
  if (value === 0 || value === 1 || value === 2) return value;
  throw new SessionRowError(`there is no QoS ${value}`);
}

/** Reads forward; everything it says no to is a `SessionRowError`. */
class RowReader {
  readonly #bytes: Buffer;
  #at = 1;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    if (this.#bytes[0] !== version) throw new SessionRowError(`a session row of version ${this.#bytes[0]}`);
  }

  byte(): number {
    return this.#take(1)[0];
  }

  uint16(): number {
    return this.#take(2).readUInt16BE(0);
  }

  float(): number {
    return this.#take(8).readDoubleBE(0);
  }

  text(): string {
    return this.#take(this.uint16()).toString();
  }

  /** A copy, so that the row's own buffer can go. */
  rest(): Buffer {
    return Buffer.from(this.#take(this.#bytes.length - this.#at));
  }

  #take(count: number): Buffer {
    const end = this.#at + count;
    if (end > this.#bytes.length) throw new SessionRowError('a session row ends too soon');
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
}
