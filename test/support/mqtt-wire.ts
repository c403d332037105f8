import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

// MQTT 3.1.1 byte by byte, so that a test can say and see what no client library would.

/** A packet as it came: its type (section 2.2.1), flags and everything after the fixed header. */
export interface WirePacket {
  readonly type: number;
  readonly flags: number;
  readonly body: Buffer;
}

export const packetType = {
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  suback: 9,
  pingresp: 13,
};

function packet(first: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([fixedHeader(first, body.length), body]);
}

/** A fixed header alone, for a body that may never come. */
export function fixedHeader(first: number, length: number): Buffer {
  const bytes = [first];
  let rest = length;
  do {
    bytes.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>= 7;
  } while (rest > 0);
  return Buffer.from(bytes);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([uint16(bytes.length), bytes]);
}

function uint16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

export interface ConnectOptions {
  readonly clean?: boolean;
  /** 3 is MQTT 3.1, 4 is 3.1.1. */
  readonly level?: number;
  readonly will?: { topic: string; payload: string; qos: 0 | 1 | 2; retain?: boolean };
  readonly username?: string;
  readonly password?: string;
  /** Seconds; 0 is none. */
  readonly keepalive?: number;
}

export function connectPacket(clientId: string, options: ConnectOptions = {}): Buffer {
  const { clean = true, level = 4, will, username, password, keepalive = 0 } = options;
  const flags =
    (clean ? 0x02 : 0) |
    (will ? 0x04 | (will.qos << 3) | (will.retain ? 0x20 : 0) : 0) |
    (password === undefined ? 0 : 0x40) |
    (username === undefined ? 0 : 0x80);
  // MQTT 5 has properties, none here, after the keep-alive.
  const properties = level === 5 ? Buffer.from([0]) : Buffer.alloc(0);
  const willParts = will ? [text(will.topic), text(will.payload)] : [];
  const credentials = [username, password].filter((part) => part !== undefined).map(text);
  const name = level === 3 ? 'MQIsdp' : 'MQTT';
  const head = [text(name), Buffer.from([level, flags]), uint16(keepalive), properties];
  return packet(0x10, ...head, text(clientId), ...willParts, ...credentials);
}

export function publishPacket(
  topic: string,
  payload: string | Uint8Array,
  {
    qos = 0,
    id = 0,
    dup = false,
    retain = false,
  }: { qos?: 0 | 1 | 2; id?: number; dup?: boolean; retain?: boolean } = {},
): Buffer {
  const first = 0x30 | (dup ? 0x08 : 0) | (qos << 1) | (retain ? 0x01 : 0);
  return packet(first, text(topic), qos > 0 ? uint16(id) : Buffer.alloc(0), Buffer.from(payload));
}

export function subscribePacket(id: number, ...filters: readonly string[]): Buffer {
  return packet(0x82, uint16(id), ...filters.map((filter) => Buffer.concat([text(filter), Buffer.from([1])])));
}

export function pubackPacket(id: number): Buffer {
  return packet(0x40, uint16(id));
}

export function pubrelPacket(id: number): Buffer {
  return packet(0x62, uint16(id));
}

export const pingPacket = Buffer.from([0xc0, 0]);
export const disconnectPacket = Buffer.from([0xe0, 0]);

/** What a PUBLISH says; the id is 0 at QoS 0. */
export function publishOf({ flags, body }: WirePacket): {
  topic: string;
  payload: string;
  id: number;
  retain: boolean;
} {
  const end = 2 + body.readUInt16BE(0);
  const hasId = (flags & 0x06) !== 0;
  return {
    topic: body.subarray(2, end).toString(),
    payload: body.subarray(hasId ? end + 2 : end).toString(),
    id: hasId ? body.readUInt16BE(end) : 0,
    retain: (flags & 0x01) !== 0,
  };
}

/** The packet id of a PUBACK, PUBREC, PUBCOMP or SUBACK. */
export function idOf({ body }: WirePacket): number {
  return body.readUInt16BE(0);
}

/** One connection, speaking bytes. */
export class WireClient {
  readonly socket: Socket;
  /** Everything that came and has not been taken with `next`. */
  readonly packets: WirePacket[] = [];
  /** Resolves once the connection has ended, however. */
  readonly closed: Promise<void>;
  #pending = Buffer.alloc(0);
  #arrived: (() => void) | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    void this.closed.then(() => this.#arrived?.());
  }

  /** A TCP connection to a port of this machine; nothing is said yet. */
  static async dial(port: number): Promise<WireClient> {
    const socket = connect(port, '127.0.0.1');
    const client = new WireClient(socket);
    await once(socket, 'connect');
    return client;
  }

  /** Connects and waits for the CONNACK, whose return code must be 0. */
  static async open(port: number, ...options: Parameters<typeof connectPacket>): Promise<WireClient> {
    const client = await WireClient.dial(port);
    client.send(connectPacket(...options));
    const { type, body } = await client.next();
    if (type !== packetType.connack || body[1] !== 0) throw new Error(`the CONNACK says ${body[1]}`);
    return client;
  }

  send(...bytes: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(bytes));
  }

  /** The next packet in order. Rejects when the connection ends instead. */
  async next(): Promise<WirePacket> {
    for (;;) {
      const found = this.packets.shift();
      if (found) return found;
      if (this.socket.destroyed) throw new Error('the connection ended');
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    }
  }

  end(): void {
    this.socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    for (let found = this.#parse(); found; found = this.#parse()) this.packets.push(found);
    this.#arrived?.();
  }

  #parse(): WirePacket | undefined {
    const bytes = this.#pending;
    let length = 0;
    for (let at = 1; at < bytes.length; at++) {
      length |= (bytes[at] & 0x7f) << (7 * (at - 1));
      if (bytes[at] >= 0x80) continue;
      const end = at + 1 + length;
      if (bytes.length < end) return undefined;
      this.#pending = bytes.subarray(end);
      return { type: bytes[0] >> 4, flags: bytes[0] & 0x0f, body: bytes.subarray(at + 1, end) };
    }
    return undefined;
  }
}
