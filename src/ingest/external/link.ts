import { Duplex } from 'node:stream';
import type { Message, Receipt } from '../../domain/message.ts';
import { anySender } from '../../domain/principal.ts';
import type { MessageSink } from '../message-sink.ts';
import { fingerprint } from '../fingerprint.ts';
import type { RedeliveryBook } from '../redelivery.ts';
import {
  acknowledgement,
  type InboundPacket,
  InboundPackets,
  type InboundPublish,
  readPacketId,
  readPublish,
} from './inbound-packets.ts';

export interface LinkParts {
  readonly sink: MessageSink;
  readonly redelivery: RedeliveryBook;
  /** Takes a message that the broker had retained: an old state, not news. */
  readonly retained: (message: Message) => void;
  readonly protocol: 4 | 5;
  readonly clientId: string;
  readonly packetBytesMax: number;
  /** Messages that may wait for the disk; beyond it the socket is not read. */
  readonly inFlightMax: number;
}

/** An acknowledgement that is owed, in the order in which the messages came. */
interface Owed {
  readonly bytes: Buffer;
  settled: boolean;
}

const publishType = 3;
const pubrelType = 6;

/**
 * Stands between the socket to a broker and the MQTT client, which would take messages one at a time and acknowledge
 * each before it looks at the next. PUBLISH and PUBREL stay here: messages go to the sink as they come, and the broker
 * has its PUBACK or PUBREC when they are on disk, in their order (MQTT 3.1.1 section 4.6). Everything else passes.
 */
export class Link extends Duplex {
  readonly #socket: Duplex;
  readonly #parts: LinkParts;
  readonly #packets: InboundPackets;
  readonly #owed: Owed[] = [];
  #held = false;
  #leaving = false;
  /** The client on this side takes no more packets at the moment. */
  #full = false;
  #flushing = false;

  constructor(socket: Duplex, parts: LinkParts) {
    super({ allowHalfOpen: false });
    this.#socket = socket;
    this.#parts = parts;
    this.#packets = new InboundPackets(parts.packetBytesMax);
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
  }

  /** Messages that wait for the disk. */
  get waiting(): number {
    return this.#owed.length;
  }

  /** Stops (or lets on) reading, because the in-flight window is full. */
  hold(held: boolean): void {
    this.#held = held;
    this.#pace();
  }

  /**
   * From now on messages that come are dropped, and without an acknowledgement the broker keeps them. All else is read:
   * answers to what we still say, and the end of the connection.
   */
  leave(): void {
    this.#leaving = true;
    this.#pace();
  }

  override _read(): void {
    this.#full = false;
    this.#pace();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }

  #take(chunk: Buffer): void {
    try {
      for (const packet of this.#packets.take(chunk)) {
        if (packet.type === publishType) {
          if (!this.#leaving) this.#receive(readPublish(packet, this.#parts.protocol));
        } else if (packet.type === pubrelType) this.#release(packet);
        // A copy: the client may look at it later, the chunk must not live that long.
        else if (!this.push(Buffer.from(packet.bytes))) this.#full = true;
      }
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    this.#pace();
  }

  #receive({ topic, payload, qos, dup, retain, packetId }: InboundPublish): void {
    const { sink, redelivery, clientId } = this.#parts;
    const owed = qos === 0 ? null : this.#owe(acknowledgement(qos === 1 ? 'puback' : 'pubrec', packetId));
    const identity = owed ? { client: clientId, packetId, hash: fingerprint(topic, payload) } : null;
    const message: Message = { topic, payload, qos, client: clientId, sender: anySender, identity };
    if (retain) {
      this.#parts.retained(message);
      if (owed) this.#settle(owed);
      return;
    }
    const receipt: Receipt = (failure) => {
      // Without its acknowledgement the broker delivers the message again, on the next connection.
      if (failure) this.destroy(failure);
      else if (owed) this.#settle(owed);
    };
    if (!identity) {
      sink.receive(message, receipt);
      return;
    }
    const admitted = redelivery.admit(identity, dup || (qos === 2 && redelivery.isOpen(identity)), receipt);
    if (admitted) sink.receive(message, admitted);
    else sink.redelivered();
  }

  /** PUBREL ends a QoS 2 exchange; its message is on disk since the PUBREC. */
  #release(packet: InboundPacket): void {
    this.#settle(this.#owe(acknowledgement('pubcomp', readPacketId(packet))));
  }

  #owe(bytes: Buffer): Owed {
    const owed: Owed = { bytes, settled: false };
    this.#owed.push(owed);
    return owed;
  }

  #settle(owed: Owed): void {
    owed.settled = true;
    if (this.#flushing || this.destroyed) return;
    this.#flushing = true;
    // A commit settles many messages in one turn: their acknowledgements leave in one write.
    queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    this.#flushing = false;
    let count = 0;
    while (count < this.#owed.length && this.#owed[count].settled) count++;
    const settled = this.#owed.splice(0, count);
    if (settled.length > 0 && !this.destroyed) this.#socket.write(Buffer.concat(settled.map(({ bytes }) => bytes)));
    this.#pace();
  }

  #pace(): void {
    if (this.destroyed) return;
    const isFull = !this.#leaving && (this.#held || this.#owed.length >= this.#parts.inFlightMax);
    if (isFull || this.#full) this.#socket.pause();
    else this.#socket.resume();
  }
}
