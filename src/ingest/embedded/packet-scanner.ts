/** Why a connection is cut. */
export class PacketRefusedError extends Error {
  override readonly name = 'PacketRefusedError';
}

/** Where packets go. Everything arrives in the order of the stream. */
export interface PacketRoute {
  /** A packet begins: its first byte, whose size is permitted. May throw. Answers whether `take` wants to see it whole. */
  begins(first: number): boolean;
  /** A whole packet that was asked for; its body lies from `start` to `end`. Answers whether it was taken. */
  take(bytes: Buffer, first: number, start: number, end: number): boolean;
  /** A packet with this first byte goes the other way; `pass` gets its bytes. */
  declines(first: number): void;
  /** Bytes of packets that nobody took: any number of them, cut anywhere. */
  pass(bytes: Buffer): void;
}

export interface PacketLimits {
  readonly packetBytesMax: number;
  readonly connectBytesMax: number;
}

const connectType = 1;
/** Remaining length of PUBACK to PUBCOMP (MQTT 3.1.1 sections 3.4 to 3.7), PINGREQ (3.12) and DISCONNECT (3.14). */
const fixedLengths: ReadonlyMap<number, number> = new Map([
  [4, 2],
  [5, 2],
  [6, 2],
  [7, 2],
  [12, 0],
  [14, 0],
]);
/** A packet that comes in more pieces is put together on the way: a piece of one byte costs hundreds to keep. */
const piecesMax = 256;

/**
 * Finds the packets of an MQTT stream by their fixed headers (MQTT 3.1.1 section 2.2: a type byte and a remaining length
 * of one to four bytes) and says no before a packet that is too large has been buffered. Kept are only an unfinished
 * header and a packet that the route asked to see whole; both are bounded by the size that is permitted.
 */
export class PacketScanner {
  readonly #limits: PacketLimits;
  /** Bytes that are still to come of a packet that passes as it arrives. */
  #passing = 0;
  #kept: Buffer[] = [];
  #keptBytes = 0;
  /** So many bytes must be there before it is worth looking at what is kept. */
  #neededBytes = 0;

  constructor(limits: PacketLimits) {
    this.#limits = limits;
  }

  /** Throws `PacketRefusedError` at the header of a packet over the limit or with a malformed length. */
  scan(chunk: Buffer, route: PacketRoute): void {
    const bytes = this.#withKept(chunk);
    if (!bytes) return;
    let at = Math.min(this.#passing, bytes.length);
    this.#passing -= at;
    /** From here on nobody has had the bytes yet. */
    let from = 0;
    while (at < bytes.length) {
      const start = this.#bodyStart(bytes, at);
      if (start === 0) {
        this.#keep(bytes, at, at + 1);
        break;
      }
      const first = bytes[at];
      const end = start + this.#length;
      const isAsked = route.begins(first);
      if (isAsked && end > bytes.length) {
        this.#keep(bytes, at, end);
        break;
      }
      if (isAsked && from < at) {
        route.pass(bytes.subarray(from, at));
        from = at;
      }
      if (isAsked && route.take(bytes, first, start, end)) from = end;
      else {
        route.declines(first);
        this.#passing = Math.max(end - bytes.length, 0);
      }
      at = Math.min(end, bytes.length);
    }
    if (from < at) route.pass(from === 0 && at === bytes.length ? bytes : bytes.subarray(from, at));
  }

  /** The chunk behind what was kept of the one before; undefined while that is still not enough. */
  #withKept(chunk: Buffer): Buffer | undefined {
    if (this.#keptBytes === 0) return chunk;
    this.#kept.push(chunk);
    this.#keptBytes += chunk.length;
    if (this.#keptBytes < this.#neededBytes) {
      if (this.#kept.length >= piecesMax) this.#kept = [Buffer.concat(this.#kept, this.#keptBytes)];
      return undefined;
    }
    const bytes = Buffer.concat(this.#kept, this.#keptBytes);
    this.#kept = [];
    this.#keptBytes = 0;
    return bytes;
  }

  /** `from` to the end of `bytes`, until there are bytes up to `neededTo`. */
  #keep(bytes: Buffer, from: number, neededTo: number): void {
    this.#kept = [bytes.subarray(from)];
    this.#keptBytes = bytes.length - from;
    this.#neededBytes = Math.max(neededTo - from, this.#keptBytes + 1);
  }

  /** Remaining length of the packet whose header was read last. */
  #length = 0;

  /** Where the body of the packet at `at` begins; 0 while its header is not complete. */
  #bodyStart(bytes: Uint8Array, at: number): number {
    let length = 0;
    let cursor = at + 1;
    for (let shift = 0; cursor < bytes.length; shift += 7) {
      if (shift > 21) throw new PacketRefusedError('the remaining length of a packet has more than four bytes');
      const byte = bytes[cursor++];
      length |= (byte & 0x7f) << shift;
      if (byte >= 0x80) continue;
      const type = bytes[at] >> 4;
      const fixed = fixedLengths.get(type);
      // Left to the parser behind, one that claims more would be gathered for nothing.
      if (fixed !== undefined && length > fixed) {
        throw new PacketRefusedError(`a packet of type ${type} has ${length} bytes where there are ${fixed}`);
      }
      const limit = type === connectType ? this.#limits.connectBytesMax : this.#limits.packetBytesMax;
      if (length > limit) {
        throw new PacketRefusedError(
          `a packet of ${length} bytes is over the limit of ${limit}; see mqtt.packetBytesMax`,
        );
      }
      this.#length = length;
      return cursor;
    }
    return 0;
  }
}
