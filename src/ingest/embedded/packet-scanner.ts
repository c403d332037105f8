/** Why a connection is cut. */
export class PacketRefusedError extends Error {
  override readonly name = 'PacketRefusedError';
}

const connectType = 1;

/**
 * Reads only the fixed headers of an MQTT stream (MQTT 3.1.1 section 2.2: a type byte and a remaining length of one to
 * four bytes) and says no before a packet that is too large has been buffered. Bytes are not kept.
 */
export class PacketScanner {
  readonly #packetBytesMax: number;
  readonly #connectBytesMax: number;
  /** Bytes of the current packet's body that are still to come. */
  #body = 0;
  #type = 0;
  #length = 0;
  #shift = 0;
  #inHeader = false;

  constructor(limits: { readonly packetBytesMax: number; readonly connectBytesMax: number }) {
    this.#packetBytesMax = limits.packetBytesMax;
    this.#connectBytesMax = limits.connectBytesMax;
  }

  /** Throws `PacketRefusedError` at the header of a packet over the limit or with a malformed length. */
  scan(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#body > 0) {
        const skipped = Math.min(this.#body, chunk.length - at);
        this.#body -= skipped;
        at += skipped;
      } else if (this.#inHeader) {
        this.#takeLength(chunk[at++]);
      } else {
        this.#type = chunk[at++] >> 4;
        this.#length = 0;
        this.#shift = 0;
        this.#inHeader = true;
      }
    }
  }

  #takeLength(byte: number): void {
    if (this.#shift > 21) throw new PacketRefusedError('the remaining length of a packet has more than four bytes');
    this.#length += (byte & 0x7f) * 2 ** this.#shift;
    this.#shift += 7;
    if (byte >= 0x80) return;
    const limit = this.#type === connectType ? this.#connectBytesMax : this.#packetBytesMax;
    if (this.#length > limit) {
      throw new PacketRefusedError(
        `a packet of ${this.#length} bytes is over the limit of ${limit}; see mqtt.packetBytesMax`,
      );
    }
    this.#inHeader = false;
    this.#body = this.#length;
  }
}
