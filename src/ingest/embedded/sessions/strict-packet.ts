import { isUtf8 } from 'node:buffer';

/** Types of packets (MQTT 3.1.1 section 2.2.1) with something in them that the parser behind does not look at. */
const connectType = 1;
const publishType = 3;
const subscribeType = 8;
const unsubscribeType = 10;

/** Bits of the connect flags (section 3.1.2.3). */
const willFlag = 0x04;
const willBits = 0x38;
const passwordFlag = 0x40;
const userFlag = 0x80;
/** Of the first byte of a PUBLISH (section 3.3.1). */
const qosBits = 0x06;

/** Whether a packet with this first byte is worth seeing whole. */
export function isWorthChecking(first: number): boolean {
  const type = first >> 4;
  return type === connectType || type === publishType || type === subscribeType || type === unsubscribeType;
}

/**
 * What is wrong with a packet that the parser behind would let pass, as a sentence; null when nothing is. Its body lies
 * from `start` to `end`. Takes any bytes: whatever is too short is left to the parser, which says so itself.
 */
export function faultOf(bytes: Buffer, first: number, start: number, end: number): string | null {
  const body = new Body(bytes, start, end);
  switch (first >> 4) {
    case connectType:
      return connectFault(body);
    case publishType:
      return publishFault(body, (first & qosBits) !== 0);
    case subscribeType:
      return listFault(body, 1);
    case unsubscribeType:
      return listFault(body, 0);
    default:
      return null;
  }
}

function publishFault(body: Body, hasId: boolean): string | null {
  const topic = body.text();
  // [MQTT-3.3.2-1]
  if (topic && !isText(topic)) return 'the topic of a PUBLISH is no UTF-8, or has NUL in it';
  // [MQTT-2.3.1-1]
  return hasId && body.uint16() === 0 ? 'a PUBLISH has packet id 0' : null;
}

/** Only of level 4: what another version says is its own affair. */
function connectFault(body: Body): string | null {
  body.text();
  if (body.byte() !== 4) return null;
  const flags = body.byte() ?? 0;
  body.uint16();
  const hasWill = (flags & willFlag) !== 0;
  // [MQTT-3.1.2-11], [MQTT-3.1.2-13], [MQTT-3.1.2-15]
  if (!hasWill && (flags & willBits) !== 0) return 'a CONNECT without a will says of which QoS it is, or retained';
  // [MQTT-3.1.2-14]
  if ((flags & 0x18) === 0x18) return 'a CONNECT has a will of QoS 3';
  // [MQTT-3.1.2-22]
  if ((flags & userFlag) === 0 && (flags & passwordFlag) !== 0) return 'a CONNECT has a password without a user name';
  const texts = [body.text()];
  if (hasWill) {
    texts.push(body.text());
    body.text();
  }
  if ((flags & userFlag) !== 0) texts.push(body.text());
  if ((flags & passwordFlag) !== 0) body.text();
  // [MQTT-3.1.3-4], [MQTT-3.1.3-10], [MQTT-3.1.3-11]
  if (texts.some((text) => text && !isText(text))) return 'a CONNECT has text that is no UTF-8, or has NUL in it';
  return body.isAtEnd ? null : 'a CONNECT has fields that its flags do not announce';
}

/** Filters, each with so many bytes behind. */
function listFault(body: Body, bytesBehind: 0 | 1): string | null {
  if (body.uint16() === 0) return 'a packet has packet id 0';
  // [MQTT-3.8.3-3], [MQTT-3.10.3-2]
  if (body.isAtEnd) return 'a packet asks for no filter at all';
  while (!body.isAtEnd) {
    const filter = body.text();
    if (!filter) return null;
    if (filter.length === 0) return 'a filter is empty';
    if (!isText(filter)) return 'a filter is no UTF-8, or has NUL in it';
    if (bytesBehind > 0) body.byte();
  }
  return null;
}

/** [MQTT-1.5.3-1], [MQTT-1.5.3-2]; surrogates are not well-formed, so `isUtf8` says no to them. */
function isText(bytes: Buffer): boolean {
  return isUtf8(bytes) && !bytes.includes(0);
}

/** Reads forward; what is not there any more is undefined. */
class Body {
  readonly #bytes: Buffer;
  readonly #end: number;
  #at: number;

  constructor(bytes: Buffer, start: number, end: number) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#end;
  }

  byte(): number | undefined {
    return this.#take(1)?.[0];
  }

  uint16(): number | undefined {
    return this.#take(2)?.readUInt16BE(0);
  }

  text(): Buffer | undefined {
    const length = this.uint16();
    return length === undefined ? undefined : this.#take(length);
  }

  #take(count: number): Buffer | undefined {
    const from = this.#at;
    this.#at = Math.min(from + count, this.#end);
    return from + count > this.#end ? undefined : this.#bytes.subarray(from, from + count);
  }
}
