import type { ByteStream } from './guarded-connection.ts';
import { faultOf } from './sessions/strict-packet.ts';

/** What came of waiting for a CONNECT. */
export interface FirstPacketParts {
  /** Largest CONNECT, without its fixed header. */
  readonly connectBytesMax: number;
  /** The CONNECT is whole; the stream is paused, and will give its bytes again to whoever reads it next. */
  readonly ready: () => void;
  /** It asks for another version of MQTT; it has been answered, and its connection is over. */
  readonly wrongLevel: (level: number) => void;
}

const connect = 0x10;
/** CONNACK, unacceptable protocol version (MQTT 3.1.1 section 3.2). */
const unacceptableLevelPacket = Buffer.from([0x20, 2, 0, 1]);
/** With this bit Mosquitto says that it is a bridge. */
const bridgeBit = 0x80;

/**
 * Waits for a whole CONNECT before anything is built for a connection, so that whoever says nothing, or never ends what
 * it begins, costs a socket and at most `connectBytesMax`. Whatever is no CONNECT ends the connection ([MQTT-3.1.0-1]).
 */
export function awaitConnect(stream: ByteStream, parts: FirstPacketParts): void {
  let kept: Buffer = Buffer.alloc(0);
  const onError = (): void => void stream.destroy();
  const onData = (chunk: Buffer): void => {
    kept = kept.length === 0 ? chunk : Buffer.concat([kept, chunk]);
    const header = readHeader(kept);
    if (header === 'incomplete') return;
    if (header === 'wrong' || header.length > parts.connectBytesMax) {
      stream.destroy();
      return;
    }
    const end = header.start + header.length;
    if (kept.length < end) return;
    stream.off('data', onData);
    stream.off('error', onError);
    const level = unacceptableLevel(kept.subarray(header.start, end));
    if (level === null && faultOf(kept, connect, header.start, end) !== null) {
      // [MQTT-4.8.0-1]
      stream.destroy();
      return;
    }
    if (level === null) {
      stream.pause();
      stream.unshift(kept);
      parts.ready();
      return;
    }
    stream.on('error', onError);
    stream.end(unacceptableLevelPacket);
    // Whatever else it says is of no interest; it ends when the other side has heard, or when its time is over.
    stream.resume();
    parts.wrongLevel(level);
  };
  stream.on('error', onError);
  stream.on('data', onData);
}

/** Where the body of a CONNECT begins, and how long it is (section 2.2). */
function readHeader(bytes: Buffer): 'incomplete' | 'wrong' | { readonly start: number; readonly length: number } {
  if (bytes[0] !== connect) return 'wrong';
  let length = 0;
  for (let at = 1; at < 5; at++) {
    if (at === bytes.length) return 'incomplete';
    length += (bytes[at] & 0x7f) * 2 ** (7 * (at - 1));
    if (bytes[at] < 0x80) return { start: at + 1, length };
  }
  return 'wrong';
}

/**
 * The protocol level of a CONNECT (section 3.1.2), when it is none that the broker speaks: not 3 (MQTT 3.1) and not 4
 * (MQTT 3.1.1). Such a client is owed an answer ([MQTT-3.1.2-2]), which the parser of aedes leaves out.
 */
function unacceptableLevel(body: Buffer): number | null {
  const nameLength = body.length < 2 ? 0 : body.readUInt16BE(0);
  const name = body.toString('latin1', 2, 2 + nameLength);
  const level = body.at(2 + nameLength);
  if (level === undefined || (name !== 'MQTT' && name !== 'MQIsdp')) return null;
  const plain = level & ~bridgeBit;
  return plain === 3 || plain === 4 ? null : level;
}
