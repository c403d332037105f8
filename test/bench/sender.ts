import { connect, type Socket } from 'node:net';

const connack = 0x20;
const puback = 0x40;

/**
 * The least that can publish at QoS 1 over MQTT 3.1.1: packets are written as they are handed over, and PUBACKs are
 * read four bytes at a time. Ids must come back in the order in which they went out (section 4.6).
 */
export class Sender {
  readonly #socket: Socket;
  #rest: Buffer = Buffer.alloc(0);
  #acknowledged = 0;
  #onAcks: (count: number) => void = () => {};
  #fail: (error: Error) => void;
  /** Rejects when the connection ends before `close`; never resolves. */
  readonly broken: Promise<never>;

  private constructor(socket: Socket, fail: (error: Error) => void, broken: Promise<never>) {
    this.#socket = socket;
    this.#fail = fail;
    this.broken = broken;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', fail);
    socket.on('close', () => fail(new Error('the server closed the connection')));
  }

  /** Connects with a clean session and no keep-alive; resolves with the CONNACK. With a token the client id is the user name. */
  static async connect(port: number, clientId: string, token?: string): Promise<Sender> {
    const { promise: broken, reject: fail } = Promise.withResolvers<never>();
    broken.catch(() => null);
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const answer = new Promise<void>((resolve, reject) => {
      socket.once('data', (chunk: Buffer) => {
        if (chunk.length === 4 && chunk[0] === connack && chunk[3] === 0) resolve();
        else reject(new Error(`not let in: ${chunk.toString('hex')}`));
      });
    });
    socket.once('error', fail);
    socket.write(connectPacket(clientId, token));
    await Promise.race([answer, broken]);
    return new Sender(socket, fail, broken);
  }

  /** Called with the number of PUBACKs that came in one go. */
  onAcks(listener: (count: number) => void): void {
    this.#onAcks = listener;
  }

  /** Whole PUBLISH packets; the n-th of this connection has the id that `packetId(n)` says. */
  send(packets: Buffer): void {
    this.#socket.write(packets);
  }

  close(): void {
    this.#fail = () => {};
    this.#socket.removeAllListeners('close').end(Buffer.from([0xe0, 0x00]));
  }

  #take(chunk: Buffer): void {
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    const count = bytes.length >> 2;
    for (let at = 0; at < count << 2; at += 4) {
      const expected = packetId(this.#acknowledged++);
      if (bytes[at] === puback && bytes.readUInt16BE(at + 2) === expected) continue;
      this.#fail(
        new Error(`${bytes.toString('hex', at, at + 4)} came where packet ${expected} was to be acknowledged`),
      );
      this.#socket.destroy();
      return;
    }
    this.#rest = bytes.subarray(count << 2);
    if (count > 0) this.#onAcks(count);
  }
}

/** The id of the n-th PUBLISH of a connection, counted from 0. */
export function packetId(index: number): number {
  return (index % 65_535) + 1;
}

/** A QoS 1 PUBLISH, or one of QoS 0 when there is no `id`. `topic` and `payload` are ASCII. */
export function publishPacket(topic: string, id: number | null, payload: string): Buffer {
  const length = 2 + topic.length + (id === null ? 0 : 2) + payload.length;
  const packet = Buffer.allocUnsafe(1 + lengthBytes(length) + length);
  let at = packet.writeUInt8(id === null ? 0x30 : 0x32, 0);
  for (let left = length; at === 1 || left > 0; left >>= 7)
    at = packet.writeUInt8((left & 0x7f) | (left > 0x7f ? 0x80 : 0), at);
  at = packet.writeUInt16BE(topic.length, at);
  at += packet.write(topic, at, 'latin1');
  if (id !== null) at = packet.writeUInt16BE(id, at);
  packet.write(payload, at, 'latin1');
  return packet;
}

/** MQTT 3.1.1 section 3.1; all texts are ASCII. */
function connectPacket(clientId: string, token?: string): Buffer {
  const texts = token === undefined ? [clientId] : [clientId, clientId, token];
  const flags = token === undefined ? 0x02 : 0xc2;
  const body = [0, 4, ...Buffer.from('MQTT'), 4, flags, 0, 0, ...texts.flatMap(textBytes)];
  return Buffer.from([
    0x10,
    ...(body.length < 128 ? [body.length] : [(body.length & 0x7f) | 0x80, body.length >> 7]),
    ...body,
  ]);
}

function textBytes(text: string): readonly number[] {
  return [text.length >> 8, text.length & 0xff, ...Buffer.from(text)];
}

function lengthBytes(length: number): number {
  return length < 128 ? 1 : length < 16_384 ? 2 : 3;
}
